//! Recorded Gemini traffic, where it lies beside the checkout: every request, answer and stream must be read.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Gemini;
use crate::framing::{Frame, Framing};
use crate::hub::{Event, Usage};
use crate::{BadAnswer, Dialect, Losses, Mint, Quirks, Reply, Target};

/// What is rightly not taken for an answer, and how its fault begins. The counts that do not add up were written by hand.
const ODD: [(&str, &str); 5] = [
    ("025df491b88aa4d7", "does not end"),
    ("85a355bcc0d14679", "tokens"),
    (
        "96c21d7767e8e656",
        "error: Model failed to generate content",
    ),
    ("cc78a1c78abde249", "tokens"),
    ("ccdef85f840befd3", "does not end"),
];

fn folder() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    option_env!("LINGATE_CORPUS")
        .map(PathBuf::from)
        .into_iter()
        .chain(["../../../shared/corpus", "../../../../shared/corpus"].map(|up| here.join(up)))
        .find(|folder| folder.join("gemini_generate.jsonl").exists())
}

fn exchanges(file: &str) -> Vec<Value> {
    let Some(folder) = folder() else {
        println!("no recordings here: nothing was checked");
        return Vec::new();
    };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The data of each event, or each element of an array.
pub(super) fn frames(body: &str) -> Vec<String> {
    if body.trim_start().starts_with('[') {
        let elements: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(body).unwrap();
        return elements
            .iter()
            .map(|element| element.get().to_owned())
            .collect();
    }
    let mut frames = Vec::new();
    let mut data = String::new();
    for line in body.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        if let Some(piece) = line.strip_prefix("data:") {
            data.push_str(piece.trim_start());
        } else if line.is_empty() && !data.is_empty() {
            frames.push(std::mem::take(&mut data));
        }
    }
    if !data.is_empty() {
        frames.push(data);
    }
    frames
}

fn totals(values: &[Value]) -> Option<(u64, u64)> {
    let mut last = serde_json::Map::new();
    for usage in values
        .iter()
        .filter_map(|value| value.get("usageMetadata")?.as_object())
    {
        last.extend(
            usage
                .iter()
                .filter(|(_, count)| !count.is_null())
                .map(|(key, count)| (key.clone(), count.clone())),
        );
    }
    let count = |key: &str| last.get(key).and_then(Value::as_u64).unwrap_or(0);
    let total = last.get("totalTokenCount")?.as_u64()?;
    Some((total, count("cachedContentTokenCount")))
}

pub(super) fn read(frames: &[String]) -> Result<(Vec<Event>, bool), crate::Malformed> {
    let mut decoder = Gemini.decoder();
    let mut events = Vec::new();
    for data in frames {
        decoder.frame(&Frame { event: "", data }, &mut events)?;
    }
    let complete = decoder.end(&mut events);
    Ok((events, complete))
}

/// Start first, parts open before they grow and close before their choice ends, no index twice, one ending per choice.
fn obeys_the_order(events: &[Event]) -> bool {
    let (mut open, mut used, mut finished) = (Vec::new(), Vec::new(), Vec::new());
    for (at, event) in events.iter().enumerate() {
        let fine = match event {
            Event::Start { .. } => at == 0,
            Event::Open { index, choice, .. } => {
                let fresh = !used.contains(index) && !finished.contains(choice);
                used.push(*index);
                open.push(*index);
                fresh
            }
            Event::Delta { index, .. } => open.contains(index),
            Event::Close { index } => {
                let was_open = open.contains(index);
                open.retain(|other| other != index);
                was_open
            }
            Event::Finish { choice, .. } => {
                let first = !finished.contains(choice) && open.is_empty();
                finished.push(*choice);
                first
            }
            Event::Usage(_) | Event::ServiceTier(_) | Event::Logprobs { .. } | Event::Error(_) => {
                true
            }
        };
        if !fine {
            return false;
        }
    }
    open.is_empty()
}

fn usage_fits(usage: Option<&Usage>, values: &[Value]) -> bool {
    match (usage, totals(values)) {
        (Some(usage), Some((total, cached))) => {
            usage.total() == total && usage.cache_read == cached
        }
        _ => true,
    }
}

#[test]
fn every_recorded_request_is_read_and_written_back() {
    let quirks = Quirks::default();
    let target = Target {
        model: "m",
        quirks: &quirks,
        max_output: None,
        default_max_tokens: 4096,
    };
    let (mut read, mut written, mut faults) = (0, 0, Vec::new());
    for exchange in exchanges("gemini_generate.jsonl") {
        let (id, body) = (&exchange["id"], &exchange["request"]["body"]);
        if !body.is_object() || exchange["response"]["status"] != 200 {
            continue;
        }
        let request = match Gemini.decode_request(body.to_string().as_bytes()) {
            Ok(request) => request,
            Err(fault) => {
                faults.push(format!("{id}: {fault}"));
                continue;
            }
        };
        read += 1;
        match Gemini.encode_request(&request, &target, &mut Losses::default()) {
            Err(refusal) => println!("{id} refused: {}", refusal.message),
            Ok(encoded) => {
                written += 1;
                let again = Gemini.decode_request(&encoded.body).unwrap();
                assert_eq!(again.tools.len(), request.tools.len(), "{id}");
            }
        }
    }
    println!("{read} requests read, {written} written");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_recorded_answer_is_read_and_its_tokens_add_up() {
    let reply = Reply {
        model: "m".into(),
        mint: Mint { now: 0, id: 0 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    };
    let (mut whole, mut streams, mut faults) = (0, 0, Vec::new());
    for exchange in exchanges("gemini_generate.jsonl") {
        let id = exchange["id"].as_str().unwrap();
        let body = exchange["response"]["body_text"].as_str().unwrap_or("");
        if exchange["response"]["status"] != 200 {
            continue;
        }
        if exchange["meta"]["framing"] == "json" {
            let values = [serde_json::from_str(body).unwrap()];
            match Gemini.decode_response(body.as_bytes()) {
                Ok(response) if usage_fits(response.usage.as_ref(), &values) => {
                    whole += 1;
                    let written = Gemini.encode_response(&response, &reply, &mut Losses::default());
                    let again = Gemini.decode_response(&written).unwrap();
                    assert_eq!(again.usage, response.usage, "{id}");
                    assert_eq!(again.choices.len(), response.choices.len(), "{id}");
                }
                Ok(response) => faults.push(format!("{id}: tokens {:?}", response.usage)),
                Err(BadAnswer::Malformed(fault)) => faults.push(format!("{id}: {fault}")),
                Err(BadAnswer::Error(error)) => {
                    faults.push(format!("{id}: error: {}", error.message));
                }
            }
            continue;
        }
        let frames = frames(body);
        let values: Vec<Value> = frames
            .iter()
            .map(|frame| serde_json::from_str(frame).unwrap())
            .collect();
        let (events, complete) = match read(&frames) {
            Ok(read) => read,
            Err(fault) => {
                faults.push(format!("{id}: {fault}"));
                continue;
            }
        };
        assert!(obeys_the_order(&events), "{id}: {events:#?}");
        let usage = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(usage),
            _ => None,
        });
        if !complete {
            faults.push(format!("{id}: does not end: {:?}", events.last()));
        } else if usage_fits(usage, &values) {
            streams += 1;
        } else {
            faults.push(format!("{id}: tokens {usage:?}"));
        }
        for framing in [Framing::Sse, Framing::JsonArray] {
            let mut encoder = Gemini.encoder(&reply, framing);
            let mut out = Vec::new();
            for event in &events {
                encoder.event(event, &mut out);
            }
            encoder.finish(&mut out);
            let text = String::from_utf8(out).unwrap();
            let again: Vec<String> = self::frames(&text);
            let (events, ends) = self::read(&again).unwrap();
            assert_eq!(ends, complete, "{id}: {text}");
            assert!(obeys_the_order(&events), "{id}");
        }
    }
    println!("{whole} answers and {streams} streams read");
    faults.retain(|fault| {
        !ODD.iter()
            .any(|(id, start)| fault.starts_with(&format!("{id}: {start}")))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn recorded_token_counts_requests_are_read() {
    let mut read = 0;
    for exchange in exchanges("gemini_count_tokens.jsonl") {
        let body = &exchange["request"]["body"];
        if body.is_object() && exchange["response"]["status"] == 200 {
            Gemini.decode_request(body.to_string().as_bytes()).unwrap();
            read += 1;
        }
    }
    println!("{read} requests for counts read");
}
