//! The three dialects as bytes, written by hand: what a client asks, what a vendor answers, and what a client makes of it.
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
}

impl Dialect {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Gemini];

    /// The provider of the test world that speaks this dialect alone.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Chat => "up-chat",
            Self::Messages => "up-messages",
            Self::Gemini => "up-gemini",
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
        }
        events
    }

    /// How many of [`Self::events`] come before the first content.
    pub(crate) fn opening(self) -> usize {
        match self {
            Self::Chat => 1,
            Self::Messages => 2,
            Self::Gemini => 0,
        }
    }

    /// The number of the event that carries the reason of the end.
    pub(crate) fn finish(self) -> usize {
        match self {
            Self::Chat => 4,
            Self::Messages => 6,
            Self::Gemini => 2,
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
        };
        body.to_string()
    }

    /// A vendor's error in the middle of a stream.
    pub(crate) fn error_event(self, message: &str) -> String {
        let error = self.error(500, message);
        match self {
            Self::Chat | Self::Gemini => format!("data: {error}\n\n"),
            Self::Messages => format!("event: error\ndata: {error}\n\n"),
        }
    }

    /// The text of a whole answer, which must have this dialect's form.
    pub(crate) fn said(self, answer: &Answer) -> String {
        let body = answer.json();
        let text = match self {
            Self::Chat => &body["choices"][0]["message"]["content"],
            Self::Messages => &body["content"][0]["text"],
            Self::Gemini => &body["candidates"][0]["content"]["parts"][0]["text"],
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
            match self {
                Self::Chat => heard.chat(&payload, name),
                Self::Messages => heard.messages(&payload, name, first),
                Self::Gemini => heard.gemini(&payload, name),
            }
            first &= self == Self::Messages && payload["type"] == "ping";
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
    over: bool,
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

    fn fail(&mut self, error: &Value) {
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "an error without a message: {error}");
        self.error = Some(message.to_owned());
    }
}

/// One event without a name.
pub(crate) fn data(payload: &Value) -> String {
    format!("data: {payload}\n\n")
}
