//! How keys fare, told to those who may know it; and keys switched by hand.

use lingate_testkit::client::Answer;
use lingate_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::{Asked, World, program};

fn configuration(settings: &'static str) -> impl Fn(&Upstream) -> String {
    move |upstream| {
        let url = upstream.url();
        format!(
            r#"
{settings}
providers:
  one:
    base_url: "{url}/v1"
    dialects: [chat]
    keys: [sk-canary-good-aaaa, sk-canary-dead-bbbb, sk-canary-good-cccc]
  two: {{base_url: "{url}/v1", dialects: [chat], keys: [sk-canary-good-dddd]}}
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
        "limited" => error(429).header("retry-after", "1"),
        _ => asked.good(),
    }
}

async fn get(world: &World, path: &str, key: &str) -> Answer {
    let headers = [("x-api-key", key)];
    let headers = if key.is_empty() { &[][..] } else { &headers };
    world.send("GET", path, headers, b"").await
}

#[tokio::test]
async fn requests_are_counted_by_key() {
    let world = World::configured(configuration(""), play).await;
    for _ in 0..4 {
        assert_eq!(world.ask(Dialect::Chat, "one/m", false).await.status, 200);
    }
    assert_eq!(
        world.ask(Dialect::Chat, "two/limited", false).await.status,
        429
    );
    for path in [
        "/v1/api-keys/stats",
        "/api/v1/api-keys/stats",
        "/api/api-keys/stats",
    ] {
        let answer = get(&world, path, "").await;
        assert_eq!(answer.header("cache-control"), "no-store");
        let told = answer.json();
        let keys = &told["providers"]["one"]["keys"];
        let one = |place: usize, name: &str| keys[place][name].clone();
        for (place, label, successful, failed, state) in [
            (0, "…aaaa", 2, 0, "healthy"),
            (1, "…bbbb", 0, 1, "disabled"),
            (2, "…cccc", 2, 0, "healthy"),
        ] {
            assert_eq!(one(place, "key"), label);
            assert_eq!(
                one(place, "total_requests"),
                successful + failed,
                "{told:#}"
            );
            assert_eq!(one(place, "successful_requests"), successful);
            assert_eq!(one(place, "failed_requests"), failed);
            assert_eq!(one(place, "state"), state);
            let used = one(place, "last_used");
            assert!(used.as_str().unwrap().ends_with('Z'), "{used}");
        }
        assert_eq!(one(0, "status_codes"), json!({"200": 2}));
        assert_eq!(one(0, "success_rate"), 1.0);
        assert_eq!(one(1, "status_codes"), json!({"401": 1}));
        assert_eq!(one(1, "success_rate"), 0.0);
        assert!(one(1, "reason").as_str().unwrap().starts_with("401"));
        assert!(one(1, "until").as_str().unwrap().ends_with('Z'));
        assert_eq!(told["providers"]["one"]["total_requests"], 5);
        assert_eq!(told["providers"]["one"]["success_rate"], 0.8);
        assert_eq!(told["providers"]["two"]["status_codes"], json!({"429": 1}));
        assert_eq!(told["providers"]["two"]["keys"][0]["state"], "cooling");
        assert_eq!(told["totals"]["total_requests"], 6);
        assert_eq!(
            told["totals"]["status_codes"],
            json!({"200": 4, "401": 1, "429": 1})
        );
        assert_eq!(told["totals"]["key_states"]["healthy"], 2);
    }
    let told = get(&world, "/v1/api-keys/stats?provider=two", "")
        .await
        .json();
    let names: Vec<&String> = told["providers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["two"]);
    assert_eq!(told["totals"]["total_keys"], 1);
    let unknown = get(&world, "/v1/api-keys/stats?provider=three", "").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    assert!(
        unknown.text().contains("there are: one, two"),
        "{}",
        unknown.text()
    );
}

#[tokio::test]
async fn page_by_page() {
    let world = World::configured(configuration(""), play).await;
    let mut labels = Vec::new();
    let mut cursor = String::new();
    for _ in 0..10 {
        let path = format!("/v1/api-keys/stats?limit=1{cursor}");
        let told = get(&world, &path, "").await.json();
        for (_, provider) in told["providers"].as_object().unwrap() {
            let keys = provider["keys"].as_array().unwrap();
            labels.extend(
                keys.iter()
                    .map(|key| key["key"].as_str().unwrap().to_owned()),
            );
        }
        match told["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace(':', "%3A")),
            None => break,
        }
    }
    assert_eq!(labels, ["…aaaa", "…bbbb", "…cccc", "…dddd"]);
    for wrong in [
        "limit=0",
        "limit=10001",
        "limit=x",
        "cursor=one%3A0",
        "cursor=one",
        "state=ill",
    ] {
        let answer = get(&world, &format!("/v1/api-keys/stats?{wrong}"), "").await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
}

#[tokio::test]
async fn keys_are_switched_by_hand() {
    let world = World::configured(configuration(""), play).await;
    let pools = get(&world, "/api/v1/key-pools", "").await.json();
    assert_eq!(pools["key_pools"][0]["provider"], "one");
    assert_eq!(pools["key_pools"][0]["total_keys"], 3);
    assert_eq!(pools["key_pools"][1]["breaker"]["state"], "closed");
    let keys = get(&world, "/api/v1/key-pools/one/keys", "").await.json();
    let id = |place: usize| keys["keys"][place]["id"].as_str().unwrap().to_owned();
    let switch = async |id: &str, what: &str, body: &str| {
        let path = format!("/api/v1/key-pools/one/keys/{id}/{what}");
        world.send("POST", &path, &[], body.as_bytes()).await
    };
    let off = switch(&id(0), "disable", r#"{"reason": "leaked on Monday"}"#)
        .await
        .json();
    assert_eq!(
        (&off["state"], &off["reason"]),
        (&json!("off"), &json!("leaked on Monday"))
    );
    switch(&id(1), "disable", "").await;
    let used = async || {
        let before = world.upstream.received().len();
        assert_eq!(world.ask(Dialect::Chat, "one/m", false).await.status, 200);
        let received = world.upstream.received();
        let tails: Vec<String> = received[before..]
            .iter()
            .map(|received| format!("{:?}", received.headers))
            .collect();
        tails.join(" ")
    };
    for _ in 0..3 {
        let used = used().await;
        assert!(used.contains("-cccc") && !used.contains("-aaaa"), "{used}");
    }
    let listed = get(&world, "/api/v1/key-pools/one/keys?state=off", "")
        .await
        .json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    assert_eq!(listed["keys"][1]["reason"], "switched off by hand");
    let on = switch(&id(0), "enable", "").await.json();
    assert_eq!(on["state"], "healthy");
    let mut seen = String::new();
    for _ in 0..2 {
        seen.push_str(&used().await);
    }
    assert!(seen.contains("-aaaa"), "{seen}");
    for (id, what, body, status) in [
        ("000000000000", "disable", "", 404),
        ("nonsense", "enable", "", 404),
        (id(0).as_str(), "disable", "[]", 400),
    ] {
        let answer = switch(id, what, body).await;
        assert_eq!(answer.status, status, "{id} {what}: {}", answer.text());
    }
    world.logged("a key was switched off by hand").await;

    let run = |words: &[&str]| {
        let done = std::process::Command::new(program())
            .args(words)
            .args(["--server", &world.gateway.url()])
            .env_clear()
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!told.contains("canary"), "{told}");
        (done.status.code(), told, error)
    };
    let (code, told, error) = run(&["key-pools", "list"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(told.contains("one") && told.contains("OFF"), "{told}");
    let (_, told, _) = run(&["key-pools", "disable", "one", &id(2), "--reason", "by me"]);
    assert!(told.contains("off") && told.contains("by me"), "{told}");
    let (_, told, _) = run(&["key-pools", "show", "one", "--state", "off", "--limit", "1"]);
    assert!(
        told.contains("…bbbb") && told.contains("there are more: --cursor one:"),
        "{told}"
    );
    let (_, told, _) = run(&["key-pools", "enable", "one", &id(2), "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["state"], "healthy");
    let (code, _, error) = run(&["key-pools", "show", "three"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("there is no provider 'three'"), "{error}");
}

const PATHS: &[(&str, &str)] = &[
    ("GET", "/v1/api-keys/stats"),
    ("GET", "/api/v1/api-keys/stats"),
    ("GET", "/api/v1/limits/check?model=one/m"),
    ("GET", "/api/v1/key-pools"),
    ("GET", "/api/v1/key-pools/one/keys"),
    ("GET", "/api/v1/routes"),
    ("GET", "/api/v1/routes/explain?model=one/m"),
    ("POST", "/api/v1/key-pools/one/keys/000000000000/enable"),
];

/// The statuses of looking and of changing; that a key is unknown is told to those only who may change it.
async fn statuses(world: &World, headers: &[(&str, &str)]) -> (u16, u16) {
    let mut found = Vec::new();
    for (method, path) in PATHS {
        found.push(world.send(method, path, headers, b"").await.status);
    }
    let change = found.pop().unwrap();
    assert!(found.iter().all(|status| *status == found[0]), "{found:?}");
    (found[0], change)
}

#[tokio::test]
async fn who_may_look_and_who_may_change() {
    let household = "auth: keys\napi_keys: [{name: alice, key: sk-canary-alice}]";
    let world = World::configured(configuration(household), play).await;
    assert_eq!(
        statuses(&world, &[("x-api-key", "sk-canary-alice")]).await,
        (200, 404)
    );
    assert_eq!(
        statuses(&world, &[("x-api-key", "sk-canary-wrong")]).await,
        (401, 401)
    );
    assert_eq!(statuses(&world, &[]).await, (401, 401));

    let kinds = "auth: keys
api_keys:
  - {name: plain, key: sk-canary-plain}
  - {name: asks, key: sk-canary-asks, kind: inference}
  - {name: looks, key: sk-canary-looks, kind: read_only}
  - {name: rules, key: sk-canary-rules, kind: management}";
    let world = World::configured(configuration(kinds), play).await;
    for (key, expect, asks) in [
        ("sk-canary-plain", (403, 403), 200),
        ("sk-canary-asks", (403, 403), 200),
        ("sk-canary-looks", (200, 403), 403),
        ("sk-canary-rules", (200, 404), 403),
    ] {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(statuses(&world, &headers).await, expect, "{key}");
        for dialect in Dialect::ALL {
            let body = dialect.request("one/m", false).to_string();
            let path = dialect.path("one/m", false);
            let answer = world.post(&path, &headers, body.as_bytes()).await;
            assert_eq!(answer.status, asks, "{key} {dialect:?}: {}", answer.text());
            if asks == 403 {
                assert!(
                    answer.text().contains("managing the gateway"),
                    "{}",
                    answer.text()
                );
                let error = answer.json();
                let shape = match dialect {
                    Dialect::Messages => error["error"]["type"] == "permission_error",
                    Dialect::Gemini => error["error"]["status"] == "PERMISSION_DENIED",
                    Dialect::Chat | Dialect::Responses => {
                        error["error"]["code"] == "key_not_for_inference"
                    }
                };
                assert!(shape, "{dialect:?}: {error}");
            }
        }
        let models = world.send("GET", "/v1/models", &headers, b"").await;
        assert_eq!(models.status, asks, "{key}");
    }
}

#[tokio::test]
async fn without_keys_this_machine_alone_and_no_page_of_another_origin() {
    for settings in ["auth: open", "auth: passthrough"] {
        let world = World::configured(configuration(settings), play).await;
        assert_eq!(statuses(&world, &[]).await, (200, 404), "{settings}");
        for (name, value) in [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
            ("origin", "https://evil.example"),
            ("host", "rebound.example"),
        ] {
            assert_eq!(
                statuses(&world, &[(name, value)]).await,
                (401, 401),
                "{settings} {name}"
            );
        }
        let own = world.gateway.url();
        let host = own.trim_start_matches("http://");
        let headers = [("origin", own.as_str()), ("host", host)];
        let answer = world.send("GET", "/api/v1/routes", &headers, b"").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
