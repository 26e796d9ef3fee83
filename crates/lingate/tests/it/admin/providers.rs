//! What operators ask of providers: which are known, which models they serve, and whether they answer.

use lingate_testkit::Script;
use serde_json::json;

use super::harness::{Database, Harness};
use crate::world::upstream;

#[tokio::test]
async fn a_provider_is_asked_and_what_it_says_is_told() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let operator = harness.operator();
    let failing = upstream(|_| {
        Script::json(
            401,
            json!({"error": {"message": "Incorrect API key provided: sk-canary", "code": "invalid_api_key"}}).to_string(),
        )
    })
    .await;
    let stored = json!({"name": "failing", "definition": {"base_url": failing.url(), "dialects": ["chat"], "keys": ["none"]}});
    operator
        .post("/api/v1/providers", &stored)
        .await
        .expect(201);

    let test = |name: &str| format!("/api/v1/providers/{name}/test");
    let model = json!({"model": "m"});
    let well = operator.post(&test("up-messages"), &model).await;
    let told = well.expect(200);
    assert_eq!(told["well"], json!(true), "{}", well.text);
    assert_eq!(told["model"], json!("m"));
    assert!(told["duration_ms"].is_u64(), "{}", well.text);
    let asked = harness.upstream.received();
    assert_eq!(asked.len(), 1, "asked once");

    let started = std::time::Instant::now();
    let refused = loop {
        let refused = operator.post(&test("failing"), &model).await;
        if refused.status != 404 {
            break refused;
        }
        assert!(started.elapsed() < crate::world::PATIENCE, "not in force");
    };
    let told = refused.expect(200);
    assert_eq!(told["well"], json!(false), "{}", refused.text);
    assert_eq!(told["detail"], json!("401 invalid_api_key"));

    let unknown = operator.post(&test("nowhere"), &json!({})).await;
    unknown.problem(404, "not_found");
    let wrong = operator
        .post(&test("up-chat"), &json!({"modle": "m"}))
        .await;
    assert!(wrong.wrong_fields().contains_key("/modle"));
}

#[tokio::test]
async fn what_is_known_of_vendors_models_and_settings_is_told() {
    let settings = "routes: [{model: fast, targets: [up-chat/small]}]";
    let harness = Harness::start(Database::Sqlite, settings).await;
    let operator = harness.operator();
    let catalog = operator.get("/api/v1/providers/catalog").await;
    let known = catalog.expect(200)["items"].as_array().unwrap();
    let openai = known.iter().find(|one| one["name"] == "openai").unwrap();
    assert!(
        openai["endpoints"].as_array().unwrap().len() >= 2,
        "{openai}"
    );
    let models = operator.get("/api/v1/models").await;
    let models = models.expect(200)["items"].as_array().unwrap();
    let fast = models.iter().find(|one| one["id"] == "fast").unwrap();
    assert_eq!(fast["provider"], json!("up-chat"));
    assert_eq!(fast["dialects"].as_array().unwrap().len(), 4, "{fast}");
    let settings = operator.get("/api/v1/settings").await;
    let told = settings.expect(200);
    assert_eq!(told["settings"]["auth"], json!("keys"), "{}", settings.text);
    assert!(told["settings"]["providers"].is_null());
    assert!(
        told["file"].as_str().unwrap().ends_with("lingate.yml"),
        "{}",
        settings.text
    );
}
