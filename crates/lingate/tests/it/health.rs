//! What probes are told, and what those are told who may know why.

use lingate_testkit::{Script, Upstream};
use serde_json::json;

use crate::wire::Dialect;
use crate::world::{Asked, World, program};

fn configuration(settings: &'static str) -> impl Fn(&Upstream) -> String {
    move |upstream| {
        let url = upstream.url();
        format!(
            r#"
{settings}
providers:
  one: {{base_url: "{url}/v1", dialects: [chat], keys: [sk-canary-dead-aaaa]}}
  two: {{base_url: "{url}/v1", dialects: [chat], keys: [sk-canary-good-bbbb], breaker: {{requests: 2, cooldown: 60s}}}}
"#
        )
    }
}

fn play(asked: &Asked<'_>) -> Script {
    let error = |status: u16| Script::json(status, asked.dialect.error(status, "so be it"));
    if format!("{:?}", asked.received.headers).contains("-dead-") {
        return error(401);
    }
    match asked.model.as_str() {
        "out" => error(402),
        "bad" => error(500),
        _ => asked.good(),
    }
}

#[tokio::test]
async fn ready_as_long_as_somebody_can_serve() {
    let world = World::configured(configuration(""), play).await;
    let get = async |path: &str| world.send("GET", path, &[], b"").await;
    let ready = get("/health/ready").await;
    assert_eq!(
        (ready.status, ready.json()),
        (200, json!({"status": "ok", "unready": []}))
    );

    // One of two is enough.
    world.ask(Dialect::Chat, "one/m", false).await;
    let ready = get("/health/ready").await;
    assert_eq!(ready.status, 200);
    let why = ready.json()["unready"][0].as_str().unwrap().to_owned();
    assert!(why.starts_with("one: keys: disabled: 401"), "{why}");

    // A model's breaker is not the provider's.
    for _ in 0..2 {
        world.ask(Dialect::Chat, "two/bad", false).await;
    }
    let health = get("/health").await;
    assert_eq!(health.status, 200);
    let told = health.json();
    assert_eq!(told["status"], "ok");
    assert_eq!(told["open_breakers"][0]["provider"], "two");
    assert_eq!(told["open_breakers"][0]["model"], "bad");
    assert_eq!(
        (&told["keys"]["disabled"], &told["keys"]["healthy"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&told["providers"], &told["storage"]),
        (&json!(2), &json!("disk"))
    );

    world.ask(Dialect::Chat, "two/out", false).await;
    let ready = get("/health/ready").await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(ready.json()["status"], "unready");
    assert_eq!(ready.json()["unready"].as_array().unwrap().len(), 2);
    let health = get("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("unready"))
    );
    let live = get("/health/live").await;
    assert_eq!((live.status, live.json()), (200, json!({"status": "ok"})));
}

/// The doctor tells it on, and fails nothing for it.
#[tokio::test]
async fn the_doctor_tells_of_keys_at_rest() {
    let world = World::configured(configuration(""), play).await;
    world.ask(Dialect::Chat, "one/m", false).await;
    let url = world.gateway.url();
    let mut command = std::process::Command::new(program());
    command
        .args(["doctor", "--config", "lingate.yml", "--url", &url])
        .current_dir(world.gateway.folder())
        .env_clear();
    let done = tokio::task::spawn_blocking(move || command.output().unwrap());
    let done = done.await.unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{told}");
    let note = "note  keys at rest: 1 disabled; `lingate key-pools list` says whose";
    assert!(told.contains(note), "{told}");
    let why = "note  cannot serve now: one: keys: disabled: 401";
    assert!(told.contains(why), "{told}");
    assert!(!told.contains("canary"), "{told}");
}

#[tokio::test]
async fn why_is_told_to_those_who_may_know() {
    let settings = "auth: keys
api_keys: [{name: asks, key: sk-canary-asks}, {name: looks, key: sk-canary-looks, kind: read_only}]";
    let world = World::configured(configuration(settings), play).await;
    let get =
        async |path: &str, key: &str| world.send("GET", path, &[("x-api-key", key)], b"").await;
    for key in ["", "sk-canary-wrong", "sk-canary-asks"] {
        for path in ["/health", "/health/ready", "/health/live"] {
            let answer = get(path, key).await;
            assert_eq!(
                (answer.status, answer.json()),
                (200, json!({"status": "ok"})),
                "{path} {key}"
            );
        }
    }
    assert_eq!(
        get("/health", "sk-canary-looks").await.json()["providers"],
        2
    );
}

#[tokio::test]
async fn callers_who_bring_keys_need_none_of_ours() {
    let settings = "auth: passthrough";
    let world = World::configured(
        |upstream| {
            let url = upstream.url();
            format!("{settings}\nproviders:\n  one: {{base_url: \"{url}/v1\", dialects: [chat]}}\n")
        },
        play,
    )
    .await;
    let ready = world.send("GET", "/health/ready", &[], b"").await;
    assert_eq!(ready.status, 200, "{}", ready.text());
}
