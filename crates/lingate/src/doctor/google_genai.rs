//! The Google SDKs: both versions of the path, whole answers, and a stream as one JSON array.

use serde_json::{Value, json};

use super::events::events;
use super::expect;
use super::gateway::{Answer, Gateway, KeyIn};
use super::gemini_cli::{at, counted, ended, models, streamed};
use super::report::{Fault, Report};

const KEY: KeyIn = KeyIn::XGoogApiKey;
const HEADERS: [(&str, &str); 1] = [("x-goog-api-client", "google-genai-sdk/3.4.0 gl-python/3.12")];
const WHY: &str = "the client reads these without looking whether they are there";

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    let path = "/v1beta/models?pageSize=10";
    let answer = gateway.get(path, KEY, &HEADERS).await;
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
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]});
    let beta = at(&gateway.model, "generateContent");
    for path in [beta.replace("/v1beta/", "/v1/"), beta] {
        let answer = gateway.post(&path, KEY, &HEADERS, &body).await;
        report.check(
            format!("POST {path}"),
            answer.map_err(Fault::from).and_then(|answer| {
                let value = expect::good(&answer)?;
                ended(&[&value], WHY)
            }),
        );
    }
    let path = at(&gateway.model, "streamGenerateContent");
    let answer = gateway
        .post(&format!("{path}?alt=sse"), KEY, &HEADERS, &body)
        .await;
    report.check(
        format!("POST {path}?alt=sse"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?)),
    );
    let answer = gateway.post(&path, KEY, &HEADERS, &body).await;
    report.check(
        format!("POST {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| array(&answer)),
    );
    let path = at(&gateway.model, "countTokens");
    let answer = gateway.post(&path, KEY, &HEADERS, &body).await;
    report.check(
        format!("POST {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| counted(&answer)),
    );
}

/// Without `alt=sse` a stream is one array, an element at a time.
fn array(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let Some(chunks) = value.as_array() else {
        return Err(Fault::new("a stream that is no array", WHY));
    };
    ended(&chunks.iter().collect::<Vec<&Value>>(), WHY)
}
