//! Cursor: the check of its settings, and bodies of Responses at the door of Chat.

use serde_json::json;

use super::events::events;
use super::gateway::{Gateway, KeyIn};
use super::openai_sdk::{CHAT, Usage, completion, streamed};
use super::report::{Fault, Report};

const KEY: KeyIn = KeyIn::Bearer;

pub(super) async fn play(gateway: &Gateway, report: &mut Report) {
    let verify = json!({"model": gateway.model, "messages": [{"role": "user", "content": "Testing. Just say hi and nothing else."}], "temperature": 0});
    let answer = gateway.post(CHAT, KEY, &[], &verify).await;
    let reached = answer.is_ok();
    report.check(
        format!("POST {CHAT}, its check"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| completion(&answer)),
    );
    if !reached {
        return;
    }
    let body = json!({
        "model": gateway.model,
        "stream": true,
        "input": [
            {"role": "system", "content": "Answer in one word."},
            {"role": "user", "content": [{"type": "input_text", "text": "Say hello."}]},
        ],
        "tools": [{"type": "function", "name": "read_file", "description": "Reads a file.", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}],
        "reasoning": {"effort": "low"},
    });
    let answer = gateway.post(CHAT, KEY, &[], &body).await;
    report.check(
        format!("POST {CHAT}, a body of Responses"),
        answer
            .map_err(Fault::from)
            .and_then(|answer| streamed(&events(&answer)?, Usage::NotAsked)),
    );
    report.note(
        "its servers",
        "ask from outside: the address must be public and have https",
    );
}
