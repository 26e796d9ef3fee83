//! What callers may take and what requests took: limits hold whatever comes at once, are settled to the truth, and are free again however
//! a request ends; usage is known though nobody tells it.

use std::sync::Arc;

use lingate_testkit::{Script, Step};
use serde_json::json;

use crate::wire::Dialect;
use crate::world::{Asked, CALLER, World, good_answer};

/// One caller, with these limits.
fn limited(limits: &str) -> String {
    format!("api_keys: [{{name: laptop, key: {CALLER}, limits: [{limits}]}}]")
}

/// The answer as the model wants it: whole, cut in the middle, without usage, or none.
fn play(asked: &Asked<'_>) -> Script {
    let opening = asked.dialect.opening();
    let untold = |text: String| {
        let names = ["\"usage\"", "\"usageMetadata\""];
        names
            .iter()
            .fold(text, |text, name| text.replace(name, "\"other\""))
    };
    match asked.model.as_str() {
        "cut" if asked.stream => Script::events(asked.dialect.events()[..=opening].to_vec()),
        "stalls" if asked.stream => {
            Script::events(asked.dialect.events()[..=opening].to_vec()).then(Step::Stall)
        }
        "stalls" => Script::silent(),
        "cut" | "fails" => Script::json(500, r#"{"error":{"message":"no"}}"#),
        "untold" if asked.stream => Script::events(asked.dialect.events().into_iter().map(untold)),
        "untold" => Script::json(200, untold(asked.dialect.whole().to_string())),
        _ => asked.good(),
    }
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_pass_as_may() {
    let world = World::playing(&limited("{requests: 50, per: hour}"), good_answer).await;
    let world = Arc::new(world);
    let asking: Vec<_> = (0..200)
        .map(|number| {
            let world = Arc::clone(&world);
            let dialect = Dialect::ALL[number % Dialect::ALL.len()];
            tokio::spawn(async move {
                world
                    .ask(dialect, "up-chat/m", number % 3 == 0)
                    .await
                    .status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for asked in asking {
        statuses.push(asked.await.unwrap());
    }
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(200), count(429)), (50, 150), "{statuses:?}");
    assert_eq!(world.upstream.received().len(), 50);
}

#[tokio::test]
async fn requests_under_way_are_free_again_however_they_end() {
    let world = World::playing(&limited("{concurrency: 1}"), play).await;
    let key = ("authorization", format!("Bearer {CALLER}"));
    let key = (key.0, key.1.as_str());
    for dialect in Dialect::ALL {
        for (model, stream) in [("m", true), ("m", false), ("cut", true), ("fails", false)] {
            // Whatever comes of it; the next one passes if this one is over.
            let answer = world
                .ask(dialect, &format!("up-chat/{model}"), stream)
                .await;
            assert_ne!(answer.status, 429, "{dialect:?} {model}: {}", answer.text());
        }
        for stream in [true, false] {
            let number = world.upstream.received().len();
            let mut connection = lingate_testkit::client::Connection::open(world.gateway.address())
                .await
                .unwrap();
            let body = dialect.request("up-chat/stalls", stream).to_string();
            let path = dialect.path("up-chat/stalls", stream);
            let headers = [("content-type", "application/json"), key];
            connection
                .send("POST", &path, &headers, body.as_bytes())
                .await
                .unwrap();
            world
                .upstream
                .request(number, crate::world::PATIENCE)
                .await
                .unwrap();
            let second = world.ask(dialect, "up-chat/m", false).await;
            assert_eq!(second.status, 429, "{dialect:?}: {}", second.text());
            drop(connection);
            let started = std::time::Instant::now();
            loop {
                let answer = world.ask(dialect, "up-chat/m", false).await;
                if answer.status == 200 {
                    break;
                }
                assert!(
                    started.elapsed() < crate::world::PATIENCE,
                    "{}",
                    answer.text()
                );
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

#[tokio::test]
async fn tokens_are_settled_to_the_truth_and_refusals_take_none() {
    let world = World::playing(&limited("{tokens: 1000, per: hour}"), play).await;
    let body = |model: &str, max: u64| {
        json!({"model": model, "max_tokens": max, "messages": [{"role": "user", "content": "Hi"}]})
            .to_string()
    };
    let ask = async |model: &str, max: u64| {
        let body = body(model, max);
        let answer = world
            .post("/v1/chat/completions", &[], body.as_bytes())
            .await;
        answer.status
    };
    // Each asks for most of it, and takes seven.
    for number in 0..10 {
        assert_eq!(ask("up-chat/m", 800).await, 200, "{number}");
        assert_eq!(ask("up-chat/m", 2000).await, 429, "{number}");
    }
    // An answer that never came takes nothing.
    for _ in 0..3 {
        assert_eq!(ask("up-chat/fails", 800).await, 500);
    }
    assert_eq!(ask("up-chat/m", 800).await, 200);
}

#[tokio::test]
async fn usage_is_known_though_nobody_tells_it() {
    let world = World::playing("", play).await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            for stream in [true, false] {
                let check = async |model: &str, expect: &[&str]| {
                    let before = world.gateway.log().len();
                    let name = format!("{}/{model}", upstream.provider());
                    world.ask(caller, &name, stream).await;
                    let line = || {
                        let log = world.gateway.log();
                        let new = log.get(before..)?.lines().map(str::to_owned);
                        new.rev().find(|line| line.contains("milliseconds="))
                    };
                    crate::world::eventually(|| line().is_some()).await;
                    let line = line().unwrap();
                    let told = |words: &&str| line.contains(&format!("usage=\"{words}\""));
                    let case = format!("{caller:?} to {upstream:?}, stream {stream}, {model}");
                    assert!(expect.iter().any(told), "{case}: {line}");
                    let nothing = line.contains("output_tokens=0");
                    assert!(!nothing, "{case}: {line}");
                };
                check("m", &["reported", "estimated"]).await;
                check("untold", &["estimated", "reported"]).await;
                if stream {
                    check("cut", &["counted", "estimated", "reported"]).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn usage_is_asked_for_where_tokens_count_and_hidden_from_who_did_not() {
    let telling = |asked: &Asked<'_>| {
        let mut events = asked.dialect.events();
        if asked.received.json()["stream_options"]["include_usage"] == true {
            let usage = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m-vendor","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
            events.insert(events.len() - 1, format!("{usage}\n\n"));
        }
        Script::events(events)
    };
    let world = World::playing(&limited("{tokens: 100000, per: hour}"), telling).await;
    let body = json!({"model": "up-chat/m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let body = body.to_string();
    let ask = async |world: &World| {
        let answer = world.post("/v1/chat/completions", &[], body.as_bytes());
        answer.await
    };
    let answer = ask(&world).await;
    let asked = world.upstream.received()[0].json();
    assert_eq!(asked["stream_options"]["include_usage"], true, "{asked}");
    let told = answer.text();
    assert!(
        told.contains("friend") && !told.contains("prompt_tokens"),
        "{told}"
    );
    world.logged("usage=\"reported\"").await;
    let free = World::playing("", telling).await;
    ask(&free).await;
    let asked = free.upstream.received()[0].json();
    assert!(asked.get("stream_options").is_none(), "{asked}");
}

#[tokio::test]
async fn counting_tokens_takes_requests_and_nothing_else() {
    let limits = "{requests: 3, per: hour}, {tokens: 10, per: hour}, {concurrency: 1}";
    let world = World::playing(&limited(limits), good_answer).await;
    let body = json!({"model": "up-messages/m", "messages": [{"role": "user", "content": "Hi"}]});
    let body = body.to_string();
    let mut statuses = Vec::new();
    let mut left = String::new();
    for _ in 0..5 {
        let answer = world.post("/v1/messages/count_tokens", &[], body.as_bytes());
        let answer = answer.await;
        statuses.push(answer.status);
        left = answer
            .header("anthropic-ratelimit-requests-remaining")
            .to_owned();
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(left, "0");
}

#[tokio::test]
async fn a_limit_at_a_provider_tells_what_is_left_of_it() {
    let limits = "{requests: 9, per: hour}, {requests: 1, per: hour, provider: up-chat}";
    let world = World::playing(&limited(limits), good_answer).await;
    let answer = world.ask(Dialect::Chat, "up-chat/m", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for stream in [false, true] {
        let answer = world.ask(Dialect::Chat, "up-chat/m", stream).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        let told = [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
        ]
        .map(|name| answer.header(name));
        assert_eq!(told, ["1", "0"], "{:?}", answer.headers);
    }
}
