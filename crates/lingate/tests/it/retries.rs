//! What a client is told about asking again: waits that are true, words that it understands, and when to leave it.

use std::time::Duration;

use lingate_testkit::Script;
use serde_json::{Value, json};

use crate::wire::{Dialect, failed, flat_error};
use crate::world::{Asked, World, at_once};

/// The words of each vendor for a prompt that is too long.
pub(crate) fn too_long(dialect: Dialect) -> String {
    let sentence = match dialect {
        Dialect::Chat => {
            return json!({"error": {"message": "Prompt contains 9001 tokens, too large for model with 8192 maximum context length", "type": "invalid_request_error", "code": 3051}}).to_string();
        }
        Dialect::Messages => {
            "input length and `max_tokens` exceed context limit: 8001 + 1000 > 8192"
        }
        Dialect::Responses => {
            return json!({"error": {"message": "This model's maximum context length is 8192 tokens, but your input has 9001 tokens.", "type": "invalid_request_error", "param": "input", "code": "context_length_exceeded"}}).to_string();
        }
        Dialect::Gemini => {
            "Unable to submit request because the input token count is 9001 but model only supports up to 8192."
        }
    };
    dialect.error(400, sentence)
}

/// The words of each vendor for an account that has nothing left, and their status.
pub(crate) fn spent(dialect: Dialect) -> (u16, String) {
    match dialect {
        Dialect::Chat | Dialect::Responses => (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#.to_owned(),
        ),
        Dialect::Messages => (400, dialect.error(400, "Your credit balance is too low")),
        Dialect::Gemini => (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}]}}"#.to_owned(),
        ),
    }
}

/// The upstream's answer for a model of this name.
fn refuse(asked: &Asked<'_>) -> Script {
    let dialect = asked.dialect;
    let error = |status: u16, message: &str| Script::json(status, dialect.error(status, message));
    match asked.model.as_str() {
        "too-long" => Script::json(400, too_long(dialect)),
        "too-long-in-stream" => match dialect {
            Dialect::Messages => {
                Script::events([format!("event: error\ndata: {}\n\n", too_long(dialect))])
            }
            Dialect::Chat | Dialect::Gemini => {
                Script::events([format!("data: {}\n\n", too_long(dialect))])
            }
            Dialect::Responses => Script::events([flat_error(
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens, but your input has 9001 tokens.",
            )]),
        },
        "soon" => error(429, "slow down").header("retry-after-ms", "1500"),
        "in-words" => error(429, "Rate limit reached. Please try again in 20s."),
        "late" => error(429, "slow down").header("retry-after", "300"),
        "spent" => {
            let (status, body) = spent(dialect);
            Script::json(status, body)
        }
        "busy" => error(503, "busy"),
        "limits" => error(429, "slow down")
            .header("x-ratelimit-remaining-tokens", "0")
            .header("x-ratelimit-reset-tokens", "6.5s")
            .header("x-ratelimit-remaining-requests", "9")
            .header("x-ratelimit-reset-requests", "1h0m"),
        other => panic!("no case {other}"),
    }
}

/// A case; the `retry-after-ms`, whether `x-should-retry` says no, and what is in the bodies for callers of Chat, Messages, Gemini, Responses.
/// Limits rest their keys, so no case has the key of another.
const CASES: &[(&str, &str, &str, [&str; 4])] = &[
    (
        "too-long",
        "",
        "",
        [
            r#""code":"context_length_exceeded""#,
            "prompt is too long: 9001 tokens > 8192 maximum",
            "The input token count (9001) exceeds the maximum number of tokens allowed (8192).",
            r#""code":"context_length_exceeded""#,
        ],
    ),
    (
        "soon",
        "1500",
        "",
        [
            r#""code":"rate_limit_exceeded""#,
            r#""type":"rate_limit_error""#,
            r#""retryDelay":"1.5s""#,
            "Please try again in 1.5s.",
        ],
    ),
    (
        "in-words",
        "20000",
        "",
        [
            "Please try again in 20s.",
            "Please try again in 20s.",
            r#""retryDelay":"20s""#,
            "Please try again in 20s.",
        ],
    ),
    (
        "late",
        "300000",
        "false",
        [
            r#""code":"rate_limit_exceeded""#,
            r#""type":"rate_limit_error""#,
            r#""retryDelay":"300s""#,
            "Please try again in 300s.",
        ],
    ),
    (
        "limits",
        "6500",
        "",
        [
            "Please try again in 6.5s.",
            r#""type":"rate_limit_error""#,
            r#""retryDelay":"6.5s""#,
            "Please try again in 6.5s.",
        ],
    ),
    (
        "busy",
        "",
        "",
        [
            r#""code":"server_is_overloaded""#,
            r#""type":"overloaded_error""#,
            r#""status":"UNAVAILABLE""#,
            r#""code":"server_is_overloaded""#,
        ],
    ),
    (
        "spent",
        "",
        "false",
        [
            r#""code":"insufficient_quota""#,
            r#""type":"billing_error""#,
            "PerDay",
            r#""code":"insufficient_quota""#,
        ],
    ),
];

#[tokio::test]
async fn each_class_is_said_as_each_dialects_clients_read_it() {
    for (name, wait, should_retry, words) in CASES {
        let world = World::playing("", refuse).await;
        for caller in Dialect::ALL {
            for upstream in Dialect::ALL {
                for stream in [false, true] {
                    let model = format!("{}/{name}", upstream.provider());
                    let answer = world.ask(caller, &model, stream).await;
                    let case = format!("{caller:?} to {upstream:?}, stream {stream}, {name}");
                    caller.refusal(&answer);
                    if caller == upstream && *name != "too-long" {
                        // The vendor's own body; what is added is in the head.
                        assert!(answer.text().contains("error"), "{case}");
                    } else {
                        let part = words[caller as usize];
                        assert!(answer.text().contains(part), "{case}: {}", answer.text());
                    }
                    assert_eq!(answer.header("retry-after-ms"), *wait, "{case}");
                    // Where Messages has 400, no client repeats.
                    let repeated = matches!(answer.status, 402 | 429) || answer.status >= 500;
                    let expect = if repeated { *should_retry } else { "" };
                    assert_eq!(answer.header("x-should-retry"), expect, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_no_stream_either() {
    let world = World::playing("", refuse).await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            let model = format!("{}/too-long-in-stream", upstream.provider());
            let answer = world.ask(caller, &model, true).await;
            let message = caller.refusal(&answer);
            assert_eq!(answer.status, 400, "{caller:?} {upstream:?}");
            let part = CASES[0].3[caller as usize];
            assert!(answer.text().contains(part), "{upstream:?} {message}");
        }
    }
}

#[tokio::test]
async fn when_all_keys_rest_the_first_that_is_ready_is_waited_for() {
    let world = World::configured(
        |upstream| crate::world::providers(upstream).replace("keys: [", "keys: [sk-canary-first, "),
        |asked| {
            let shown = format!("{:?}", asked.received.headers);
            let wait = if shown.contains("-first") {
                "40"
            } else {
                "900"
            };
            Script::json(429, asked.dialect.error(429, "slow down")).header("retry-after", wait)
        },
    )
    .await;
    let cases = Dialect::ALL
        .into_iter()
        .flat_map(|caller| Dialect::ALL.map(|upstream| (caller, upstream)));
    let world = std::sync::Arc::new(world);
    at_once(cases, |(caller, upstream)| {
        let world = std::sync::Arc::clone(&world);
        async move {
            let answer = world
                .ask(caller, &format!("{}/m", upstream.provider()), true)
                .await;
            assert_eq!(answer.status, 429, "{}", answer.text());
            let wait: u64 = answer.header("retry-after-ms").parse().unwrap();
            let wait = Duration::from_millis(wait);
            // A moment has passed since the upstream said it.
            assert!(wait <= Duration::from_secs(40), "{wait:?}");
            assert!(wait > Duration::from_secs(20), "{wait:?}");
            // Who has not been asked anything in vain may come again; who has, was told when.
            let again = if answer.attempts() > 1 { "false" } else { "" };
            assert_eq!(answer.header("x-should-retry"), again);
        }
    })
    .await;
}

/// A first word, and then an error of the class and, where there are several, in the form that the model's name says.
fn fail_half_way(asked: &Asked<'_>) -> Script {
    const WAIT: &str = "Rate limit reached. Please try again in 20s.";
    let dialect = asked.dialect;
    let (class, form) = asked.model.split_once('.').unwrap();
    let (code, body) = match class {
        "context_length_exceeded" => ("context_length_exceeded", too_long(dialect)),
        "insufficient_quota" => ("insufficient_quota", spent(dialect).1),
        "rate_limit_exceeded" if dialect == Dialect::Chat => (
            "rate_limit_exceeded",
            json!({"error": {"message": WAIT, "type": "requests", "code": "rate_limit_exceeded"}})
                .to_string(),
        ),
        "rate_limit_exceeded" => ("rate_limit_exceeded", dialect.error(429, WAIT)),
        _ => ("server_error", dialect.error(500, "out of order")),
    };
    let event = match dialect {
        Dialect::Chat | Dialect::Gemini => format!("data: {body}\n\n"),
        Dialect::Messages => format!("event: error\ndata: {body}\n\n"),
        Dialect::Responses => {
            let body: Value = serde_json::from_str(&body).unwrap();
            let message = body["error"]["message"].as_str().unwrap();
            match form {
                "flat" => flat_error(code, message),
                "twice" => flat_error(code, message) + &failed(code, message),
                _ => failed(code, message),
            }
        }
    };
    let begun = dialect.events().into_iter().take(dialect.opening() + 1);
    Script::events(begun.chain([event]))
}

/// Codex stops, compacts or waits by the code of a failed answer and the words of its message.
#[tokio::test]
async fn an_answer_that_fails_half_way_says_what_codex_acts_on() {
    let world = World::playing("", fail_half_way).await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            let forms = match upstream {
                Dialect::Responses => &["failed", "flat", "twice"][..],
                Dialect::Chat | Dialect::Messages | Dialect::Gemini => &["only"],
            };
            for code in [
                "context_length_exceeded",
                "insufficient_quota",
                "rate_limit_exceeded",
                "server_error",
            ] {
                for form in forms {
                    let model = format!("{}/{code}.{form}", upstream.provider());
                    let answer = world.ask(caller, &model, true).await;
                    let heard = caller.listen(&answer);
                    let case = format!("{caller:?} to {model}: {}", answer.text());
                    assert_eq!(heard.text, "Hello ", "{case}");
                    let message = heard.failed();
                    if caller == Dialect::Responses {
                        assert_eq!(heard.code.as_deref(), Some(code), "{case}");
                    }
                    if code == "rate_limit_exceeded" {
                        assert!(message.contains("try again in 20s"), "{case}");
                    }
                }
            }
        }
    }
}
