//! Responses as OpenAI's server reads and speaks it, without stored state.

use serde_json::{Value, json};

use super::agent;
use super::chat::Chat;
use super::scenario::{Answer, Ask, Call, End, Media, Outcomes, Part, Refusal, Tool, Turn};
use super::{CACHED, Faults, Native, PROMPT, SPOKEN, THOUGHT, bearer, list, pieces, text};
use crate::script::Script;
use crate::upstream::Received;

const FIELDS: [&str; 29] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "max_tool_calls",
    "temperature",
    "top_p",
    "top_logprobs",
    "text",
    "reasoning",
    "include",
    "store",
    "stream",
    "stream_options",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
    "truncation",
    "previous_response_id",
    "background",
    "context_management",
    "moderation",
];

pub(super) struct Responses;

impl Native for Responses {
    fn credential(&self, received: &Received) -> Option<(&'static str, String)> {
        bearer(received).map(|key| ("authorization", key))
    }

    fn read(&self, received: &Received) -> Result<Ask, Vec<String>> {
        let body = received.json();
        let mut faults = Faults::default();
        faults.demand(body.is_object(), "the body is not a JSON object");
        faults.unknown(&body, &FIELDS, "at the top");
        faults.demand(body["model"].is_string(), "no model");
        faults.range(&body, "temperature", 0.0, 2.0);
        faults.range(&body, "top_p", 0.0, 1.0);
        faults.range(&body, "max_output_tokens", 16.0, f64::MAX);
        faults.demand(
            body["previous_response_id"].is_null(),
            "this server stores nothing",
        );
        let mut ask = Ask {
            model: text(&body["model"]),
            stream: body["stream"] == true,
            system: text(&body["instructions"]),
            tools: tools(&body, &mut faults),
            choice: choice(&body, &mut faults),
            limit: body["max_output_tokens"].as_u64(),
            temperature: body["temperature"].clone(),
            top_p: body["top_p"].clone(),
            dialect: "responses",
            ..Ask::default()
        };
        let format = &body["text"]["format"];
        if format["type"] == "json_schema" {
            faults.demand(format["name"].is_string(), "a schema without a name");
            ask.schema = Some(format["schema"].clone());
        }
        match &body["input"] {
            Value::String(words) => ask.turns.push(Turn {
                role: "user",
                text: words.clone(),
                ..Turn::default()
            }),
            Value::Array(items) if !items.is_empty() => read_items(items, &mut ask, &mut faults),
            _ => faults.add("input missing or empty"),
        }
        faults.end(ask)
    }

    fn whole(&self, ask: &Ask, answer: &Answer) -> Value {
        let items = items(ask, answer);
        response(ask, answer, &items, "completed")
    }

    fn stream(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let items = items(ask, answer);
        let mut events = vec![
            json!({ "type": "response.created", "response": response(ask, answer, &[], "in_progress") }),
            json!({ "type": "response.in_progress", "response": response(ask, answer, &[], "in_progress") }),
        ];
        for (place, item) in items.iter().enumerate() {
            told(place, item, &mut events);
        }
        let last = response(ask, answer, &items, "completed");
        let kind = match answer.end {
            End::Limit => "response.incomplete",
            End::Stop | End::StopSequence(_) | End::Calls => "response.completed",
        };
        events.push(json!({ "type": kind, "response": last }));
        let numbered = events.into_iter().enumerate().map(|(number, mut told)| {
            told["sequence_number"] = json!(number);
            event(&told)
        });
        numbered.collect()
    }

    fn refuse(&self, refusal: &Refusal) -> Script {
        Chat.refuse(refusal)
    }

    fn break_stream(&self, ask: &Ask, refusal: &Refusal) -> String {
        let mut failed = head(ask, "failed");
        failed["error"] = json!({ "code": "server_error", "message": refusal.message });
        failed["output"] = json!([]);
        event(&json!({ "type": "response.failed", "sequence_number": 99, "response": failed }))
    }
}

fn event(told: &Value) -> String {
    format!("event: {}\ndata: {told}\n\n", text(&told["type"]))
}

fn head(ask: &Ask, status: &str) -> Value {
    json!({
        "id": format!("resp_judge{:040}", ask.turns.len()),
        "object": "response",
        "created_at": 1_763_000_000,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": ask.model,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": "medium", "summary": null },
        "store": false,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "metadata": {},
    })
}

fn response(ask: &Ask, answer: &Answer, items: &[Value], status: &str) -> Value {
    let mut told = head(ask, status);
    told["output"] = json!(items);
    if status == "completed" {
        let thought = if answer.has_thought() { THOUGHT } else { 0 };
        told["usage"] = json!({
            "input_tokens": PROMPT,
            "input_tokens_details": { "cached_tokens": CACHED },
            "output_tokens": SPOKEN + thought,
            "output_tokens_details": { "reasoning_tokens": thought },
            "total_tokens": PROMPT + SPOKEN + thought,
        });
        if matches!(answer.end, End::Limit) {
            told["status"] = json!("incomplete");
            told["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        }
    }
    told
}

fn items(ask: &Ask, answer: &Answer) -> Vec<Value> {
    let turn = ask.turns.len();
    let item = |(number, part): (usize, &Part)| match part {
        Part::Thought(thought) => json!({
            "id": format!("rs_judge{turn}_{number}"),
            "type": "reasoning",
            "summary": [{ "type": "summary_text", "text": thought }],
            "encrypted_content": agent::proof("responses", thought),
        }),
        Part::Text(said) => json!({
            "id": format!("msg_judge{turn}_{number}"),
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{ "type": "output_text", "annotations": [], "logprobs": [], "text": said }],
        }),
        Part::Call(call) => json!({
            "id": format!("fc_judge{turn}_{number}"),
            "type": "function_call",
            "status": "completed",
            "call_id": format!("call_{}", call.id),
            "name": call.name,
            "arguments": call.arguments.to_string(),
        }),
    };
    answer.parts.iter().enumerate().map(item).collect()
}

/// The events of one item, from `added` to `done`.
fn told(place: usize, item: &Value, events: &mut Vec<Value>) {
    let mut begun = item.clone();
    let id = &item["id"];
    let mut tell = |kind: &str, more: Value| {
        let mut told = json!({ "type": kind, "output_index": place });
        if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
            told.extend(more);
        }
        events.push(told);
    };
    match text(&item["type"]).as_str() {
        "reasoning" => {
            begun["summary"] = json!([]);
            tell("response.output_item.added", json!({ "item": begun }));
            let part = &item["summary"][0];
            let at = json!({ "item_id": id, "summary_index": 0 });
            let with = |key: &str, value: &Value| {
                let mut more = at.clone();
                more[key] = value.clone();
                more
            };
            let empty = json!({ "type": "summary_text", "text": "" });
            tell(
                "response.reasoning_summary_part.added",
                with("part", &empty),
            );
            for piece in pieces(&text(&part["text"])) {
                let kind = "response.reasoning_summary_text.delta";
                tell(kind, with("delta", &json!(piece)));
            }
            tell(
                "response.reasoning_summary_text.done",
                with("text", &part["text"]),
            );
            tell("response.reasoning_summary_part.done", with("part", part));
        }
        "message" => {
            begun["content"] = json!([]);
            begun["status"] = json!("in_progress");
            tell("response.output_item.added", json!({ "item": begun }));
            let part = &item["content"][0];
            let at = json!({ "item_id": id, "content_index": 0, "logprobs": [] });
            let with = |key: &str, value: &Value| {
                let mut more = at.clone();
                more[key] = value.clone();
                more
            };
            let empty =
                json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": "" });
            tell("response.content_part.added", with("part", &empty));
            for piece in pieces(&text(&part["text"])) {
                tell("response.output_text.delta", with("delta", &json!(piece)));
            }
            tell("response.output_text.done", with("text", &part["text"]));
            tell("response.content_part.done", with("part", part));
        }
        _ => {
            begun["arguments"] = json!("");
            begun["status"] = json!("in_progress");
            tell("response.output_item.added", json!({ "item": begun }));
            for piece in pieces(&text(&item["arguments"])) {
                let more = json!({ "item_id": id, "delta": piece });
                tell("response.function_call_arguments.delta", more);
            }
            let more = json!({ "item_id": id, "arguments": item["arguments"] });
            tell("response.function_call_arguments.done", more);
        }
    }
    tell("response.output_item.done", json!({ "item": item }));
}

fn tools(body: &Value, faults: &mut Faults) -> Vec<Tool> {
    let read = list(&body["tools"]).iter().map(|tool| {
        faults.demand(tool["type"] == "function", "a tool that is not a function");
        faults.unknown(
            tool,
            &["type", "name", "description", "parameters", "strict"],
            "on a tool",
        );
        faults.tool_name(&tool["name"], 128, "a tool");
        Tool {
            name: text(&tool["name"]),
            description: text(&tool["description"]),
            schema: tool["parameters"].clone(),
        }
    });
    read.collect()
}

fn choice(body: &Value, faults: &mut Faults) -> Option<String> {
    match &body["tool_choice"] {
        Value::Null => None,
        Value::String(mode) => {
            faults.demand(
                ["none", "auto", "required"].contains(&mode.as_str()),
                "tool_choice of unknown value",
            );
            Some(mode.replace("required", "any"))
        }
        choice => {
            let name = text(&choice["name"]);
            let declared = list(&body["tools"]).iter().any(|tool| tool["name"] == name);
            faults.demand(
                choice["type"] == "function" && declared,
                "tool_choice names no declared tool",
            );
            Some(name)
        }
    }
}

fn read_items(items: &[Value], ask: &mut Ask, faults: &mut Faults) {
    let mut waiting: Vec<Call> = Vec::new();
    let mut reasoned = false;
    for item in items {
        let mut turn = Turn {
            role: "user",
            ..Turn::default()
        };
        let kind = item["type"].as_str().unwrap_or("message");
        let role = item["role"].as_str().unwrap_or_default();
        match kind {
            "message" => {
                faults.unknown(
                    item,
                    &["type", "id", "role", "content", "status", "phase"],
                    "on a message",
                );
                read_content(role, &item["content"], &mut turn, faults);
                match role {
                    "system" | "developer" => {
                        if !ask.system.is_empty() {
                            ask.system.push('\n');
                        }
                        ask.system.push_str(&turn.text);
                        continue;
                    }
                    "assistant" => turn.role = "assistant",
                    "user" => {}
                    _ => faults.add(format!("unknown role {role:?}")),
                }
            }
            "reasoning" => {
                faults.unknown(
                    item,
                    &[
                        "type",
                        "id",
                        "summary",
                        "content",
                        "encrypted_content",
                        "status",
                    ],
                    "on a reasoning item",
                );
                faults.demand(
                    item["summary"].is_array(),
                    "a reasoning item without summary",
                );
                turn.role = "assistant";
                let proof = item["encrypted_content"].as_str();
                turn.proofs.extend(proof.map(str::to_owned));
            }
            "function_call" => {
                faults.unknown(
                    item,
                    &[
                        "type",
                        "id",
                        "call_id",
                        "name",
                        "arguments",
                        "status",
                        "namespace",
                    ],
                    "on a function_call",
                );
                let arguments = serde_json::from_str(&text(&item["arguments"]));
                faults.demand(arguments.is_ok(), "arguments that are not JSON");
                faults.demand(
                    !text(&item["call_id"]).is_empty(),
                    "a function_call without call_id",
                );
                turn.role = "assistant";
                turn.calls.push(Call {
                    id: text(&item["call_id"]),
                    name: text(&item["name"]),
                    arguments: arguments.unwrap_or_default(),
                });
                waiting.extend(turn.calls.iter().cloned());
            }
            "function_call_output" => {
                faults.unknown(
                    item,
                    &["type", "id", "call_id", "output", "status"],
                    "on a function_call_output",
                );
                let id = text(&item["call_id"]);
                let Some(place) = waiting.iter().position(|call| call.id == id) else {
                    faults.add("a function_call_output that answers no function_call");
                    continue;
                };
                let name = waiting.remove(place).name;
                let content = match &item["output"] {
                    Value::Array(parts) => parts.iter().map(|part| text(&part["text"])).collect(),
                    output => text(output),
                };
                turn.results.push(Outcomes {
                    id,
                    name,
                    content,
                    failed: false,
                });
            }
            kind => faults.add(format!("an item of unknown type {kind:?}")),
        }
        let orphan = reasoned && turn.role == "user";
        faults.demand(
            !orphan,
            "a reasoning item without the item that must follow it",
        );
        reasoned = kind == "reasoning";
        ask.turns.push(turn);
    }
    faults.demand(
        !reasoned,
        "a reasoning item without the item that must follow it",
    );
    faults.demand(waiting.is_empty(), "a function_call without its output");
}

fn read_content(role: &str, content: &Value, turn: &mut Turn, faults: &mut Faults) {
    if let Some(words) = content.as_str() {
        words.clone_into(&mut turn.text);
        return;
    }
    faults.demand(content.is_array(), "content is neither text nor list");
    for part in list(content) {
        match (part["type"].as_str().unwrap_or_default(), role) {
            ("input_text", "user" | "system" | "developer") | ("output_text", "assistant") => {
                turn.text.push_str(&text(&part["text"]));
            }
            ("input_image", "user") => turn.media.push(image(&text(&part["image_url"]))),
            ("refusal", "assistant") | ("input_file", "user") => {}
            (kind, _) => faults.add(format!("part {kind:?} in a {role} message")),
        }
    }
}

fn image(url: &str) -> Media {
    match url
        .strip_prefix("data:")
        .and_then(|url| url.split_once(";base64,"))
    {
        Some((mime, data)) => Media::Base64 {
            mime: mime.to_owned(),
            data: data.to_owned(),
        },
        None => Media::Url(url.to_owned()),
    }
}
