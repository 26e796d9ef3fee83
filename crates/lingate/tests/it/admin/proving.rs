//! What somebody proves who they are with, as it changes: temporary passwords end, cookies are exchanged, guesses are counted.

use lingate_store::Store;
use lingate_testkit::totp;
use serde_json::{Value, json};

use super::harness::{Client, Database, Harness, PASSWORD, Reply};
use super::on_both;
use crate::world::program;

async fn signs_in(harness: &Harness, login: &str, password: &Value) -> Reply {
    let body = json!({"login": login, "password": password});
    harness.nobody().post("/api/v1/session", &body).await
}

/// The session of an answer that signs in.
fn session<'h>(harness: &'h Harness, answer: &Reply) -> Client<'h> {
    let csrf = answer.expect(200)["csrf_token"].as_str().unwrap();
    harness.session(answer.header("set-cookie"), csrf)
}

#[tokio::test]
async fn a_temporary_password_ends() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let ada = json!({"name": "Ada", "login": "ada"});
            let made = operator.post("/api/v1/accounts", &ada).await;
            let id = made.expect(201)["id"].as_str().unwrap().parse().unwrap();
            let temporary = &made.body["temporary_password"];
            assert!(made.body["expires_at"].is_string(), "{}", made.text);
            signs_in(harness, "ada", temporary).await.expect(200);

            let url = match harness.database {
                Database::Sqlite => "sqlite",
                Database::Postgres => &harness.address,
            };
            let data = harness.gateway.folder().join("data");
            let store = Store::open(&url.parse().unwrap(), &data).await.unwrap();
            let hash = store.credentials(id).await.unwrap().password.unwrap();
            let over = store.set_password(id, &hash, Some(1), None).await;
            over.unwrap();
            store.close().await;
            let over = signs_in(harness, "ada", temporary).await;
            over.problem(401, "password_expired");
            assert_eq!(over.header("set-cookie"), "");
            let wrong = signs_in(harness, "ada", &json!("of-somebody-else")).await;
            wrong.problem(401, "wrong_credentials");

            let reset = "/api/v1/accounts/ada/reset-password";
            let given = operator.post(reset, &json!({})).await;
            let temporary = &given.expect(200)["temporary_password"];
            assert!(given.body["expires_at"].is_string(), "{}", given.text);
            let signed_in = signs_in(harness, "ada", temporary).await;
            let own = session(harness, &signed_in);
            let new = json!({"old_password": temporary, "new_password": "a-battery-of-ada-47"});
            own.put("/api/v1/me/password", &new).await.expect(200);
            let chosen = json!("a-battery-of-ada-47");
            signs_in(harness, "ada", &chosen).await.expect(200);
        })
    })
    .await;
}

#[tokio::test]
async fn another_second_factor_is_another_cookie() {
    on_both(|harness| {
        Box::pin(async move {
            let password = json!(PASSWORD);
            let own = session(harness, &signs_in(harness, "operator", &password).await);
            let other = session(harness, &signs_in(harness, "operator", &password).await);
            let proposed = own.post("/api/v1/me/totp", &json!({})).await;
            let code = json!({"code": totp(proposed.expect(200)["secret"].as_str().unwrap())});
            let confirmed = own.post("/api/v1/me/totp/confirm", &code).await;
            assert_eq!(
                confirmed.expect(200)["recovery_codes"]
                    .as_array()
                    .unwrap()
                    .len(),
                10
            );
            let with = session(harness, &confirmed);
            for over in [&own, &other] {
                over.get("/api/v1/me").await.problem(401, "session_over");
            }
            with.patch("/api/v1/me", &json!({"name": "Ada"}))
                .await
                .expect(200);
            let body = json!({"password": PASSWORD});
            let without = with
                .ask("DELETE", "/api/v1/me/totp", &[], Some(&body))
                .await;
            let own = session(harness, &without);
            with.get("/api/v1/me").await.problem(401, "session_over");
            let me = own.get("/api/v1/me").await;
            assert_eq!(me.expect(200)["totp"], json!(false), "{}", me.text);
        })
    })
    .await;
}

#[tokio::test]
async fn wrong_codes_are_remembered_over_a_restart() {
    for database in [Database::Sqlite, Database::Postgres] {
        let mut harness = Harness::start(database, "").await;
        let organization = json!({"name": "acme"});
        let made = harness
            .operator()
            .post("/api/v1/organizations", &organization)
            .await;
        made.expect(201);
        let wrong = json!({"code": "ABCD-EFGH-JKLM-NPQR", "organization": "acme"});
        let redeem = "/api/v1/codes/redeem";
        for _ in 0..10 {
            let refused = harness.operator().post(redeem, &wrong).await;
            refused.problem(422, "code_not_good");
        }
        let waits = harness.operator().post(redeem, &wrong).await;
        waits.problem(429, "too_many_attempts");
        harness.gateway.kill_and_start(program()).await.unwrap();
        let waits = harness.operator().post(redeem, &wrong).await;
        waits.problem(429, "too_many_attempts");
    }
}
