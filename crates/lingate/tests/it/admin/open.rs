//! `auth: open`: what whoever sits at this machine sees without being signed in, and what a page in their browser does not.

use serde_json::json;

use super::harness::{Database, Harness};

const SETTINGS: &str = "auth: open\napi_keys: []";

async fn on_each(test: impl AsyncFn(&Harness)) {
    for database in [Database::Sqlite, Database::Postgres] {
        test(&Harness::start(database, SETTINGS).await).await;
    }
}

#[tokio::test]
async fn whoever_sits_here_sees_live_state_and_nothing_that_is_stored() {
    on_each(async |harness| {
        let anyone = harness.nobody();
        let check = async |asked: &str, expect: u16| {
            let (method, path) = asked.split_once(' ').unwrap();
            let body = json!({});
            let body = (method != "GET").then_some(&body);
            let reply = anyone.ask(method, path, &[], body).await;
            assert_eq!(reply.status, expect, "{asked}: {}", reply.text);
        };
        for (asked, expect) in [
            ("GET /api/v1/key-pools", 200),
            ("GET /api/v1/key-pools/up-chat/keys", 200),
            ("GET /api/v1/api-keys/stats", 200),
            ("GET /api/v1/routes", 200),
            ("GET /api/v1/routes/explain?model=gpt-4o", 200),
            ("GET /api/v1/limits/check?model=gpt-4o", 200),
            ("GET /api/v1/session", 200),
            // What is stored of keys, and who did what.
            ("GET /api/v1/provider-keys?provider=up-chat", 403),
            ("POST /api/v1/provider-keys", 403),
            ("POST /api/v1/provider-keys/import?provider=up-chat", 403),
            ("GET /api/v1/jobs", 403),
            ("POST /api/v1/system/rotate-master-key", 403),
            ("GET /api/v1/providers", 403),
            ("POST /api/v1/routes", 403),
            ("GET /api/v1/configuration", 403),
            ("GET /api/v1/settings", 403),
            ("GET /api/v1/accounts", 403),
            ("GET /api/v1/api-keys", 403),
            ("GET /api/v1/audit-events", 403),
            ("GET /api/v1/requests", 403),
            ("GET /api/v1/me", 409),
            ("GET /api/v1/tokens", 409),
        ] {
            check(asked, expect).await;
        }
    })
    .await;
}

/// As browsers ask for a page of somewhere else, and for one of a name that was pointed here.
#[tokio::test]
async fn a_page_of_another_origin_reads_and_changes_nothing() {
    on_each(async |harness| {
        let here = harness.gateway.address().to_string();
        let own = format!("http://{here}");
        let pool = harness.nobody().get("/api/v1/key-pools/up-chat/keys").await;
        let key = pool.body["keys"][0]["id"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        let switch = format!("/api/v1/key-pools/up-chat/keys/{key}/disable");
        let asked = [
            ("GET", "/api/v1/key-pools"),
            ("GET", "/api/v1/routes"),
            ("GET", "/v1/api-keys/stats"),
            ("POST", "/api/v1/routes/explain"),
            ("POST", &switch),
        ];
        let pages: &[&[(&str, &str)]] = &[
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:9")],
            &[
                ("origin", "https://evil.example"),
                ("content-type", "text/plain"),
            ],
            &[
                ("origin", "https://evil.example"),
                ("x-http-method-override", "GET"),
            ],
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[
                ("host", "rebound.example:8080"),
                ("origin", "http://rebound.example:8080"),
            ],
            &[
                ("host", "rebound.example:8080"),
                ("sec-fetch-site", "same-origin"),
            ],
        ];
        for page in pages {
            for (method, path) in asked {
                let reply = harness.nobody().raw(method, path, page, b"").await;
                assert_eq!(reply.status, 401, "{path} {page:?}: {}", reply.text);
                let allowed = reply.header("access-control-allow-origin");
                assert_eq!(allowed, "", "{path} {page:?}");
            }
            let preflight = [page, &[("access-control-request-method", "POST")][..]].concat();
            let reply = harness
                .nobody()
                .raw("OPTIONS", &switch, &preflight, b"")
                .await;
            assert_eq!(reply.status, 405, "{page:?}: {}", reply.text);
            for (name, _) in &reply.headers {
                assert!(!name.starts_with("access-control-"), "{page:?}: {name}");
            }
        }
        // Nobody's page signs in, either, and the gateway's own does what it did.
        let foreign = harness.nobody().with("origin", "https://evil.example");
        let login = json!({"login": "operator", "password": "wrong"});
        foreign
            .post("/api/v1/session", &login)
            .await
            .problem(403, "other_origin");
        let page = harness
            .nobody()
            .with("host", &here)
            .with("origin", &own)
            .with("sec-fetch-site", "same-origin");
        page.get("/api/v1/key-pools").await.expect(200);
    })
    .await;
}
