//! Codex: its catalogue, a compressed request, a stream, a refusal.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::events::{Event, events};
use super::expect::{self, BROKEN, Kind};
use super::gateway::{Answer, Gateway, KeyIn};
use super::report::{Fault, Report};

const KEY: KeyIn = KeyIn::Bearer;
const LIST: &str = "/v1/models?client_version=0.169.0";
const RESPONSES: &str = "/v1/responses";
const HEADERS: [(&str, &str); 4] = [
    ("originator", "codex_exec"),
    ("x-codex-beta-features", "remote_compaction_v2"),
    ("x-codex-window-id", "doctor:0"),
    ("session-id", "doctor"),
];

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    let answer = gateway.get(LIST, KEY, &HEADERS).await;
    let tag = answer
        .as_ref()
        .map(|answer| answer.header("etag").to_owned())
        .unwrap_or_default();
    let reached = answer.is_ok();
    report.check(
        format!("GET {LIST}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| catalogue(&answer)),
    );
    if !reached {
        return;
    }
    if !tag.is_empty() {
        let answer = gateway.get(LIST, KEY, &[("if-none-match", &tag)]).await;
        report.check(
            format!("GET {LIST}, again"),
            answer.map_err(Fault::from).and_then(|answer| {
                expect::status(&answer, 304)?;
                Ok("304, nothing new".to_owned())
            }),
        );
    }

    let body = asked(&gateway.model);
    let headers = [&HEADERS[..], &[("accept", "text/event-stream")]].concat();
    let answer = gateway.post(RESPONSES, KEY, &headers, &body).await;
    report.check(
        format!("POST {RESPONSES}, streamed, with its tools"),
        answer.map_err(Fault::from).and_then(|answer| {
            let found = streamed(&events(&answer)?)?;
            let tells = answer.header("x-models-etag");
            if tells == tag {
                Ok(found)
            } else {
                Err(Fault::new(
                    format!("x-models-etag is '{tells}', and the catalogue's ETag '{tag}'"),
                    "the client fetches its catalogue anew with every answer: let the header through",
                ))
            }
        }),
    );

    let packed = [&HEADERS[..], &[("content-encoding", "zstd")]].concat();
    let body = stored(body.to_string().as_bytes());
    let answer = gateway
        .send(Method::POST, RESPONSES, KEY, &packed, body)
        .await;
    report.check(
        format!("POST {RESPONSES}, compressed with zstd"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?)),
    );

    let answer = gateway
        .send(Method::POST, RESPONSES, KEY, &HEADERS, BROKEN)
        .await;
    report.check(
        format!("POST {RESPONSES}, half a body"),
        answer.map_err(Fault::from).and_then(|answer| {
            expect::refusal(
                &answer,
                400,
                &[
                    ("/error/message", Kind::Words),
                    ("/error/type", Kind::Words),
                ],
            )
        }),
    );
}

fn asked(model: &str) -> Value {
    json!({
        "model": model,
        "instructions": "Answer in one word.",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hello."}]}],
        "tools": [
            {"type": "function", "name": "exec_command", "description": "Runs a command.", "strict": false, "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}},
            {"type": "custom", "name": "apply_patch", "description": "Changes files.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
            {"type": "web_search", "external_web_access": false},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"summary": "auto"},
        "store": false,
        "stream": true,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "doctor",
    })
}

/// One key that is missing, or one word that it does not know, and it refuses the whole list.
fn catalogue(answer: &Answer) -> Result<String, Fault> {
    const WHY: &str = "the client refuses the whole catalogue when one entry lacks a key or has a word that it does not know";
    let value = expect::good(answer)?;
    let models = expect::list(&value, "/models")?;
    for model in models {
        expect::holds(
            model,
            &[
                ("/slug", Kind::Words),
                ("/display_name", Kind::Words),
                ("/supported_reasoning_levels", Kind::List),
                ("/shell_type", Kind::Words),
                ("/visibility", Kind::Words),
                ("/supported_in_api", Kind::Flag),
                ("/priority", Kind::Count),
                ("/base_instructions", Kind::Words),
                ("/supports_reasoning_summaries", Kind::Flag),
                ("/support_verbosity", Kind::Flag),
                ("/truncation_policy/mode", Kind::Words),
                ("/truncation_policy/limit", Kind::Count),
                ("/supports_parallel_tool_calls", Kind::Flag),
                ("/experimental_supported_tools", Kind::List),
            ],
            WHY,
        )?;
        let one_of = |place: &str, known: &[&str]| {
            let word = model.pointer(place).and_then(Value::as_str);
            if word.is_none_or(|word| known.contains(&word)) {
                Ok(())
            } else {
                let word = word.unwrap_or_default();
                let name = place.trim_start_matches('/');
                Err(Fault::new(format!("`{name}` is \"{word}\""), WHY))
            }
        };
        one_of(
            "/shell_type",
            &[
                "default",
                "local",
                "unified_exec",
                "disabled",
                "shell_command",
            ],
        )?;
        one_of("/visibility", &["list", "hide", "none"])?;
        one_of("/apply_patch_tool_type", &["freeform", "function"])?;
        one_of("/truncation_policy/mode", &["bytes", "tokens"])?;
        for level in expect_levels(model) {
            let known = ["none", "minimal", "low", "medium", "high", "xhigh"];
            let effort = level["effort"].as_str().unwrap_or_default();
            if !known.contains(&effort) || !level["description"].is_string() {
                return Err(Fault::new(format!("a level of reasoning {level}"), WHY));
            }
        }
    }
    if answer.header("etag").is_empty() {
        return Err(Fault::new(
            "there is no ETag",
            "the client fetches the catalogue again and again: let the header through",
        ));
    }
    Ok(format!("{} models, every key there", models.len()))
}

fn expect_levels(model: &Value) -> &[Value] {
    let levels = model["supported_reasoning_levels"].as_array();
    levels.map_or(&[], Vec::as_slice)
}

/// What its reader takes from a stream: `output_item.done` and `response.completed`.
pub(super) fn streamed(events: &[Event]) -> Result<String, Fault> {
    const WHY: &str =
        "the client takes a stream in another form for broken and asks five times more";
    let wrong = |came: String| Fault::new(came, WHY);
    let mut number = None;
    let mut items = 0;
    let mut completed = false;
    for (place, event) in events.iter().enumerate() {
        let Some(value) = event.json() else {
            return Err(wrong("[DONE] in a stream of this dialect".to_owned()));
        };
        let kind = value["type"].as_str().unwrap_or_default();
        if event.name != kind {
            return Err(wrong(format!(
                "`event: {}` before data of type \"{kind}\"",
                event.name
            )));
        }
        if completed {
            return Err(wrong(format!("\"{kind}\" after the end")));
        }
        if (place == 0) != (kind == "response.created") {
            return Err(wrong(format!("event {place} is \"{kind}\"")));
        }
        let this = value["sequence_number"].as_u64();
        if this.is_none() || number.is_some() && this <= number {
            return Err(wrong(format!("sequence_number {this:?} after {number:?}")));
        }
        number = this;
        match kind {
            "response.output_item.done" => {
                expect::holds(value, &[("/item/type", Kind::Words)], WHY)?;
                items += 1;
            }
            "response.failed" | "response.incomplete" | "error" => {
                return Err(Fault::new(
                    format!("{kind}: {}", value["response"]["error"]),
                    "the provider failed, or the answer was cut: the gateway's log says more",
                ));
            }
            "response.completed" => {
                expect::holds(
                    value,
                    &[
                        ("/response/id", Kind::Words),
                        ("/response/output", Kind::List),
                        ("/response/usage/input_tokens", Kind::Count),
                        (
                            "/response/usage/input_tokens_details/cached_tokens",
                            Kind::Count,
                        ),
                        ("/response/usage/output_tokens", Kind::Count),
                        (
                            "/response/usage/output_tokens_details/reasoning_tokens",
                            Kind::Count,
                        ),
                        ("/response/usage/total_tokens", Kind::Count),
                    ],
                    WHY,
                )?;
                completed = true;
            }
            _ => {}
        }
    }
    if !completed {
        return Err(wrong(
            "the stream ends without response.completed".to_owned(),
        ));
    }
    if items == 0 {
        return Err(wrong(
            "no response.output_item.done: the answer is empty to the client".to_owned(),
        ));
    }
    Ok(format!("{items} items, completed, with totals"))
}

/// A zstd frame that holds the bytes as they are (RFC 8878, raw blocks): no compressor is needed to try whether one is read.
fn stored(bytes: &[u8]) -> Bytes {
    const BLOCK: usize = 100 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
    // One segment, with its size in four bytes.
    frame.push(0xa0);
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    frame.extend_from_slice(&size.to_le_bytes());
    let mut blocks = bytes.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let last = u32::from(blocks.peek().is_none());
        let size = u32::try_from(block.len()).unwrap_or(0);
        frame.extend((size << 3 | last).to_le_bytes().into_iter().take(3));
        frame.extend_from_slice(block);
    }
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_frame_is_zstd() {
        for length in [1, 300, 150 << 10] {
            let bytes = vec![b'x'; length];
            let frame = stored(&bytes);
            assert_eq!(zstd::decode_all(&frame[..]).unwrap(), bytes, "{length}");
        }
    }
}
