//! What lasts longer than a request: begun, watched, and what came of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use lingate_testkit::Script;
use serde_json::{Value, json};

use super::harness::{Client, Database, Harness, Reply, on_both};
use crate::world::{PATIENCE, key, upstream};

/// The jobs that a stream of events told, from the first to the last.
fn told(text: &str) -> Vec<Value> {
    let events = text
        .split("\n\n")
        .filter(|event| event.contains("event: job"));
    let data =
        events.filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// Imports keys; the stream of the job's events.
async fn import(operator: &Client<'_>, provider: &str, lines: &str) -> Reply {
    let path = format!("/api/v1/provider-keys/import?provider={provider}");
    let text = [("content-type", "text/plain")];
    let begun = operator.raw("POST", &path, &text, lines.as_bytes()).await;
    let id = begun.expect(202)["id"].as_str().unwrap().to_owned();
    operator.get(&format!("/api/v1/jobs/{id}/events")).await
}

#[tokio::test]
async fn keys_are_tested_each_and_what_is_found_out_counts() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let provider = upstream(|asked| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        if key(asked.received).contains("bad") {
            let refused = json!({"error": {"message": "no", "code": "invalid_api_key"}});
            return Script::json(401, refused.to_string());
        }
        asked.good()
    })
    .await;
    let harness = Harness::start(Database::Sqlite, "").await;
    let operator = harness.operator();
    let base_url = format!("{}/v1", provider.url());
    let stored =
        json!({"name": "tested", "definition": {"base_url": base_url, "dialects": ["chat"]}});
    let stored = operator.post("/api/v1/providers", &stored).await;
    stored.expect(201);
    let keys = (0..20).map(|at| match at % 4 {
        0 => format!("sk-canary-bad-{at:04}\n"),
        _ => format!("sk-canary-good-{at:04}\n"),
    });
    let keys: String = keys.collect();
    import(&operator, "tested", &keys).await;
    let started = Instant::now();
    loop {
        let listed = operator.get("/api/v1/key-pools/tested/keys").await;
        if listed.body["keys"].as_array().map(Vec::len) == Some(20) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{}", listed.text);
    }

    let begun = operator
        .post("/api/v1/key-pools/tested/test", &json!({"model": "m"}))
        .await;
    let id = begun.expect(202)["id"].as_str().unwrap().to_owned();
    let watched = operator.get(&format!("/api/v1/jobs/{id}/events")).await;
    assert_eq!(watched.status, 200, "{}", watched.text);
    assert_eq!(watched.header("content-type"), "text/event-stream");
    let told = told(&watched.text);
    let last = told.last().unwrap();
    assert_eq!(last["state"], json!("done"), "{}", watched.text);
    assert_eq!(last["done"], json!(20));
    let outcome = &last["outcome"];
    assert_eq!(outcome["well"], json!(15), "{outcome}");
    assert_eq!(outcome["failed"], json!(5), "{outcome}");
    assert_eq!(outcome["failures"].as_array().unwrap().len(), 5);
    assert_eq!(outcome["failures"][0]["why"], json!("401 invalid_api_key"));
    assert_eq!(ASKED.load(Ordering::SeqCst), 20);
    let pool = operator
        .get("/api/v1/key-pools/tested/keys?state=disabled")
        .await;
    let disabled = pool.expect(200)["keys"].as_array().unwrap().len();
    assert_eq!(disabled, 5, "{}", pool.text);
    let unknown = operator
        .post("/api/v1/key-pools/nowhere/test", &json!({}))
        .await;
    unknown.problem(404, "not_found");
}

#[tokio::test]
async fn an_import_is_watched_to_its_end() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let lines: Vec<String> = (0..2500)
                .map(|at| format!("key-of-import-{at:05}"))
                .collect();
            let lines = lines.join(
                "
",
            );
            let watched = import(&operator, "up-chat", &lines).await;
            let told = told(&watched.text);
            let last = told.last().unwrap();
            assert_eq!(last["state"], json!("done"), "{}", watched.text);
            assert_eq!(last["outcome"]["added"], json!(2500));
            let counts: Vec<u64> = told
                .iter()
                .map(|job| job["done"].as_u64().unwrap())
                .collect();
            assert!(counts.is_sorted(), "{counts:?}");
            let missing = operator
                .get(&format!("/api/v1/jobs/{}/events", uuid::Uuid::now_v7()))
                .await;
            missing.problem(404, "not_found");
        })
    })
    .await;
}
