//! What is exported is applied to an empty system, and exported there again: the same text.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use lingate_metering::tenant::{ApiKey, KeySecret, Organization, Project, Rules, User};
use serde_json::{Value, json};

use crate::documents::tests::Desk;

const FILE: &str = "providers: {local: {base_url: 'http://127.0.0.1:9/v1', keys: [none]}}\n";

async fn export(desk: &Desk, format: &str) -> String {
    let path = format!("/api/v1/configuration?format={format}");
    let told = desk.ask(Method::GET, &path, None).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    told.text
}

async fn apply(desk: &Desk, text: &str, how: &str) -> (StatusCode, Value) {
    let request: Request<Bytes> = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1/configuration/apply{how}"))
        .header("content-type", "application/yaml")
        .body(text.to_owned().into())
        .unwrap();
    let response = desk.admin.call(request, "tester").await;
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// Something of everything, with what texts stumble over.
async fn fill(desk: &Desk) {
    let documents = [
        (
            "providers",
            json!({"name": "b-mine", "definition": {"base_url": "http://127.0.0.1:9/v1", "keys": ["none"], "models": ["yes", "12", "a: b # c", "日本\u{2028}\u{85}"]}}),
        ),
        (
            "providers",
            json!({"name": "a-mine", "definition": {"base_url": "http://127.0.0.1:9/v1", "keys": ["${A_KEY:-}", "${B_KEY:-}"], "headers": {"x-title": "${LITERAL:-it}"}}}),
        ),
        (
            "routes",
            json!({"name": "z", "definition": {"model": "m-*", "targets": ["b-mine"], "strategy": {"sticky": "user"}}}),
        ),
        (
            "routes",
            json!({"name": "a", "definition": {"model": "/^x$/", "targets": [{"provider": "local", "weight": 2}, "a-mine/x"]}}),
        ),
        (
            "routes",
            json!({"name": "m", "definition": {"model": "q", "targets": ["local"]}, "before": "a"}),
        ),
        (
            "plans",
            json!({"name": "gold", "definition": {"multiplier": 1.10, "prices": [{"model": "q", "input": "0.000000001", "output": 2}]}}),
        ),
        (
            "prices",
            json!({"definition": {"model": "q", "provider": "local", "input": 0.1, "output": 1e-9}}),
        ),
        (
            "prices",
            json!({"definition": {"model": "*", "input": 1, "output": 2}}),
        ),
        ("currencies", json!({"name": "CNY", "definition": 7.10})),
    ];
    for (resource, body) in documents {
        let told = desk
            .ask(Method::POST, &format!("/api/v1/{resource}"), Some(&body))
            .await;
        assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    }
    let organization = Organization {
        rules: Rules {
            allow_models: vec!["gpt-*".to_owned()],
            plan: Some("gold".to_owned()),
            ..Rules::default()
        },
        ..Organization::named("acme: & co")
    };
    let project = Project::named(&organization, "p1");
    let user = User::named(&organization, "ann@example.com");
    desk.store.create(&organization).await.unwrap();
    desk.store.create(&project).await.unwrap();
    desk.store.create(&user).await.unwrap();
    let key = ApiKey {
        id: lingate_store::new_id(),
        project: project.id,
        name: "laptop".to_owned(),
        user: Some(user.id),
        secrets: vec![KeySecret {
            sha256: [7; 32],
            hint: "wxyz".to_owned(),
            expires_at: None,
        }],
        expires_at: Some(1_900_000_000_000),
        tags: vec!["x".to_owned()],
        kind: None,
        doors: Vec::new(),
        addresses: Vec::new(),
        model_map: vec![("a".to_owned(), "b".to_owned())],
        hides_headers: true,
        rules: Rules::default(),
    };
    desk.store.create(&key).await.unwrap();
}

async fn there_and_back(database: impl Fn() -> Option<String>) {
    let first = Desk::on(FILE, database().as_deref()).await;
    fill(&first).await;
    for format in ["yaml", "json"] {
        let text = export(&first, format).await;
        let second = Desk::on(FILE, database().as_deref()).await;
        let (status, told) = apply(&second, &text, "?dry_run=true").await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(told["created"], 13, "{told}");
        let empty = second.store.configuration().await.unwrap();
        assert!(empty.0.items.is_empty() && empty.1.organizations.is_empty());
        let (status, told) = apply(&second, &text, "?prune=true").await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(export(&second, format).await, text);
        let (_, told) = apply(&second, &text, "?prune=true").await;
        assert_eq!(told["changes"], json!([]), "{told}");
        assert!(second.store.check_audit().await.unwrap().is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_applied_elsewhere_in_sqlite() {
    there_and_back(|| None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_applied_elsewhere_in_postgresql() {
    there_and_back(|| Some(lingate_testkit::Postgres::shared().database())).await;
}

#[tokio::test]
async fn a_text_that_is_not_in_order_changes_nothing() {
    let desk = Desk::new(FILE).await;
    fill(&desk).await;
    let before = export(&desk, "yaml").await;
    let events = desk.actions().await.len();
    for (text, field, detail) in [
        (
            "lingate: 1\nconfiguration:\n  plans: {silver: {multiplier: 2}}\n  routes:\n    - name: bad\n      model: m\n      targets:\n        - nobody\n",
            "/configuration/routes/0/targets/0",
            "line 8: no provider",
        ),
        (
            "lingate: 1\nconfiguration:\n  providers:\n    p:\n      base_url: http://127.0.0.1:9\n      keys: [sk-canary-12345678]\n",
            "/configuration/providers/p/keys/0",
            "line 6: a key does not",
        ),
        (
            "lingate: 1\nconfiguration:\n  database: sqlite\n",
            "/configuration/database",
            "line 3: is nothing",
        ),
        ("lingate: 2\n", "/lingate", "line 1: is of another"),
        (
            "lingate: 1\ntenants:\n  users:\n    - {id: 1}\n",
            "/tenants/users/0",
            "line 4: ",
        ),
        ("lingate: [\n", "", "the given text:"),
    ] {
        let (status, told) = apply(&desk, text, "").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text} {told}");
        assert_eq!(told["errors"][0]["field"], field, "{told}");
        let found = told["errors"][0]["detail"].as_str().unwrap();
        assert!(found.starts_with(detail), "{found}");
        assert!(!told.to_string().contains("canary"), "{told}");
    }
    // Pruned, the routes would have nobody to go to.
    let (status, told) = apply(
        &desk,
        "lingate: 1\ntenants: {}\n",
        "?prune=true&dry_run=true",
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(told["deleted"], 13, "{told}");
    // The last export was told, nothing else.
    assert_eq!(desk.actions().await.len(), events);
    assert_eq!(export(&desk, "yaml").await, before);
}

#[tokio::test]
async fn changes_are_told_field_by_field() {
    let desk = Desk::new(FILE).await;
    fill(&desk).await;
    let text = "lingate: 1
configuration:
  currencies: {CNY: 7.2}
  routes:
    - {name: a, model: /^x$/, targets: [{provider: local, weight: 2}, a-mine/x]}
    - {name: z, model: 'm-*', targets: [b-mine], strategy: {sticky: user}}
";
    let (status, told) = apply(&desk, text, "").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let lines = told["text"].as_str().unwrap();
    assert!(
        lines.contains("~ currency CNY\n    7.1 -> 7.2\n"),
        "{lines}"
    );
    let listed = desk.ask(Method::GET, "/api/v1/routes", None).await;
    let names: Vec<&str> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    assert_eq!(names, ["m", "a", "z"]);
    assert_eq!(desk.actions().await[0], "configuration.apply");
}
