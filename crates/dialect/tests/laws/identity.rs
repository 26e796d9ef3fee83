//! Law 4: within one dialect nothing changes but what was asked for, and reading along tells the same as reading.

use lingate_dialect::envelope::Envelope;
use lingate_dialect::meter;
use lingate_dialect::stream::Outcome;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::breaches::Breaches;
use crate::drive::{Cuts, collect, tap};
use crate::fixtures::{Kind, samples};

#[test]
fn an_envelope_changes_its_edits_alone() {
    for sample in samples(Kind::Request) {
        let body = sample.body.as_slice();
        let mut envelope = Envelope::scan(body).unwrap();
        assert_eq!(envelope.apply(), body, "{}", sample.name);
        let original = envelope
            .get("model")
            .map(|json| RawValue::from_string(json.to_owned()).unwrap());
        envelope.set_text("model", "x");
        let edited = envelope.apply();
        let mut again = Envelope::scan(&edited).unwrap();
        match &original {
            Some(json) => again.set("model", json),
            None => again.remove("model"),
        }
        assert_eq!(again.apply(), body, "{}", sample.name);
        let mut expect: Value = serde_json::from_slice(body).unwrap();
        expect["model"] = "x".into();
        let edited: Value = serde_json::from_slice(&edited).unwrap();
        assert_eq!(edited, expect, "{}", sample.name);
    }
}

#[test]
fn a_tap_tells_what_a_reader_would() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let (addition, seen) = tap(sample, &sample.body, Cuts::Nowhere);
        let (_, read) = collect(
            sample.dialect,
            sample.framing(),
            &sample.body,
            Cuts::Nowhere,
        );
        breaches.same(&seen.usage, &read.usage, &sample.name, "usage");
        breaches.same(&seen.outcome, &read.outcome, &sample.name, "outcome");
        breaches.same(
            &seen.error.is_some(),
            &read.error.is_some(),
            &sample.name,
            "error",
        );
        // A cut is told, and so is an error in a form that clients pass over.
        let may_add = matches!(seen.outcome, Outcome::Truncated | Outcome::UpstreamError);
        if !addition.is_empty() && !may_add {
            breaches.push(&sample.name, &String::from_utf8_lossy(&addition));
        }
    }
    breaches.settle();
}

#[test]
fn a_meter_tells_what_a_reader_would() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Response) {
        let dialect = sample.dialect.dialect();
        let seen = meter::read(dialect, &sample.body);
        match dialect.decode_response(&sample.body) {
            Ok(response) => {
                let reason = response.choices.first().map(|choice| choice.finish.reason);
                let outcome = reason.map_or(Outcome::Complete, Outcome::from);
                breaches.same(&seen.usage, &response.usage, &sample.name, "usage");
                breaches.same(&seen.outcome, &outcome, &sample.name, "outcome");
            }
            Err(_) => breaches.same(&seen.error.is_some(), &true, &sample.name, "error"),
        }
    }
    breaches.settle();
}
