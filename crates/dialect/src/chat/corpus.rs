//! Reads recorded traffic, where it lies beside the checkout: real servers bend this dialect more than anyone would invent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Chat;
use crate::framing::{Frame, Framing};
use crate::hub::{Delta, Event, FinishReason, Open, PartBody, Request, Response, Usage};
use crate::quirks::Quirks;
use crate::{BadAnswer, Dialect, Losses, Mint, Refusal, Reply, Target};

/// What is wrong with the recording itself.
const ODD: [(&str, &str); 0] = [];

fn recordings() -> Option<Vec<Value>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = option_env!("LINGATE_CORPUS").map(PathBuf::from).into_iter();
    let beside =
        ["../../../shared/corpus", "../../../../shared/corpus"].map(|path| here.join(path));
    let file = folders
        .chain(beside)
        .map(|folder| folder.join("openai_chat.jsonl"))
        .find(|file| file.exists());
    let Some(file) = file else {
        println!("no recordings found: LINGATE_CORPUS names their folder");
        return None;
    };
    let text = std::fs::read_to_string(file).unwrap();
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn id(recording: &Value) -> &str {
    recording["id"].as_str().unwrap()
}

/// Fails when a recording does that is not known to be odd.
fn judge(what: &str, read: usize, failed: &[(String, String)]) {
    println!("{what}: {read} read, {} not", failed.len());
    for (id, reason) in failed {
        println!("  {id}: {reason}");
    }
    let unknown = failed
        .iter()
        .find(|(id, _)| !ODD.iter().any(|(odd, _)| odd == id));
    assert_eq!(unknown, None, "{what}");
}

#[test]
fn every_request_is_read_and_survives_a_round() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut read, mut failed) = (0, Vec::new());
    let (mut refused, mut lossy) = (0, 0);
    for recording in &recordings {
        let body = &recording["request"]["body"];
        if !body.is_object() || recording["response"]["status"] != 200 {
            continue;
        }
        let text = serde_json::to_vec(body).unwrap();
        match Chat.decode_request(&text) {
            Ok(request) => {
                read += 1;
                let mut losses = Losses::default();
                match round(&request, &mut losses) {
                    Err(refusal) => {
                        println!("refused: {}: {}", id(recording), refusal.message);
                        refused += 1;
                    }
                    Ok(_) if !losses.is_empty() => lossy += 1,
                    Ok((first, second)) => {
                        if first != second {
                            failed.push((
                                id(recording).to_owned(),
                                format!("{first}\n    → {second}"),
                            ));
                        }
                    }
                }
            }
            Err(fault) => failed.push((id(recording).to_owned(), fault.to_string())),
        }
    }
    println!("requests: {refused} refused, {lossy} with losses");
    judge("requests", read, &failed);
}

/// The request written, and written again from what was read of it; nothing when it is refused.
fn round(request: &Request, losses: &mut Losses) -> Result<(String, String), Refusal> {
    let quirks = Quirks {
        top_k: true,
        ..Quirks::default()
    };
    let target = Target {
        model: &request.model,
        quirks: &quirks,
        max_output: None,
        default_max_tokens: 4096,
    };
    let first = Chat.encode_request(request, &target, losses)?.body;
    let again = Chat.decode_request(&first).unwrap();
    let second = Chat.encode_request(&again, &target, losses).unwrap().body;
    Ok((
        String::from_utf8(first).unwrap(),
        String::from_utf8(second).unwrap(),
    ))
}

fn reply() -> Reply {
    Reply {
        model: "model".to_owned(),
        mint: Mint { now: 1, id: 7 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

/// What one choice says.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    reasoning: String,
    refusal: String,
    calls: Vec<(String, String)>,
    finish: Option<FinishReason>,
}

fn said(response: &Response) -> BTreeMap<u32, Said> {
    let mut choices = BTreeMap::new();
    for choice in &response.choices {
        let said: &mut Said = choices.entry(choice.index).or_default();
        for part in &choice.parts {
            match &part.body {
                PartBody::Text(text) => said.text.push_str(&text.text),
                PartBody::Reasoning(thought) => said.reasoning.push_str(&thought.text),
                PartBody::Refusal(text) => said.refusal.push_str(text),
                PartBody::ToolCall(call) => said
                    .calls
                    .push((call.name.clone(), arguments(&call.arguments))),
                PartBody::Media(_) | PartBody::ToolResult(_) | PartBody::Opaque(_) => {}
            }
        }
        said.finish = Some(choice.finish.reason);
    }
    choices
}

fn arguments(text: &str) -> String {
    if text.is_empty() {
        "{}".to_owned()
    } else {
        text.to_owned()
    }
}

/// The token counts that the provider told, as (prompt, completion, total).
fn told(usage: &Value) -> Option<(u64, u64, u64)> {
    let prompt = usage["prompt_tokens"].as_u64()?;
    let completion = usage["completion_tokens"].as_u64()?;
    Some((
        prompt,
        completion,
        usage["total_tokens"]
            .as_u64()
            .unwrap_or(prompt + completion),
    ))
}

fn check_usage(usage: Option<Usage>, raw: Option<(u64, u64, u64)>) -> Result<(), String> {
    let Some((prompt, completion, total)) = raw else {
        return Ok(());
    };
    let Some(usage) = usage else {
        return Err("usage lost".to_owned());
    };
    let same = usage.total() == total
        && (total != prompt + completion || usage.prompt() == prompt && usage.output == completion);
    if same {
        Ok(())
    } else {
        Err(format!(
            "usage {usage:?} of {prompt} + {completion} = {total}"
        ))
    }
}

#[test]
fn every_whole_answer_is_read_and_survives_a_round() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut read, mut errors, mut failed) = (0, 0, Vec::new());
    for recording in &recordings {
        if recording["meta"]["framing"] != "json" || recording["response"]["status"] != 200 {
            continue;
        }
        let text = recording["response"]["body_text"].as_str().unwrap();
        let response = match Chat.decode_response(text.as_bytes()) {
            Ok(response) => response,
            Err(BadAnswer::Error(_)) => {
                errors += 1;
                continue;
            }
            Err(BadAnswer::Malformed(fault)) => {
                failed.push((id(recording).to_owned(), fault.to_string()));
                continue;
            }
        };
        read += 1;
        let raw: Value = serde_json::from_str(text).unwrap();
        if let Err(fault) = check_usage(response.usage, told(&raw["usage"])) {
            failed.push((id(recording).to_owned(), fault));
        }
        let encoded = Chat.encode_response(&response, &reply(), &mut Losses::default());
        let again = Chat.decode_response(&encoded).unwrap();
        // Chat has no word for searches that the vendor ran.
        let usage = response.usage.map(|usage| Usage {
            searches: 0,
            ..usage
        });
        if said(&again) != said(&response) || again.usage != usage {
            failed.push((
                id(recording).to_owned(),
                format!("{:?}\n    → {:?}", said(&response), said(&again)),
            ));
        }
    }
    println!("whole answers: {errors} are errors");
    judge("whole answers", read, &failed);
}

/// The frames of a stream, cut the plain way.
fn frames(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\r\n", "\n");
    text.split("\n\n")
        .map(|block| {
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.strip_prefix(name));
                lines
                    .map(|line| line.strip_prefix(' ').unwrap_or(line))
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            (field("event:"), field("data:"))
        })
        .filter(|(_, data)| !data.is_empty())
        .collect()
}

/// The events of a stream, and whether it was complete.
fn events(text: &str) -> Result<(Vec<Event>, bool), String> {
    let mut decoder = Chat.decoder();
    let mut out = Vec::new();
    for (event, data) in frames(text) {
        let frame = Frame {
            event: &event,
            data: &data,
        };
        decoder
            .frame(&frame, &mut out)
            .map_err(|fault| fault.to_string())?;
    }
    let complete = decoder.end(&mut out);
    Ok((out, complete))
}

/// What the events say; an `Err` names the rule of order that they break.
fn collect(events: &[Event]) -> Result<(BTreeMap<u32, Said>, Option<Usage>), String> {
    let mut choices: BTreeMap<u32, Said> = BTreeMap::new();
    let mut open: BTreeMap<u32, (u32, Option<usize>)> = BTreeMap::new();
    let (mut next, mut usage, mut started) = (0, None, false);
    for event in events {
        if matches!(event, Event::Start { .. }) == started {
            return Err(format!("start out of place: {event:?}"));
        }
        started = true;
        match event {
            Event::Start { .. } | Event::ServiceTier(_) | Event::Logprobs { .. } => {}
            Event::Open {
                index,
                choice,
                part,
            } => {
                if *index != next {
                    return Err(format!("index {index} in place of {next}"));
                }
                next += 1;
                let said = choices.entry(*choice).or_default();
                if said.finish.is_some() {
                    return Err("a part after the finish".to_owned());
                }
                let call = if let Open::ToolCall { id, name, .. } = part {
                    if id.is_empty() || name.is_empty() {
                        return Err("a call without id or name".to_owned());
                    }
                    said.calls.push((name.clone(), String::new()));
                    Some(said.calls.len() - 1)
                } else {
                    None
                };
                open.insert(*index, (*choice, call));
            }
            Event::Delta { index, delta } => {
                let Some((choice, call)) = open.get(index) else {
                    return Err(format!("a delta of {index}, which is not open"));
                };
                let said = choices.get_mut(choice).unwrap();
                match delta {
                    Delta::Text(text) => said.text.push_str(text),
                    Delta::Reasoning(text) => said.reasoning.push_str(text),
                    Delta::Refusal(text) => said.refusal.push_str(text),
                    Delta::Arguments(text) => said.calls[call.unwrap()].1.push_str(text),
                    Delta::Proof(_) | Delta::Citation(_) => {}
                }
            }
            Event::Close { index } => {
                let Some((choice, call)) = open.remove(index) else {
                    return Err(format!("a close of {index}, which is not open"));
                };
                if let Some(call) = call {
                    let text = &mut choices.get_mut(&choice).unwrap().calls[call].1;
                    *text = arguments(text);
                }
            }
            Event::Usage(told) => usage = Some(*told),
            Event::Finish { choice, finish } => {
                if open.values().any(|(other, _)| other == choice) {
                    return Err("a finish with open parts".to_owned());
                }
                choices.entry(*choice).or_default().finish = Some(finish.reason);
            }
            Event::Error(error) => return Err(format!("error: {}", error.message)),
        }
    }
    Ok((choices, usage))
}

#[test]
fn every_stream_is_read_and_survives_a_round() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut read, mut errors, mut cut, mut failed) = (0, 0, 0, Vec::new());
    for recording in &recordings {
        if recording["meta"]["framing"] != "sse" || recording["response"]["status"] != 200 {
            continue;
        }
        let text = recording["response"]["body_text"].as_str().unwrap();
        let mut fail = |reason: String| failed.push((id(recording).to_owned(), reason));
        let (events_read, complete) = match events(text) {
            Ok(events) => events,
            Err(fault) => {
                fail(fault);
                continue;
            }
        };
        if events_read
            .iter()
            .any(|event| matches!(event, Event::Error(_)))
        {
            errors += 1;
            continue;
        }
        let (choices, usage) = match collect(&events_read) {
            Ok(collected) => collected,
            Err(fault) => {
                fail(fault);
                continue;
            }
        };
        read += 1;
        if !complete {
            cut += 1;
            println!("cut: {}", id(recording));
        }
        let raw = frames(text)
            .iter()
            .filter_map(|(_, data)| serde_json::from_str::<Value>(data).ok())
            .filter_map(|chunk| told(&chunk["usage"]).or_else(|| told(&chunk["x_groq"]["usage"])))
            .next_back();
        if let Err(fault) = check_usage(usage, raw) {
            fail(fault);
        }
        let mut encoder = Chat.encoder(&reply(), Framing::Sse);
        let mut out = Vec::new();
        for event in &events_read {
            encoder.event(event, &mut out);
        }
        if complete {
            encoder.finish(&mut out);
        }
        let (again, still) = events(std::str::from_utf8(&out).unwrap()).unwrap();
        let (again, usage_again) = collect(&again).unwrap();
        if again != choices || usage_again != usage || still != complete {
            fail(format!(
                "{choices:?} {usage:?}\n    → {again:?} {usage_again:?}"
            ));
        }
    }
    println!("streams: {errors} tell an error, {cut} are cut");
    judge("streams", read, &failed);
}
