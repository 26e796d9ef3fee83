//! What a well-formed answer looks like on the wire, as the vendors' own SDKs read it.

use lingate_dialect::DialectId;
use lingate_dialect::framing::Framing;
use serde_json::Value;

use crate::wire_responses;

/// How a stream ended, as a client would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Clean,
    Error,
    /// Neither; a client could take it for an answer.
    None,
}

/// Every broken rule of a streamed answer, and how it ended.
pub(crate) fn stream(dialect: DialectId, framing: Framing, bytes: &[u8]) -> (Vec<String>, Ending) {
    let mut faults = Vec::new();
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let frames = match framing {
        Framing::Sse => events(dialect, text, &mut faults),
        Framing::JsonArray => elements(text, &mut faults),
    };
    let ending = match dialect {
        DialectId::Chat => chat(&frames, &mut faults),
        DialectId::Responses => wire_responses::stream(&frames, &mut faults),
        DialectId::Messages => messages(&frames, &mut faults),
        DialectId::Gemini => gemini(&frames, &mut faults),
    };
    faults.sort();
    faults.dedup();
    (faults, ending)
}

/// Every broken rule of a whole answer.
pub(crate) fn whole(dialect: DialectId, bytes: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match dialect {
        DialectId::Chat => whole_chat(&answer, &mut faults),
        DialectId::Responses => wire_responses::whole(&answer, &mut faults),
        DialectId::Messages => whole_message(&answer, &mut faults),
        DialectId::Gemini => {
            gemini(&[(String::new(), answer)], &mut faults);
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// A frame: the event's name and its data; `null` stands for `[DONE]`.
pub(crate) type Event = (String, Value);

pub(crate) struct Faults<'a>(pub(crate) &'a mut Vec<String>);

impl Faults<'_> {
    pub(crate) fn unless(&mut self, right: bool, fault: &str) {
        if !right {
            self.0.push(fault.to_owned());
        }
    }
}

fn events(dialect: DialectId, text: &str, faults: &mut Vec<String>) -> Vec<Event> {
    let mut found = Vec::new();
    let mut faults = Faults(faults);
    faults.unless(
        text.is_empty() || text.ends_with("\n\n"),
        "no blank line at the end",
    );
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let (mut name, mut data) = (String::new(), None);
        for line in block.lines() {
            if let Some(value) = line.strip_prefix("data: ") {
                faults.unless(data.is_none(), "an event of several data lines");
                data = Some(value);
            } else if let Some(value) = line.strip_prefix("event: ") {
                value.clone_into(&mut name);
            } else {
                faults.unless(line.starts_with(':'), "a line that is no field");
                // Google's Python SDK reads every other line as JSON.
                faults.unless(dialect != DialectId::Gemini, "a comment in a Gemini stream");
            }
        }
        match data {
            Some("[DONE]") => found.push((name, Value::Null)),
            Some(data) => match serde_json::from_str(data) {
                Ok(value) => found.push((name, value)),
                Err(_) => faults.unless(false, "data that is not JSON"),
            },
            None => faults.unless(name.is_empty(), "an event without data"),
        }
    }
    found
}

fn elements(text: &str, faults: &mut Vec<String>) -> Vec<Event> {
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(elements) => elements
            .into_iter()
            .map(|element| (String::new(), element))
            .collect(),
        Err(error) => {
            faults.push(format!("not a JSON array: {error}"));
            Vec::new()
        }
    }
}

pub(crate) fn object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, Value>>(text).is_ok()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn chat(events: &[Event], faults: &mut Vec<String>) -> Ending {
    let mut faults = Faults(faults);
    let mut ids: Vec<&Value> = Vec::new();
    let mut models: Vec<&Value> = Vec::new();
    let mut roles: Vec<u64> = Vec::new();
    let mut finished: Vec<(u64, &str)> = Vec::new();
    let mut calls: Vec<(u64, u64, String, bool)> = Vec::new();
    let (mut done, mut failed, mut usages) = (false, false, 0);
    for (name, value) in events {
        faults.unless(!done, "data after [DONE]");
        faults.unless(!failed, "data after an error");
        if value.is_null() {
            done = true;
            continue;
        }
        faults.unless(name.is_empty(), "a named event in a Chat stream");
        if value["error"].is_object() {
            faults.unless(
                value["error"]["message"].is_string(),
                "an error without message",
            );
            failed = true;
            continue;
        }
        faults.unless(value["object"] == "chat.completion.chunk", "object");
        faults.unless(value["created"].is_i64(), "created");
        faults.unless(value["choices"].is_array(), "no list of choices");
        ids.push(&value["id"]);
        models.push(&value["model"]);
        if value["usage"].is_object() {
            usages += 1;
            chat_usage(&value["usage"], &mut faults);
        }
        for choice in list(&value["choices"]) {
            let Some(index) = choice["index"].as_u64() else {
                faults.unless(false, "a choice without index");
                continue;
            };
            let delta = &choice["delta"];
            faults.unless(delta.is_object(), "no delta");
            let says = !text(&delta["content"]).is_empty()
                || !text(&delta["reasoning_content"]).is_empty()
                || !list(&delta["tool_calls"]).is_empty();
            let over = finished.iter().any(|(choice, _)| *choice == index);
            faults.unless(!(over && says), "content after finish_reason");
            if delta["role"].is_string() {
                faults.unless(!roles.contains(&index), "role said twice");
                roles.push(index);
            }
            faults.unless(!says || roles.contains(&index), "content before the role");
            for call in list(&delta["tool_calls"]) {
                let Some(number) = call["index"].as_u64() else {
                    faults.unless(false, "a piece of a tool call without index");
                    continue;
                };
                let custom = call["custom"].is_object();
                let said = if custom {
                    &call["custom"]
                } else {
                    &call["function"]
                };
                let arguments = text(&said[if custom { "input" } else { "arguments" }]);
                let known = calls
                    .iter_mut()
                    .find(|(choice, known, ..)| (*choice, *known) == (index, number));
                if let Some((_, _, known, _)) = known {
                    faults.unless(said["name"].is_null(), "name said again");
                    known.push_str(arguments);
                } else {
                    let before = calls.iter().filter(|(choice, ..)| *choice == index).count();
                    faults.unless(
                        usize::try_from(number).ok() == Some(before),
                        "tool call index",
                    );
                    let first = !text(&call["id"]).is_empty()
                        && !text(&said["name"]).is_empty()
                        && call["type"].is_string();
                    faults.unless(first, "first piece of a tool call without id, name or type");
                    calls.push((index, number, arguments.to_owned(), custom));
                }
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                faults.unless(!over, "second finish_reason");
                finished.push((index, reason));
            }
        }
    }
    faults.unless(ids.windows(2).all(|pair| pair[0] == pair[1]), "id changes");
    faults.unless(ids.iter().all(|id| !text(id).is_empty()), "no id");
    faults.unless(
        models.windows(2).all(|pair| pair[0] == pair[1]),
        "model changes",
    );
    if failed {
        return Ending::Error;
    }
    faults.unless(usages <= 1, "usage more than once");
    for (index, reason) in &finished {
        let own = || calls.iter().filter(|(choice, ..)| choice == index);
        if *reason != "length" {
            let whole = own().all(|(_, _, arguments, custom)| *custom || object(arguments));
            faults.unless(whole, "arguments that are no object");
        }
        faults.unless(
            match *reason {
                "stop" => own().count() == 0,
                "tool_calls" => own().count() > 0,
                _ => true,
            },
            "finish_reason and tool calls disagree",
        );
    }
    if done && !finished.is_empty() {
        return Ending::Clean;
    }
    Ending::None
}

fn chat_usage(usage: &Value, faults: &mut Faults<'_>) {
    let count = |key: &str| usage[key].as_u64();
    let sum = count("prompt_tokens").zip(count("completion_tokens"));
    faults.unless(
        sum.is_some_and(|(prompt, completion)| count("total_tokens") == Some(prompt + completion)),
        "usage does not add up",
    );
}

fn whole_chat(answer: &Value, faults: &mut Vec<String>) {
    let mut faults = Faults(faults);
    faults.unless(answer["object"] == "chat.completion", "object");
    faults.unless(!text(&answer["id"]).is_empty(), "no id");
    faults.unless(!text(&answer["model"]).is_empty(), "no model");
    faults.unless(answer["created"].is_i64(), "created");
    faults.unless(!list(&answer["choices"]).is_empty(), "no choices");
    for (number, choice) in list(&answer["choices"]).iter().enumerate() {
        faults.unless(choice["index"] == number, "index of a choice");
        let message = &choice["message"];
        faults.unless(message["role"] == "assistant", "role");
        let content = message.get("content");
        let fits = content.is_some_and(|content| content.is_string() || content.is_null());
        faults.unless(fits, "content is neither text nor null");
        let calls = list(&message["tool_calls"]);
        faults.unless(
            message["tool_calls"].is_null() || !calls.is_empty(),
            "no tool_calls",
        );
        let reason = text(&choice["finish_reason"]);
        faults.unless(!reason.is_empty(), "no finish_reason");
        for call in calls {
            faults.unless(!text(&call["id"]).is_empty(), "a tool call without id");
            if call["type"] == "function" {
                let function = &call["function"];
                faults.unless(
                    !text(&function["name"]).is_empty(),
                    "a tool call without name",
                );
                let whole = object(text(&function["arguments"])) || reason == "length";
                faults.unless(whole, "arguments that are no object");
            } else {
                faults.unless(call["type"] == "custom", "type of a tool call");
            }
        }
        let agree = match reason {
            "stop" => calls.is_empty(),
            "tool_calls" => !calls.is_empty(),
            _ => true,
        };
        faults.unless(agree, "finish_reason and tool calls disagree");
    }
    if !answer["usage"].is_null() {
        chat_usage(&answer["usage"], &mut faults);
    }
}

fn messages(events: &[Event], faults: &mut Vec<String>) -> Ending {
    let mut faults = Faults(faults);
    let mut kinds: Vec<&str> = Vec::new();
    let mut open: Option<(&str, String)> = None;
    let mut broken_input = false;
    let (mut started, mut reason, mut stopped, mut failed) = (false, None, false, false);
    for (name, value) in events {
        let kind = text(&value["type"]);
        faults.unless(!value.is_null(), "[DONE] in a Messages stream");
        faults.unless(name == kind, "name and type of an event differ");
        faults.unless(!stopped && !failed, "an event after the end");
        match kind {
            "ping" => continue,
            "error" => {
                let error = &value["error"];
                let whole = error["type"].is_string() && error["message"].is_string();
                faults.unless(whole, "an error without type or message");
                failed = true;
                continue;
            }
            "message_start" => {
                faults.unless(!started, "message_start twice");
                started = true;
                message(&value["message"], &mut faults);
                let fresh = &value["message"]["stop_reason"];
                faults.unless(fresh.is_null(), "stop_reason in message_start");
                continue;
            }
            _ => faults.unless(started, "an event before message_start"),
        }
        let index = value["index"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok());
        match kind {
            "content_block_start" => {
                faults.unless(open.is_none(), "two blocks open");
                faults.unless(reason.is_none(), "a block after message_delta");
                faults.unless(index == Some(kinds.len()), "index of a block");
                let block = &value["content_block"];
                if block["type"] == "tool_use" {
                    tool_use(block, &mut faults);
                    let empty = block["input"]
                        .as_object()
                        .is_some_and(serde_json::Map::is_empty);
                    faults.unless(empty, "tool_use starts with its input");
                }
                kinds.push(text(&block["type"]));
                open = Some((text(&block["type"]), String::new()));
            }
            "content_block_delta" => {
                faults.unless(
                    index.is_some_and(|index| index + 1 == kinds.len()),
                    "index of a delta",
                );
                let Some((block, input)) = &mut open else {
                    faults.unless(false, "a delta outside of a block");
                    continue;
                };
                let delta = &value["delta"];
                let fits = match text(&delta["type"]) {
                    "text_delta" | "citations_delta" => *block == "text",
                    "thinking_delta" | "signature_delta" => *block == "thinking",
                    "input_json_delta" => block.ends_with("tool_use"),
                    _ => false,
                };
                faults.unless(fits, "a delta that does not fit its block");
                input.push_str(text(&delta["partial_json"]));
            }
            "content_block_stop" => {
                faults.unless(
                    index.is_some_and(|index| index + 1 == kinds.len()),
                    "index of a stop",
                );
                match open.take() {
                    None => faults.unless(false, "a stop without a block"),
                    Some((_, input)) => broken_input |= !input.is_empty() && !object(&input),
                }
            }
            "message_delta" => {
                faults.unless(open.is_none(), "message_delta while a block is open");
                faults.unless(reason.is_none(), "message_delta twice");
                reason = value["delta"]["stop_reason"].as_str();
                faults.unless(reason.is_some(), "no stop_reason");
                let counted = value["usage"]["output_tokens"].is_u64();
                faults.unless(counted, "message_delta without usage");
            }
            "message_stop" => {
                faults.unless(reason.is_some(), "message_stop without message_delta");
                stopped = true;
            }
            _ => faults.unless(false, "an unknown event"),
        }
    }
    if failed {
        return Ending::Error;
    }
    faults.unless(
        !broken_input || reason == Some("max_tokens"),
        "tool input is no object",
    );
    faults.unless(
        reasons_agree(reason, &kinds),
        "stop_reason and tool_use disagree",
    );
    if stopped { Ending::Clean } else { Ending::None }
}

fn reasons_agree(reason: Option<&str>, kinds: &[&str]) -> bool {
    match reason {
        Some("tool_use") => kinds.contains(&"tool_use"),
        Some("end_turn") => !kinds.contains(&"tool_use"),
        _ => true,
    }
}

fn message(message: &Value, faults: &mut Faults<'_>) {
    faults.unless(message["type"] == "message", "type of the message");
    faults.unless(message["role"] == "assistant", "role");
    faults.unless(!text(&message["id"]).is_empty(), "no id");
    faults.unless(message["model"].is_string(), "no model");
    faults.unless(message["content"].is_array(), "no content");
    let usage = &message["usage"];
    let counted = usage["input_tokens"].is_u64() && usage["output_tokens"].is_u64();
    faults.unless(counted, "no usage");
}

fn tool_use(block: &Value, faults: &mut Faults<'_>) {
    let id = text(&block["id"]);
    let spelled = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    faults.unless(spelled && !id.is_empty(), "id of a tool_use");
    faults.unless(!text(&block["name"]).is_empty(), "a tool_use without name");
}

fn whole_message(answer: &Value, faults: &mut Vec<String>) {
    let mut faults = Faults(faults);
    message(answer, &mut faults);
    let mut kinds = Vec::new();
    for block in list(&answer["content"]) {
        kinds.push(text(&block["type"]));
        if block["type"] == "tool_use" {
            tool_use(block, &mut faults);
            faults.unless(block["input"].is_object(), "tool input is no object");
        }
        let signed = block["type"] != "thinking" || block["signature"].is_string();
        faults.unless(signed, "thinking without signature");
    }
    let reason = answer["stop_reason"].as_str();
    faults.unless(reason.is_some(), "no stop_reason");
    faults.unless(
        reasons_agree(reason, &kinds),
        "stop_reason and tool_use disagree",
    );
}

fn gemini(events: &[Event], faults: &mut Vec<String>) -> Ending {
    let mut faults = Faults(faults);
    let mut ids: Vec<&Value> = Vec::new();
    let (mut finished, mut blocked, mut failed) = (false, false, false);
    let mut usage = &Value::Null;
    for (name, value) in events {
        faults.unless(name.is_empty(), "a named event in a Gemini stream");
        faults.unless(!failed, "data after an error");
        if let Some(error) = value.get("error") {
            let whole = error["code"].is_u64() && error["status"].is_string();
            faults.unless(
                whole && error["message"].is_string(),
                "an error without its fields",
            );
            failed = true;
            continue;
        }
        faults.unless(value.is_object(), "an answer that is no object");
        faults.unless(!text(&value["modelVersion"]).is_empty(), "no modelVersion");
        ids.push(&value["responseId"]);
        blocked |= value["promptFeedback"]["blockReason"].is_string();
        if value["usageMetadata"].is_object() {
            usage = &value["usageMetadata"];
        }
        for candidate in list(&value["candidates"]) {
            if !candidate["finishReason"].is_null() {
                finished = true;
                faults.unless(
                    candidate["finishReason"].is_string(),
                    "finishReason is no name",
                );
            }
            let content = &candidate["content"];
            let parts = list(&content["parts"]);
            faults.unless(parts.is_empty() || content["role"] == "model", "role");
            for part in parts {
                let beside = [
                    "thought",
                    "thoughtSignature",
                    "videoMetadata",
                    "partMetadata",
                ];
                let kinds = part.as_object().map_or(0, |part| {
                    part.keys()
                        .filter(|key| !beside.contains(&key.as_str()))
                        .count()
                });
                faults.unless(kinds <= 1, "a part of two kinds");
                if let Some(call) = part.get("functionCall") {
                    faults.unless(!text(&call["name"]).is_empty(), "a call without name");
                    let arguments = &call["args"];
                    let fits = arguments.is_object() || arguments.is_null();
                    faults.unless(fits, "arguments that are no object");
                }
            }
        }
    }
    faults.unless(
        ids.windows(2).all(|pair| pair[0] == pair[1]),
        "responseId changes",
    );
    if failed {
        return Ending::Error;
    }
    if !(finished || blocked) {
        return Ending::None;
    }
    if !usage.is_null() {
        let counted = usage["promptTokenCount"].is_u64() && usage["totalTokenCount"].is_u64();
        faults.unless(counted, "usage without counts");
    }
    Ending::Clean
}
