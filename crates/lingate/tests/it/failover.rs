//! Keys and targets in turn: before the first content a failure leads to the next, and the caller sees only the success.

use std::sync::Arc;

use lingate_testkit::{Script, Step};

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, World, at_once};

/// How the first of two fails. Model or key `ok` answers.
fn fail(asked: &Asked<'_>, how: &str) -> Script {
    let error = |status: u16| Script::json(status, asked.dialect.error(status, "the first one's"));
    let opening = asked
        .dialect
        .events()
        .into_iter()
        .take(asked.dialect.opening());
    match how {
        "close" => Script::events(opening).then(Step::Close),
        "reset" => Script::events(opening).then(Step::Reset),
        "end" => Script::events(opening),
        "html" => Script::html(200),
        "error-event" => Script::events([asked.dialect.error_event("the first one's")]),
        "silent" => Script::silent(),
        status => error(status.parse().unwrap()),
    }
}

const FAILURES: &[&str] = &[
    "401",
    "402",
    "403",
    "429",
    "404",
    "408",
    "500",
    "502",
    "503",
    "529",
    "html",
    "close",
    "reset",
    "end",
    "error-event",
    "silent",
];

/// Turns away keys that do not end in `good`.
fn by_key(asked: &Asked<'_>) -> Script {
    let shown = format!("{:?}", asked.received.headers);
    if shown.contains("-good") {
        asked.good()
    } else {
        fail(asked, &asked.model)
    }
}

fn two_keys(upstream: &lingate_testkit::Upstream) -> String {
    crate::world::providers(upstream)
        .replace("keys: [", "keys: [sk-canary-bad-1, sk-canary-bad-2, ")
        .replace("sk-canary-up-chat", "sk-canary-good")
        .replace("sk-canary-up-messages", "sk-canary-good")
        .replace("sk-canary-up-gemini", "sk-canary-good")
        .replace("sk-canary-up-responses", "sk-canary-good")
}

#[tokio::test]
async fn a_key_that_is_turned_away_gives_way_to_the_next_and_rests() {
    for status in ["401", "402", "403", "429"] {
        let world = World::configured(two_keys, by_key).await;
        for dialect in Dialect::ALL {
            for (turn, stream) in [(0, true), (1, false), (2, true)] {
                let model = format!("{}/{status}", dialect.provider());
                let answer = world.ask(dialect, &model, stream).await;
                assert_eq!(answer.status, 200, "{status}: {}", answer.text());
                // The two bad ones rest after the first request, and nobody asks with them again.
                let expect = if turn == 0 { 3 } else { 1 };
                assert_eq!(answer.attempts(), expect, "{dialect:?} {status} {turn}");
                assert_eq!(answer.header("x-should-retry"), "");
                let text = if stream {
                    dialect.listen(&answer).text
                } else {
                    dialect.said(&answer)
                };
                assert_eq!(text, TEXT);
            }
        }
        world.logged("attempt failed").await;
    }
}

#[tokio::test]
async fn a_target_that_fails_gives_way_to_the_next_of_another_dialect() {
    let world = World::configured(
        |upstream| {
            let routes: Vec<String> = FAILURES
                .iter()
                .map(|how| {
                    format!(
                        "  - {{model: \"all-{how}\", last_resort: least_bad, targets: [{{provider: up-chat, model: \"{how}\"}}, {{provider: up-messages, model: \"{how}\"}}, {{provider: up-responses, model: \"{how}\"}}, {{provider: up-gemini, model: ok}}]}}
  - {{model: \"back-{how}\", last_resort: least_bad, targets: [{{provider: up-gemini, model: \"{how}\"}}], fallbacks: [up-responses/ok]}}
"
                    )
                })
                .collect();
            let providers = crate::world::providers(upstream);
            format!(
                "defaults: {{first_byte_timeout: 1s, request_timeout: 30s}}\n{providers}routes:\n{}",
                routes.concat()
            )
        },
        |asked| if asked.model == "ok" { asked.good() } else { fail(asked, &asked.model) },
    )
    .await;
    let world = Arc::new(world);
    let cases = Dialect::ALL.into_iter().flat_map(|caller| {
        FAILURES
            .iter()
            .flat_map(move |how| [("all", 4), ("back", 2)].map(|route| (caller, *how, route)))
    });
    at_once(cases, |(caller, how, (route, attempts))| {
        let world = Arc::clone(&world);
        async move {
            let answer = world.ask(caller, &format!("{route}-{how}"), true).await;
            assert_eq!(answer.status, 200, "{caller:?} {how}: {}", answer.text());
            let heard = caller.listen(&answer);
            assert_eq!(
                (heard.text.as_str(), heard.clean),
                (TEXT, true),
                "{how}: {}",
                answer.text()
            );
            let made = answer.attempts();
            // Targets whose keys rest are tried last.
            assert!((1..=attempts).contains(&made), "{how}: {made}");
            assert!(!answer.text().contains("first one"), "{}", answer.text());
        }
    })
    .await;
}

#[tokio::test]
async fn refused_connections_and_whole_answers_fail_over_too() {
    let dead = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let world = World::configured(
        |upstream| {
            format!(
                "{}  dead: {{base_url: \"http://{dead}\", dialects: [chat], keys: [none]}}
routes:
  - {{model: m, targets: [{{provider: dead}}, {{provider: up-messages, model: cut}}, {{provider: up-responses, model: cut}}, {{provider: up-gemini, model: ok}}]}}
",
                crate::world::providers(upstream)
            )
        },
        |asked| match asked.model.as_str() {
            "cut" if asked.stream => fail(asked, "close"),
            "cut" => Script::json(200, "{\"id\":").then(Step::Close),
            _ => asked.good(),
        },
    )
    .await;
    for caller in Dialect::ALL {
        for stream in [false, true] {
            let answer = world.ask(caller, "m", stream).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.attempts(), 4);
            assert_eq!(answer.header("x-lingate-provider"), "up-gemini");
            assert_eq!(answer.header("x-lingate-model"), "ok");
            let text = if stream {
                caller.listen(&answer).text
            } else {
                caller.said(&answer)
            };
            assert_eq!(text, TEXT);
        }
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_given_only_when_nobody_says_more() {
    let world = World::configured(
        |upstream| {
            let targets = |last: &str| {
                format!("{{provider: up-chat, model: empty}}, {{provider: up-messages, model: empty}}, {{provider: up-responses, model: empty}}, {{provider: up-gemini, model: {last}}}")
            };
            format!(
                "{}routes:\n  - {{model: some, targets: [{}]}}\n  - {{model: none, targets: [{}]}}\n  - {{model: spare, targets: [{{provider: up-chat, model: empty}}, {{provider: up-messages, model: '503'}}]}}\n",
                crate::world::providers(upstream),
                targets("ok"),
                targets("empty"),
            )
        },
        |asked| match asked.model.as_str() {
            "empty" if asked.stream => Script::events(asked.dialect.empty_events()),
            "empty" => Script::json(200, asked.dialect.empty_whole().to_string()),
            "ok" => asked.good(),
            status => fail(asked, status),
        },
    )
    .await;
    for caller in Dialect::ALL {
        for stream in [false, true] {
            let answer = world.ask(caller, "some", stream).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.attempts(), 4);
            let text = if stream {
                caller.listen(&answer).text
            } else {
                caller.said(&answer)
            };
            assert_eq!(text, TEXT);
            for (model, attempts, provider) in [("none", 4, "up-gemini"), ("spare", 2, "up-chat")] {
                let answer = world.ask(caller, model, stream).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.attempts(), attempts);
                assert_eq!(answer.header("x-lingate-provider"), provider);
                if stream {
                    let heard = caller.listen(&answer);
                    assert_eq!((heard.text.as_str(), heard.clean), ("", true));
                }
            }
        }
    }
    // One who may be answered with nothing is: a stop sequence may come first.
    let body = br#"{"model":"some","stop":["x"],"messages":[{"role":"user","content":"Hi"}]}"#;
    let answer = world.post("/v1/chat/completions", &[], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.attempts(), 1);
}

#[tokio::test]
async fn when_everything_fails_the_client_is_told_not_to_multiply() {
    let world = World::configured(
        |upstream| {
            format!(
                "{}routes:
  - {{model: both, targets: [{{provider: up-chat, model: '500'}}, {{provider: up-messages, model: '503'}}]}}
  - {{model: either, targets: [{{provider: up-responses, model: '503'}}, {{provider: up-gemini, model: '500'}}]}}
  - {{model: once, targets: [{{provider: up-chat, model: '500'}}]}}
  - {{model: mine, targets: [{{provider: up-chat, model: '400'}}, {{provider: up-messages, model: '503'}}]}}
",
                crate::world::providers(upstream)
            )
        },
        |asked| fail(asked, &asked.model),
    )
    .await;
    for caller in Dialect::ALL {
        for stream in [false, true] {
            let check = async |model: &str, attempts: u32, should_retry: &str| {
                let answer = world.ask(caller, model, stream).await;
                let message = caller.refusal(&answer);
                assert!(message.contains("the first one's"), "{message}");
                let headers = (answer.attempts(), answer.header("x-should-retry"));
                assert_eq!(headers, (attempts, should_retry), "{caller:?} {model}");
                answer.status
            };
            assert!(check("both", 2, "false").await >= 500);
            assert!(check("either", 2, "false").await >= 500);
            assert!(check("once", 1, "").await >= 500);
            // What is the request's own fault is no reason to try another target.
            assert_eq!(check("mine", 1, "").await, 400);
        }
    }
}
