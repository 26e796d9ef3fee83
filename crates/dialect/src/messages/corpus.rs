//! Every recorded exchange of the corpus, decoded, where the corpus is at hand.

#![expect(
    clippy::disallowed_methods,
    reason = "this test reads what lies beside the checkout"
)]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::hub::{Event, Usage};
use crate::json::Node;
use crate::messages::recorded;
use crate::{BadAnswer, Decoder, Dialect};

use super::Messages;
use super::stream::MessagesDecoder;

fn recordings() -> Option<Vec<Value>> {
    let near = ["../../../shared/corpus", "../../../../shared/corpus"];
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = std::env::var_os("LINGATE_CORPUS").map(PathBuf::from);
    let mut folders = folders
        .into_iter()
        .chain(near.iter().map(|folder| here.join(folder)));
    let text =
        folders.find_map(|folder| fs::read_to_string(folder.join("anthropic_messages.jsonl")).ok());
    let Some(text) = text else {
        println!(
            "no corpus here: the recordings are not checked (LINGATE_CORPUS names its folder)"
        );
        return None;
    };
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// What a whole answer, or a stream, says about itself: prompt, cached and produced tokens, as the provider counts them.
fn own_totals(usages: &[&Value]) -> (u64, u64, u64) {
    let last = |key: &str| {
        usages
            .iter()
            .rev()
            .find_map(|usage| usage[key].as_u64())
            .unwrap_or(0)
    };
    let cached = last("cache_read_input_tokens");
    let prompt = last("input_tokens") + cached + last("cache_creation_input_tokens");
    (prompt, cached, last("output_tokens"))
}

fn totals(usage: Option<Usage>) -> (u64, u64, u64) {
    let usage = usage.unwrap_or_default();
    (usage.prompt(), usage.cache_read, usage.output)
}

#[test]
fn every_recorded_request_is_read() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut read, mut refused) = (0, Vec::new());
    for recording in &recordings {
        let body = &recording["request"]["body"];
        if !body.is_object() {
            continue;
        }
        let status = recording["response"]["status"].as_u64().unwrap();
        match Messages.decode_request(body.to_string().as_bytes()) {
            Ok(_) => read += 1,
            Err(fault) => refused.push(format!("{} ({status}): {fault}", recording["id"])),
        }
    }
    println!("requests: {read} read, {} refused", refused.len());
    for line in &refused {
        println!("  {line}");
    }
    let wrongly = refused
        .iter()
        .filter(|line| line.contains("(200)") && !line.contains("model: is required"));
    assert_eq!(wrongly.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_recorded_answer_is_read_and_its_tokens_add_up() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut read, mut errors, mut faults) = (0, 0, Vec::new());
    for recording in recordings
        .iter()
        .filter(|one| one["meta"]["framing"] == "json")
    {
        let body = recording["response"]["body_text"].as_str().unwrap();
        let status = u16::try_from(recording["response"]["status"].as_u64().unwrap()).unwrap();
        if status >= 400 {
            let error = crate::ApiError::decode(status, body.as_bytes());
            assert!(!error.message.is_empty());
            errors += 1;
            continue;
        }
        match Messages.decode_response(body.as_bytes()) {
            Ok(response) => {
                let whole: Value = serde_json::from_str(body).unwrap();
                assert_eq!(
                    totals(response.usage),
                    own_totals(&[&whole["usage"]]),
                    "{}",
                    recording["id"]
                );
                read += 1;
            }
            Err(BadAnswer::Error(error)) => {
                faults.push(format!("{}: {}", recording["id"], error.message));
            }
            Err(BadAnswer::Malformed(fault)) => {
                faults.push(format!("{}: {fault}", recording["id"]));
            }
        }
    }
    println!(
        "answers: {read} read, {errors} errors read, {} not read",
        faults.len()
    );
    for line in &faults {
        println!("  {line}");
    }
    assert!(faults.is_empty());
}

#[test]
fn every_recorded_stream_is_read_and_its_tokens_add_up() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut complete, mut cut) = (0, Vec::new());
    for recording in recordings
        .iter()
        .filter(|one| one["meta"]["framing"] == "sse")
    {
        let body = recording["response"]["body_text"].as_str().unwrap();
        let mut decoder = MessagesDecoder::default();
        let mut events = Vec::new();
        let mut usages: Vec<Value> = Vec::new();
        let mut over = false;
        recorded::frames(body, |frame| {
            decoder
                .frame(frame, &mut events)
                .unwrap_or_else(|fault| panic!("{}: {fault}", recording["id"]));
            // One published recording holds two answers, one after the other; only the first is an answer.
            over |= usages.iter().any(|usage| usage == "message_stop");
            if !over && Node::parse(frame.data.as_bytes()).is_ok() {
                let data: Value = serde_json::from_str(frame.data).unwrap();
                usages.push(data["message"]["usage"].clone());
                usages.push(data["usage"].clone());
                usages.push(data["type"].clone());
            }
        });
        let whole = decoder.end(&mut events);
        check_order(&events, recording["id"].as_str().unwrap());
        let told = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(*usage),
            _ => None,
        });
        let own: Vec<&Value> = usages.iter().filter(|usage| usage.is_object()).collect();
        assert_eq!(totals(told), own_totals(&own), "{}", recording["id"]);
        if whole {
            complete += 1;
        } else {
            let error = events.iter().find_map(|event| match event {
                Event::Error(error) => Some(error.message.clone()),
                _ => None,
            });
            cut.push(format!(
                "{}: {}",
                recording["id"],
                error.unwrap_or_else(|| "no ending".into())
            ));
        }
    }
    println!("streams: {complete} complete, {} not", cut.len());
    for line in &cut {
        println!("  {line}");
    }
}

/// Start first, parts opened before they grow and closed before the end, no index twice.
fn check_order(events: &[Event], id: &str) {
    let (mut open, mut next) = (Vec::new(), 0);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(
            at == 0,
            matches!(event, Event::Start { .. }),
            "{id}: {event:?}"
        );
        match event {
            Event::Open { index, .. } => {
                assert_eq!(*index, next, "{id}");
                next += 1;
                open.push(*index);
            }
            Event::Delta { index, .. } => assert!(open.contains(index), "{id}: {event:?}"),
            Event::Close { index } => {
                assert!(open.contains(index), "{id}");
                open.retain(|one| one != index);
            }
            Event::Finish { .. } => assert!(open.is_empty(), "{id}"),
            _ => {}
        }
    }
}
