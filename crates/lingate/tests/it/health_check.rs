//! Questions that nobody asked: a provider that was down is used again, and a key that is accepted again, before anybody has to try.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lingate_testkit::{Gateway, Received, Script, Step, Upstream};

use crate::wire::Dialect;
use crate::world::{PATIENCE, World, program};

/// An upstream that is ill as long as the switch says so, and its gateway.
async fn world(
    check: &str,
    ill: impl Fn(&Received) -> Script + Send + Sync + 'static,
) -> (World, Arc<AtomicBool>) {
    let is_ill = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&is_ill);
    let answering = move |received: &Received| {
        if switch.load(Ordering::SeqCst) {
            return ill(received);
        }
        match received.path.as_str() {
            "/v1/models" => Script::json(200, r#"{"object":"list","data":[]}"#),
            _ => Script::json(200, Dialect::Chat.whole().to_string()),
        }
    };
    let upstream = Upstream::answering(([127, 0, 0, 1], 0).into(), Arc::new(answering))
        .await
        .unwrap();
    let configuration = format!(
        "providers:
  up:
    base_url: \"{}/v1\"
    dialects: [chat]
    keys: [sk-canary-up]
    breaker: {{requests: 2, cooldown: 10m, longest: 10m}}
    health_check: {check}
",
        upstream.url()
    );
    let gateway = Gateway::start(program(), &configuration, &[])
        .await
        .unwrap();
    (World { gateway, upstream }, is_ill)
}

/// Requests of callers that went upstream; questions are those for one token, or for the list.
fn lively(world: &World) -> usize {
    let received = world.upstream.received();
    let of_callers = received.iter().filter(|received| {
        received.path == "/v1/chat/completions" && received.json()["max_tokens"] != 1
    });
    of_callers.count()
}

async fn recovers(check: &str, ill: impl Fn(&Received) -> Script + Send + Sync + 'static) {
    let (world, is_ill) = world(check, ill).await;
    while !world.gateway.log().contains("circuit breaker opened") {
        let answer = world.ask(Dialect::Chat, "up/m", false).await;
        assert_ne!(answer.status, 200);
    }
    let before = lively(&world);
    let answer = world.ask(Dialect::Chat, "up/m", false).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(lively(&world), before);
    is_ill.store(false, Ordering::SeqCst);
    world.logged("the model's circuit breaker closed").await;
    assert_eq!(lively(&world), before);
    let answer = world.ask(Dialect::Chat, "up/m", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(lively(&world), before + 1);
    for received in world.upstream.received() {
        let key = received.header("authorization");
        assert_eq!(key, "Bearer sk-canary-up", "{}", received.path);
    }
}

#[tokio::test]
async fn a_provider_that_is_there_again_is_used_at_once() {
    recovers("{interval: 1s}", |_| {
        Script::steps("application/json", vec![Step::Close])
    })
    .await;
}

#[tokio::test]
async fn a_model_that_is_well_again_is_used_at_once() {
    recovers("{interval: 1s, model: m}", |_| {
        Script::json(500, r#"{"error":{"message":"broken"}}"#)
    })
    .await;
}

#[tokio::test]
async fn a_key_is_tested_without_a_caller() {
    let (mut world, is_ill) = world("{interval: 1s}", |_| {
        let body = r#"{"error":{"message":"no","code":"invalid_api_key"}}"#;
        Script::json(401, body)
    })
    .await;
    // The question finds it out before any caller does.
    world.logged("key disabled").await;
    assert_eq!(lively(&world), 0);
    assert_eq!(world.gateway.terminate(PATIENCE).await.unwrap(), Some(0));
    // Its time comes while the gateway is down.
    let path = world.gateway.folder().join("data/keys.json");
    let mut kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    kept["providers"]["up"][0]["until"] = 1.into();
    std::fs::write(&path, kept.to_string()).unwrap();
    is_ill.store(false, Ordering::SeqCst);
    world.gateway.start_again(program()).await.unwrap();
    world.logged("key used again").await;
    assert_eq!(lively(&world), 0);
    let answer = world.ask(Dialect::Chat, "up/m", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
