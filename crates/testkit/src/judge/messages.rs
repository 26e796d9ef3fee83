//! Messages as Anthropic's server reads and speaks it.

use serde_json::{Value, json};

use super::agent;
use super::scenario::{Answer, Ask, Call, Cause, End, Media, Outcomes, Part, Refusal, Tool, Turn};
use super::{
    CACHED, Faults, Native, PROMPT, SPOKEN, THOUGHT, bearer, key_header, list, pieces, text,
};
use crate::script::Script;
use crate::upstream::Received;

const FIELDS: [&str; 21] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "thinking",
    "output_config",
    "tools",
    "tool_choice",
    "cache_control",
    "metadata",
    "service_tier",
    "speed",
    "inference_geo",
    "container",
    "diagnostics",
    "context_management",
];

const TOOL_FIELDS: [&str; 7] = [
    "name",
    "description",
    "input_schema",
    "strict",
    "cache_control",
    "type",
    "eager_input_streaming",
];

/// The version under which sampling parameters are refused.
const WITHOUT_SAMPLING: &str = "2026-10-21";

pub(super) struct Messages;

impl Native for Messages {
    fn credential(&self, received: &Received) -> Option<(&'static str, String)> {
        let own = key_header(received, "x-api-key").map(|key| ("x-api-key", key));
        own.or_else(|| bearer(received).map(|key| ("authorization", key)))
    }

    fn read(&self, received: &Received) -> Result<Ask, Vec<String>> {
        let body = received.json();
        let mut faults = Faults::default();
        faults.demand(body.is_object(), "the body is not a JSON object");
        faults.unknown(&body, &FIELDS, "at the top");
        faults.demand(body["model"].is_string(), "no model");
        let version = received.header("anthropic-version");
        faults.demand(
            ["2023-06-01", WITHOUT_SAMPLING].contains(&version),
            "anthropic-version missing or unknown",
        );
        let sampling = ["temperature", "top_p", "top_k"]
            .iter()
            .any(|name| !body[name].is_null());
        faults.demand(
            !(sampling && version == WITHOUT_SAMPLING),
            "sampling parameters under this version",
        );
        let counting = received.path.ends_with("count_tokens");
        faults.demand(
            counting || body["max_tokens"].is_u64(),
            "max_tokens missing",
        );
        faults.demand(
            !list(&body["messages"]).is_empty(),
            "messages missing or empty",
        );
        faults.range(&body, "temperature", 0.0, 1.0);
        faults.range(&body, "top_p", 0.0, 1.0);
        faults.unknown(&body["metadata"], &["user_id"], "in metadata");
        faults.unknown(
            &body["output_config"],
            &["effort", "format", "task_budget"],
            "in output_config",
        );
        for stop in list(&body["stop_sequences"]) {
            faults.demand(
                !text(stop).trim().is_empty(),
                "a stop sequence of white space only",
            );
        }
        let mut ask = Ask {
            model: text(&body["model"]),
            stream: body["stream"] == true,
            tools: tools(&body, &mut faults),
            choice: choice(&body, &mut faults),
            system: system(&body["system"], &mut faults),
            limit: body["max_tokens"].as_u64(),
            stops: list(&body["stop_sequences"]).iter().map(text).collect(),
            temperature: body["temperature"].clone(),
            top_p: body["top_p"].clone(),
            dialect: "messages",
            ..Ask::default()
        };
        let format = &body["output_config"]["format"];
        if !format.is_null() {
            faults.demand(
                format["type"] == "json_schema",
                "output_config.format of unknown type",
            );
            faults.unknown(format, &["type", "schema"], "in output_config.format");
            closed(&format["schema"], &mut faults);
            ask.schema = Some(format["schema"].clone());
        }
        messages(&body, &mut ask, &mut faults);
        faults.end(ask)
    }

    fn whole(&self, ask: &Ask, answer: &Answer) -> Value {
        let content = answer.parts.iter().map(|part| match part {
            Part::Thought(thought) => {
                json!({ "type": "thinking", "thinking": thought, "signature": agent::proof("messages", thought) })
            }
            Part::Text(text) => json!({ "type": "text", "text": text }),
            Part::Call(call) => json!({
                "type": "tool_use", "id": format!("toolu_{}", call.id), "name": call.name, "input": call.arguments,
            }),
        });
        let mut message = head(ask);
        message["content"] = content.collect();
        let (reason, sequence) = stop(&answer.end);
        message["stop_reason"] = json!(reason);
        message["stop_sequence"] = sequence;
        message["usage"] = usage(answer);
        message
    }

    fn stream(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let mut start = head(ask);
        start["usage"] = usage(answer);
        start["usage"]["output_tokens"] = json!(1);
        let mut events = vec![event(&json!({ "type": "message_start", "message": start }))];
        for (index, part) in answer.parts.iter().enumerate() {
            let (block, mut deltas) = match part {
                Part::Thought(thought) => (
                    json!({ "type": "thinking", "thinking": "", "signature": "" }),
                    deltas("thinking_delta", "thinking", thought),
                ),
                Part::Text(text) => (
                    json!({ "type": "text", "text": "" }),
                    deltas("text_delta", "text", text),
                ),
                Part::Call(call) => {
                    let id = format!("toolu_{}", call.id);
                    let mut pieces =
                        vec![json!({ "type": "input_json_delta", "partial_json": "" })];
                    pieces.extend(deltas(
                        "input_json_delta",
                        "partial_json",
                        &call.arguments.to_string(),
                    ));
                    (
                        json!({ "type": "tool_use", "id": id, "name": call.name, "input": {} }),
                        pieces,
                    )
                }
            };
            if let Part::Thought(thought) = part {
                let signature = agent::proof("messages", thought);
                deltas.push(json!({ "type": "signature_delta", "signature": signature }));
            }
            let begin =
                json!({ "type": "content_block_start", "index": index, "content_block": block });
            events.push(event(&begin));
            if index == 0 {
                events.push(event(&json!({ "type": "ping" })));
            }
            for delta in deltas {
                let delta =
                    json!({ "type": "content_block_delta", "index": index, "delta": delta });
                events.push(event(&delta));
            }
            events.push(event(
                &json!({ "type": "content_block_stop", "index": index }),
            ));
        }
        let (reason, sequence) = stop(&answer.end);
        events.push(event(&json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": sequence },
            "usage": usage(answer),
        })));
        events.push(event(&json!({ "type": "message_stop" })));
        events
    }

    fn refuse(&self, refusal: &Refusal) -> Script {
        let status = match refusal.cause {
            Cause::Request => 400,
            Cause::Credential => 401,
            Cause::Permission => 403,
            Cause::Model => 404,
            Cause::Rate => 429,
            Cause::Internal => 500,
            Cause::Overload => 529,
        };
        let script =
            Script::json(status, error(refusal).to_string()).header("request-id", "req_judge");
        if status == 429 {
            script.header("retry-after", "7")
        } else {
            script
        }
    }

    fn break_stream(&self, _ask: &Ask, refusal: &Refusal) -> String {
        event(&error(refusal))
    }
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", text(&data["type"]))
}

fn deltas(kind: &str, field: &str, whole: &str) -> Vec<Value> {
    pieces(whole)
        .into_iter()
        .map(|piece| json!({ "type": kind, field: piece }))
        .collect()
}

fn head(ask: &Ask) -> Value {
    json!({
        "id": format!("msg_01judge{:017}", ask.turns.len()),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn stop(end: &End) -> (&'static str, Value) {
    match end {
        End::Stop => ("end_turn", Value::Null),
        End::StopSequence(sequence) => ("stop_sequence", json!(sequence)),
        End::Limit => ("max_tokens", Value::Null),
        End::Calls => ("tool_use", Value::Null),
    }
}

fn usage(answer: &Answer) -> Value {
    let thought = if answer.has_thought() { THOUGHT } else { 0 };
    json!({
        "input_tokens": PROMPT - CACHED,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": SPOKEN + thought,
        "output_tokens_details": { "thinking_tokens": thought },
        "service_tier": "standard",
    })
}

fn error(refusal: &Refusal) -> Value {
    let kind = match refusal.cause {
        Cause::Request => "invalid_request_error",
        Cause::Credential => "authentication_error",
        Cause::Permission => "permission_error",
        Cause::Model => "not_found_error",
        Cause::Rate => "rate_limit_error",
        Cause::Internal => "api_error",
        Cause::Overload => "overloaded_error",
    };
    let error = json!({ "type": kind, "message": refusal.message });
    json!({ "type": "error", "error": error, "request_id": "req_judge" })
}

fn tools(body: &Value, faults: &mut Faults) -> Vec<Tool> {
    let read = list(&body["tools"]).iter().map(|tool| {
        faults.unknown(tool, &TOOL_FIELDS, "on a tool");
        faults.tool_name(&tool["name"], 128, "a tool");
        faults.demand(
            tool["input_schema"]["type"] == "object",
            "input_schema is not of type object",
        );
        Tool {
            name: text(&tool["name"]),
            description: text(&tool["description"]),
            schema: tool["input_schema"].clone(),
        }
    });
    read.collect()
}

fn choice(body: &Value, faults: &mut Faults) -> Option<String> {
    let choice = &body["tool_choice"];
    let kind = choice["type"].as_str().unwrap_or_default();
    if choice.is_null() {
        return None;
    }
    faults.demand(
        !list(&body["tools"]).is_empty(),
        "tool_choice without tools",
    );
    faults.demand(
        ["auto", "any", "tool", "none"].contains(&kind),
        "tool_choice of unknown type",
    );
    if kind != "tool" {
        return Some(kind.to_owned());
    }
    let name = text(&choice["name"]);
    let declared = list(&body["tools"]).iter().any(|tool| tool["name"] == name);
    faults.demand(declared, "tool_choice names no declared tool");
    Some(name)
}

fn system(system: &Value, faults: &mut Faults) -> String {
    if let Some(blocks) = system.as_array() {
        let texts = blocks.iter().map(|block| {
            faults.demand(block["type"] == "text", "a system block that is not text");
            faults.demand(
                !text(&block["text"]).trim().is_empty(),
                "an empty system block",
            );
            text(&block["text"])
        });
        return texts.collect::<Vec<_>>().join("\n");
    }
    faults.demand(
        system.is_null() || system.is_string(),
        "system is neither text nor list",
    );
    text(system)
}

/// Output schemas have closed objects only.
fn closed(schema: &Value, faults: &mut Faults) {
    if let Some(properties) = schema["properties"].as_object() {
        faults.demand(
            schema["additionalProperties"] == false,
            "an output schema with an open object",
        );
        properties.values().for_each(|inner| closed(inner, faults));
    }
    if schema["items"].is_object() {
        closed(&schema["items"], faults);
    }
}

fn messages(body: &Value, ask: &mut Ask, faults: &mut Faults) {
    let mut waiting: Vec<Call> = Vec::new();
    for message in list(&body["messages"]) {
        faults.unknown(message, &["role", "content"], "on a message");
        let role = match message["role"].as_str() {
            Some("user") => "user",
            Some("assistant") => "assistant",
            role => {
                faults.add(format!("unknown role {role:?}"));
                continue;
            }
        };
        let mut turn = Turn {
            role,
            ..Turn::default()
        };
        match &message["content"] {
            Value::String(text) => {
                faults.demand(!text.is_empty(), "empty content");
                turn.text.clone_from(text);
            }
            Value::Array(blocks) => {
                faults.demand(!blocks.is_empty(), "empty content");
                let mut other = false;
                for block in blocks {
                    if block["type"] == "tool_result" {
                        faults.demand(!other, "a tool_result after other blocks");
                    } else {
                        other = true;
                    }
                    read_block(block, &mut turn, &mut waiting, faults);
                }
            }
            _ => faults.add("content is neither text nor list"),
        }
        if role == "user" {
            // The API joins neighbours of one role, so results may come in several messages as long as they come first.
            let answered = waiting.is_empty() || (!turn.results.is_empty() && turn.text.is_empty());
            faults.demand(
                answered,
                "a tool_use without its tool_result in the next message",
            );
        } else {
            faults.demand(
                waiting.is_empty(),
                "a tool_use without its tool_result in the next message",
            );
            waiting.clone_from(&turn.calls);
        }
        ask.turns.push(turn);
    }
    faults.demand(waiting.is_empty(), "a tool_use without its tool_result");
}

fn read_block(block: &Value, turn: &mut Turn, waiting: &mut Vec<Call>, faults: &mut Faults) {
    match (block["type"].as_str().unwrap_or_default(), turn.role) {
        ("text", _) => {
            faults.demand(!text(&block["text"]).is_empty(), "an empty text block");
            turn.text.push_str(&text(&block["text"]));
        }
        ("image", "user") => turn.media.push(image(&block["source"], faults)),
        ("document", "user") | ("redacted_thinking", "assistant") => {}
        ("thinking", "assistant") => {
            faults.demand(
                block["signature"].is_string(),
                "a thinking block without signature",
            );
            turn.proofs.push(text(&block["signature"]));
        }
        ("tool_use", "assistant") => {
            let id = text(&block["id"]);
            let legal = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
            faults.demand(
                !id.is_empty() && id.chars().all(legal),
                "a tool_use id that the API refuses",
            );
            faults.demand(
                block["input"].is_object(),
                "a tool_use whose input is no object",
            );
            faults.tool_name(&block["name"], 128, "a tool_use");
            faults.unknown(
                block,
                &["type", "id", "name", "input", "cache_control", "caller"],
                "on a tool_use",
            );
            turn.calls.push(Call {
                id,
                name: text(&block["name"]),
                arguments: block["input"].clone(),
            });
        }
        ("tool_result", "user") => {
            let id = text(&block["tool_use_id"]);
            let Some(place) = waiting.iter().position(|call| call.id == id) else {
                faults.add("a tool_result without its tool_use in the message before");
                return;
            };
            faults.unknown(
                block,
                &[
                    "type",
                    "tool_use_id",
                    "content",
                    "is_error",
                    "cache_control",
                ],
                "on a tool_result",
            );
            let content = match &block["content"] {
                Value::Array(inner) => inner.iter().map(|part| text(&part["text"])).collect(),
                content => text(content),
            };
            turn.results.push(Outcomes {
                id,
                name: waiting.remove(place).name,
                content,
                failed: block["is_error"] == true,
            });
        }
        (kind, role) => faults.add(format!("block {kind:?} in a message of the {role}")),
    }
}

fn image(source: &Value, faults: &mut Faults) -> Media {
    if source["type"] == "url" {
        return Media::Url(text(&source["url"]));
    }
    let mime = text(&source["media_type"]);
    faults.demand(
        source["type"] == "base64",
        "an image source of unknown type",
    );
    let known = ["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&mime.as_str());
    faults.demand(known, "an image of a type that the API refuses");
    Media::Base64 {
        mime,
        data: text(&source["data"]),
    }
}
