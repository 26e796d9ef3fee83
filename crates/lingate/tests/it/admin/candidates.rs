//! Where requests would go, were a route stored.

use serde_json::{Value, json};

use super::harness::{Client, Database, Harness, MANAGEMENT};

const LOOKS: &str = "sk-canary-looks";
const EXPLAIN: &str = "/api/v1/routes/explain";

fn route(name: Option<&str>, model: &str, target: &str) -> Value {
    let definition = json!({"model": model, "targets": [target]});
    match name {
        Some(name) => json!({"name": name, "definition": definition}),
        None => json!({"definition": definition}),
    }
}

async fn goes_to(client: &Client<'_>, route: Option<Value>) -> Value {
    let mut question = json!({"model": "wanted"});
    if let Some(route) = route {
        question["route"] = route;
    }
    let told = client.post(EXPLAIN, &question).await;
    told.expect(200)["goes_to"]["model"].clone()
}

#[tokio::test]
async fn a_route_is_tried_before_it_is_stored() {
    let keys = format!(
        "api_keys: [{{name: operator, key: {MANAGEMENT}, kind: management}}, {{name: looks, key: {LOOKS}, kind: read_only}}]\n\
         routes: [{{name: of-the-file, model: file, targets: [up-chat/file]}}]"
    );
    let harness = Harness::start(Database::Sqlite, &keys).await;
    let operator = harness.operator();
    let new = || route(None, "wanted", "up-chat/new");
    assert_eq!(goes_to(&operator, None).await, Value::Null);
    assert_eq!(goes_to(&operator, Some(new())).await, "new");
    assert_eq!(goes_to(&operator, None).await, Value::Null, "it was stored");

    for name in ["first", "second"] {
        let stored = route(Some(name), "wanted", &format!("up-chat/{name}"));
        operator.post("/api/v1/routes", &stored).await.expect(201);
    }
    // What is stored is in force within a second; a question with a route is told from what is stored.
    assert_eq!(goes_to(&operator, Some(new())).await, "first");
    let before = |other: &str, mut route: Value| {
        route["before"] = json!(other);
        route
    };
    let asked = before("first", new());
    assert_eq!(goes_to(&operator, Some(asked)).await, "new");
    let asked = before("second", new());
    assert_eq!(goes_to(&operator, Some(asked)).await, "first");
    let asked = route(Some("first"), "wanted", "up-chat/other");
    assert_eq!(goes_to(&operator, Some(asked)).await, "other");
    let asked = before("first", route(Some("second"), "wanted", "up-chat/sooner"));
    assert_eq!(goes_to(&operator, Some(asked)).await, "sooner");
    let stored = operator.get("/api/v1/routes/second").await;
    assert_eq!(
        stored.expect(200)["definition"]["targets"],
        json!(["up-chat/second"])
    );

    for (route, status, field) in [
        (
            route(None, "wanted", "nobody/m"),
            422,
            "/route/definition/targets/0",
        ),
        (before("third", new()), 422, "/route/before"),
        (
            before("first", route(Some("first"), "wanted", "up-chat/m")),
            422,
            "/route/before",
        ),
        (route(Some(""), "wanted", "up-chat/m"), 422, "/route/name"),
        (json!({"definition": {}, "colour": "red"}), 422, "/route"),
        (json!(7), 422, "/route"),
        (route(Some("of-the-file"), "wanted", "up-chat/m"), 409, ""),
    ] {
        let question = json!({"model": "wanted", "route": route});
        let refused = operator.post(EXPLAIN, &question).await;
        assert_eq!(refused.status, status, "{route}: {}", refused.text);
        let errors = refused.body["errors"].as_array();
        let named = errors.is_some_and(|errors| errors.iter().any(|error| error["field"] == field));
        assert!(named || field.is_empty(), "{route}: {}", refused.text);
    }
    let looks = harness.bearer(LOOKS);
    looks
        .post(EXPLAIN, &json!({"model": "wanted"}))
        .await
        .expect(200);
    let refused = looks
        .post(EXPLAIN, &json!({"model": "wanted", "route": new()}))
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}
