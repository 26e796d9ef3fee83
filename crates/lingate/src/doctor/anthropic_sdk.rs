//! The Anthropic SDKs: both ways to show a key, pages of models, whole answers and streams.

use http::Method;
use serde_json::json;

use super::claude_code::{counted, message, refused, streamed};
use super::events::events;
use super::expect::{self, BROKEN, Kind};
use super::gateway::{Answer, Gateway, KeyIn};
use super::report::{Fault, Report};

const HEADERS: [(&str, &str); 1] = [("anthropic-version", "2023-06-01")];

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    let path = "/v1/models?limit=1";
    let answer = gateway.get(path, KeyIn::XApiKey, &HEADERS).await;
    let reached = answer.is_ok();
    report.check(
        format!("GET {path}"),
        answer.map_err(Fault::from).and_then(|answer| page(&answer)),
    );
    if !reached {
        return;
    }
    let path = "/v1/messages";
    let mut body = json!({"model": gateway.model, "max_tokens": 64, "system": "Answer in one word.", "messages": [{"role": "user", "content": "Say hello."}]});
    for (what, key) in [
        ("x-api-key", KeyIn::XApiKey),
        ("Authorization", KeyIn::Bearer),
    ] {
        let answer = gateway.post(path, key, &HEADERS, &body).await;
        report.check(
            format!("POST {path}, key in {what}"),
            answer
                .map_err(Fault::from)
                .and_then(|answer| message(&answer)),
        );
    }
    body["stream"] = json!(true);
    let answer = gateway.post(path, KeyIn::XApiKey, &HEADERS, &body).await;
    report.check(
        format!("POST {path}, streamed"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?)),
    );
    let count = json!({"model": gateway.model, "messages": body["messages"]});
    let answer = gateway
        .post(
            "/v1/messages/count_tokens",
            KeyIn::XApiKey,
            &HEADERS,
            &count,
        )
        .await;
    report.check(
        "POST /v1/messages/count_tokens",
        answer
            .map_err(Fault::from)
            .and_then(|answer| counted(&answer)),
    );
    let answer = gateway
        .send(Method::POST, path, KeyIn::XApiKey, &HEADERS, BROKEN)
        .await;
    report.check(
        format!("POST {path}, half a body"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| refused(&answer)),
    );
}

/// One page, from which the next can be asked for.
fn page(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    expect::list(&value, "/data")?;
    expect::holds(
        &value,
        &[
            ("/first_id", Kind::Words),
            ("/last_id", Kind::Words),
            ("/has_more", Kind::Flag),
        ],
        "the client turns pages by these",
    )?;
    Ok("a page".to_owned())
}
