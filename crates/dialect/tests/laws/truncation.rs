//! Law 2: a stream that is cut never ends cleanly, unless all of the answer was there already.

use lingate_dialect::DialectId;

use crate::breaches::Breaches;
use crate::digest::digest;
use crate::drive::{Cuts, clients, collect, is_right, tap, transcode};
use crate::events;
use crate::fixtures::{Kind, Sample, samples};
use crate::wire::{self, Ending};

/// Fixtures up to this many bytes are cut after every byte.
const EVERY: usize = 2 << 10;

/// Lengths of prefixes: all of a small fixture's, most of a larger one's, some of a recording's.
fn lengths(sample: &Sample) -> impl Iterator<Item = usize> {
    let length = sample.body.len();
    let step = match sample.own {
        true if length <= EVERY => 1,
        true => length / 1000 + 1,
        false => length / 6 + 1,
    };
    (0..length).step_by(step)
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
            // What the upstream told until then is billed.
            if seen.error.is_some() {
                breaches.same(&seen.usage, &read.usage, &sample.name, &what);
            }
            if !addition.is_empty() && seen.error.is_none() {
                breaches.push(&sample.name, &what);
            }
        }
    }
    breaches.settle();
}
