//! Law 3: decoders keep the order of events, and what encoders write is well formed and keeps it when it is read again.

use crate::drive::DIALECTS;
use lingate_dialect::Losses;
use lingate_dialect::hub::FinishReason;

use crate::breaches::Breaches;
use crate::digest::has_broken_call;
use crate::drive::{Cuts, clients, collect, is_right, streamed, transcode};
use crate::events;
use crate::fixtures::{Kind, reply, samples};
use crate::wire::{self, Ending};

/// What an encoder cannot help: it hands on arguments as they came.
fn forgive(faults: &mut Vec<String>, broken_call: bool) {
    faults.retain(|fault| !(broken_call && fault.contains("no object")));
}

#[test]
fn decoders_keep_the_order_of_events() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let dialect = sample.dialect.dialect();
        match events::decode(dialect, sample.framing(), &sample.body) {
            Ok((events, complete)) => {
                let faults = events::faults(&events, complete);
                if !faults.is_empty() {
                    breaches.push(&sample.name, &format!("{faults:?}"));
                }
            }
            Err(malformed) if sample.own => breaches.push(&sample.name, &malformed.to_string()),
            Err(_) => {}
        }
    }
    breaches.settle();
}

#[test]
fn encoded_streams_are_well_formed() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let (answer, _) = collect(
            sample.dialect,
            sample.framing(),
            &sample.body,
            Cuts::Nowhere,
        );
        let broken_call = answer.is_ok_and(|answer| has_broken_call(&answer));
        for client in clients() {
            let (out, summary) = transcode(sample, &sample.body, client, Cuts::Nowhere);
            let (mut faults, ending) = wire::stream(client.0, client.1, &out);
            forgive(&mut faults, broken_call);
            if !is_right(ending, &summary) {
                faults.push(format!("ends as {ending:?}"));
            }
            match events::decode(client.0.dialect(), client.1, &out) {
                Err(malformed) => faults.push(format!("cannot be read again: {malformed}")),
                Ok((events, complete)) => {
                    faults.extend(events::faults(&events, complete));
                    if complete != (ending == Ending::Clean) {
                        faults.push(format!("complete when read again: {complete}"));
                    }
                }
            }
            if !faults.is_empty() {
                let out = String::from_utf8_lossy(&out);
                breaches.push(&sample.name, &format!("to {client:?}: {faults:?}\n{out}"));
            }
        }
    }
    breaches.settle();
}

#[test]
fn encoded_answers_are_well_formed() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Response) {
        let Ok(response) = sample.dialect.dialect().decode_response(&sample.body) else {
            continue;
        };
        let broken_call = has_broken_call(&response);
        for client in DIALECTS {
            let dialect = client.dialect();
            let out = dialect.encode_response(&response, &reply(), &mut Losses::default());
            let mut faults = wire::whole(client, &out);
            forgive(&mut faults, broken_call);
            if !faults.is_empty() {
                let out = String::from_utf8_lossy(&out);
                breaches.push(&sample.name, &format!("to {client}: {faults:?}\n{out}"));
            }
        }
        for client in clients() {
            let out = streamed(&response, client);
            let (mut faults, ending) = wire::stream(client.0, client.1, &out);
            forgive(&mut faults, broken_call);
            let first = response.choices.first().map(|choice| choice.finish.reason);
            let may_fail = first == Some(FinishReason::Error);
            if !faults.is_empty() || !(ending == Ending::Clean || may_fail) {
                let out = String::from_utf8_lossy(&out);
                let how = format!("streamed to {client:?}: {faults:?} {ending:?}\n{out}");
                breaches.push(&sample.name, &how);
            }
        }
    }
    breaches.settle();
}
