//! Gemini CLI: the paths of its other backend, the list, a count, a stream with a tool.

use http::Method;
use serde_json::{Value, json};

use super::events::{Event, events};
use super::expect::{self, BROKEN, Kind};
use super::gateway::{Answer, Gateway, KeyIn};
use super::report::{Fault, Report};

const KEY: KeyIn = KeyIn::XGoogApiKey;
const HEADERS: [(&str, &str); 1] = [("x-goog-api-client", "google-genai-sdk/1.30.0 gl-node/v22")];
const ERROR: [(&str, Kind); 3] = [
    ("/error/code", Kind::Count),
    ("/error/message", Kind::Words),
    ("/error/status", Kind::Words),
];

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    let path = "/v1internal:loadCodeAssist";
    let answer = gateway.post(path, KEY, &HEADERS, &json!({})).await;
    let reached = answer.is_ok();
    report.check(
        format!("POST {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| expect::refusal(&answer, 404, &ERROR)),
    );
    if !reached {
        return;
    }

    let path = "/v1beta/models?pageSize=1000";
    let answer = gateway.get(path, KEY, &HEADERS).await;
    report.check(
        format!("GET {path}"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| models(&answer)),
    );

    let contents = json!([{"role": "user", "parts": [{"text": "Say hello."}]}]);
    let path = at(&gateway.model, "countTokens");
    let name = format!("models/{}", gateway.model);
    for (what, body) in [
        ("contents", json!({"contents": contents})),
        (
            "generateContentRequest",
            json!({"generateContentRequest": {"model": name, "contents": contents}}),
        ),
    ] {
        let answer = gateway.post(&path, KEY, &HEADERS, &body).await;
        report.check(
            format!("POST {path}, {what}"),
            answer
                .map_err(Fault::from)
                .and_then(|answer| counted(&answer)),
        );
    }

    let path = format!("{}?alt=sse", at(&gateway.model, "streamGenerateContent"));
    let body = json!({
        "contents": contents,
        "systemInstruction": {"role": "user", "parts": [{"text": "Answer in one word."}]},
        "tools": [{"functionDeclarations": [{"name": "read_file", "description": "Reads a file.", "parametersJsonSchema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}]}],
        "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": {"includeThoughts": true}},
    });
    let answer = gateway.post(&path, KEY, &HEADERS, &body).await;
    report.check(
        format!("POST {path}, with a tool"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?)),
    );

    let path = at(&gateway.model, "generateContent");
    let answer = gateway
        .send(Method::POST, &path, KEY, &HEADERS, BROKEN)
        .await;
    report.check(
        format!("POST {path}, half a body"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| expect::refusal(&answer, 400, &ERROR)),
    );
}

pub(super) fn at(model: &str, verb: &str) -> String {
    format!("/v1beta/models/{model}:{verb}")
}

pub(super) fn models(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let models = expect::list(&value, "/models")?;
    for model in models {
        expect::holds(
            model,
            &[
                ("/name", Kind::Words),
                ("/displayName", Kind::Words),
                ("/supportedGenerationMethods", Kind::List),
            ],
            "the client leaves out entries without these",
        )?;
    }
    Ok(format!("{} models", models.len()))
}

pub(super) fn counted(answer: &Answer) -> Result<String, Fault> {
    let value = expect::good(answer)?;
    let why = "without a count the client does not know when to compress";
    expect::holds(&value, &[("/totalTokens", Kind::Some)], why)?;
    Ok(format!("{} tokens", value["totalTokens"]))
}

/// Chunks without names; the last says why it ended and what was used.
pub(super) fn streamed(events: &[Event]) -> Result<String, Fault> {
    const WHY: &str = "the client takes such a stream for invalid and asks again, four times";
    let mut chunks = Vec::new();
    for event in events {
        match event.json() {
            Some(value) if event.name.is_empty() => chunks.push(value),
            _ => {
                let came = format!("an event that is no chunk: {event:?}");
                return Err(Fault::new(came, WHY));
            }
        }
    }
    ended(&chunks, WHY)
}

/// Text or a call, a reason for the end, and totals.
pub(super) fn ended(chunks: &[&Value], why: &str) -> Result<String, Fault> {
    let said = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/candidates/0/content/parts")?.as_array())
        .flatten()
        .any(|part| {
            let text = part["text"].as_str().is_some_and(|text| !text.is_empty());
            text && part["thought"] != true || part["functionCall"].is_object()
        });
    if !said {
        return Err(Fault::new("neither text nor a call", why));
    }
    let last = chunks.last().copied().unwrap_or(&Value::Null);
    expect::holds(
        last,
        &[
            ("/candidates/0/finishReason", Kind::Words),
            ("/usageMetadata/promptTokenCount", Kind::Count),
            ("/usageMetadata/totalTokenCount", Kind::Count),
        ],
        why,
    )?;
    Ok(format!("{} chunks, ended, with totals", chunks.len()))
}
