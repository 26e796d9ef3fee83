//! No secret comes out after it was shown once: not in any answer, log, audit row, export or page.

use serde_json::{Value, json};

use super::harness::{Client, Database, Harness, PASSWORD};
use super::people::Scope;

/// What is shown once, or never.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn keep(&mut self, what: &'static str, secret: &Value) {
        let secret = secret
            .as_str()
            .unwrap_or_else(|| panic!("{what} is not shown"));
        assert!(secret.len() >= 8, "{what} is short: {secret}");
        self.0.push((what, secret.to_owned()));
    }

    /// All of them that a text holds.
    fn within(&self, text: &str) -> Vec<&'static str> {
        let found = self.0.iter().filter(|(_, secret)| text.contains(secret));
        found.map(|(what, _)| *what).collect()
    }
}

/// Makes something of everything that has a secret.
async fn make(harness: &Harness) -> Secrets {
    let operator = harness.operator();
    let mut secrets = Secrets::default();
    let post = async |path: &str, body: Value| {
        let made = operator.post(path, &body).await;
        assert!(made.status < 300, "{}: {}", made.asked, made.text);
        made.body
    };
    let acme = post("/api/v1/organizations", json!({"name": "acme"})).await;
    let web = json!({"name": "web", "organization": acme["id"]});
    let web = post("/api/v1/projects", web).await;
    let key = json!({"name": "laptop", "project": web["id"]});
    let key = post("/api/v1/api-keys", key).await;
    secrets.keep("an API key", &key["secret"]);
    let path = format!("/api/v1/api-keys/{}/rotate", key["id"].as_str().unwrap());
    let rotated = post(&path, json!({"overlap_seconds": 60})).await;
    secrets.keep("a rotated API key", &rotated["secret"]);
    let account = post("/api/v1/accounts", json!({"name": "Ada", "login": "ada"})).await;
    secrets.keep("a temporary password", &account["temporary_password"]);
    let invited = json!({"email": "bob@example.com", "scope": "platform", "role": "viewer"});
    let invited = post("/api/v1/invitations", invited).await;
    secrets.keep("an invitation", &invited["secret"]);
    let batch = post("/api/v1/code-batches", json!({"count": 2, "value": "1"})).await;
    secrets.keep("a code", &batch["codes"][0]);
    let stored = json!({"provider": "up-chat", "key": "sk-upstream-0123456789abcdef"});
    secrets.keep("a provider's key", &stored["key"]);
    post("/api/v1/provider-keys", stored).await;
    let issuer = json!({
        "name": "corp", "issuer": "https://login.example.com", "client_id": "lingate",
        "client_secret": "client-secret-0123456789",
    });
    secrets.keep("a client secret", &issuer["client_secret"]);
    post("/api/v1/sign-in-providers", issuer).await;
    let person = harness.person("carol", Scope::Platform, "operator").await;
    secrets.keep(
        "a token",
        &json!(person.client.shown[0].1.replace("Bearer ", "")),
    );
    let session = person.session.unwrap();
    let cookie = session.shown[0].1.split_once('=').unwrap().1.to_owned();
    secrets.keep("a session", &json!(cookie));
    let totp = session.post("/api/v1/me/totp", &json!({})).await;
    secrets.keep("a second factor", &totp.expect(200)["secret"]);
    secrets.keep("the operator's password", &json!(PASSWORD));
    // Wrong ones are secrets of somewhere else.
    let wrong = json!({"login": "operator", "password": "a-password-of-elsewhere"});
    let refused = harness.nobody().post("/api/v1/session", &wrong).await;
    refused.problem(401, "wrong_credentials");
    secrets.keep("a wrong password", &wrong["password"]);
    secrets
}

/// Everything that can be read without naming anything, and each thing of each list.
async fn read_all(operator: &Client<'_>) -> Vec<(String, String)> {
    let document = operator.get("/openapi.json").await;
    let mut answers = vec![(document.asked.clone(), document.text.clone())];
    let paths = document.expect(200)["paths"].as_object().unwrap();
    let readable = |path: &&String| path.starts_with("/api/v1/");
    let lists = paths.iter().filter(|(path, operations)| {
        readable(path) && !path.contains('{') && operations["get"].is_object()
    });
    for (path, _) in lists {
        let answer = operator.get(path).await;
        assert!(answer.status < 500, "{}: {}", answer.asked, answer.text);
        for item in answer.body["items"].as_array().into_iter().flatten() {
            let name = ["id", "name", "number", "organization"];
            let name = name.iter().find_map(|field| match &item[*field] {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            let Some(name) = name else { continue };
            let one = operator
                .get(&format!("{path}/{}", name.replace('/', "%2F")))
                .await;
            assert!(one.status < 500, "{}: {}", one.asked, one.text);
            answers.push((one.asked, one.text));
        }
        answers.push((answer.asked, answer.text));
    }
    for path in [
        "/api/v1/configuration?format=json",
        "/api/v1/audit-events/export?format=csv",
        "/api/v1/audit-events/export?format=jsonl",
        "/health",
        "/docs",
        "/",
    ] {
        let answer = operator.get(path).await;
        assert_eq!(answer.status, 200, "{}: {}", answer.asked, answer.text);
        answers.push((answer.asked, answer.text));
    }
    answers
}

async fn nothing_comes_out(database: Database) {
    let harness = Harness::start(database, "").await;
    let secrets = make(&harness).await;
    let answers = read_all(&harness.operator()).await;
    assert!(answers.len() > 60, "only {} answers", answers.len());
    for (asked, text) in &answers {
        let found = secrets.within(text);
        // Codes that nobody has redeemed are for the operator to hand out.
        let allowed = |what: &&str| *what == "a code" && asked.contains("code-batches");
        let found: Vec<&str> = found.into_iter().filter(|what| !allowed(what)).collect();
        assert!(found.is_empty(), "{asked} tells {found:?}: {text}");
    }
    let found = secrets.within(&harness.gateway.log());
    assert!(found.is_empty(), "the log tells {found:?}");
    // What the first start writes down for the machine is sealed, or not there.
    let data = harness.gateway.folder().join("data");
    for file in std::fs::read_dir(data).unwrap() {
        let path = file.unwrap().path();
        if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            let found = secrets.within(&text);
            assert!(found.is_empty(), "{} holds {found:?}", path.display());
        }
    }
}

#[tokio::test]
async fn no_secret_comes_out_on_sqlite() {
    nothing_comes_out(Database::Sqlite).await;
}

#[tokio::test]
async fn no_secret_comes_out_on_postgresql() {
    nothing_comes_out(Database::Postgres).await;
}
