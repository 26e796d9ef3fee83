//! How an answer ended, in the words of each dialect (protocols.md §3.9): every word of every vendor towards every client, whole and
//! streamed.

use lingate_dialect::framing::Framing;
use lingate_dialect::stream::{End, Outcome, Transcoder};
use lingate_dialect::{BadAnswer, DialectId, Losses, Mint, Reply, ToolChanges};
use serde_json::{Value, json};

/// What the answer holds beside its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Call,
    Nothing,
}
use Holds::{Call, Nothing, Text};

/// An upstream's word for its ending.
struct Row {
    upstream: DialectId,
    word: &'static str,
    holds: Holds,
    outcome: Outcome,
    /// In Chat, Messages, Gemini and Responses; `error`: not an answer.
    expect: [&'static str; 4],
}

const fn row(
    upstream: DialectId,
    word: &'static str,
    holds: Holds,
    outcome: Outcome,
    expect: [&'static str; 4],
) -> Row {
    Row {
        upstream,
        word,
        holds,
        outcome,
        expect,
    }
}

const STOP: [&str; 4] = ["stop", "end_turn", "STOP", "completed"];
const CALLS: [&str; 4] = ["tool_calls", "tool_use", "STOP", "completed"];
const LENGTH: [&str; 4] = ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"];
const FILTER: [&str; 4] = ["content_filter", "refusal", "SAFETY", "content_filter"];
const ERROR: [&str; 4] = ["error"; 4];

const ROWS: &[Row] = {
    use DialectId::{Chat, Gemini, Messages, Responses};
    use Outcome::{Complete, Length, Refusal, ToolUse, UpstreamError};
    &[
        row(Chat, "stop", Text, Complete, STOP),
        row(Chat, "stop", Call, ToolUse, CALLS),
        row(Chat, "tool_calls", Call, ToolUse, CALLS),
        row(Chat, "function_call", Call, ToolUse, CALLS),
        row(Chat, "length", Text, Length, LENGTH),
        row(Chat, "content_filter", Text, Refusal, FILTER),
        row(Chat, "sensitive", Text, Refusal, FILTER),
        row(Chat, "content_filtered", Text, Refusal, FILTER),
        row(Chat, "guardrail_intervened", Text, Refusal, FILTER),
        row(Chat, "network_error", Text, UpstreamError, ERROR),
        row(
            Chat,
            "insufficient_system_resource",
            Text,
            UpstreamError,
            ERROR,
        ),
        row(Chat, "error", Text, UpstreamError, ERROR),
        row(Messages, "end_turn", Text, Complete, STOP),
        row(
            Messages,
            "stop_sequence",
            Text,
            Complete,
            ["stop", "stop_sequence", "STOP", "completed"],
        ),
        row(Messages, "tool_use", Call, ToolUse, CALLS),
        row(Messages, "max_tokens", Text, Length, LENGTH),
        row(
            Messages,
            "model_context_window_exceeded",
            Text,
            Length,
            [
                "length",
                "model_context_window_exceeded",
                "MAX_TOKENS",
                "max_output_tokens",
            ],
        ),
        row(Messages, "refusal", Text, Refusal, FILTER),
        row(
            Messages,
            "pause_turn",
            Text,
            Complete,
            ["length", "pause_turn", "OTHER", "max_output_tokens"],
        ),
        row(Gemini, "STOP", Text, Complete, STOP),
        row(Gemini, "STOP", Call, ToolUse, CALLS),
        row(Gemini, "MAX_TOKENS", Text, Length, LENGTH),
        row(Gemini, "SAFETY", Text, Refusal, FILTER),
        row(
            Gemini,
            "PROHIBITED_CONTENT",
            Text,
            Refusal,
            [
                "content_filter",
                "refusal",
                "PROHIBITED_CONTENT",
                "content_filter",
            ],
        ),
        row(
            Gemini,
            "BLOCKLIST",
            Text,
            Refusal,
            ["content_filter", "refusal", "BLOCKLIST", "content_filter"],
        ),
        row(
            Gemini,
            "SPII",
            Text,
            Refusal,
            ["content_filter", "refusal", "SPII", "content_filter"],
        ),
        row(
            Gemini,
            "RECITATION",
            Text,
            Refusal,
            ["content_filter", "refusal", "RECITATION", "content_filter"],
        ),
        row(
            Gemini,
            "IMAGE_SAFETY",
            Text,
            Refusal,
            [
                "content_filter",
                "refusal",
                "IMAGE_SAFETY",
                "content_filter",
            ],
        ),
        row(
            Gemini,
            "LANGUAGE",
            Text,
            Refusal,
            ["content_filter", "refusal", "LANGUAGE", "content_filter"],
        ),
        row(
            Gemini,
            "OTHER",
            Text,
            Complete,
            ["stop", "end_turn", "OTHER", "completed"],
        ),
        row(Gemini, "OTHER", Nothing, UpstreamError, ERROR),
        row(
            Gemini,
            "MALFORMED_FUNCTION_CALL",
            Text,
            UpstreamError,
            ["error", "error", "MALFORMED_FUNCTION_CALL", "error"],
        ),
        row(
            Gemini,
            "MALFORMED_FUNCTION_CALL",
            Nothing,
            UpstreamError,
            ERROR,
        ),
        row(
            Gemini,
            "UNEXPECTED_TOOL_CALL",
            Nothing,
            UpstreamError,
            ERROR,
        ),
        row(
            Gemini,
            "CONTINUATION",
            Text,
            Length,
            ["length", "max_tokens", "CONTINUATION", "max_output_tokens"],
        ),
        row(Responses, "completed", Text, Complete, STOP),
        row(Responses, "completed", Call, ToolUse, CALLS),
        row(Responses, "max_output_tokens", Text, Length, LENGTH),
        row(Responses, "content_filter", Text, Refusal, FILTER),
        row(Responses, "failed", Text, UpstreamError, ERROR),
    ]
};

fn reply() -> Reply {
    Reply {
        model: "m".to_owned(),
        mint: Mint { now: 1, id: 7 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

/// The upstream's whole answer.
fn whole(row: &Row) -> Value {
    match row.upstream {
        DialectId::Chat => {
            let mut message = json!({"role": "assistant", "content": null});
            match row.holds {
                Text => message["content"] = json!("Hello"),
                Call => {
                    message["tool_calls"] = json!([{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
                }
                Nothing => {}
            }
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "v", "choices": [{"index": 0, "message": message, "finish_reason": row.word}]})
        }
        DialectId::Messages => {
            let content = match row.holds {
                Text => json!([{"type": "text", "text": "Hello"}]),
                Call => json!([{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]),
                Nothing => json!([]),
            };
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "v", "content": content, "stop_reason": row.word, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}})
        }
        DialectId::Gemini => {
            let parts = match row.holds {
                Text => json!([{"text": "Hello"}]),
                Call => json!([{"functionCall": {"name": "f", "args": {}}}]),
                Nothing => json!([]),
            };
            json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": row.word}], "modelVersion": "v"})
        }
        DialectId::Responses => {
            let output = match row.holds {
                Text => {
                    json!([{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}])
                }
                Call => {
                    json!([{"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "completed"}])
                }
                Nothing => json!([]),
            };
            let mut body = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "v", "output": output, "error": null, "incomplete_details": null});
            match row.word {
                "completed" => body["status"] = json!("completed"),
                "failed" => {
                    body["status"] = json!("failed");
                    body["error"] = json!({"code": "server_error", "message": "no"});
                }
                reason => {
                    body["status"] = json!("incomplete");
                    body["incomplete_details"] = json!({"reason": reason});
                }
            }
            body
        }
    }
}

/// The same as a stream.
fn stream(row: &Row) -> String {
    let whole = whole(row);
    match row.upstream {
        DialectId::Chat => {
            let mut delta = whole["choices"][0]["message"].clone();
            if row.holds == Call {
                delta["tool_calls"][0]["index"] = json!(0);
            }
            let chunk = |delta: Value, finish: Value| {
                let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "v", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
                format!("data: {chunk}\n\n")
            };
            let last = chunk(json!({}), json!(row.word));
            format!("{}{last}data: [DONE]\n\n", chunk(delta, Value::Null))
        }
        DialectId::Messages => {
            let mut out = String::new();
            let mut event = |event: Value| {
                let name = event["type"].as_str().unwrap_or_default();
                out.extend([format!("event: {name}\ndata: {event}\n\n")]);
            };
            let mut message = whole.clone();
            message["content"] = json!([]);
            message["stop_reason"] = Value::Null;
            event(json!({"type": "message_start", "message": message}));
            if let Some(block) = whole["content"].get(0) {
                let mut start = block.clone();
                if row.holds == Text {
                    start["text"] = json!("");
                }
                event(json!({"type": "content_block_start", "index": 0, "content_block": start}));
                event(match row.holds {
                    Call => {
                        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}})
                    }
                    Text | Nothing => {
                        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}})
                    }
                });
                event(json!({"type": "content_block_stop", "index": 0}));
            }
            event(
                json!({"type": "message_delta", "delta": {"stop_reason": row.word, "stop_sequence": null}, "usage": {"output_tokens": 1}}),
            );
            event(json!({"type": "message_stop"}));
            out
        }
        DialectId::Gemini => format!("data: {whole}\n\n"),
        DialectId::Responses => {
            let mut out = String::new();
            let mut number = 0;
            let mut event = |mut event: Value| {
                event["sequence_number"] = json!(number);
                number += 1;
                let name = event["type"].as_str().unwrap_or_default().to_owned();
                out.extend([format!("event: {name}\ndata: {event}\n\n")]);
            };
            let item = whole["output"][0].clone();
            let mut opening = whole.clone();
            opening["status"] = json!("in_progress");
            opening["output"] = json!([]);
            opening["error"] = Value::Null;
            opening["incomplete_details"] = Value::Null;
            event(json!({"type": "response.created", "response": opening}));
            event(json!({"type": "response.output_item.added", "output_index": 0, "item": item}));
            if row.holds == Text {
                event(
                    json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
                );
                event(
                    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hello"}),
                );
            }
            event(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
            let last = format!("response.{}", whole["status"].as_str().unwrap_or_default());
            event(json!({"type": last, "response": whole}));
            out
        }
    }
}

/// The ending that a client reads off a whole answer.
fn ending(client: DialectId, body: &Value) -> String {
    let word = match client {
        DialectId::Chat => &body["choices"][0]["finish_reason"],
        DialectId::Messages => &body["stop_reason"],
        DialectId::Gemini => &body["candidates"][0]["finishReason"],
        DialectId::Responses => match &body["incomplete_details"]["reason"] {
            Value::Null => &body["status"],
            reason => reason,
        },
    };
    word.as_str().unwrap_or("none").to_owned()
}

/// The ending that a client reads off a stream; the last word counts, and an error above all.
fn heard(client: DialectId, stream: &str) -> String {
    let mut last = "none".to_owned();
    for line in stream.lines() {
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        let word = match client {
            _ if event.get("error").is_some_and(|error| !error.is_null()) => "error".to_owned(),
            DialectId::Messages => ending(client, &event["delta"]),
            DialectId::Responses if event["type"] == "response.failed" => "error".to_owned(),
            DialectId::Responses => ending(client, &event["response"]),
            DialectId::Chat | DialectId::Gemini => ending(client, &event),
        };
        if word != "none" && word != "in_progress" {
            last = word;
        }
    }
    last
}

/// The place of a dialect's word in [`Row::expect`].
fn place(client: DialectId) -> usize {
    match client {
        DialectId::Chat => 0,
        DialectId::Messages => 1,
        DialectId::Gemini => 2,
        DialectId::Responses => 3,
    }
}

#[test]
fn every_ending_has_its_word_in_every_dialect() {
    for row in ROWS {
        for client in DialectId::ALL {
            let expect = row.expect[place(client)];
            let case = format!(
                "{} '{}' {:?} to {client}",
                row.upstream, row.word, row.holds
            );

            let body = whole(row).to_string();
            let told = match row.upstream.dialect().decode_response(body.as_bytes()) {
                Ok(response) if response.failure().is_some() && row.upstream != client => {
                    "error".to_owned()
                }
                Ok(response) => {
                    let dialect = client.dialect();
                    let out = dialect.encode_response(&response, &reply(), &mut Losses::default());
                    let told = ending(client, &serde_json::from_slice(&out).unwrap());
                    // A Chat failure with content has no word of its own in Chat.
                    if response.failure().is_some() && client == DialectId::Chat {
                        "error".to_owned()
                    } else {
                        told
                    }
                }
                Err(BadAnswer::Error(_)) => "error".to_owned(),
                Err(BadAnswer::Malformed(fault)) => panic!("{case}: {fault}"),
            };
            assert_eq!(told, expect, "{case}, whole");

            let mut transcoder = Transcoder::new(
                row.upstream.dialect(),
                client.dialect(),
                &reply(),
                Framing::Sse,
                Framing::Sse,
                ToolChanges::default(),
            );
            let mut out = Vec::new();
            transcoder.push(stream(row).as_bytes(), &mut out).unwrap();
            let summary = transcoder.end(End::Eof, &mut out);
            let out = String::from_utf8(out).unwrap();
            assert_eq!(heard(client, &out), expect, "{case}, streamed: {out}");
            assert_eq!(summary.outcome, row.outcome, "{case}");
            let failed = row.outcome == Outcome::UpstreamError;
            assert_eq!(summary.error.is_some(), failed, "{case}");
        }
    }
}
