//! Law 6: a streamed answer says the same as the whole one.

use std::path::Path;

use lingate_dialect::framing::Framing;
use lingate_dialect::hub::{Choice, FinishReason, Response};
use lingate_dialect::{BadAnswer, DialectId, Losses};

use crate::breaches::Breaches;
use crate::digest::{digest, has_broken_call};
use crate::drive::{Cuts, clients, collect, streamed, transcode};
use crate::fixtures::{Kind, Sample, reply, samples};

/// What a client understands from the whole answer in its dialect; an error, where that dialect has no form for so little.
fn told_whole(response: &Response, client: DialectId) -> Result<Response, BadAnswer> {
    let dialect = client.dialect();
    let body = dialect.encode_response(response, &reply(), &mut Losses::default());
    dialect.decode_response(&body)
}

/// Fixtures named `golden…` come in pairs: one answer, streamed and whole.
#[test]
fn golden_fixtures_say_the_same() {
    let stem = |name: &str| {
        let path = Path::new(name);
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    let mut breaches = Breaches::default();
    let golden = |sample: &&Sample| sample.own && sample.name.contains("golden");
    for stream in samples(Kind::Stream).filter(golden) {
        let twin = samples(Kind::Response)
            .filter(|sample| sample.own)
            .find(|sample| {
                sample.dialect == stream.dialect && stem(&sample.name) == stem(&stream.name)
            });
        let Some(twin) = twin else { continue };
        let (streamed, _) = collect(
            stream.dialect,
            stream.framing(),
            &stream.body,
            Cuts::Nowhere,
        );
        let (streamed, whole) = (
            streamed.unwrap(),
            twin.dialect.dialect().decode_response(&twin.body).unwrap(),
        );
        let (left, right) = (digest(&streamed, true), digest(&whole, true));
        breaches.same(&left, &right, &stream.name, "");
        breaches.same(&streamed.usage, &whole.usage, &stream.name, "usage");
    }
    breaches.settle();
}

/// Compares what was streamed to a client with `answer` told whole.
fn compare(
    breaches: &mut Breaches,
    name: &str,
    answer: &Response,
    client: (DialectId, Framing),
    out: &[u8],
) {
    let failed = |choice: &Choice| choice.finish.reason == FinishReason::Error;
    if answer.choices.iter().any(failed) {
        // In the middle of a stream there is a form for it; of a whole answer it is asked (`Response::failure`).
        return;
    }
    let text = matches!(client.0, DialectId::Chat | DialectId::Responses);
    if has_broken_call(answer) && !text {
        // Half of a call's arguments can be streamed, but not said as an object.
        return;
    }
    let (streamed, _) = collect(client.0, client.1, out, Cuts::Nowhere);
    let whole = told_whole(answer, client.0);
    // A whole Chat message has one text and one list of calls.
    let ordered = client.0 != DialectId::Chat;
    let what = format!("to {client:?}");
    match (streamed, whole) {
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => breaches.push(name, &format!("{what}: {}", error.message)),
        (Ok(_), Err(bad)) => breaches.push(name, &format!("{what} as a whole: {bad:?}")),
        (Ok(streamed), Ok(whole)) => {
            let (mut left, mut right) = (digest(&streamed, ordered), digest(&whole, ordered));
            let crossing = name.contains("interleaved") || name.contains("within_tool_call");
            if client.0 == DialectId::Gemini && crossing {
                // Calls come out as each of them is complete, and what else there is at once.
                left.sort();
                right.sort();
            }
            breaches.same(&left, &right, name, &what);
            breaches.same(&streamed.usage, &whole.usage, name, &what);
        }
    }
}

#[test]
fn a_stream_carried_over_says_the_same_as_the_whole_answer_carried_over() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let (answer, _) = collect(
            sample.dialect,
            sample.framing(),
            &sample.body,
            Cuts::Nowhere,
        );
        let Ok(answer) = answer else { continue };
        for client in clients() {
            let (out, _) = transcode(sample, &sample.body, client, Cuts::Nowhere);
            compare(&mut breaches, &sample.name, &answer, client, &out);
        }
    }
    breaches.settle();
}

#[test]
fn a_whole_answer_streamed_says_the_same() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Response) {
        let Ok(answer) = sample.dialect.dialect().decode_response(&sample.body) else {
            continue;
        };
        for client in clients() {
            let out = streamed(&answer, client);
            compare(&mut breaches, &sample.name, &answer, client, &out);
        }
    }
    breaches.settle();
}
