//! Streams as they are written, and what is read of that again.

use serde_json::Value;

use super::{fixtures, reply};
use crate::chat::Chat;
use crate::chat::decoder::tests::show;
use crate::framing::{Frame, Framing};
use crate::hub::{Citation, Delta, Event, Finish, FinishReason, Open, Usage};
use crate::{ApiError, Dialect, ErrorKind, Reply};

fn events(text: &str) -> (Vec<Event>, bool) {
    let mut decoder = Chat.decoder();
    let mut out = Vec::new();
    for block in text.replace("\r\n", "\n").split("\n\n") {
        let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
        let data: Vec<&str> = lines.map(str::trim).collect();
        let data = data.join("\n");
        decoder
            .frame(
                &Frame {
                    event: "",
                    data: &data,
                },
                &mut out,
            )
            .unwrap();
    }
    let complete = decoder.end(&mut out);
    (out, complete)
}

fn write(events: &[Event], reply: &Reply, complete: bool) -> String {
    let mut encoder = Chat.encoder(reply, Framing::Sse);
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    if complete {
        encoder.finish(&mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn a_stream_written_and_read_again_is_the_same() {
    for (name, text) in fixtures("streams") {
        let (first, complete) = events(&text);
        let broken = ["cut", "error", "done_alone"];
        let broken = broken.iter().any(|begin| name.starts_with(begin));
        assert_eq!(complete, !broken, "{name}");
        let written = write(&first, &reply(), complete);
        let (second, still) = events(&written);
        assert_eq!(still, complete, "{name}");
        let tidy = |events: &[Event]| {
            // Usage is told at the end, and the model as it was asked for.
            let mut events: Vec<Event> = events.to_vec();
            let usage = events
                .iter()
                .rev()
                .find(|event| matches!(event, Event::Usage(_)))
                .cloned();
            events.retain(|event| {
                !matches!(
                    event,
                    Event::Start { .. } | Event::Usage(_) | Event::ServiceTier(_)
                )
            });
            events.extend(usage);
            show(&events)
        };
        // An empty object is told in place of no arguments.
        if name != "tool_call_without_arguments.sse" {
            assert_eq!(tidy(&first), tidy(&second), "{name}");
        }
    }
}

/// The payloads of the chunks: the choices, or whatever there is in their place.
fn payloads(written: &str) -> Vec<String> {
    written
        .split("\n\n")
        .filter(|block| !block.is_empty())
        .map(|block| {
            let data = block.strip_prefix("data: ").unwrap();
            let Ok(chunk) = serde_json::from_str::<Value>(data) else {
                return data.to_owned();
            };
            if chunk["choices"].as_array().is_none_or(Vec::is_empty) {
                return chunk.to_string();
            }
            assert_eq!(chunk["id"], "chatcmpl-000000000000000000000000");
            assert_eq!(
                (&chunk["model"], &chunk["created"]),
                (&"asked".into(), &7.into())
            );
            chunk["choices"][0].to_string()
        })
        .collect()
}

fn start() -> Event {
    Event::Start {
        id: Some("msg_1".into()),
        model: "claude".into(),
        created: Some(7),
    }
}

fn open(index: u32, part: Open) -> Event {
    Event::Open {
        index,
        choice: 0,
        part,
    }
}

fn call(id: &str) -> Open {
    Open::ToolCall {
        id: id.into(),
        name: "f".into(),
        custom: false,
    }
}

fn delta(index: u32, delta: Delta) -> Event {
    Event::Delta { index, delta }
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish {
        choice: 0,
        finish: reason.into(),
    }
}

#[test]
fn chunks_come_in_the_order_of_openai() {
    let reply = Reply {
        include_usage: false,
        ..reply()
    };
    let stream = [
        start(),
        Event::Usage(Usage {
            input: 3,
            ..Usage::default()
        }),
        open(0, Open::Reasoning { redacted: false }),
        delta(0, Delta::Reasoning("hm".into())),
        Event::Close { index: 0 },
        open(1, Open::Text),
        delta(1, Delta::Text("a\"é".into())),
        delta(
            1,
            Delta::Citation(Citation {
                url: Some("https://a".into()),
                title: None,
                cited_text: None,
                span: None,
                source: None,
            }),
        ),
        Event::Close { index: 1 },
        open(2, call("x")),
        open(3, call("y")),
        delta(3, Delta::Arguments("{\"a\"".into())),
        Event::Close { index: 2 },
        delta(3, Delta::Arguments(":1}".into())),
        Event::Close { index: 3 },
        finish(FinishReason::Stop),
    ];
    assert_eq!(
        payloads(&write(&stream, &reply, true)),
        [
            r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"content":"a\"é"},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":3,"title":"https://a","url":"https://a"}}]},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"tool_calls":[{"index":1,"id":"y","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"a\""}}]},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":":1}"}}]},"finish_reason":null}"#,
            r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}"#,
            "[DONE]",
        ]
    );
}

#[test]
fn the_usage_comes_last_when_it_was_asked_for() {
    let stream = [
        start(),
        Event::Usage(Usage {
            input: 3,
            output: 4,
            cache_read: 2,
            reasoning: Some(1),
            ..Usage::default()
        }),
        Event::ServiceTier("priority".into()),
        finish(FinishReason::Length),
    ];
    let written = write(&stream, &reply(), true);
    assert_eq!(
        payloads(&written).split_off(1),
        [
            r#"{"index":0,"delta":{},"finish_reason":"length"}"#,
            r#"{"id":"chatcmpl-000000000000000000000000","object":"chat.completion.chunk","created":7,"model":"asked","choices":[],"service_tier":"priority","usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
            "[DONE]",
        ]
    );
    assert_eq!(written.matches(r#""usage":null"#).count(), 2);
}

#[test]
fn refusals_and_failures() {
    let refusal = Event::Finish {
        choice: 0,
        finish: Finish {
            message: Some("bio".into()),
            ..FinishReason::Refusal.into()
        },
    };
    assert_eq!(
        payloads(&write(&[start(), refusal], &reply(), true))
            .get(1..3)
            .unwrap(),
        [
            r#"{"index":0,"delta":{"refusal":"bio"},"finish_reason":null}"#,
            r#"{"index":0,"delta":{},"finish_reason":"content_filter"}"#,
        ]
    );
    let failure = Event::Error(ApiError::new(ErrorKind::Overloaded, "busy"));
    let error = r#"{"error":{"message":"busy","type":"service_unavailable_error","param":null,"code":"server_is_overloaded"}}"#;
    assert_eq!(
        payloads(&write(std::slice::from_ref(&failure), &reply(), true)),
        [error]
    );
    let stream = [start(), failure, finish(FinishReason::Stop)];
    assert_eq!(
        payloads(&write(&stream, &reply(), true)).split_off(1),
        [error]
    );
    // An answer that the vendor itself calls failed must not look whole.
    let failed = payloads(&write(
        &[start(), finish(FinishReason::Error)],
        &reply(),
        true,
    ));
    assert!(
        failed[1].starts_with(r#"{"error":{"message":"the upstream failed"#),
        "{failed:?}"
    );
    assert_eq!(failed.len(), 2);
}

#[test]
fn the_older_form_of_calls() {
    let reply = Reply {
        legacy_function_call: true,
        include_usage: false,
        ..reply()
    };
    let stream = [
        start(),
        open(0, call("x")),
        delta(0, Delta::Arguments("{}".into())),
        Event::Close { index: 0 },
        open(1, call("y")),
        Event::Close { index: 1 },
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(
        payloads(&write(&stream, &reply, true)).split_off(1),
        [
            r#"{"index":0,"delta":{"function_call":{"name":"f","arguments":""}},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"function_call":{"arguments":"{}"}},"finish_reason":null}"#,
            r#"{"index":0,"delta":{},"finish_reason":"function_call"}"#,
            "[DONE]",
        ]
    );
}
