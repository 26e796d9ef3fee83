//! Chat Completions as OpenAI's server reads and speaks it.

use serde_json::{Value, json};

use super::agent;
use super::scenario::{Answer, Ask, Call, Cause, End, Media, Outcomes, Part, Refusal, Tool, Turn};
use super::{CACHED, Faults, Native, PROMPT, SPOKEN, THOUGHT, bearer, list, pieces, text};
use crate::script::Script;
use crate::upstream::Received;

const FIELDS: [&str; 37] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "n",
    "stop",
    "logprobs",
    "top_logprobs",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "user",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "moderation",
    "web_search_options",
];

pub(super) struct Chat;

impl Native for Chat {
    fn credential(&self, received: &Received) -> Option<(&'static str, String)> {
        bearer(received).map(|key| ("authorization", key))
    }

    fn read(&self, received: &Received) -> Result<Ask, Vec<String>> {
        let body = received.json();
        let mut faults = Faults::default();
        faults.demand(body.is_object(), "the body is not a JSON object");
        faults.unknown(&body, &FIELDS, "at the top");
        faults.demand(body["model"].is_string(), "no model");
        faults.demand(
            !list(&body["messages"]).is_empty(),
            "messages missing or empty",
        );

        let mut ask = Ask {
            model: text(&body["model"]),
            stream: body["stream"] == true,
            usage: body["stream_options"]["include_usage"] == true,
            tools: tools(&body, &mut faults),
            choice: choice(&body, &mut faults),
            temperature: body["temperature"].clone(),
            top_p: body["top_p"].clone(),
            dialect: "chat",
            ..Ask::default()
        };
        messages(&body, &mut ask, &mut faults);

        let limits = [&body["max_tokens"], &body["max_completion_tokens"]];
        let both = limits.iter().all(|limit| !limit.is_null());
        faults.demand(!both, "max_tokens and max_completion_tokens together");
        for limit in limits.into_iter().filter(|limit| !limit.is_null()) {
            faults.demand(
                limit.as_u64().is_some_and(|it| it > 0),
                "token limit below 1",
            );
            ask.limit = limit.as_u64();
        }
        faults.range(&body, "temperature", 0.0, 2.0);
        faults.range(&body, "top_p", 0.0, 1.0);
        let options_alone = !body["stream_options"].is_null() && !ask.stream;
        faults.demand(!options_alone, "stream_options without stream");
        match &body["stop"] {
            Value::Null => {}
            Value::String(one) => ask.stops = vec![one.clone()],
            Value::Array(several) => {
                faults.demand(several.len() <= 4, "more than four stop sequences");
                ask.stops = several.iter().map(text).collect();
            }
            _ => faults.add("stop is neither text nor list"),
        }
        ask.schema = response_format(&body["response_format"], &mut faults);
        faults.end(ask)
    }

    fn whole(&self, ask: &Ask, answer: &Answer) -> Value {
        let mut message =
            json!({ "role": "assistant", "content": null, "refusal": null, "annotations": [] });
        let mut calls = Vec::new();
        for part in &answer.parts {
            match part {
                Part::Thought(thought) => message["reasoning_content"] = json!(thought),
                Part::Text(text) => message["content"] = json!(text),
                Part::Call(call) => calls.push(json!({
                    "id": format!("call_{}", call.id),
                    "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments.to_string() },
                })),
            }
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        json!({
            "id": id(ask),
            "object": "chat.completion",
            "created": 1_763_000_000,
            "model": ask.model,
            "choices": [{
                "index": 0, "message": message, "logprobs": null, "finish_reason": finish(&answer.end),
            }],
            "usage": usage(answer),
            "service_tier": "default",
            "system_fingerprint": "fp_judge",
        })
    }

    fn stream(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let mut events = Vec::new();
        let mut choose = |delta: Value, finish: Value| {
            let choices =
                json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
            events.push(event(&chunk(ask, &choices, &Value::Null)));
        };
        choose(
            json!({ "role": "assistant", "content": "", "refusal": null }),
            Value::Null,
        );
        let mut number = 0;
        for part in &answer.parts {
            match part {
                Part::Thought(thought) => {
                    for piece in pieces(thought) {
                        choose(json!({ "reasoning_content": piece }), Value::Null);
                    }
                }
                Part::Text(text) => {
                    for piece in pieces(text) {
                        choose(json!({ "content": piece }), Value::Null);
                    }
                }
                Part::Call(call) => {
                    let function = json!({ "name": call.name, "arguments": "" });
                    let id = format!("call_{}", call.id);
                    let first = json!({ "index": number, "id": id, "type": "function", "function": function });
                    choose(json!({ "tool_calls": [first] }), Value::Null);
                    for piece in pieces(&call.arguments.to_string()) {
                        let later = json!({ "index": number, "function": { "arguments": piece } });
                        choose(json!({ "tool_calls": [later] }), Value::Null);
                    }
                    number += 1;
                }
            }
        }
        choose(json!({}), json!(finish(&answer.end)));
        if ask.usage {
            events.push(event(&chunk(ask, &json!([]), &usage(answer))));
        }
        events.push("data: [DONE]\n\n".into());
        events
    }

    fn refuse(&self, refusal: &Refusal) -> Script {
        let (status, kind, code, param) = match refusal.cause {
            Cause::Request => (400, "invalid_request_error", Value::Null, json!("messages")),
            Cause::Credential => (
                401,
                "invalid_request_error",
                json!("invalid_api_key"),
                Value::Null,
            ),
            Cause::Permission => (403, "invalid_request_error", Value::Null, Value::Null),
            Cause::Model => (
                404,
                "invalid_request_error",
                json!("model_not_found"),
                json!("model"),
            ),
            Cause::Rate => (
                429,
                "rate_limit_error",
                json!("rate_limit_exceeded"),
                Value::Null,
            ),
            Cause::Internal => (500, "server_error", Value::Null, Value::Null),
            Cause::Overload => (
                503,
                "service_unavailable_error",
                json!("server_is_overloaded"),
                Value::Null,
            ),
        };
        let error =
            json!({ "message": refusal.message, "type": kind, "param": param, "code": code });
        let script = Script::json(status, format!("{:#}", json!({ "error": error })))
            .header("x-request-id", "req_judge");
        if status == 429 {
            script.header("retry-after", "7")
        } else {
            script
        }
    }

    fn break_stream(&self, _ask: &Ask, refusal: &Refusal) -> String {
        let error = json!({
            "message": refusal.message, "type": "server_error", "param": null, "code": "server_is_overloaded",
        });
        event(&json!({ "error": error }))
    }
}

/// Another one for each turn of a conversation.
fn id(ask: &Ask) -> String {
    format!("chatcmpl-judge{:022}", ask.turns.len())
}

fn event(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

fn chunk(ask: &Ask, choices: &Value, usage: &Value) -> Value {
    let mut chunk = json!({
        "id": id(ask),
        "object": "chat.completion.chunk",
        "created": 1_763_000_000,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_judge",
        "choices": choices,
        "obfuscation": "x7Qk",
    });
    if ask.usage {
        chunk["usage"] = usage.clone();
    }
    chunk
}

fn finish(end: &End) -> &'static str {
    match end {
        End::Stop | End::StopSequence(_) => "stop",
        End::Limit => "length",
        End::Calls => "tool_calls",
    }
}

fn usage(answer: &Answer) -> Value {
    let thought = if answer.has_thought() { THOUGHT } else { 0 };
    json!({
        "prompt_tokens": PROMPT,
        "completion_tokens": SPOKEN + thought,
        "total_tokens": PROMPT + SPOKEN + thought,
        "prompt_tokens_details": { "cached_tokens": CACHED, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": thought, "audio_tokens": 0 },
    })
}

fn tools(body: &Value, faults: &mut Faults) -> Vec<Tool> {
    if body["tools"].as_array().is_some_and(Vec::is_empty) {
        faults.add("tools is an empty list");
    }
    let read = list(&body["tools"]).iter().map(|tool| {
        let function = &tool["function"];
        faults.demand(tool["type"] == "function", "a tool that is not a function");
        faults.unknown(tool, &["type", "function"], "on a tool");
        faults.unknown(
            function,
            &["name", "description", "parameters", "strict"],
            "on a function",
        );
        faults.tool_name(&function["name"], 64, "a tool");
        let parameters = &function["parameters"];
        faults.demand(
            parameters.is_null() || parameters["type"] == "object",
            "parameters of another type",
        );
        Tool {
            name: text(&function["name"]),
            description: text(&function["description"]),
            schema: parameters.clone(),
        }
    });
    read.collect()
}

fn choice(body: &Value, faults: &mut Faults) -> Option<String> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return None;
    }
    faults.demand(
        !list(&body["tools"]).is_empty(),
        "tool_choice without tools",
    );
    if let Some(mode) = choice.as_str() {
        faults.demand(
            ["none", "auto", "required"].contains(&mode),
            "tool_choice of unknown value",
        );
        return Some(mode.replace("required", "any"));
    }
    let name = text(&choice["function"]["name"]);
    let declared = list(&body["tools"])
        .iter()
        .any(|tool| tool["function"]["name"] == name);
    faults.demand(
        choice["type"] == "function" && declared,
        "tool_choice names no declared tool",
    );
    Some(name)
}

fn response_format(format: &Value, faults: &mut Faults) -> Option<Value> {
    match format["type"].as_str() {
        None | Some("text" | "json_object") => None,
        Some("json_schema") => {
            let schema = &format["json_schema"];
            faults.tool_name(&schema["name"], 64, "json_schema");
            faults.unknown(
                schema,
                &["name", "description", "schema", "strict"],
                "in json_schema",
            );
            if schema["strict"] == true {
                strict(&schema["schema"], faults);
            }
            Some(schema["schema"].clone())
        }
        Some(_) => {
            faults.add("response_format of unknown type");
            None
        }
    }
}

/// `strict` demands a closed object with every property required, at each level.
fn strict(schema: &Value, faults: &mut Faults) {
    if let Some(properties) = schema["properties"].as_object() {
        faults.demand(
            schema["additionalProperties"] == false,
            "strict schema with an open object",
        );
        let required = list(&schema["required"]);
        let all = properties
            .keys()
            .all(|name| required.iter().any(|it| it == name));
        faults.demand(all, "strict schema with a property that is not required");
        properties.values().for_each(|inner| strict(inner, faults));
    }
    if schema["items"].is_object() {
        strict(&schema["items"], faults);
    }
}

fn messages(body: &Value, ask: &mut Ask, faults: &mut Faults) {
    let mut waiting: Vec<Call> = Vec::new();
    for message in list(&body["messages"]) {
        let role = message["role"].as_str().unwrap_or_default();
        let content = &message["content"];
        if role != "tool" && !waiting.is_empty() {
            faults.add("a tool call without its tool message before the next message");
            waiting.clear();
        }
        let known: &[&str] = match role {
            "system" | "developer" | "user" => &["role", "content", "name"],
            "assistant" => &[
                "role",
                "content",
                "name",
                "refusal",
                "tool_calls",
                "audio",
                "function_call",
                "annotations",
                "reasoning_content",
                "reasoning_details",
            ],
            "tool" => &["role", "content", "tool_call_id"],
            _ => {
                faults.add(format!("unknown role {role:?}"));
                continue;
            }
        };
        faults.unknown(message, known, &format!("on a {role} message"));
        let mut turn = Turn {
            role: "user",
            ..Turn::default()
        };
        parts(role, content, &mut turn, faults);
        match role {
            "system" | "developer" => {
                faults.demand(!content.is_null(), "system message without content");
                if !ask.system.is_empty() {
                    ask.system.push('\n');
                }
                ask.system.push_str(&turn.text);
            }
            "tool" => {
                faults.demand(!content.is_null(), "tool message without content");
                let id = text(&message["tool_call_id"]);
                let Some(place) = waiting.iter().position(|call| call.id == id) else {
                    faults.add("a tool message that follows no call of its id");
                    continue;
                };
                let name = waiting.remove(place).name;
                turn.results.push(Outcomes {
                    id,
                    name,
                    content: turn.text,
                    failed: false,
                });
                turn.text = String::new();
                ask.turns.push(turn);
            }
            "assistant" => {
                turn.role = "assistant";
                let thought = message["reasoning_content"].as_str();
                turn.proofs
                    .extend(thought.map(|thought| agent::proof("chat", thought)));
                turn.calls = tool_calls(message, faults);
                let says =
                    !content.is_null() || !turn.calls.is_empty() || !message["refusal"].is_null();
                faults.demand(says, "assistant message without content and calls");
                waiting.clone_from(&turn.calls);
                ask.turns.push(turn);
            }
            _ => {
                faults.demand(!content.is_null(), "user message without content");
                ask.turns.push(turn);
            }
        }
    }
    faults.demand(waiting.is_empty(), "a tool call without its tool message");
}

fn parts(role: &str, content: &Value, turn: &mut Turn, faults: &mut Faults) {
    match content {
        Value::Null => {}
        Value::String(text) => turn.text.clone_from(text),
        Value::Array(parts) => {
            faults.demand(!parts.is_empty(), "content is an empty list");
            for part in parts {
                match (part["type"].as_str().unwrap_or_default(), role) {
                    ("text", _) => {
                        faults.demand(part["text"].is_string(), "a text part without text");
                        turn.text.push_str(&text(&part["text"]));
                    }
                    ("image_url", "user") => turn
                        .media
                        .push(image(&text(&part["image_url"]["url"]), faults)),
                    ("refusal", "assistant") | ("file" | "input_audio", "user") => {}
                    (kind, _) => faults.add(format!("part {kind:?} in a {role} message")),
                }
            }
        }
        _ => faults.add("content is neither text nor list"),
    }
}

fn image(url: &str, faults: &mut Faults) -> Media {
    let data = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    if let Some((mime, data)) = data {
        faults.demand(mime.starts_with("image/"), "an image that is not an image");
        return Media::Base64 {
            mime: mime.into(),
            data: data.into(),
        };
    }
    faults.demand(
        url.starts_with("http"),
        "image_url is neither http nor a data URL",
    );
    Media::Url(url.into())
}

fn tool_calls(message: &Value, faults: &mut Faults) -> Vec<Call> {
    if message["tool_calls"].as_array().is_some_and(Vec::is_empty) {
        faults.add("tool_calls is an empty list");
    }
    let read = list(&message["tool_calls"]).iter().map(|call| {
        faults.demand(call["type"] == "function", "a tool call without type");
        faults.demand(!text(&call["id"]).is_empty(), "a tool call without id");
        faults.demand(
            text(&call["id"]).len() <= 40,
            "a tool call id longer than 40",
        );
        faults.tool_name(&call["function"]["name"], 64, "a tool call");
        let arguments = serde_json::from_str(&text(&call["function"]["arguments"]));
        faults.demand(arguments.is_ok(), "tool call arguments that are not JSON");
        Call {
            id: text(&call["id"]),
            name: text(&call["function"]["name"]),
            arguments: arguments.unwrap_or_default(),
        }
    });
    read.collect()
}
