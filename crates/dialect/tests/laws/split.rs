//! Law 1: any cutting of the bytes gives the same output.

use crate::breaches::Breaches;
use crate::digest::digest;
use crate::drive::{Cuts, clients, collect, tap, transcode};
use crate::fixtures::{Kind, Sample, samples};

fn cuts(sample: &Sample) -> Vec<Cuts> {
    if sample.own {
        let sizes = [1, 2, 3, 7, 16, 61].map(Cuts::Every);
        let seeds = (1..9).map(Cuts::Chance);
        sizes.into_iter().chain(seeds).collect()
    } else {
        let seed = sample.body.len() as u64;
        vec![Cuts::Chance(seed)]
    }
}

#[test]
fn a_transcoder_does_not_see_the_cuts() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        for client in clients() {
            let whole = transcode(sample, &sample.body, client, Cuts::Nowhere);
            for cuts in cuts(sample) {
                if transcode(sample, &sample.body, client, cuts) != whole {
                    breaches.push(&sample.name, &format!("to {client:?}, {cuts:?}"));
                }
            }
        }
    }
    breaches.settle();
}

#[test]
fn a_tap_does_not_see_the_cuts() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let whole = tap(sample, &sample.body, Cuts::Nowhere);
        for cuts in cuts(sample) {
            let cut = tap(sample, &sample.body, cuts);
            breaches.same(&cut, &whole, &sample.name, &format!("{cuts:?}"));
        }
    }
    breaches.settle();
}

#[test]
fn a_collector_does_not_see_the_cuts() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let read = |cuts| {
            let (answer, summary) = collect(sample.dialect, sample.framing(), &sample.body, cuts);
            (answer.map(|answer| digest(&answer, true)), summary)
        };
        let whole = read(Cuts::Nowhere);
        for cuts in cuts(sample) {
            breaches.same(&read(cuts), &whole, &sample.name, &format!("{cuts:?}"));
        }
    }
    breaches.settle();
}
