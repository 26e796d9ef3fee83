//! Answers of the mock upstream, whole and streamed, as the three vendors write them.

use serde_json::{Value, json};

use crate::text;
use crate::wire::Wire;

const CHAT_MODEL: &str = "gpt-4o-mini-2024-07-18";
const MESSAGES_MODEL: &str = "claude-sonnet-4-20250514";
const GEMINI_MODEL: &str = "gemini-2.0-flash";

/// A whole answer of about `bytes` bytes.
pub fn whole(wire: Wire, bytes: usize) -> String {
    let text = text::of_answer(bytes);
    let tokens = text.len() / 4;
    match wire {
        Wire::Chat => json!({
            "id": "chatcmpl-BenchA1b2C3d4E5f6", "object": "chat.completion", "created": 1_750_000_000, "model": CHAT_MODEL,
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": chat_usage(tokens), "service_tier": "default", "system_fingerprint": "fp_bench0001",
        }),
        Wire::Messages => json!({
            "id": "msg_01BenchA1b2C3d4E5f6", "type": "message", "role": "assistant", "model": MESSAGES_MODEL,
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 512, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "output_tokens": tokens, "service_tier": "standard",
            },
        }),
        Wire::Gemini => json!({
            "candidates": [{
                "content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0, "avgLogprobs": -0.1,
            }],
            "usageMetadata": {
                "promptTokenCount": 512, "candidatesTokenCount": tokens, "totalTokenCount": 512 + tokens,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 512}],
            },
            "modelVersion": GEMINI_MODEL, "responseId": "BenchResponse01",
        }),
    }
    .to_string()
}

/// The events of a stream with `count` content events, SSE framing included.
pub fn stream(wire: Wire, count: usize, include_usage: bool) -> Vec<String> {
    match wire {
        Wire::Chat => chat_stream(count, include_usage),
        Wire::Messages => messages_stream(count),
        Wire::Gemini => gemini_stream(count),
    }
}

fn chat_usage(tokens: usize) -> Value {
    json!({
        "prompt_tokens": 512, "completion_tokens": tokens, "total_tokens": 512 + tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn chat_stream(count: usize, include_usage: bool) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-BenchA1b2C3d4E5f6", "object": "chat.completion.chunk", "created": 1_750_000_000,
            "model": CHAT_MODEL, "service_tier": "default", "system_fingerprint": "fp_bench0001", "choices": choices,
        });
        if include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Value| {
        chunk(
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]),
            Value::Null,
        )
    };
    let mut events = vec![choice(
        json!({"role": "assistant", "content": "", "refusal": null}),
        Value::Null,
    )];
    events.extend(
        (0..count).map(|index| choice(json!({"content": text::token(index)}), Value::Null)),
    );
    events.push(choice(json!({}), json!("stop")));
    if include_usage {
        events.push(chunk(json!([]), chat_usage(count)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn messages_stream(count: usize) -> Vec<String> {
    let event = |kind: &str, data: Value| format!("event: {kind}\ndata: {data}\n\n");
    let mut events = vec![
        event(
            "message_start",
            json!({"type": "message_start", "message": {
                "id": "msg_01BenchA1b2C3d4E5f6", "type": "message", "role": "assistant", "model": MESSAGES_MODEL,
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {
                    "input_tokens": 512, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                    "output_tokens": 1, "service_tier": "standard",
                },
            }}),
        ),
        event(
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        event("ping", json!({"type": "ping"})),
    ];
    events.extend((0..count).map(|index| {
        event(
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text::token(index)}}),
        )
    }));
    events.extend([
        event("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
        event(
            "message_delta",
            json!({
                "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": count},
            }),
        ),
        event("message_stop", json!({"type": "message_stop"})),
    ]);
    events
}

/// Google ends its lines with CR LF and repeats the usage in every event.
fn gemini_stream(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| {
            let mut candidate = json!({"content": {"parts": [{"text": text::token(index)}], "role": "model"}, "index": 0});
            if index + 1 == count {
                candidate["finishReason"] = json!("STOP");
            }
            let event = json!({
                "candidates": [candidate],
                "usageMetadata": {"promptTokenCount": 512, "candidatesTokenCount": index + 1, "totalTokenCount": 513 + index},
                "modelVersion": GEMINI_MODEL, "responseId": "BenchResponse01",
            });
            format!("data: {event}\r\n\r\n")
        })
        .collect()
}
