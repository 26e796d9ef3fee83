//! The providers themselves: who manages them, and what they may say.

use lingate_testkit::{Fault, Oidc};
use serde_json::{Value, json};

use super::{Browser, PROVIDERS, provider};
use crate::admin::harness::{Database, Harness};
use crate::admin::on_both;
use crate::admin::people::Scope;

#[tokio::test]
async fn made_changed_and_deleted() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let oidc = Oidc::start().await.unwrap();
            let made = provider(harness, &oidc, "corp", json!({})).await;
            let told = made.expect(201);
            assert_eq!(told["has_client_secret"], json!(true));
            assert_eq!(told["client_secret"], Value::Null);
            assert_eq!(told["callback"], "/api/v1/oidc/corp/callback");
            assert_eq!(told["scopes"], json!(["email", "profile"]));
            provider(harness, &oidc, "corp", json!({}))
                .await
                .problem(409, "name_taken");
            provider(harness, &oidc, "again", json!({}))
                .await
                .problem(409, "name_taken");

            let path = format!("{PROVIDERS}/corp");
            let tag = made.header("etag").to_owned();
            let change = json!({"label": "Corp", "client_id": "other"});
            let changed = operator.with("if-match", &tag).patch(&path, &change).await;
            let told = changed.expect(200);
            assert_eq!(told["label"], "Corp");
            assert_eq!(told["client_id"], "other");
            // What is not named stays, and the secret with it.
            assert_eq!(told["has_client_secret"], json!(true));
            assert_eq!(told["create_accounts"], json!(true));
            let stale = operator.with("if-match", &tag).patch(&path, &change).await;
            stale.problem(412, "stale");
            let bare = json!({"client_secret": null, "label": null});
            let told = operator.patch(&path, &bare).await;
            assert_eq!(told.expect(200)["has_client_secret"], json!(false));
            assert_eq!(told.body["label"], Value::Null);
            let moved = json!({"issuer": "https://id.example.com"});
            let moved = operator.patch(&path, &moved).await;
            assert!(moved.wrong_fields().contains_key("/issuer"));
            let listed = operator.get(PROVIDERS).await;
            assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 1);
            operator.delete(&path).await.expect(204);
            operator.get(&path).await.problem(404, "not_found");
            let events = operator
                .get("/api/v1/audit-events?action=sign_in_provider")
                .await;
            assert_eq!(events.expect(200)["items"].as_array().unwrap().len(), 4);
        })
    })
    .await;
}

#[tokio::test]
async fn bad_input_is_told_field_by_field() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let operator = harness.operator();
    let check = async |more: Value, expect: &[&str]| {
        let mut wanted =
            json!({"name": "corp", "issuer": "https://id.example.com", "client_id": "lingate"});
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        let reply = operator.post(PROVIDERS, &wanted).await;
        let fields: Vec<String> = reply.wrong_fields().into_keys().collect();
        assert_eq!(fields, expect, "{more}");
    };
    check(
        json!({"name": "Corp", "client_id": ""}),
        &["/client_id", "/name"],
    )
    .await;
    check(json!({"name": "public"}), &["/name"]).await;
    for issuer in [
        "http://id.example.com",
        "https://169.254.169.254",
        "https://user:password@id.example.com",
        "https://id.example.com?x=1",
        "file:///etc/passwd",
        "id.example.com",
        "",
    ] {
        check(json!({"issuer": issuer}), &["/issuer"]).await;
    }
    check(json!({"client_secret": ""}), &["/client_secret"]).await;
    check(
        json!({"client_secret": "${LINGATE_MASTER_KEY}"}),
        &["/client_secret"],
    )
    .await;
    check(json!({"client_secret": "${A}x"}), &["/client_secret"]).await;
    check(
        json!({"email_domains": ["@example.com"]}),
        &["/email_domains/0"],
    )
    .await;
    check(json!({"allowed_groups": ["a"]}), &["/groups_claim"]).await;
    check(
        json!({"redirect_uri": "https://gateway.example.com/elsewhere"}),
        &["/redirect_uri"],
    )
    .await;
    check(json!({"secret": "x"}), &["/secret"]).await;
    let mapping = |place: Value| json!({"groups_claim": "groups", "mappings": [place]});
    check(
        mapping(json!({"group": "a", "scope": "organization", "organization": "nobody", "role": "member"})),
        &["/mappings/0/organization"],
    )
    .await;
    check(
        mapping(json!({"group": "a", "scope": "platform", "role": "owner"})),
        &["/mappings/0/role"],
    )
    .await;
    check(
        mapping(json!({"group": "a", "scope": "everywhere", "role": "owner"})),
        &["/mappings/0/scope"],
    )
    .await;
    check(
        json!({"default_role": {"scope": "project", "role": "viewer"}}),
        &["/default_role/project"],
    )
    .await;
    check(
        json!({"default_role": {"scope": "project"}}),
        &["/default_role"],
    )
    .await;
}

#[tokio::test]
async fn who_says_whom_to_believe_may_everything_else_already() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let made = json!({"name": "acme"});
    let acme = harness
        .operator()
        .post("/api/v1/organizations", &made)
        .await
        .id();
    let owner = harness
        .person("owner", Scope::Organization(acme), "owner")
        .await;
    let operator = harness
        .person("operator", Scope::Platform, "operator")
        .await;
    let session = operator.session.unwrap();
    // A token that may change settings, and no more: with an issuer of its own it could sign in as anybody.
    let less = json!({"name": "less", "scopes": ["settings.write", "settings.read"]});
    let less = harness.token(&session, &less).await;
    let wanted =
        json!({"name": "mine", "issuer": "https://id.example.com", "client_id": "lingate"});
    for client in [&owner.client, &less] {
        client
            .post(PROVIDERS, &wanted)
            .await
            .problem(403, "forbidden");
    }
    operator.client.post(PROVIDERS, &wanted).await.expect(201);
    less.get(&format!("{PROVIDERS}/mine")).await.expect(200);
    let path = format!("{PROVIDERS}/mine");
    less.patch(&path, &json!({"enabled": false}))
        .await
        .problem(403, "forbidden");
    less.delete(&path).await.problem(403, "forbidden");
    owner.client.get(PROVIDERS).await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_operator_asks_the_issuer_beforehand() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    let operator = harness.operator();
    let path = format!("{PROVIDERS}/corp");
    let check = async |expect: &str| {
        let checked = operator.post(&format!("{path}/check"), &json!({})).await;
        let told = checked.expect(200);
        let problem = told["problem"].as_str().unwrap_or_default();
        assert_eq!(told["good"], json!(expect.is_empty()), "{told}");
        assert!(problem.contains(expect), "{told}");
    };
    check("").await;
    // What was remembered is not asked again, and is not believed here.
    oidc.faults(&[Fault::OtherIssuer]);
    check("calls itself by another name").await;
    oidc.faults(&[Fault::Redirects]);
    check("sends elsewhere").await;
    oidc.faults(&[]);
    check("").await;
    let unset = json!({"client_secret": "${OIDC_SECRET_THAT_IS_NOT_SET}"});
    operator.patch(&path, &unset).await.expect(200);
    check("OIDC_SECRET_THAT_IS_NOT_SET is not set").await;
    drop(oidc);
    check("cannot be asked for").await;
}

#[tokio::test]
async fn a_provider_is_switched_off_whatever_has_become_of_the_places_it_names() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    let operator = harness.operator();
    let made = json!({"name": "acme"});
    let acme = operator.post("/api/v1/organizations", &made).await.id();
    let member = json!({"scope": "organization", "organization": "acme", "role": "member"});
    provider(&harness, &oidc, "corp", json!({"default_role": member}))
        .await
        .expect(201);
    operator
        .delete(&format!("/api/v1/organizations/{acme}"))
        .await
        .expect(204);
    // Who signs in holds what there is.
    let browser = Browser::new(&harness);
    browser.signed_in(&oidc, "corp").await;
    assert!(browser.roles().await.is_empty());
    let path = format!("{PROVIDERS}/corp");
    let off = operator.patch(&path, &json!({"enabled": false})).await;
    assert_eq!(off.expect(200)["default_role"]["organization"], acme);
}
