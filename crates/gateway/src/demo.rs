//! The demo provider: a made-up model that speaks Chat, so that every door and client can be tried without an account.
//!
//! It says in each answer that it is the demo, streams word by word, calls the first tool that it is given, and stops at the
//! limit of tokens that it is told. A word counts as a token.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use lingate_dialect::json::{Fields, Node, Object};
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};

/// Between two words of a streamed answer.
const PACE: Duration = Duration::from_millis(15);

/// A demo answer on its way: frames, one at a time.
pub(crate) struct DemoBody {
    frames: VecDeque<Bytes>,
    timer: Pin<Box<Sleep>>,
}

impl DemoBody {
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.frames.is_empty() {
            return Poll::Ready(None);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer.as_mut().reset(Instant::now() + PACE);
        Poll::Ready(self.frames.pop_front())
    }
}

/// Answers a Chat request body.
pub(crate) fn answer(body: &[u8], now: i64, id: &str) -> DemoBody {
    let request = Node::parse(body).and_then(Node::fields).unwrap_or_default();
    let stream = request.get("stream").and_then(Node::bool).unwrap_or(false);
    let include_usage = request
        .get("stream_options")
        .and_then(|options| options.fields().ok()?.get("include_usage")?.bool())
        .unwrap_or(false);
    let said = Said::about(&request);
    let frames = if stream {
        said.stream(now, id, include_usage)
    } else {
        VecDeque::from([said.whole(now, id)])
    };
    DemoBody {
        frames,
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
    }
}

/// The headers that a provider would send with [`answer`].
pub(crate) fn headers(stream: bool) -> HeaderMap {
    let kind = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))])
}

/// What the demo says.
struct Said {
    model: String,
    text: Vec<String>,
    call: Option<(String, String)>,
    cut: bool,
    prompt_tokens: u64,
}

impl Said {
    fn about(request: &Fields<'_>) -> Self {
        let messages = request
            .get("messages")
            .and_then(|messages| messages.elements().ok())
            .unwrap_or_default();
        let last = messages
            .last()
            .and_then(|message| message.fields().ok())
            .unwrap_or_default();
        let role = last.get("role").and_then(Node::text).unwrap_or_default();
        let words = last.get("content").map(words_of).unwrap_or_default();
        let prompt_tokens = messages
            .iter()
            .filter_map(|message| message.fields().ok()?.get("content").map(words_of))
            .map(|words| words.split_whitespace().count() as u64)
            .sum::<u64>()
            + 3;
        let limit = ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|key| request.get(key).and_then(Node::u64))
            .unwrap_or(u64::MAX);
        let model = request
            .get("model")
            .and_then(Node::text)
            .unwrap_or_default()
            .into_owned();

        let tools = request
            .get("tools")
            .and_then(|tools| tools.elements().ok())
            .unwrap_or_default();
        let forbidden = request.get("tool_choice").and_then(Node::text).as_deref() == Some("none");
        let call = tools
            .first()
            .filter(|_| role != "tool" && !forbidden)
            .and_then(|tool| {
                let function = tool.fields().ok()?.get("function")?.fields().ok()?;
                let schema = function
                    .get("parameters")
                    .and_then(|schema| serde_json::from_str::<Value>(schema.raw()).ok())
                    .unwrap_or(Value::Null);
                Some((
                    function.get("name")?.text()?.into_owned(),
                    example(&schema, 0).to_string(),
                ))
            });
        let schema = request.get("response_format").and_then(|format| {
            let format = format.fields().ok()?;
            let schema = format
                .get("json_schema")
                .and_then(|schema| schema.fields().ok()?.get("schema"));
            match schema {
                Some(schema) => serde_json::from_str::<Value>(schema.raw()).ok(),
                None => (format.get("type")?.text()? == "json_object").then(
                    || json!({"type": "object", "properties": {"demo": {"type": "boolean"}}}),
                ),
            }
        });
        let text = match (&call, schema) {
            (Some(_), _) => String::new(),
            (None, Some(schema)) => example(&schema, 0).to_string(),
            (None, None) if role == "tool" => {
                format!("This is Lingate's demo. Your tool answered: {words}")
            }
            (None, None) => format!(
                "This is Lingate's demo, not a model: no provider key is configured. You said: \"{words}\". Set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY and restart to talk to a real one."
            ),
        };
        let mut pieces: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let cut = pieces.len() as u64 > limit;
        pieces.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Self {
            model,
            text: pieces,
            call,
            cut,
            prompt_tokens,
        }
    }

    fn finish(&self) -> &'static str {
        match (&self.call, self.cut) {
            (Some(_), _) => "tool_calls",
            (None, true) => "length",
            (None, false) => "stop",
        }
    }

    fn usage(&self) -> Value {
        let completion = self.text.len() as u64 + self.call.as_ref().map_or(0, |_| 8);
        json!({"prompt_tokens": self.prompt_tokens, "completion_tokens": completion, "total_tokens": self.prompt_tokens + completion})
    }

    fn whole(&self, now: i64, id: &str) -> Bytes {
        let mut message = json!({"role": "assistant", "content": self.text.concat()});
        if let Some((name, arguments)) = &self.call {
            message["content"] = Value::Null;
            message["tool_calls"] = json!([{"id": format!("call_{id}"), "type": "function", "function": {"name": name, "arguments": arguments}}]);
        }
        let answer = json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": now, "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish(), "logprobs": null}],
            "usage": self.usage(),
        });
        Bytes::from(answer.to_string())
    }

    /// `include_usage`: ends with a chunk that has usage and no choice. Clients that did not ask for it fail on one.
    fn stream(&self, now: i64, id: &str, include_usage: bool) -> VecDeque<Bytes> {
        let chunk = |choices: Value, usage: Value| {
            let mut frame = b"data: ".to_vec();
            {
                let mut object = Object::new(&mut frame);
                object.string("id", &format!("chatcmpl-{id}"));
                object.string("object", "chat.completion.chunk");
                object.i64("created", now);
                object.string("model", &self.model);
                object
                    .value("choices")
                    .extend_from_slice(choices.to_string().as_bytes());
                object
                    .value("usage")
                    .extend_from_slice(usage.to_string().as_bytes());
            }
            frame.extend_from_slice(b"\n\n");
            Bytes::from(frame)
        };
        let delta = |delta: Value, finish: Value| {
            chunk(
                json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
                Value::Null,
            )
        };
        let mut frames = VecDeque::from([delta(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )]);
        frames.extend(
            self.text
                .iter()
                .map(|piece| delta(json!({"content": piece}), Value::Null)),
        );
        if let Some((name, arguments)) = &self.call {
            let start = json!({"tool_calls": [{"index": 0, "id": format!("call_{id}"), "type": "function", "function": {"name": name, "arguments": ""}}]});
            frames.push_back(delta(start, Value::Null));
            frames.push_back(delta(
                json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}),
                Value::Null,
            ));
        }
        frames.push_back(delta(json!({}), json!(self.finish())));
        if include_usage {
            frames.push_back(chunk(json!([]), self.usage()));
        }
        frames.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        frames
    }
}

/// The words of a message's content, text or parts.
fn words_of(content: Node<'_>) -> String {
    if let Some(text) = content.text() {
        return text.into_owned();
    }
    let parts = content.elements().unwrap_or_default();
    let said = parts.into_iter().filter_map(|part| {
        let fields = part.fields().ok()?;
        match fields.get("text").and_then(Node::text) {
            Some(text) => Some(text.into_owned()),
            None => Some(format!("[{}]", fields.get("type")?.text()?)),
        }
    });
    said.collect::<Vec<_>>().join(" ")
}

/// A value that fits a JSON Schema: its first choice everywhere.
fn example(schema: &Value, depth: u8) -> Value {
    if depth > 8 {
        return Value::Null;
    }
    if let Some(value) = schema
        .get("const")
        .or_else(|| schema.get("enum").and_then(|values| values.get(0)))
    {
        return value.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"]
        .iter()
        .find_map(|key| schema.get(key)?.get(0))
    {
        return example(first, depth + 1);
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.iter().find_map(Value::as_str).unwrap_or("null"),
        _ => "object",
    };
    match kind {
        "string" => json!("demo"),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "array" => json!([example(
            schema.get("items").unwrap_or(&Value::Null),
            depth + 1
        )]),
        "null" => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            Value::Object(
                properties
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| (name.clone(), example(schema, depth + 1)))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Value) -> Value {
        let body = body.to_string();
        let request = Node::parse(body.as_bytes()).and_then(Node::fields).unwrap();
        serde_json::from_slice(&Said::about(&request).whole(1, "x")).unwrap()
    }

    #[test]
    fn says_that_it_is_the_demo_and_honours_the_limit() {
        let whole =
            ask(&json!({"model": "demo", "messages": [{"role": "user", "content": "Hi there"}]}));
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.starts_with("This is Lingate's demo") && text.contains("Hi there"));
        let cut = ask(
            &json!({"model": "demo", "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}]}),
        );
        assert_eq!(
            cut["choices"][0]["message"]["content"],
            "This is Lingate's "
        );
        assert_eq!(cut["choices"][0]["finish_reason"], "length");
        assert_eq!(cut["usage"]["completion_tokens"], 3);
    }

    #[test]
    fn calls_its_first_tool_with_arguments_that_fit() {
        let tool = json!({"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}, "unit": {"enum": ["c", "f"]}}}}});
        let whole = ask(
            &json!({"model": "demo", "tools": [tool], "messages": [{"role": "user", "content": "Hi"}]}),
        );
        let call = &whole["choices"][0]["message"]["tool_calls"][0]["function"];
        assert_eq!(call["name"], "get_weather");
        assert_eq!(call["arguments"], r#"{"city":"demo","days":2,"unit":"c"}"#);
        assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
        let after = ask(
            &json!({"model": "demo", "tools": [tool], "messages": [{"role": "tool", "content": "21 degrees"}]}),
        );
        assert_eq!(
            after["choices"][0]["message"]["content"],
            "This is Lingate's demo. Your tool answered: 21 degrees"
        );
    }
}
