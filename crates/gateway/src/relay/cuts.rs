//! An upstream that is cut after each byte, in both lanes: the caller never sees a clean finish that nobody gave.

use std::path::Path;

use lingate_dialect::DialectId;

use super::tests::{bounds, convert, read, record, tap, upstream_of};
use super::*;

/// Fixtures up to this many bytes are cut after every byte, longer ones after each eleventh.
const EVERY: usize = 1 << 10;

const DIALECTS: [DialectId; 4] = [
    DialectId::Chat,
    DialectId::Responses,
    DialectId::Messages,
    DialectId::Gemini,
];

/// What a server of this dialect writes when its answer ends, and not before.
fn endings(dialect: DialectId) -> &'static [&'static str] {
    match dialect {
        DialectId::Chat => &["\"finish_reason\":\"", "\"finish_reason\": \"", "[DONE]"],
        DialectId::Responses => &["response.completed", "response.incomplete"],
        DialectId::Messages => &["\"stop_reason\":\"", "message_stop"],
        DialectId::Gemini => &["\"finishReason\"", "\"blockReason\""],
    }
}

/// What tells a caller of this dialect that there is no answer.
fn error(dialect: DialectId) -> &'static str {
    match dialect {
        DialectId::Chat | DialectId::Gemini => "data: {\"error\":",
        DialectId::Responses => "event: response.failed\n",
        DialectId::Messages => "event: error\n",
    }
}

/// What a caller gets of an upstream that sends this and ends; `None` when it gets an HTTP error instead.
async fn hear(from: DialectId, to: DialectId, sent: &[u8]) -> Option<String> {
    // Within a letter, too: bytes come as bytes.
    let body = upstream_of(sent);
    let flow = if from == to {
        tap(from, body)
    } else {
        convert(from, to, body)
    };
    match flow.open(None, Duration::from_mins(5), to).await {
        Err(_) => None,
        Ok(Source::Whole { body, .. }) => Some(String::from_utf8_lossy(&body).into_owned()),
        Ok(Source::Flow(flow)) => {
            let told = read(Relay::flowing(flow, record(), bounds(300, 600))).await;
            Some(told.into_iter().map(|(_, text)| text).collect())
        }
    }
}

async fn check(dialect: DialectId, name: &str, stream: &[u8]) {
    let step = if stream.len() <= EVERY { 1 } else { 11 };
    for length in (0..stream.len()).step_by(step) {
        let (sent, _) = stream.split_at(length);
        let text = String::from_utf8_lossy(sent);
        if endings(dialect).iter().any(|ending| text.contains(ending)) {
            return;
        }
        let other = DIALECTS[length / step % DIALECTS.len()];
        for to in [dialect, other] {
            if let Some(told) = hear(dialect, to, sent).await {
                assert!(
                    told.contains(error(to)),
                    "{name} cut at {length}, to {to:?}: no error in\n{told}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_any_byte_is_an_error() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dialect/fixtures");
    let mut seen = 0;
    for dialect in DIALECTS {
        let folder = fixtures.join(dialect.name()).join("streams");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "sse") {
                let name = path.display().to_string();
                check(dialect, &name, &std::fs::read(&path).unwrap()).await;
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} fixtures");
}
