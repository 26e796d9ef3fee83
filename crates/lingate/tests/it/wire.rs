//! The four dialects as bytes, written by hand: what a client asks, what a vendor answers, and what a client makes of it.
//!
//! Nothing of the gateway is used here: a judge shares no mistakes with the judged.

use lingate_testkit::client::Answer;
use serde_json::{Value, json};

/// What every healthy answer says.
pub(crate) const TEXT: &str = "Hello there, friend";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Messages,
    Gemini,
    Responses,
}

impl Dialect {
    pub(crate) const ALL: [Self; 4] = [Self::Chat, Self::Messages, Self::Gemini, Self::Responses];

    /// The provider of the test world that speaks this dialect alone.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Chat => "up-chat",
            Self::Messages => "up-messages",
            Self::Gemini => "up-gemini",
            Self::Responses => "up-responses",
        }
    }

    /// The usual path of a request for an answer.
    pub(crate) fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions".to_owned(),
            (Self::Messages, _) => "/v1/messages".to_owned(),
            (Self::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Gemini, true) => {
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
            }
            (Self::Responses, _) => "/v1/responses".to_owned(),
        }
    }

    /// A small request that everybody understands.
    pub(crate) fn request(self, model: &str, stream: bool) -> Value {
        match self {
            Self::Chat => {
                json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
            }
            Self::Messages => {
                json!({"model": model, "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
            }
            Self::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
            Self::Responses => json!({"model": model, "stream": stream, "input": "Hi"}),
        }
    }

    /// A vendor's whole answer that says [`TEXT`].
    pub(crate) fn whole(self) -> Value {
        match self {
            Self::Chat => {
                json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-vendor",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
            }
            Self::Messages => {
                json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m-vendor",
                "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 4}})
            }
            Self::Gemini => {
                json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": TEXT}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}, "modelVersion": "m-vendor"})
            }
            Self::Responses => response("completed", Some(TEXT)),
        }
    }

    /// A vendor's whole answer that ends of itself and says nothing.
    pub(crate) fn empty_whole(self) -> Value {
        let mut answer = self.whole();
        match self {
            Self::Chat => answer["choices"][0]["message"]["content"] = json!(""),
            Self::Messages => answer["content"] = json!([]),
            Self::Gemini => answer["candidates"][0]["content"] = json!({"role": "model"}),
            Self::Responses => answer["output"] = json!([]),
        }
        answer
    }

    /// The same as a stream.
    pub(crate) fn empty_events(self) -> Vec<String> {
        match self {
            Self::Chat | Self::Messages => {
                let events = self.events();
                let (begin, end) = (events.first(), events.get(self.finish()..));
                begin
                    .into_iter()
                    .chain(end.into_iter().flatten())
                    .cloned()
                    .collect()
            }
            Self::Gemini => vec![data(&self.empty_whole())],
            Self::Responses => {
                let mut events = self.events();
                events.truncate(2);
                let event = json!({"type": "response.completed", "sequence_number": 2, "response": self.empty_whole()});
                events.push(format!("event: response.completed\n{}", data(&event)));
                events
            }
        }
    }

    /// A vendor's streamed answer that says [`TEXT`], event by event. [`Self::opening`] of them come before any content.
    pub(crate) fn events(self) -> Vec<String> {
        let words = ["Hello ", "there, ", "friend"];
        let mut events = Vec::new();
        match self {
            Self::Chat => {
                let chunk = |delta: Value, finish: Value| {
                    data(
                        &json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-vendor",
                        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}),
                    )
                };
                events.push(chunk(
                    json!({"role": "assistant", "content": ""}),
                    Value::Null,
                ));
                for word in words {
                    events.push(chunk(json!({"content": word}), Value::Null));
                }
                events.push(chunk(json!({}), json!("stop")));
                events.push("data: [DONE]\n\n".to_owned());
            }
            Self::Messages => {
                let mut push = |event: Value| {
                    let name = event["type"].as_str().unwrap().to_owned();
                    events.push(format!("event: {name}\n{}", data(&event)));
                };
                push(
                    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-vendor",
                    "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1}}}),
                );
                push(
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                );
                for word in words {
                    push(
                        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}),
                    );
                }
                push(json!({"type": "content_block_stop", "index": 0}));
                push(
                    json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 4}}),
                );
                push(json!({"type": "message_stop"}));
            }
            Self::Gemini => {
                for (place, word) in words.into_iter().enumerate() {
                    let mut chunk = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": word}]}}],
                        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": place + 1, "totalTokenCount": place + 4}, "modelVersion": "m-vendor"});
                    if place == 2 {
                        chunk["candidates"][0]["finishReason"] = json!("STOP");
                    }
                    events.push(data(&chunk));
                }
            }
            Self::Responses => {
                let place = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
                let part = |key: &str, value: Value| {
                    let mut event = place.clone();
                    event[key] = value;
                    event
                };
                let item = |text| json!({"output_index": 0, "item": message(text)});
                let mut push = |name: &str, mut event: Value| {
                    event["type"] = name.into();
                    event["sequence_number"] = events.len().into();
                    events.push(format!("event: {name}\n{}", data(&event)));
                };
                let begun = json!({"response": response("in_progress", None)});
                push("response.created", begun.clone());
                push("response.in_progress", begun);
                push("response.output_item.added", item(None));
                push("response.content_part.added", part("part", output_text("")));
                for word in words {
                    let mut event = part("delta", word.into());
                    event["logprobs"] = json!([]);
                    push("response.output_text.delta", event);
                }
                push("response.output_text.done", part("text", TEXT.into()));
                push(
                    "response.content_part.done",
                    part("part", output_text(TEXT)),
                );
                push("response.output_item.done", item(Some(TEXT)));
                push(
                    "response.completed",
                    json!({"response": response("completed", Some(TEXT))}),
                );
            }
        }
        events
    }

    /// How many of [`Self::events`] come before the first content.
    pub(crate) fn opening(self) -> usize {
        match self {
            Self::Chat => 1,
            Self::Messages => 2,
            Self::Gemini => 0,
            Self::Responses => 4,
        }
    }

    /// The number of the event that carries the reason of the end.
    pub(crate) fn finish(self) -> usize {
        match self {
            Self::Chat => 4,
            Self::Messages => 6,
            Self::Gemini => 2,
            Self::Responses => 10,
        }
    }

    /// A vendor's error, as the body of an answer.
    pub(crate) fn error(self, status: u16, message: &str) -> String {
        let body = match self {
            Self::Chat => {
                json!({"error": {"message": message, "type": "vendor_error", "param": null, "code": null}})
            }
            Self::Messages => {
                let kind = match status {
                    401 => "authentication_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    429 => "rate_limit_error",
                    529 => "overloaded_error",
                    400..=499 => "invalid_request_error",
                    _ => "api_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": message}})
            }
            Self::Gemini => {
                let kind = match status {
                    401 => "UNAUTHENTICATED",
                    403 => "PERMISSION_DENIED",
                    404 => "NOT_FOUND",
                    429 => "RESOURCE_EXHAUSTED",
                    503 => "UNAVAILABLE",
                    400..=499 => "INVALID_ARGUMENT",
                    _ => "INTERNAL",
                };
                json!({"error": {"code": status, "message": message, "status": kind}})
            }
            Self::Responses => {
                let (kind, code) = match status {
                    401 => ("invalid_request_error", Some("invalid_api_key")),
                    429 => ("requests", Some("rate_limit_exceeded")),
                    400..=499 => ("invalid_request_error", None),
                    _ => ("server_error", Some("server_error")),
                };
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
        };
        body.to_string()
    }

    /// A vendor's error in the middle of a stream.
    pub(crate) fn error_event(self, message: &str) -> String {
        let error = self.error(500, message);
        match self {
            Self::Chat | Self::Gemini => format!("data: {error}\n\n"),
            Self::Messages => format!("event: error\ndata: {error}\n\n"),
            Self::Responses => failed("server_error", message),
        }
    }

    /// The text of a whole answer, which must have this dialect's form.
    pub(crate) fn said(self, answer: &Answer) -> String {
        let body = answer.json();
        let text = match self {
            Self::Chat => &body["choices"][0]["message"]["content"],
            Self::Messages => &body["content"][0]["text"],
            Self::Gemini => &body["candidates"][0]["content"]["parts"][0]["text"],
            Self::Responses => {
                assert_eq!(body["object"], "response", "{}", answer.text());
                assert_eq!(body["status"], "completed", "{}", answer.text());
                counted(&body);
                &body["output"][0]["content"][0]["text"]
            }
        };
        let text = text.as_str();
        assert!(
            text.is_some(),
            "no {self:?} answer: {} {}",
            answer.status,
            answer.text()
        );
        text.unwrap_or_default().to_owned()
    }

    /// The message of an error answer, which must have this dialect's form in every detail.
    pub(crate) fn refusal(self, answer: &Answer) -> String {
        let body = answer.json();
        let error = &body["error"];
        let shown = || format!("{self:?}: {} {}", answer.status, answer.text());
        assert!(answer.status >= 400, "{}", shown());
        assert!(answer.complete, "{}", shown());
        assert!(
            answer
                .header("content-type")
                .starts_with("application/json"),
            "{} {:?}",
            shown(),
            answer.headers
        );
        match self {
            Self::Chat => assert!(error["type"].is_string(), "{}", shown()),
            Self::Messages => {
                assert_eq!(body["type"], "error", "{}", shown());
                assert!(error["type"].is_string(), "{}", shown());
            }
            Self::Gemini => {
                assert_eq!(error["code"], answer.status, "{}", shown());
                assert!(error["status"].is_string(), "{}", shown());
            }
            Self::Responses => {
                assert!(error["type"].is_string(), "{}", shown());
                for key in ["param", "code"] {
                    let value = error.get(key).unwrap_or_else(|| panic!("{}", shown()));
                    assert!(value.is_null() || value.is_string(), "{}", shown());
                }
            }
        }
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{}", shown());
        message.to_owned()
    }

    /// What a client makes of a stream of server-sent events. Panics where an official SDK would stumble.
    pub(crate) fn listen(self, answer: &Answer) -> Heard {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(
            answer
                .header("content-type")
                .starts_with("text/event-stream"),
            "{:?}",
            answer.headers
        );
        self.hear(&answer.text())
    }

    /// The same for the bytes alone.
    pub(crate) fn hear(self, stream: &str) -> Heard {
        let mut heard = Heard::default();
        let mut first = true;
        for frame in stream.split("\n\n") {
            let lines: Vec<&str> = frame.lines().filter(|line| !line.is_empty()).collect();
            if lines.is_empty() {
                continue;
            }
            if lines.iter().all(|line| line.starts_with(':')) {
                assert_ne!(
                    self,
                    Self::Gemini,
                    "Google's SDK breaks on comments: {stream}"
                );
                heard.heartbeats += 1;
                continue;
            }
            assert_eq!(heard.error, None, "something follows an error: {stream}");
            assert!(!heard.over, "something follows the end: {stream}");
            let name = lines.iter().find_map(|line| line.strip_prefix("event: "));
            let payload = lines.iter().find_map(|line| line.strip_prefix("data: "));
            let payload = payload.unwrap_or_else(|| panic!("a frame without data: {frame:?}"));
            if payload == "[DONE]" {
                assert_eq!(self, Self::Chat, "only Chat says [DONE]: {stream}");
                assert!(heard.clean, "[DONE] without a finish reason: {stream}");
                heard.over = true;
                continue;
            }
            let payload: Value = serde_json::from_str(payload)
                .unwrap_or_else(|error| panic!("{error}: {frame:?} in {stream}"));
            let ping = self == Self::Messages && payload["type"] == "ping";
            match self {
                Self::Chat => heard.chat(&payload, name),
                Self::Messages => heard.messages(&payload, name, first),
                Self::Gemini => heard.gemini(&payload, name),
                Self::Responses => heard.responses(payload, name),
            }
            first &= ping;
        }
        if self == Self::Chat && heard.clean {
            assert!(heard.over, "no [DONE]: {stream}");
        }
        heard
    }
}

/// An event stream as a client understood it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) text: String,
    /// The message of the error that ended it.
    pub(crate) error: Option<String>,
    /// It came to an end that a client takes for a complete answer.
    pub(crate) clean: bool,
    pub(crate) heartbeats: usize,
    /// The code of the error, where the dialect has one.
    pub(crate) code: Option<String>,
    over: bool,
    /// The events of Responses, which refer to each other.
    told: Vec<Value>,
}

impl Heard {
    /// It failed in a way that no client takes for success.
    pub(crate) fn failed(&self) -> &str {
        assert!(!self.clean, "a clean finish: {self:?}");
        self.error
            .as_deref()
            .unwrap_or_else(|| panic!("neither an end nor an error: {self:?}"))
    }

    fn chat(&mut self, payload: &Value, name: Option<&str>) {
        assert_eq!(name, None, "Chat's events have no names");
        if payload.get("error").is_some() {
            return self.fail(&payload["error"]);
        }
        let choices = payload["choices"].as_array();
        for choice in choices.unwrap_or_else(|| panic!("no choices: {payload}")) {
            assert!(choice["index"].is_u64(), "{payload}");
            self.text
                .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            self.clean |= choice["finish_reason"].is_string();
        }
    }

    fn messages(&mut self, payload: &Value, name: Option<&str>, first: bool) {
        let kind = payload["type"].as_str().unwrap_or_default();
        assert_eq!(
            name,
            Some(kind),
            "the event's name is its type's: {payload}"
        );
        match kind {
            "error" => return self.fail(&payload["error"]),
            "ping" => {
                self.heartbeats += 1;
                return;
            }
            "message_start" => assert!(
                payload["message"]["usage"]["input_tokens"].is_u64(),
                "{payload}"
            ),
            "content_block_delta" => self
                .text
                .push_str(payload["delta"]["text"].as_str().unwrap_or_default()),
            "message_delta" => {
                assert!(payload["usage"]["output_tokens"].is_u64(), "{payload}");
            }
            "message_stop" => {
                self.clean = true;
                self.over = true;
            }
            "content_block_start" | "content_block_stop" => {}
            other => panic!("an event of the type {other}"),
        }
        assert_eq!(first, kind == "message_start", "{payload}");
    }

    fn gemini(&mut self, payload: &Value, name: Option<&str>) {
        assert_eq!(name, None, "Google's SDK breaks on named events");
        if payload.get("error").is_some() {
            assert!(payload["error"]["code"].is_u64(), "{payload}");
            assert!(payload["error"]["status"].is_string(), "{payload}");
            return self.fail(&payload["error"]);
        }
        let candidate = &payload["candidates"][0];
        let text = candidate["content"]["parts"][0]["text"].as_str();
        self.text.push_str(text.unwrap_or_default());
        self.clean |= candidate["finishReason"].is_string();
    }

    /// As strict as OpenAI's SDK, which keeps the answer as it grows, and Codex, which believes the items that are done.
    fn responses(&mut self, payload: Value, name: Option<&str>) {
        let kind = payload["type"].as_str().unwrap_or_default().to_owned();
        assert_eq!(name, Some(kind.as_str()), "{payload}");
        let number = payload["sequence_number"].as_u64();
        assert!(number.is_some(), "no number: {payload}");
        match self.told.last() {
            None => assert_eq!(kind, "response.created", "first comes {payload}"),
            Some(last) => {
                assert_ne!(kind, "response.created", "begun twice: {payload}");
                // What is told again may keep its number.
                let again = kind == "response.in_progress" || *last == payload;
                let before = last["sequence_number"].as_u64();
                assert!(
                    number > before || (again && number == before),
                    "{last} comes before {payload}"
                );
            }
        }
        let response = &payload["response"];
        if !response.is_null() {
            let first = self.told.first().unwrap_or(&payload);
            assert_eq!(response["id"], first["response"]["id"], "{payload}");
        }
        let told = |kind: &str, keys: &[&str]| {
            let same = |event: &&Value| keys.iter().all(|key| event[key] == payload[key]);
            let mut of_kind = self.told.iter().filter(|event| event["type"] == kind);
            of_kind.any(|event| same(&event))
        };
        match kind.as_str() {
            "response.created" => assert_eq!(response["status"], "in_progress"),
            "response.in_progress" => self.heartbeats += 1,
            "response.output_item.added" => {
                assert!(!told(&kind, &["output_index"]), "added twice: {payload}");
                // OpenAI's reasoning has none.
                if payload["item"]["type"] == "message" {
                    assert_eq!(payload["item"]["status"], "in_progress", "{payload}");
                }
            }
            "response.content_part.added" => {
                assert!(told("response.output_item.added", &["output_index"]));
            }
            "response.output_text.delta"
            | "response.output_text.done"
            | "response.content_part.done" => {
                let place = ["item_id", "output_index", "content_index"];
                let part = "response.content_part.added";
                assert!(told(part, &place), "a part of nothing: {payload}");
                if kind.ends_with("delta") {
                    let delta = payload["delta"].as_str();
                    self.text.push_str(delta.expect("a text"));
                }
            }
            "response.output_item.done" => {
                assert!(told("response.output_item.added", &["output_index"]));
                let item = &payload["item"];
                if item["type"] == "message" {
                    assert_eq!(item["content"][0]["text"], self.text, "{payload}");
                }
            }
            "response.completed" => {
                assert_eq!(response["status"], "completed", "{payload}");
                counted(response);
                let done = self
                    .told
                    .iter()
                    .filter(|event| event["type"] == "response.output_item.done")
                    .map(|event| event["item"].clone());
                assert_eq!(response["output"], done.collect::<Value>(), "{payload}");
                (self.clean, self.over) = (true, true);
            }
            "response.failed" => {
                assert_eq!(response["status"], "failed", "{payload}");
                let code = response["error"]["code"].as_str();
                self.code = Some(code.expect("a code").to_owned());
                self.fail(&response["error"]);
            }
            // A vendor's own, which Codex passes over: the answer that failed is to follow.
            "error" => assert!(payload["message"].is_string(), "{payload}"),
            // The thought of some models, which the tests of anti-truncation tell.
            other if other.starts_with("response.reasoning_summary_") => {
                assert!(told("response.output_item.added", &["output_index"]));
            }
            other => panic!("an event of the type {other}"),
        }
        self.told.push(payload);
    }

    fn fail(&mut self, error: &Value) {
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "an error without a message: {error}");
        self.error = Some(message.to_owned());
    }
}

/// A response object of a vendor; one that is complete says this.
fn response(status: &str, says: Option<&str>) -> Value {
    let output: Vec<Value> = says.map(|text| message(Some(text))).into_iter().collect();
    let usage = says.map(|_| {
        json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7})
    });
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null, "incomplete_details": null,
    "instructions": null, "metadata": {}, "model": "m-vendor", "output": output, "parallel_tool_calls": true,
    "previous_response_id": null, "store": true, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
    "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": usage})
}

/// The item that says this, or that begins.
fn message(text: Option<&str>) -> Value {
    let content: Vec<Value> = text.map(output_text).into_iter().collect();
    let status = if text.is_some() {
        "completed"
    } else {
        "in_progress"
    };
    json!({"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": content})
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The response object of an answer that failed.
pub(crate) fn failed_response(code: &str, message: &str) -> Value {
    let mut response = response("failed", None);
    response["error"] = json!({"code": code, "message": message});
    response
}

/// The event of Responses that ends an answer that failed.
pub(crate) fn failed(code: &str, message: &str) -> String {
    let response = failed_response(code, message);
    let event = json!({"type": "response.failed", "sequence_number": 90, "response": response});
    format!("event: response.failed\n{}", data(&event))
}

/// OpenAI's other form of an error in a stream.
pub(crate) fn flat_error(code: &str, message: &str) -> String {
    let event = json!({"type": "error", "sequence_number": 89, "code": code, "message": message, "param": null});
    format!("event: error\n{}", data(&event))
}

/// Codex loses the answer where one of these is missing.
fn counted(response: &Value) {
    for at in [
        "/input_tokens",
        "/input_tokens_details/cached_tokens",
        "/output_tokens",
        "/output_tokens_details/reasoning_tokens",
        "/total_tokens",
    ] {
        let number = response["usage"].pointer(at);
        assert!(number.is_some_and(Value::is_u64), "no {at}: {response}");
    }
}

/// One event without a name.
pub(crate) fn data(payload: &Value) -> String {
    format!("data: {payload}\n\n")
}
