//! Law 2: a stream that is cut never ends cleanly, unless all of the answer was there already.

use lingate_dialect::DialectId;
use lingate_dialect::stream::Outcome;

use crate::breaches::Breaches;
use crate::digest::digest;
use crate::drive::{Cuts, clients, collect, is_right, tap, transcode};
use crate::events;
use crate::fixtures::{Kind, Sample, samples};
use crate::wire::{self, Ending};

/// Lengths of prefixes: nearly all of a small fixture's, some of a recording's.
fn lengths(sample: &Sample) -> impl Iterator<Item = usize> {
    let most = if sample.own { 1000 } else { 6 };
    let step = sample.body.len() / most + 1;
    (0..sample.body.len()).step_by(step)
}

/// Older Gemini models say `STOP` in every chunk; then no reader can tell a cut from the end.
fn ends_often(sample: &Sample) -> bool {
    let told = memchr::memmem::find_iter(&sample.body, "\"finishReason\"");
    sample.dialect == DialectId::Gemini && told.count() > 1
}

#[test]
fn a_cut_stream_ends_in_an_error_of_the_client_s_dialect() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let read = |bytes: &[u8]| {
            let (answer, _) = collect(sample.dialect, sample.framing(), bytes, Cuts::Nowhere);
            answer.map(|answer| digest(&answer, true))
        };
        let whole = read(&sample.body);
        let ends_often = ends_often(sample);
        let mut clients = clients().collect::<Vec<_>>().into_iter().cycle();
        for length in lengths(sample) {
            let Some(client) = clients.next() else { break };
            let prefix = &sample.body[..length];
            let (out, summary) = transcode(sample, prefix, client, Cuts::Nowhere);
            let what = format!("cut at {length} to {client:?}");
            let (_, ending) = wire::stream(client.0, client.1, &out);
            // Some servers tell an error after the answer's end.
            if ending == Ending::Clean && whole.is_ok() && !ends_often {
                breaches.same(&read(prefix), &whole, &sample.name, &what);
            }
            if !is_right(ending, &summary) {
                let out = String::from_utf8_lossy(&out);
                breaches.push(&sample.name, &format!("{what}: {ending:?}\n{out}"));
            }
        }
    }
    breaches.settle();
}

#[test]
fn a_decoder_closes_what_a_cut_left_open() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        for length in lengths(sample) {
            let dialect = sample.dialect.dialect();
            let read = events::decode(dialect, sample.framing(), &sample.body[..length]);
            // What is not of the dialect has no events to judge.
            let Ok((events, complete)) = read else {
                continue;
            };
            let faults = events::faults(&events, complete);
            if !faults.is_empty() {
                breaches.push(&sample.name, &format!("cut at {length}: {faults:?}"));
            }
        }
    }
    breaches.settle();
}

#[test]
fn a_forwarded_stream_that_is_cut_gets_an_error() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        for length in lengths(sample) {
            let prefix = &sample.body[..length];
            let (addition, seen) = tap(sample, prefix, Cuts::Nowhere);
            let same = (sample.dialect, sample.framing());
            let (_, read) = transcode(sample, prefix, same, Cuts::Nowhere);
            let what = format!("cut at {length}");
            breaches.same(
                &seen.error.is_some(),
                &read.error.is_some(),
                &sample.name,
                &what,
            );
            if !addition.is_empty() && seen.outcome != Outcome::Truncated {
                breaches.push(&sample.name, &what);
            }
        }
    }
    breaches.settle();
}
