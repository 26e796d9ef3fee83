//! Law 3, by chance: whatever order frames come in, decoders keep the order of events; and whatever order parts grow in, the
//! sequencer puts them one after the other and loses nothing.

use std::collections::BTreeMap;

use lingate_dialect::framing::Framing;
use lingate_dialect::hub::{Delta, Event, FinishReason, Open, Usage};
use lingate_dialect::stream::Sequencer;

use crate::breaches::Breaches;
use crate::drive::{Cuts, clients, is_right, transcode};
use crate::events;
use crate::fixtures::{Kind, Sample, samples};
use crate::wire;

/// Disorders of each stream.
const TRIES: u64 = 48;

/// Numbers by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// The frames of a stream with some of them dropped, doubled or put elsewhere.
fn disordered(sample: &Sample, chance: &mut Chance) -> Vec<u8> {
    let text = String::from_utf8_lossy(&sample.body).replace("\r\n", "\n");
    let mut frames: Vec<&str> = text.split_inclusive("\n\n").collect();
    for _ in 0..=chance.below(4) {
        if frames.is_empty() {
            break;
        }
        let at = chance.below(frames.len());
        match chance.below(4) {
            0 => {
                frames.remove(at);
            }
            1 => frames.insert(at, frames[at]),
            2 => {
                let to = chance.below(frames.len());
                frames.swap(at, to);
            }
            _ => {
                let frame = frames.remove(at);
                frames.insert(chance.below(frames.len() + 1), frame);
            }
        }
    }
    frames.concat().into_bytes()
}

#[test]
fn frames_in_any_order_give_events_in_order() {
    let mut breaches = Breaches::default();
    let streams =
        samples(Kind::Stream).filter(|sample| sample.own && sample.framing() == Framing::Sse);
    for (number, sample) in (0_u64..).zip(streams) {
        let mut clients = clients().collect::<Vec<_>>().into_iter().cycle();
        for seed in 0..TRIES {
            let mut chance = Chance(number * TRIES + seed);
            let stream = disordered(sample, &mut chance);
            let read = events::decode(sample.dialect.dialect(), sample.framing(), &stream);
            // What is not of the dialect has no events to judge.
            if let Ok((events, complete)) = read {
                let faults = events::faults(&events, complete);
                if !faults.is_empty() {
                    let shown = String::from_utf8_lossy(&stream);
                    breaches.push(&sample.name, &format!("{faults:?} of\n{shown}"));
                }
            }
            let Some(client) = clients.next() else { break };
            let (out, summary) = transcode(sample, &stream, client, Cuts::Nowhere);
            let (mut faults, ending) = wire::stream(client.0, client.1, &out);
            // Arguments whose pieces were lost or doubled are as broken as they came.
            faults.retain(|fault| {
                !fault.contains("is no object") && !fault.contains("are no object")
            });
            if !faults.is_empty() || !is_right(ending, &summary) {
                let shown = String::from_utf8_lossy(&stream);
                let what = format!("to {client:?}: {ending:?}, {summary:?} {faults:?} of\n{shown}");
                breaches.push(&sample.name, &what);
            }
        }
    }
    breaches.settle();
}

/// Parts that open, grow and close by chance, in valid order.
fn conversation(chance: &mut Chance) -> Vec<Event> {
    let choices = 1 + u32::from(chance.below(4) == 0);
    let mut events = vec![Event::Start {
        id: None,
        model: String::new(),
        created: None,
    }];
    let mut open: Vec<(u32, u32, bool)> = Vec::new();
    let mut next = 0;
    for _ in 0..chance.below(40) {
        match chance.below(6) {
            0 | 1 => {
                let choice = u32::try_from(chance.below(2)).unwrap_or(0) % choices;
                let call = chance.below(2) == 0;
                let part = if call {
                    Open::ToolCall {
                        id: format!("c{next}"),
                        name: "f".to_owned(),
                        custom: false,
                    }
                } else {
                    Open::Text
                };
                events.push(Event::Open {
                    index: next,
                    choice,
                    part,
                });
                open.push((next, choice, call));
                next += 1;
            }
            2..=4 if !open.is_empty() => {
                let (index, _, call) = open[chance.below(open.len())];
                let text = format!("{}.", chance.below(100));
                let delta = if call {
                    Delta::Arguments(text)
                } else {
                    Delta::Text(text)
                };
                events.push(Event::Delta { index, delta });
            }
            5 if !open.is_empty() => {
                let (index, ..) = open.remove(chance.below(open.len()));
                events.push(Event::Close { index });
            }
            _ => events.push(Event::Usage(Usage::default())),
        }
    }
    while !open.is_empty() {
        let (index, ..) = open.remove(chance.below(open.len()));
        events.push(Event::Close { index });
    }
    for choice in 0..choices {
        events.push(Event::Finish {
            choice,
            finish: FinishReason::Stop.into(),
        });
    }
    events
}

/// The text of each part.
fn texts(events: &[Event]) -> BTreeMap<u32, String> {
    let mut texts: BTreeMap<u32, String> = BTreeMap::new();
    for event in events {
        match event {
            Event::Open { index, .. } => {
                texts.entry(*index).or_default();
            }
            Event::Delta {
                index,
                delta: Delta::Text(text) | Delta::Arguments(text),
            } => {
                texts.entry(*index).or_default().push_str(text);
            }
            _ => {}
        }
    }
    texts
}

#[test]
fn parts_in_any_order_come_one_after_the_other() {
    for seed in 0..3000 {
        let events = conversation(&mut Chance(seed));
        assert_eq!(
            events::faults(&events, true),
            Vec::<String>::new(),
            "{seed}"
        );
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for event in events.clone() {
            sequencer.event(event, &mut out).unwrap();
        }
        assert_eq!(
            events::faults(&out, true),
            Vec::<String>::new(),
            "{seed}: {out:?}"
        );
        assert_eq!(texts(&out), texts(&events), "{seed}");
        let mut live = None;
        for event in &out {
            match event {
                Event::Open { index, .. } => {
                    assert_eq!(live.replace(*index), None, "{seed}: {out:?}");
                }
                Event::Delta { index, .. } => assert_eq!(live, Some(*index), "{seed}: {out:?}"),
                Event::Close { index } => assert_eq!(live.take(), Some(*index), "{seed}: {out:?}"),
                _ => {}
            }
        }
    }
}
