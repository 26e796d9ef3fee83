//! Requests of a wanted size, and whether one arrived at the upstream undamaged.

use serde_json::{Value, json};

use crate::text::at_least;
use crate::wire::Wire;

/// A request of about `bytes` bytes: instructions, four messages, two tools.
pub fn body(wire: Wire, bytes: usize, stream: bool, model: &str) -> String {
    let spare = bytes.saturating_sub(1250);
    let instructions = (spare / 4).min(4000);
    let system = format!(
        "You are a careful assistant. Answer briefly and cite the documentation. {}",
        at_least(instructions)
    );
    let rest = spare - instructions;
    let turns = [
        (
            "user",
            "What is a reverse proxy and when would I use one?".to_owned(),
        ),
        (
            "assistant",
            format!(
                "A reverse proxy accepts requests on behalf of servers. {}",
                at_least(rest / 4)
            ),
        ),
        (
            "user",
            format!(
                "Here is my configuration, please review it:\n{}",
                at_least(rest * 3 / 4)
            ),
        ),
        ("user", "Also, will it rain in Zürich tomorrow?".to_owned()),
    ];
    match wire {
        Wire::Chat => {
            let mut messages = vec![json!({"role": "system", "content": system})];
            messages.extend(turns.iter().map(|(role, text)| json!({"role": role, "content": text})));
            let tools = tools().map(|(name, description, parameters)| {
                json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
            });
            let mut request = json!({
                "model": model, "messages": messages, "temperature": 0.7, "max_tokens": 1024,
                "tools": tools, "tool_choice": "auto", "stream": stream,
            });
            if stream {
                request["stream_options"] = json!({"include_usage": true});
            }
            request
        }
        Wire::Messages => {
            let messages: Vec<Value> =
                turns.iter().map(|(role, text)| json!({"role": role, "content": [{"type": "text", "text": text}]})).collect();
            let tools = tools().map(|(name, description, parameters)| {
                json!({"name": name, "description": description, "input_schema": parameters})
            });
            json!({
                "model": model, "max_tokens": 1024, "temperature": 0.7, "system": [{"type": "text", "text": system}],
                "messages": messages, "tools": tools, "tool_choice": {"type": "auto"}, "stream": stream,
            })
        }
        Wire::Gemini => {
            let contents: Vec<Value> = turns
                .iter()
                .map(|(role, text)| json!({"role": if *role == "assistant" { "model" } else { "user" }, "parts": [{"text": text}]}))
                .collect();
            let declarations = tools().map(|(name, description, parameters)| {
                json!({"name": name, "description": description, "parameters": parameters})
            });
            json!({
                "systemInstruction": {"parts": [{"text": system}]}, "contents": contents,
                "tools": [{"functionDeclarations": declarations}],
                "generationConfig": {"temperature": 0.7, "maxOutputTokens": 1024},
            })
        }
    }
    .to_string()
}

/// Name, description and parameters.
fn tools() -> [(&'static str, &'static str, Value); 2] {
    [
        (
            "get_weather",
            "Get the weather forecast for a city.",
            json!({"type": "object", "properties": {
                "city": {"type": "string", "description": "City name, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "array", "items": {"type": "integer"}}}, "required": ["city"]}),
        ),
        (
            "search_docs",
            "Full-text search in the product documentation.",
            json!({"type": "object", "properties": {
                "query": {"type": "string", "description": "The search query"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 50}}, "required": ["query"]}),
        ),
    ]
}

/// Whether the upstream got what [`body`] says, in whichever dialect. `Err` says what is missing.
pub fn check(wire: Wire, body: &[u8]) -> Result<(), String> {
    let request: Value =
        serde_json::from_slice(body).map_err(|error| format!("request is not JSON: {error}"))?;
    let length = |pointer: &str| {
        request
            .pointer(pointer)
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    // A gateway may merge the two neighbouring user messages.
    let (turns, least) = match wire {
        Wire::Chat => ("/messages", 4),
        Wire::Messages => ("/messages", 3),
        Wire::Gemini => ("/contents", 3),
    };
    if length(turns) < least {
        return Err(format!(
            "only {} of at least {least} in {turns}",
            length(turns)
        ));
    }
    let (instructions, tools, schema) = match wire {
        Wire::Chat => (
            &["/messages/0/content"][..],
            "/tools",
            &["/tools/0/function/parameters/properties/city"][..],
        ),
        Wire::Messages => (
            &["/system"][..],
            "/tools",
            &["/tools/0/input_schema/properties/city"][..],
        ),
        Wire::Gemini => (
            &["/systemInstruction/parts", "/system_instruction/parts"][..],
            "/tools/0/functionDeclarations",
            &[
                "/tools/0/functionDeclarations/0/parameters/properties/city",
                "/tools/0/functionDeclarations/0/parametersJsonSchema/properties/city",
            ][..],
        ),
    };
    let has = |pointers: &[&str]| {
        pointers
            .iter()
            .any(|pointer| request.pointer(pointer).is_some())
    };
    if !has(instructions) {
        return Err("instructions lost".into());
    }
    if wire == Wire::Chat
        && !matches!(
            request["messages"][0]["role"].as_str(),
            Some("system" | "developer")
        )
    {
        return Err("the first message is not the instructions".into());
    }
    if length(tools) != 2 {
        return Err(format!("{} tools, not 2", length(tools)));
    }
    if !has(schema) {
        return Err("tool schema lost".into());
    }
    if wire == Wire::Messages && request["max_tokens"].as_u64().is_none() {
        return Err("no max_tokens".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_wanted_size_and_pass_their_own_check() {
        for wire in Wire::ALL {
            for bytes in [2048, 200_000] {
                let request = body(wire, bytes, true, "m");
                assert!(
                    request.len().abs_diff(bytes) < bytes / 4,
                    "{wire:?} {bytes}: {}",
                    request.len()
                );
                check(wire, request.as_bytes()).unwrap();
            }
        }
    }

    #[test]
    fn a_damaged_request_is_noticed() {
        for wire in Wire::ALL {
            let request: Value = serde_json::from_str(&body(wire, 2048, false, "m")).unwrap();
            let fields: &[&str] = match wire {
                Wire::Chat => &["messages", "tools"],
                Wire::Messages => &["messages", "tools", "system", "max_tokens"],
                Wire::Gemini => &["contents", "tools", "systemInstruction"],
            };
            for field in fields {
                let mut damaged = request.clone();
                damaged.as_object_mut().unwrap().remove(*field);
                assert!(
                    check(wire, damaged.to_string().as_bytes()).is_err(),
                    "{wire:?} without {field}"
                );
            }
        }
    }
}
