//! The OpenAI SDKs: lists, whole answers, streams, Responses.

use http::Method;
use serde_json::{Value, json};

use super::codex;
use super::events::{Data, Event, events};
use super::expect::{self, BROKEN, Kind};
use super::gateway::{Answer, Gateway, KeyIn};
use super::report::{Fault, Report};

const KEY: KeyIn = KeyIn::Bearer;
pub(super) const CHAT: &str = "/v1/chat/completions";

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    let path = "/v1/models";
    let answer = gateway.get(path, KEY, &[]).await;
    let reached = answer.is_ok();
    report.check(
        format!("GET {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| models(&answer)),
    );
    if !reached {
        return;
    }

    let body = asked(&gateway.model);
    let answer = gateway.post(CHAT, KEY, &[], &body).await;
    report.check(
        format!("POST {CHAT}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| completion(&answer)),
    );

    let mut body = body;
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = gateway.post(CHAT, KEY, &[], &body).await;
    report.check(
        format!("POST {CHAT}, streamed"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?, Usage::Asked)),
    );

    let path = "/v1/responses";
    let mut body = json!({"model": gateway.model, "input": "Say hello.", "stream": false});
    let answer = gateway.post(path, KEY, &[], &body).await;
    report.check(
        format!("POST {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| response(&answer)),
    );
    body["stream"] = json!(true);
    let answer = gateway.post(path, KEY, &[], &body).await;
    report.check(
        format!("POST {path}, streamed"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| codex::streamed(&events(&answer)?)),
    );

    let answer = gateway.send(Method::POST, CHAT, KEY, &[], BROKEN).await;
    report.check(
        format!("POST {CHAT}, half a body"),
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

pub(super) fn asked(model: &str) -> Value {
    json!({
        "model": model,
        "messages": [
            {"role": "system", "content": "Answer in one word."},
            {"role": "user", "content": "Say hello."},
        ],
    })
}

pub(super) fn models(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "the client lists nothing else";
    expect::says(&value, "/object", "list", why)?;
    let models = expect::list(&value, "/data")?;
    for model in models {
        expect::says(model, "/object", "model", why)?;
        expect::holds(
            model,
            &[
                ("/id", Kind::Words),
                ("/created", Kind::Count),
                ("/owned_by", Kind::Words),
            ],
            why,
        )?;
    }
    Ok(format!("{} models", models.len()))
}

pub(super) fn completion(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "the client reads these without looking whether they are there";
    expect::says(&value, "/object", "chat.completion", why)?;
    expect::says(&value, "/choices/0/message/role", "assistant", why)?;
    expect::holds(
        &value,
        &[
            ("/id", Kind::Words),
            ("/created", Kind::Count),
            ("/model", Kind::Words),
            ("/choices/0/index", Kind::Count),
            ("/choices/0/message/content", Kind::Text),
            ("/choices/0/finish_reason", Kind::Words),
            ("/usage/prompt_tokens", Kind::Count),
            ("/usage/completion_tokens", Kind::Count),
            ("/usage/total_tokens", Kind::Count),
        ],
        why,
    )?;
    Ok(format!(
        "finish_reason {}",
        value
            .pointer("/choices/0/finish_reason")
            .and_then(Value::as_str)
            .unwrap_or_default()
    ))
}

/// Whether the client asked for usage in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Asked,
    NotAsked,
}

/// The role first, one id, a reason for the end, usage where it was asked for, and `[DONE]`.
pub(super) fn streamed(events: &[Event], usage: Usage) -> Result<String, Fault> {
    const WHY: &str = "the client loses the answer, or raises an error in the middle of it";
    let wrong = |came: &str| Fault::new(came, WHY);
    let (mut id, mut role, mut finish, mut counted) = (None, false, false, false);
    let mut chunks = 0;
    for (place, event) in events.iter().enumerate() {
        let value = match &event.data {
            Data::Json(value) => value,
            Data::Done if place + 1 == events.len() => break,
            Data::Done => return Err(wrong("events after [DONE]")),
        };
        if place + 1 == events.len() {
            return Err(wrong("the stream ends without [DONE]"));
        }
        if value["error"].is_object() {
            return Err(Fault::new(
                format!("an error: {}", value["error"]),
                "the provider failed in the middle: the gateway's log says more",
            ));
        }
        expect::says(value, "/object", "chat.completion.chunk", WHY)?;
        expect::holds(
            value,
            &[
                ("/id", Kind::Words),
                ("/created", Kind::Count),
                ("/model", Kind::Words),
                ("/choices", Kind::List),
            ],
            WHY,
        )?;
        let this = value["id"].as_str();
        if *id.get_or_insert(this) != this {
            return Err(wrong("the id changes within one answer"));
        }
        chunks += 1;
        role |= value.pointer("/choices/0/delta/role").is_some();
        finish |= value
            .pointer("/choices/0/finish_reason")
            .is_some_and(Value::is_string);
        counted |= value["usage"].is_object();
    }
    if !role {
        return Err(wrong("no delta says the role"));
    }
    if !finish {
        return Err(wrong("no chunk says finish_reason"));
    }
    if counted != (usage == Usage::Asked) {
        return Err(wrong(if counted {
            "usage, although it was not asked for"
        } else {
            "no usage, although it was asked for"
        }));
    }
    Ok(format!("{chunks} chunks, ended"))
}

fn response(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "the client reads these without looking whether they are there";
    expect::says(&value, "/object", "response", why)?;
    expect::says(&value, "/status", "completed", why)?;
    expect::holds(
        &value,
        &[
            ("/id", Kind::Words),
            ("/created_at", Kind::Count),
            ("/model", Kind::Words),
            ("/output", Kind::List),
            ("/usage/input_tokens", Kind::Count),
            ("/usage/output_tokens", Kind::Count),
        ],
        why,
    )?;
    let said = value["output"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|item| {
            item.pointer("/content/0/text")
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty())
        });
    if said {
        Ok("completed".to_owned())
    } else {
        Err(Fault::new("no text in the output", why))
    }
}
