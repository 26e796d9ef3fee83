//! `lingate doctor`, against the gateway and against a server that is none.

use std::process::{Command, Stdio};
use std::sync::Arc;

use lingate_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::world::program;

/// Runs the doctor; its exit code and its report.
async fn examine(arguments: Vec<String>, environment: &[(&str, &str)]) -> (i32, Value, String) {
    let mut command = Command::new(program());
    command
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output().unwrap());
    let done = done.await.unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let complaint = String::from_utf8(done.stderr).unwrap();
    let report = serde_json::from_str(&text).unwrap_or_default();
    (done.status.code().unwrap(), report, text + &complaint)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// What failed: what was sent, what came, what to do.
fn failures(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .filter(|check| check["result"] == "failed")
        .map(|check| {
            let text = |key: &str| check[key].as_str().unwrap().to_owned();
            format!("{}: {} → {}", text("sent"), text("came"), text("advice"))
        })
        .collect()
}

#[tokio::test]
async fn every_client_is_served_by_the_demo() {
    let keys = [
        ("none", ""),
        ("keys", "auth: keys\napi_keys: [sk-canary-doctor]\n"),
    ];
    for (name, settings) in keys {
        let gateway = Gateway::start(program(), settings, &[]).await.unwrap();
        let url = format!("http://{}", gateway.address());
        let line = format!("--client all --json --url {url}");
        let environment = [("LINGATE_TOKEN", "sk-canary-doctor")];
        let (code, report, text) = examine(words(&line), &environment).await;
        assert_eq!(failures(&report), Vec::<String>::new(), "{name}");
        assert_eq!(code, 0, "{name}: {text}");
        assert!(report["checks"].as_array().unwrap().len() > 40, "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_key_that_is_missing_is_named() {
    let settings = "auth: keys\napi_keys: [sk-canary-doctor]\n";
    let gateway = Gateway::start(program(), settings, &[]).await.unwrap();
    let line = format!(
        "--client anthropic-sdk --json --url http://{}",
        gateway.address()
    );
    let (code, report, _) = examine(words(&line), &[]).await;
    let failed = failures(&report);
    assert_eq!(code, 1);
    assert!(
        failed
            .iter()
            .any(|line| line.contains("401") && line.contains("--key")),
        "{failed:?}"
    );
}

/// What a server that imitates a gateway gets wrong.
fn wrong(received: &Received) -> Script {
    let sse = |events: &[Value], names: bool| {
        let events = events.iter().map(|event| {
            let name = event["type"].as_str().unwrap_or_default();
            let name = if names {
                format!("event: {name}\n")
            } else {
                String::new()
            };
            format!("{name}data: {event}\n\n")
        });
        Script::events(events.collect::<Vec<_>>())
    };
    let stream = received.json()["stream"] == true;
    match received.path.as_str() {
        "/" => Script::json(200, "{}"),
        // The list of another client, and one without a key that Codex demands.
        "/v1/models" if received.query.contains("client_version") => Script::json(
            200,
            json!({"models": [{"slug": "m", "display_name": "M"}]}).to_string(),
        ),
        "/v1/models" => Script::json(200, json!({"models": []}).to_string()),
        "/v1/messages" if stream => sse(
            &[
                json!({"type": "message_start", "message": {"id": "m", "content": [], "stop_reason": null, "usage": {"input_tokens": 0, "output_tokens": 0}}}),
                json!({"type": "message_stop"}),
            ],
            true,
        ),
        "/v1/messages" => Script::json(200, json!({"type": "message", "role": "assistant", "id": "m", "model": "m", "content": [], "stop_reason": "end_turn"}).to_string()),
        "/v1/responses" => sse(
            &[
                json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r"}}),
                json!({"type": "response.output_item.done", "sequence_number": 1, "item": {"type": "message"}}),
            ],
            true,
        ),
        "/v1/chat/completions" if stream => sse(
            &[json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]})],
            false,
        ),
        path if path.ends_with(":streamGenerateContent") => sse(
            &[json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "a", "thought": true}]}}]})],
            false,
        ),
        _ => Script::html(502),
    }
}

#[tokio::test]
async fn a_server_that_only_looks_like_a_gateway_fails_with_the_right_advice() {
    let address = ([127, 0, 0, 1], 0).into();
    let server = Upstream::answering(address, Arc::new(wrong)).await.unwrap();
    let check = async |client: &str, expect: &[&[&str]]| {
        let line = format!("--client {client} --json --url {}", server.url());
        let (code, report, text) = examine(words(&line), &[]).await;
        assert_eq!(code, 1, "{client}: {text}");
        let failed = failures(&report);
        for pieces in expect {
            let found = failed
                .iter()
                .any(|line| pieces.iter().all(|piece| line.contains(piece)));
            assert!(found, "{client}: {pieces:?} is not in {failed:#?}");
        }
    };
    check(
        "claude-code",
        &[
            &["event_logging", "502", "probe"],
            &["/v1/models", "no list `data`", "another client's shape"],
            &["one token", "usage.input_tokens"],
            &["count_tokens", "502", "log"],
            &["streamed", "message.usage.input_tokens", "never compacts"],
        ],
    )
    .await;
    check(
        "codex",
        &[
            &[
                "client_version",
                "supported_reasoning_levels",
                "whole catalogue",
            ],
            &["streamed", "without response.completed"],
        ],
    )
    .await;
    check(
        "gemini-cli",
        &[
            &["loadCodeAssist", "502"],
            &[
                "streamGenerateContent",
                "neither text nor a call",
                "four times",
            ],
        ],
    )
    .await;
    check(
        "openai-sdk",
        &[&["streamed", "without [DONE]"], &["/v1/models", "object"]],
    )
    .await;
    check("cherry-studio", &[&["OPTIONS", "502"]]).await;
    check("cursor", &[&["its check", "502"]]).await;
    check("google-genai", &[&["generateContent", "502"]]).await;
    drop(server);
    let (code, _, text) = examine(words("--client all --url http://127.0.0.1:9"), &[]).await;
    assert_eq!(code, 1);
    assert!(
        text.contains("no answer") && text.contains("lingate serve"),
        "{text}"
    );
    assert!(text.contains("FAIL"), "{text}");
    let (code, _, text) = examine(words("--client codex --url gateway:8080"), &[]).await;
    assert_eq!(code, 1);
    assert!(text.contains("is not an address"), "{text}");
}

#[tokio::test]
async fn without_a_client_the_gateway_looks_at_itself() {
    let answering = |received: &Received| {
        if received.header("authorization") == "Bearer sk-canary-good" {
            Script::json(200, r#"{"data": []}"#)
        } else {
            Script::json(401, "{}")
        }
    };
    let address = ([127, 0, 0, 1], 0).into();
    let provider = Upstream::answering(address, Arc::new(answering))
        .await
        .unwrap();
    let url = provider.url();
    let file = std::env::temp_dir().join(format!("lingate-doctor-{}.yml", std::process::id()));
    let write = |keys: [&str; 2], place: &str| {
        let text = format!(
            "listen: {place}\nproviders:\n  one: {{base_url: \"{url}/v1\", dialects: [chat], keys: [{}]}}\n  two: {{base_url: \"{url}/v1\", dialects: [chat], keys: [{}]}}\n",
            keys[0], keys[1]
        );
        std::fs::write(&file, text).unwrap();
    };
    write(["sk-canary-good", "sk-canary-good"], "127.0.0.1:1");
    let gateway = Gateway::start(program(), "", &[]).await.unwrap();
    let line = |more: &str| words(&format!("--json --config {}{more}", file.display()));
    let here = format!(" --url http://{}", gateway.address());
    let (code, report, text) = examine(line(&here), &[]).await;
    assert_eq!((code, failures(&report)), (0, Vec::new()), "{text}");

    write(["sk-canary-good", "sk-canary-bad"], "127.0.0.1:1");
    let (code, report, text) = examine(line(""), &[]).await;
    let failed = failures(&report);
    assert_eq!((code, failed.len()), (1, 2), "{text}");
    assert!(failed[0].starts_with("listening: no answer"), "{failed:?}");
    assert!(
        failed[1].starts_with("provider two: reachable, refuses the key"),
        "{failed:?}"
    );
    assert!(!text.contains("canary"), "{text}");

    std::fs::write(&file, "listen: nowhere\n").unwrap();
    let (code, report, _) = examine(line(""), &[]).await;
    let failed = failures(&report);
    assert_eq!((code, failed.len()), (1, 1));
    assert!(failed[0].starts_with("configuration: "), "{failed:?}");
    std::fs::remove_file(&file).unwrap();
}
