//! What is known of keys outlives the process: its hard end, its soft one, and a file that is of no use.

use std::path::PathBuf;

use lingate_testkit::Script;

use crate::wire::Dialect;
use crate::world::{Asked, PATIENCE, World, eventually, program};

/// A key that is not accepted, one that is limited for ten minutes, and two that are well.
fn play(asked: &Asked<'_>) -> Script {
    let key = asked.received.header("authorization");
    if key.ends_with("dead") {
        let body =
            r#"{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}"#;
        return Script::json(401, body);
    }
    if key.ends_with("limited") {
        let body =
            r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
        return Script::json(429, body).header("retry-after", "600");
    }
    asked.good()
}

async fn world() -> World {
    World::configured(
        |upstream| {
            let keys = ["dead", "limited", "well"].map(|key| format!("sk-canary-{key}"));
            format!(
                "providers:\n  up: {{base_url: \"{}/v1\", dialects: [chat], keys: [{}]}}\n",
                upstream.url(),
                keys.join(", ")
            )
        },
        play,
    )
    .await
}

fn file(world: &World) -> PathBuf {
    world.gateway.folder().join("data/keys.json")
}

/// How often each of the keys was used, since `from` requests.
fn used(world: &World, from: usize) -> [usize; 3] {
    let received = world.upstream.received();
    ["dead", "limited", "well"].map(|key| {
        let later = received.iter().skip(from);
        let with = later.filter(|received| received.header("authorization").ends_with(key));
        with.count()
    })
}

async fn ask(world: &World, times: usize) {
    for _ in 0..times {
        let answer = world.ask(Dialect::Chat, "up/m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_key_that_was_turned_away_is_so_after_a_hard_end() {
    let mut world = world().await;
    ask(&world, 3).await;
    assert_eq!(used(&world, 0), [1, 1, 3]);
    world.logged("key disabled").await;
    let path = file(&world);
    let written = || std::fs::read_to_string(&path).unwrap_or_default();
    let both = || written().contains("disabled") && written().contains("cooling");
    assert!(eventually(both).await, "{}", written());
    assert!(!written().contains("canary"), "{}", written());

    world.gateway.kill_and_start(program()).await.unwrap();
    ask(&world, 3).await;
    assert_eq!(used(&world, 5), [0, 0, 3]);

    // At a soft end, too, with all that was known before.
    let ended = world.gateway.terminate(PATIENCE).await.unwrap();
    assert_eq!(ended, Some(0));
    world.gateway.start_again(program()).await.unwrap();
    ask(&world, 3).await;
    assert_eq!(used(&world, 8), [0, 0, 3]);
}

/// Who was told that a leaked key is off counts on it: it is on the disk before the answer, not at the next look.
#[tokio::test]
async fn a_key_that_was_switched_by_hand_is_so_at_once_after_a_hard_end() {
    let mut world = world().await;
    let path = "/api/v1/key-pools/up/keys";
    let keys = world.send("GET", path, &[], b"").await.json();
    let id = keys["keys"][0]["id"].as_str().unwrap().to_owned();
    for (what, state) in [("disable", "off"), ("enable", "healthy")] {
        let switch = format!("{path}/{id}/{what}");
        let answer = world.send("POST", &switch, &[], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        world.gateway.kill_and_start(program()).await.unwrap();
        let keys = world.send("GET", path, &[], b"").await.json();
        assert_eq!(keys["keys"][0]["state"], state);
    }
}

#[tokio::test]
async fn a_file_of_no_use_is_put_aside() {
    let mut world = world().await;
    ask(&world, 1).await;
    assert_eq!(world.gateway.terminate(PATIENCE).await.unwrap(), Some(0));
    let path = file(&world);
    let text = std::fs::read_to_string(&path).unwrap();
    let half = &text[..text.len() / 2];
    std::fs::write(&path, half).unwrap();
    world.gateway.start_again(program()).await.unwrap();
    world.logged("which keys rest cannot be read").await;
    let aside = path.with_extension("json.bad");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), half);
    ask(&world, 1).await;
    assert_eq!(used(&world, 3), [1, 1, 1]);
}

#[tokio::test]
async fn nothing_is_written_where_nothing_rests() {
    let mut world = World::good("").await;
    ask_good(&world).await;
    assert_eq!(world.gateway.terminate(PATIENCE).await.unwrap(), Some(0));
    assert!(!file(&world).exists());
}

async fn ask_good(world: &World) {
    let answer = world.ask(Dialect::Chat, "up-chat/m", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
