//! What one caller does leaves the others alone: their targets stay open, their keys stay free, and nothing is told that is not theirs.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use lingate_testkit::{Script, Step, Upstream};

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, PATIENCE, World, good_answer, providers};

/// Breakers that open at the second failure.
fn touchy(upstream: &Upstream) -> String {
    let breakers = "breaker: {requests: 2, ratio: 1%}";
    let providers = providers(upstream).replace("breaker: false", breakers);
    format!("defaults: {{request_timeout: 1s}}\n{providers}")
}

/// The model `endless` begins an answer and goes on with it for ever.
fn endless(asked: &Asked<'_>) -> Script {
    if asked.model != "endless" {
        return asked.good();
    }
    let opening = asked.dialect.opening();
    let begun = asked.dialect.events().into_iter().take(opening + 2);
    Script::events(begun).then(Step::Stall)
}

#[tokio::test]
async fn answers_that_last_too_long_open_no_breaker() {
    let world = World::configured(touchy, endless).await;
    for dialect in Dialect::ALL {
        let provider = dialect.provider();
        let endless = format!("{provider}/endless");
        for _ in 0..2 {
            let answer = world.ask(dialect, &endless, true).await;
            dialect.listen(&answer).failed();
        }
        for model in [format!("{provider}/good"), endless] {
            let answer = world.ask(dialect, &model, true).await;
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn prompts_that_lead_to_nothing_open_no_breaker() {
    let world = World::configured(touchy, |asked: &Asked<'_>| {
        let whole = asked.dialect.whole().to_string();
        let nothing = asked.received.json().to_string().contains("nothing");
        Script::json(
            200,
            if nothing {
                whole.replace(TEXT, "")
            } else {
                whole
            },
        )
    })
    .await;
    for dialect in [Dialect::Chat, Dialect::Gemini] {
        let model = format!("{}/m", dialect.provider());
        let body = dialect.request(&model, false).to_string();
        for _ in 0..3 {
            let nothing = body.replace("Hi", "Say nothing.");
            let path = dialect.path(&model, false);
            let answer = world.post(&path, &[], nothing.as_bytes()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let answer = world.ask(dialect, &model, false).await;
        assert!(
            answer.status == 200 && answer.text().contains(TEXT),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_sent_to_nobody() {
    let world = World::good("").await;
    for dialect in Dialect::ALL {
        let model = format!("{}/{}", dialect.provider(), "m".repeat(600));
        let answer = world.ask(dialect, &model, false).await;
        let told = answer.text();
        assert_eq!(answer.status, 400, "{told}");
        assert!(told.contains("at most 512") && told.len() < 1_000, "{told}");
        let model = format!("{}/{}", dialect.provider(), "m".repeat(400));
        assert_eq!(world.ask(dialect, &model, false).await.status, 200);
    }
    assert_eq!(world.upstream.received().len(), Dialect::ALL.len());
}

#[tokio::test]
async fn what_was_noted_of_a_key_is_told_to_no_caller() {
    let configuration = |upstream: &Upstream| {
        let off = "keys: [{key: sk-canary-up-chat, disabled: leaked on Monday}]";
        providers(upstream).replace("keys: [sk-canary-up-chat]", off)
    };
    let world = World::configured(configuration, good_answer).await;
    let answer = world.ask(Dialect::Chat, "up-chat/m", false).await;
    let told = answer.text();
    assert_eq!(answer.status, 503, "{told}");
    assert!(
        told.contains("off by hand") && !told.contains("Monday"),
        "{told}"
    );
}

/// The answers of `m` break off. Whoever asks with another key than the first, or for the rest, is turned away with that key.
fn turned_away_with_its_key(asked: &Asked<'_>) -> Script {
    let headers = format!("{:?}", asked.received.headers);
    let so_far = asked.received.json()["messages"].to_string();
    for key in ["sk-canary-other", "sk-canary-only"] {
        if headers.contains(key) && (key.ends_with("other") || so_far.contains("assistant")) {
            let said = format!(r#"{{"error":{{"message":"no","code":"{key}"}}}}"#);
            return Script::json(401, said);
        }
    }
    if asked.model == "m" {
        let opening = asked.dialect.opening();
        let begun = asked.dialect.events().into_iter().take(opening + 2);
        return Script::events(begun).then(Step::Close);
    }
    asked.good()
}

fn mended(upstream: &Upstream, keys: &str) -> String {
    let providers = providers(upstream).replace("sk-canary-up-chat", keys);
    format!(
        "{providers}routes: [{{model: m, anti_truncation: {{attempts: 1}}, last_resort: refuse, targets: [up-chat]}}]\n"
    )
}

#[tokio::test]
async fn the_key_that_the_rest_of_an_answer_was_asked_with_is_blamed_alone() {
    // The first has one request at a time, so that the rest is asked for with the other.
    let keys = "{key: sk-canary-first, concurrency: 1}, sk-canary-other";
    let configuration = |upstream: &Upstream| mended(upstream, keys);
    let world = World::configured(configuration, turned_away_with_its_key).await;
    let answer = world.ask(Dialect::Chat, "m", true).await;
    Dialect::Chat.listen(&answer).failed();
    let answer = world.ask(Dialect::Chat, "up-chat/n", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.attempts(), 1);
}

#[tokio::test]
async fn no_reason_for_a_rest_repeats_the_key() {
    let configuration = |upstream: &Upstream| mended(upstream, "sk-canary-only");
    let world = World::configured(configuration, turned_away_with_its_key).await;
    let answer = world.ask(Dialect::Chat, "m", true).await;
    Dialect::Chat.listen(&answer).failed();
    // The world looks for the key in whatever is told.
    let answer = world.ask(Dialect::Chat, "m", true).await;
    let told = answer.text();
    assert!(told.contains("disabled: 401 ***"), "{told}");
}

#[tokio::test]
async fn a_caller_that_takes_nothing_holds_no_key_for_ever() {
    let configuration = |upstream: &Upstream| {
        let one = "keys: [{key: sk-canary-up-chat, concurrency: 1}]";
        let providers = providers(upstream).replace("keys: [sk-canary-up-chat]", one);
        format!(
            "defaults: {{request_timeout: 2s}}\n{providers}routes:\n  - {{model: m, last_resort: {{queue: 60s}}, targets: [up-chat]}}\n"
        )
    };
    let world = World::configured(configuration, |asked: &Asked<'_>| {
        if asked.received.json()["user"] != "idle" {
            return asked.good();
        }
        let word = asked.dialect.events()[asked.dialect.opening()]
            .replace("Hello", &"Hello".repeat(100_000));
        Script::events(std::iter::repeat_n(word, 20))
    })
    .await;
    let stream = tokio::net::TcpStream::connect(world.gateway.address())
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(1_024)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let mut body = Dialect::Chat.request("m", true);
    body["user"] = "idle".into();
    let request = hyper::Request::post(format!("http://gateway{}", Dialect::Chat.path("m", true)))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let idle = sender.send_request(request).await.unwrap();
    assert_eq!(idle.status(), 200);

    // Another caller waits for the only key while the first keeps its connection.
    let mut answers = Vec::new();
    let deadline = std::time::Instant::now() + PATIENCE;
    while answers.last() != Some(&200) && std::time::Instant::now() < deadline {
        answers.push(world.ask(Dialect::Chat, "m", false).await.status);
    }
    assert_eq!(answers.last(), Some(&200), "{answers:?}");
    // What the first would read now has no clean end.
    let rest = tokio::time::timeout(Duration::from_millis(200), idle.into_body().collect()).await;
    assert!(!rest.is_ok_and(|rest| rest.is_ok_and(|rest| {
        let read = String::from_utf8_lossy(&rest.to_bytes()).into_owned();
        Dialect::Chat.hear(&read).text.ends_with(TEXT)
    })));
    driver.abort();
}
