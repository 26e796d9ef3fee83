//! What browsers and proxies are told about every answer of the control plane.

use serde_json::json;

use super::harness::{Database, Harness, Reply};

#[tokio::test]
async fn nobody_keeps_frames_or_guesses_at_an_answer() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let (operator, nobody) = (harness.operator(), harness.nobody());
    let made = operator
        .post("/api/v1/organizations", &json!({"name": "acme"}))
        .await;
    let id = made.expect(201)["id"].as_str().unwrap().to_owned();
    let key = json!({"name": "laptop", "organization": id});
    let answers = [
        made,
        operator.post("/api/v1/api-keys", &key).await,
        operator.get("/api/v1/key-pools").await,
        operator.get("/api/v1/organizations?fields=id").await,
        operator.get("/api/v1/organizations?colour=red").await,
        operator.get("/api/v1/nothing").await,
        operator.delete("/api/v1/audit-events").await,
        operator
            .delete(&format!("/api/v1/organizations/{id}"))
            .await,
        nobody.get("/api/v1/organizations").await,
        nobody.post("/api/v1/session", &json!({"login": "x"})).await,
        nobody.get("/openapi.json").await,
        nobody.get("/docs").await,
        nobody.get("/docs/try.js").await,
        nobody.get("/docs/swagger-ui-bundle.js").await,
        nobody.get("/docs/nothing").await,
    ];
    for answer in &answers {
        check(answer);
    }
    let [.., page, _, _, _] = &answers;
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
}

#[tokio::test]
async fn a_query_without_end_is_refused_and_takes_nothing_down() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let nobody = harness.nobody();
    let deep = format!("/api/v1/session?fields={}a", "a.".repeat(25_000));
    let wrong = nobody.get(&deep).await;
    assert_eq!(wrong.wrong_fields().len(), 1, "{}", wrong.text);
    let many = format!("/api/v1/session?{}", "a&".repeat(25_000));
    let login = json!({"login": "operator", "password": "wrong"});
    let wrong = nobody.post(&many, &login).await;
    wrong.problem(422, "invalid");
    assert!(wrong.text.len() < 8192, "{} bytes", wrong.text.len());
    nobody
        .get("/api/v1/session")
        .await
        .problem(401, "unauthenticated");
}

fn check(answer: &Reply) {
    let asked = format!("{} ({})", answer.asked, answer.status);
    assert_eq!(
        answer.header("x-content-type-options"),
        "nosniff",
        "{asked}"
    );
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{asked}");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'"),
        "{asked}: {policy}"
    );
    assert_eq!(answer.header("cache-control"), "no-store", "{asked}");
    assert_eq!(answer.header("access-control-allow-origin"), "", "{asked}");
}
