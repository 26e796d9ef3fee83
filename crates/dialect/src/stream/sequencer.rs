//! Puts the parts of an answer one after the other, for dialects that cannot have two open at once.
//!
//! The first part that is not complete streams live; what belongs to later ones waits, and follows in order of opening. So a
//! part is only closed once nothing more can come for it.

use std::collections::VecDeque;

use super::StreamError;
use crate::hub::{Delta, Event, Open};

#[derive(Debug, Default)]
pub struct Sequencer {
    /// The part that streams.
    live: Option<u32>,
    waiting: VecDeque<Waiting>,
    /// Ends of choices, told once no part is open or waiting.
    finishes: Vec<Event>,
    /// Bytes that wait.
    queued: usize,
}

#[derive(Debug)]
struct Waiting {
    index: u32,
    choice: u32,
    part: Open,
    deltas: Vec<Delta>,
    closed: bool,
}

impl Sequencer {
    /// The most bytes that may wait.
    pub const LIMIT: usize = 64 << 20;

    /// What a waiting part or delta costs beside its text.
    const OVERHEAD: usize = 64;

    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), StreamError> {
        match event {
            Event::Open {
                index,
                choice,
                part,
            } => {
                if self.live.is_none() {
                    self.live = Some(index);
                    out.push(Event::Open {
                        index,
                        choice,
                        part,
                    });
                } else {
                    self.count(size_of_open(&part))?;
                    self.waiting.push_back(Waiting {
                        index,
                        choice,
                        part,
                        deltas: Vec::new(),
                        closed: false,
                    });
                }
            }
            Event::Delta { index, delta } => {
                if self.live == Some(index) {
                    out.push(Event::Delta { index, delta });
                } else {
                    self.queue(index, delta)?;
                }
            }
            Event::Close { index } => {
                if self.live == Some(index) {
                    self.live = None;
                    out.push(Event::Close { index });
                    self.flush(out);
                } else if let Some(part) = self.waiting.iter_mut().find(|part| part.index == index)
                {
                    part.closed = true;
                }
            }
            Event::Finish { .. } => {
                if self.live.is_none() {
                    out.push(event);
                } else {
                    self.finishes.push(event);
                }
            }
            Event::Start { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Logprobs { .. }
            | Event::Error(_) => out.push(event),
        }
        Ok(())
    }

    /// Joins `delta` to the last one of its part where both are pieces of one text.
    fn queue(&mut self, index: u32, delta: Delta) -> Result<(), StreamError> {
        self.count(size_of_delta(&delta))?;
        let Some(part) = self.waiting.iter_mut().find(|part| part.index == index) else {
            debug_assert!(false, "a delta for part {index}, which is not open");
            return Ok(());
        };
        match (part.deltas.last_mut(), delta) {
            (Some(Delta::Text(text)), Delta::Text(more))
            | (Some(Delta::Reasoning(text)), Delta::Reasoning(more))
            | (Some(Delta::Refusal(text)), Delta::Refusal(more))
            | (Some(Delta::Arguments(text)), Delta::Arguments(more)) => text.push_str(&more),
            (_, delta) => part.deltas.push(delta),
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        while let Some(part) = self.waiting.pop_front() {
            let Waiting {
                index,
                choice,
                part,
                deltas,
                closed,
            } = part;
            out.push(Event::Open {
                index,
                choice,
                part,
            });
            out.extend(
                deltas
                    .into_iter()
                    .map(|delta| Event::Delta { index, delta }),
            );
            if !closed {
                self.live = Some(index);
                return;
            }
            out.push(Event::Close { index });
        }
        self.queued = 0;
        out.append(&mut self.finishes);
    }

    fn count(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.queued = self
            .queued
            .saturating_add(bytes)
            .saturating_add(Self::OVERHEAD);
        if self.queued > Self::LIMIT {
            return Err(StreamError::TooMuchWaits);
        }
        Ok(())
    }
}

fn size_of_open(part: &Open) -> usize {
    match part {
        Open::Text | Open::Reasoning { .. } | Open::Refusal => 0,
        Open::ToolCall { id, name, .. } => id.len() + name.len(),
        Open::Media(media) => match &media.source {
            crate::hub::Source::Base64(text)
            | crate::hub::Source::Url(text)
            | crate::hub::Source::File(text)
            | crate::hub::Source::Text(text) => text.len(),
            crate::hub::Source::Parts(_) => 0,
        },
        Open::Opaque(opaque) => opaque.json.get().len(),
    }
}

fn size_of_delta(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text)
        | Delta::Reasoning(text)
        | Delta::Refusal(text)
        | Delta::Arguments(text) => text.len(),
        Delta::Proof(opaque) => opaque.json.get().len(),
        Delta::Citation(citation) => {
            let texts = [&citation.url, &citation.title, &citation.cited_text];
            let source = citation
                .source
                .as_ref()
                .map_or(0, |source| source.json.get().len());
            texts.into_iter().flatten().map(String::len).sum::<usize>() + source
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::FinishReason;

    /// Events as words: `o1` opens part 1, `d1x` is its text `x`, `c1` closes it, `f0` ends choice 0, `u` is usage.
    fn check(events: &str, expect: &str) {
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for word in events.split(' ') {
            let index = word
                .get(1..2)
                .and_then(|digit| digit.parse().ok())
                .unwrap_or(0);
            let event = match word.get(..1) {
                Some("o") => Event::Open {
                    index,
                    choice: 0,
                    part: Open::Text,
                },
                Some("d") => Event::Delta {
                    index,
                    delta: Delta::Text(word[2..].to_owned()),
                },
                Some("c") => Event::Close { index },
                Some("f") => Event::Finish {
                    choice: index,
                    finish: FinishReason::Stop.into(),
                },
                _ => Event::Usage(crate::hub::Usage::default()),
            };
            sequencer.event(event, &mut out).unwrap();
        }
        let shown = out.iter().map(|event| match event {
            Event::Open { index, .. } => format!("o{index}"),
            Event::Delta {
                index,
                delta: Delta::Text(text),
            } => format!("d{index}{text}"),
            Event::Close { index } => format!("c{index}"),
            Event::Finish { choice, .. } => format!("f{choice}"),
            _ => "u".to_owned(),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expect, "{events}");
    }

    #[test]
    fn what_is_in_order_passes_at_once() {
        check(
            "o0 d0a d0b c0 u o1 d1c c1 f0",
            "o0 d0a d0b c0 u o1 d1c c1 f0",
        );
    }

    #[test]
    fn later_parts_wait_for_the_first() {
        check("o0 d0a o1 d1x u d0b d1y o2", "o0 d0a u d0b");
        check(
            "o0 o1 d1x d1y c1 d0b o2 d2z c0 d2w",
            "o0 d0b c0 o1 d1xy c1 o2 d2z d2w",
        );
        check("o0 o1 c1 f1 d0a c0 f0", "o0 d0a c0 o1 c1 f1 f0");
        check("o0 o1 o2 c2 d2 c0 c1 f0", "o0 c0 o1 c1 o2 d2 c2 f0");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for index in 0..2 {
            let part = Open::Text;
            let event = Event::Open {
                index,
                choice: 0,
                part,
            };
            sequencer.event(event, &mut out).unwrap();
        }
        let piece = "x".repeat(1 << 20);
        let delta = || Event::Delta {
            index: 1,
            delta: Delta::Text(piece.clone()),
        };
        let failed = (0..100).position(|_| sequencer.event(delta(), &mut out).is_err());
        assert_eq!(failed, Some(63));
    }
}
