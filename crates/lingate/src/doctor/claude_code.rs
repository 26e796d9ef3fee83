//! Claude Code: probes, telemetry, discovery, a tiny request, a count, a stream with a tool.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::events::{Event, events};
use super::expect::{self, BROKEN, Kind};
use super::gateway::{Answer, Gateway, KeyIn};
use super::report::{Fault, Report};

const HEADERS: [(&str, &str); 3] = [
    ("anthropic-version", "2023-06-01"),
    (
        "anthropic-beta",
        "interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
    ),
    ("x-app", "cli"),
];
const KEY: KeyIn = KeyIn::Bearer;

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    for (method, path) in [
        (Method::HEAD, "/"),
        (Method::GET, "/"),
        (Method::POST, "/api/event_logging/batch"),
        (Method::POST, "/api/claude_cli/metrics"),
    ] {
        let sent = format!("{method} {path}");
        let answer = gateway
            .send(method, path, KEY, &HEADERS, Bytes::from_static(b"{}"))
            .await;
        let found = answer
            .map_err(Fault::from)
            .and_then(|answer| expect::no_failure(&answer));
        let unreachable = found
            .as_ref()
            .is_err_and(|fault| fault.came.starts_with("no answer"));
        report.check(sent, found);
        if unreachable {
            return;
        }
    }

    let path = "/v1/models?limit=1000";
    let answer = gateway.get(path, KEY, &HEADERS).await;
    report.check(
        format!("GET {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| discovery(&answer)),
    );

    let path = "/v1/messages?beta=true";
    let tiny = json!({"model": gateway.model, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}], "metadata": {"user_id": "doctor"}});
    let answer = gateway.post(path, KEY, &HEADERS, &tiny).await;
    report.check(
        format!("POST {path}, one token"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| message(&answer)),
    );

    let path = "/v1/messages/count_tokens?beta=true";
    let mut count = asked(&gateway.model);
    if let Some(fields) = count.as_object_mut() {
        fields.retain(|key, _| !matches!(key.as_str(), "max_tokens" | "stream"));
    }
    let answer = gateway.post(path, KEY, &HEADERS, &count).await;
    report.check(
        format!("POST {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| counted(&answer)),
    );

    let path = "/v1/messages?beta=true";
    let answer = gateway
        .post(path, KEY, &HEADERS, &asked(&gateway.model))
        .await;
    report.check(
        format!("POST {path}, streamed, with a tool"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?)),
    );

    let answer = gateway
        .send(Method::POST, path, KEY, &HEADERS, BROKEN)
        .await;
    report.check(
        format!("POST {path}, half a body"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| refused(&answer)),
    );
}

fn asked(model: &str) -> Value {
    json!({
        "model": model,
        "max_tokens": 64,
        "stream": true,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=doctor; cc_entrypoint=cli;"},
            {"type": "text", "text": "Answer in one word.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello.", "cache_control": {"type": "ephemeral"}}]}],
        "tools": [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}],
    })
}

/// The list that it offers models from, where discovery is on.
fn discovery(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "the client leaves out entries without these";
    let models = expect::list(&value, "/data")?;
    for model in models {
        expect::says(model, "/type", "model", why)?;
        expect::holds(
            model,
            &[
                ("/id", Kind::Words),
                ("/display_name", Kind::Words),
                ("/created_at", Kind::Words),
            ],
            why,
        )?;
    }
    expect::holds(&value, &[("/has_more", Kind::Flag)], why)?;
    let offered = models.iter().filter(|model| {
        let id = model["id"].as_str().unwrap_or_default();
        id.starts_with("claude") || id.starts_with("anthropic")
    });
    Ok(format!(
        "{} models, {} of them with a name that it offers (claude…, anthropic…)",
        models.len(),
        offered.count()
    ))
}

/// A whole answer.
pub(super) fn message(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "the client reads these without looking whether they are there";
    expect::says(&value, "/type", "message", why)?;
    expect::says(&value, "/role", "assistant", why)?;
    expect::holds(
        &value,
        &[
            ("/id", Kind::Words),
            ("/model", Kind::Words),
            ("/content", Kind::List),
            ("/stop_reason", Kind::Words),
            ("/usage/input_tokens", Kind::Count),
            ("/usage/output_tokens", Kind::Count),
        ],
        why,
    )?;
    Ok(format!(
        "stop_reason {}",
        value["stop_reason"].as_str().unwrap_or_default()
    ))
}

pub(super) fn counted(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "without a count the client does not know when to compact";
    expect::holds(&value, &[("/input_tokens", Kind::Some)], why)?;
    Ok(format!("{} tokens", value["input_tokens"]))
}

pub(super) fn refused(answer: &Answer) -> Result<String, Fault> {
    expect::refusal(
        answer,
        400,
        &[
            ("/type", Kind::Words),
            ("/error/type", Kind::Words),
            ("/error/message", Kind::Words),
        ],
    )
}

/// The order of events that its SDK relies on: one block at a time, indexes without gaps, totals at the end.
pub(super) fn streamed(events: &[Event]) -> Result<String, Fault> {
    const WHY: &str =
        "the client takes another order for a broken stream and asks again, without streaming";
    let wrong = |came: String| Fault::new(came, WHY);
    let mut open: Option<u64> = None;
    let mut next = 0;
    let mut seen = Vec::new();
    for event in events {
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
        let index = value["index"].as_u64();
        match kind {
            "ping" => continue,
            "error" => {
                return Err(Fault::new(
                    format!("an error: {}", value["error"]),
                    "the provider failed in the middle: the gateway's log says more",
                ));
            }
            "message_start" => expect::holds(
                value,
                &[
                    ("/message/id", Kind::Words),
                    ("/message/content", Kind::List),
                    ("/message/stop_reason", Kind::Null),
                    ("/message/usage/input_tokens", Kind::Some),
                    ("/message/usage/output_tokens", Kind::Count),
                ],
                "the client's context bar lives off input_tokens: at 0 it never compacts",
            )?,
            "content_block_start" => {
                if open.is_some() || index != Some(next) {
                    return Err(wrong(format!(
                        "block {index:?} opened while {open:?} was open; {next} was expected"
                    )));
                }
                open = index;
                next += 1;
            }
            "content_block_delta" if open.is_none() || index != open => {
                return Err(wrong(format!(
                    "a delta for block {index:?}, open is {open:?}"
                )));
            }
            "content_block_stop" => {
                if open.is_none() || index != open {
                    return Err(wrong(format!("block {index:?} closed, open is {open:?}")));
                }
                open = None;
            }
            "message_delta" => expect::holds(
                value,
                &[
                    ("/delta/stop_reason", Kind::Words),
                    ("/usage/output_tokens", Kind::Count),
                ],
                WHY,
            )?,
            _ => {}
        }
        seen.push(kind);
    }
    if seen.first() != Some(&"message_start") {
        return Err(wrong(format!("the first event is {:?}", seen.first())));
    }
    let end = seen.len().saturating_sub(2);
    if seen.get(end..) != Some(&["message_delta", "message_stop"][..]) || open.is_some() {
        return Err(wrong(format!(
            "the stream ends with {:?}",
            seen.last().copied().unwrap_or_default()
        )));
    }
    Ok(format!("{next} blocks, in order, with totals"))
}
