//! What is stored of the configuration, in running gateways: in force at once on every replica, and never half of it.

use std::fs;
use std::time::{Duration, Instant};

use lingate_testkit::Gateway;
use serde_json::json;

use super::harness::{Client, Database, Harness, PASSWORD};
use super::on_both;
use crate::world::{CALLER, PATIENCE, program, providers};

/// Asks a gateway for a model until it answers with this status, and says how long that took.
async fn until(gateway: &Gateway, model: &str, status: u16) -> Duration {
    let began = Instant::now();
    loop {
        let found = asked(gateway, model).await;
        if found == status {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{model} is {found}, not {status}: {}",
            gateway.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn asked(gateway: &Gateway, model: &str) -> u16 {
    let body =
        json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).to_string();
    let answer = lingate_testkit::client::fetch(
        gateway.address(),
        "POST",
        "/v1/chat/completions",
        &[
            ("content-type", "application/json"),
            ("authorization", &format!("Bearer {CALLER}")),
        ],
        body.as_bytes(),
    )
    .await;
    answer.unwrap().status
}

async fn store(operator: &Client<'_>, harness: &Harness) {
    let provider = json!({"name": "stored", "definition": {"base_url": harness.upstream.url(), "keys": ["none"]}});
    operator
        .post("/api/v1/providers", &provider)
        .await
        .expect(201);
    let route =
        json!({"name": "r", "definition": {"model": "by-the-api", "targets": ["stored/m"]}});
    operator.post("/api/v1/routes", &route).await.expect(201);
}

#[tokio::test]
async fn what_is_stored_is_in_force_and_what_breaks_it_is_not() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            assert_eq!(asked(&harness.gateway, "by-the-api").await, 404);
            store(&operator, harness).await;
            let took = until(&harness.gateway, "by-the-api", 200).await;
            eprintln!("{:?}: in force after {took:?}", harness.database);

            // The file changes, and what is stored has nobody to go to any more: nothing changes.
            let route = json!({"name": "s", "definition": {"model": "into-the-file", "targets": ["up-chat/m"]}});
            operator.post("/api/v1/routes", &route).await.expect(201);
            until(&harness.gateway, "into-the-file", 200).await;
            let folder = harness.gateway.folder();
            let file = folder.join("lingate.yml");
            let before = fs::read_to_string(&file).unwrap();
            let all = providers(&harness.upstream);
            let without = before.replace(&all, "");
            assert_ne!(without, before);
            // More than one is left: the only one would be asked for whatever nobody else serves.
            let left = format!("providers: {{left: {{base_url: \"{}\", dialects: [chat], keys: [none]}}}}", harness.upstream.url());
            fs::write(folder.join("new.yml"), format!("{without}\n{left}\n")).unwrap();
            fs::rename(folder.join("new.yml"), &file).unwrap();
            let told = crate::world::eventually(|| harness.gateway.log().contains("is not in order")).await;
            assert!(told, "{}", harness.gateway.log());
            assert_eq!(asked(&harness.gateway, "into-the-file").await, 200);
            assert_eq!(asked(&harness.gateway, "by-the-api").await, 200);
            let health = operator.get("/health").await;
            assert_eq!(health.body["configuration"]["status"], "degraded", "{}", health.text);

            // What mends it is taken.
            operator.delete("/api/v1/routes/s").await.expect(204);
            until(&harness.gateway, "into-the-file", 404).await;
            until(&harness.gateway, "by-the-api", 200).await;
            let health = operator.get("/health").await;
            assert_eq!(health.body["configuration"]["status"], "ok", "{}", health.text);

            // Nobody deletes what is named.
            operator.delete("/api/v1/providers/stored").await.problem(409, "in_use");
            operator.delete("/api/v1/routes/r").await.expect(204);
            until(&harness.gateway, "by-the-api", 404).await;
        })
    })
    .await;
}

#[tokio::test]
async fn another_replica_takes_what_is_stored() {
    let harness = Harness::start(Database::Postgres, "").await;
    let configuration = fs::read_to_string(harness.gateway.folder().join("lingate.yml")).unwrap();
    let other = Gateway::start(
        program(),
        &configuration,
        &[("LINGATE_ADMIN_PASSWORD", PASSWORD)],
    )
    .await
    .unwrap();
    let operator = harness.operator();
    store(&operator, &harness).await;
    let took = until(&other, "by-the-api", 200).await;
    eprintln!("in force in another replica after {took:?}");
    operator.delete("/api/v1/routes/r").await.expect(204);
    until(&other, "by-the-api", 404).await;
}

#[tokio::test]
async fn a_start_takes_what_is_stored_also_when_only_the_database_knows_what_the_file_names() {
    let mut harness = Harness::start(Database::Sqlite, "").await;
    store(&harness.operator(), &harness).await;
    until(&harness.gateway, "by-the-api", 200).await;
    let file = harness.gateway.folder().join("lingate.yml");
    let text = fs::read_to_string(&file).unwrap();
    let route = "routes: [{model: from-the-file, targets: [stored/m]}]\n";
    fs::write(&file, format!("{text}\n{route}")).unwrap();
    harness.gateway.kill_and_start(program()).await.unwrap();
    until(&harness.gateway, "by-the-api", 200).await;
    until(&harness.gateway, "from-the-file", 200).await;
}
