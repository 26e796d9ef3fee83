//! Cherry Studio and other desktop clients: base addresses that end in a version or a `#`, and browsers' questions.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::events::events;
use super::expect;
use super::gateway::{Gateway, KeyIn};
use super::openai_sdk::{Usage, asked, models, streamed};
use super::report::{Fault, Report};

const KEY: KeyIn = KeyIn::Bearer;

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    for path in ["/v1/models", "/v1/v1/models", "/models"] {
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
    }
    let mut body = asked(&gateway.model);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    for path in ["/v1/v1/chat/completions", "/v1/chat/completions%23"] {
        let answer = gateway.post(path, KEY, &[], &body).await;
        report.check(
            format!("POST {path}, streamed"),
            answer
                .map_err(Fault::from)
                .and_then(|answer| streamed(&events(&answer)?, Usage::Asked)),
        );
    }
    let path = "/v1/chat/completions";
    let headers = [
        ("origin", "app://cherry"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    let answer = gateway
        .send(Method::OPTIONS, path, KEY, &headers, Bytes::new())
        .await;
    report.check(
        format!("OPTIONS {path}"),
        answer.map_err(Fault::from).and_then(|answer| {
            expect::no_failure(&answer)?;
            let allowed = answer.header("access-control-allow-origin");
            if allowed == "app://cherry" || allowed == "*" {
                Ok("the page may ask".to_owned())
            } else {
                Err(Fault::new(
                    format!("access-control-allow-origin is '{allowed}'"),
                    "a browser lets no page ask: something in front of the gateway takes the header away",
                ))
            }
        }),
    );
}
