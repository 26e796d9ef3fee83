//! The cookie of a session, where a proxy speaks TLS.

use serde_json::json;

use super::harness::{Database, Harness, PASSWORD};

#[tokio::test]
async fn over_tls_no_neighbour_can_plant_a_session() {
    let harness = Harness::start(Database::Sqlite, "trusted_proxies: [127.0.0.1]").await;
    let proxied = harness
        .nobody()
        .with("x-forwarded-proto", "https")
        .with("x-forwarded-host", "gateway.example.com");
    let login = json!({"login": "operator", "password": PASSWORD});
    let opened = proxied.post("/api/v1/session", &login).await;
    let csrf = opened.expect(200)["csrf_token"].as_str().unwrap();
    let cookie = opened.header("set-cookie");
    for part in [
        "__Host-lingate_session=",
        "; Path=/;",
        "; HttpOnly",
        "; Secure",
    ] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    let planted = cookie.trim_start_matches("__Host-");
    let me = async |cookie: &str| {
        let asked = proxied.with("cookie", cookie).get("/api/v1/me").await;
        asked.status
    };
    assert_eq!(me(cookie).await, 200);
    assert_eq!(me(planted).await, 401);
    assert_eq!(me(&format!("lingate_session=planted; {cookie}")).await, 200);
    let own = proxied.with("cookie", cookie).with("x-lingate-csrf", csrf);
    let left = own.delete("/api/v1/session").await;
    assert_eq!(left.status, 204, "{}", left.text);
    let gone = left.header("set-cookie");
    assert!(gone.starts_with("__Host-lingate_session=;"), "{gone}");
    assert_eq!(me(cookie).await, 401);
}
