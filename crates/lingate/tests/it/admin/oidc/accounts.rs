//! Whose account it becomes, and who is let in.

use lingate_testkit::{Oidc, totp};
use serde_json::{Value, json};

use super::{Browser, PROVIDERS, audited, person, provider};
use crate::admin::harness::{Database, Harness, PASSWORD};
use crate::admin::on_both;

#[tokio::test]
async fn only_whom_the_settings_let_in_gets_in() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({"create_accounts": false}))
        .await
        .expect(201);
    let set = async |settings: Value| {
        let path = format!("{PROVIDERS}/corp");
        harness.operator().patch(&path, &settings).await.expect(200);
    };
    let check = async |claims: Value, expect: u16| {
        oidc.person(claims.clone());
        let browser = Browser::new(&harness);
        let end = browser.sign_in(&oidc, "corp").await;
        assert_eq!(end.status, expect, "{claims}: {}", end.text);
        assert_eq!(browser.is_signed_in(), expect == 303, "{claims}");
    };
    check(person("1", "ada@example.com"), 403).await;
    set(json!({"create_accounts": true, "email_domains": ["example.com"]})).await;
    check(person("1", "ada@example.org"), 403).await;
    check(json!({"sub": "1", "email": "ada@example.com"}), 403).await;
    check(
        json!({"sub": "1", "email": "ada@example.com", "email_verified": false}),
        403,
    )
    .await;
    check(person("1", "ada@example.com"), 303).await;
    // Who is let in is asked each time.
    check(person("1", "ada@example.org"), 403).await;
    set(json!({"email_domains": null, "groups_claim": "groups", "allowed_groups": ["staff"]}))
        .await;
    check(person("1", "ada@example.com"), 403).await;
    let mut staff = person("1", "ada@example.com");
    staff["groups"] = json!(["staff"]);
    check(staff.clone(), 303).await;
    // Letters that only look like those of the address are another's.
    set(json!({"link_by_email": true})).await;
    let kelvin = json!({"email": "kelvin@example.com", "name": "Kelvin"});
    harness
        .operator()
        .post("/api/v1/accounts", &kelvin)
        .await
        .expect(201);
    let mut odd = person("9", "\u{212a}elvin@example.com");
    odd["groups"] = json!(["staff"]);
    check(odd, 409).await;
    let blocked = json!({"blocked": true});
    let account = "/api/v1/accounts/ada@example.com";
    harness
        .operator()
        .patch(account, &blocked)
        .await
        .expect(200);
    check(staff, 403).await;
    set(json!({"enabled": false})).await;
    let start = harness.nobody().get("/api/v1/oidc/corp/start").await;
    start.problem(404, "not_found");
    let public = harness.nobody().get(&format!("{PROVIDERS}/public")).await;
    assert_eq!(public.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn whoever_is_let_in_no_more_loses_what_they_held_so() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    let operators = json!({"group": "operators", "scope": "platform", "role": "viewer"});
    let settings =
        json!({"groups_claim": "groups", "mappings": [operators], "allowed_groups": ["staff"]});
    provider(&harness, &oidc, "corp", settings)
        .await
        .expect(201);
    let mut ada = person("1", "ada@example.com");
    ada["groups"] = json!(["staff", "operators"]);
    oidc.person(ada.clone());
    let browser = Browser::new(&harness);
    browser.signed_in(&oidc, "corp").await;
    assert_eq!(browser.roles().await, ["platform viewer"]);
    ada["groups"] = json!(["operators"]);
    oidc.person(ada);
    Browser::new(&harness)
        .sign_in(&oidc, "corp")
        .await
        .problem(403, "not_let_in");
    assert!(browser.roles().await.is_empty());
}

#[tokio::test]
async fn who_signs_in_for_the_first_time_in_four_browsers_at_once_is_one() {
    on_both(|harness| {
        Box::pin(async move {
            let oidc = Oidc::start().await.unwrap();
            provider(harness, &oidc, "corp", json!({}))
                .await
                .expect(201);
            oidc.person(person("1", "ada@example.com"));
            let browsers: Vec<_> = (0..4).map(|_| Browser::new(harness)).collect();
            let mut paths = Vec::new();
            for browser in &browsers {
                paths.push(browser.to_and_back(&oidc, "corp").await);
            }
            let ends = tokio::join!(
                browsers[0].get(&paths[0]),
                browsers[1].get(&paths[1]),
                browsers[2].get(&paths[2]),
                browsers[3].get(&paths[3]),
            );
            for end in [ends.0, ends.1, ends.2, ends.3] {
                end.expect(303);
            }
            let accounts = harness.operator().get("/api/v1/accounts").await;
            assert_eq!(accounts.expect(200)["items"].as_array().unwrap().len(), 2);
        })
    })
    .await;
}

#[tokio::test]
async fn who_has_no_verified_address_is_known_by_what_the_issuer_calls_them() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({"link_by_email": true}))
        .await
        .expect(201);
    let operator = json!({"email": "ada@example.com", "name": "Ada"});
    harness
        .operator()
        .post("/api/v1/accounts", &operator)
        .await
        .expect(201);
    let sign_in = async |claims: Value| {
        oidc.person(claims);
        Browser::new(&harness).signed_in(&oidc, "corp").await
    };
    let unverified = json!({"sub": "1", "email": "ada@example.com", "preferred_username": "ada"});
    assert_eq!(sign_in(unverified).await, "corp.ada");
    // Another one who is called the same there, and one who is called what no login can be.
    let same = sign_in(json!({"sub": "2", "preferred_username": "ada"})).await;
    assert!(same.starts_with("corp.") && same != "corp.ada", "{same}");
    let odd = sign_in(json!({"sub": "3", "preferred_username": "a d/a@x"})).await;
    assert!(odd.starts_with("corp.") && odd != same, "{odd}");
    assert_eq!(
        sign_in(json!({"sub": "3", "preferred_username": "eve"})).await,
        odd
    );
}

#[tokio::test]
async fn a_verified_address_leads_to_an_account_that_has_no_password_of_its_own() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({"link_by_email": true}))
        .await
        .expect(201);
    let operator = harness.operator();
    let made = json!({"email": "Ada@example.com", "name": "Ada"});
    let made = operator.post("/api/v1/accounts", &made).await;
    let temporary = made.expect(201)["temporary_password"].clone();
    oidc.person(person("1", "ada@EXAMPLE.com"));
    let browser = Browser::new(&harness);
    assert_eq!(browser.signed_in(&oidc, "corp").await, "Ada@example.com");
    // Whoever made the account knows the temporary password: it is worth nothing any more.
    let sign_in = json!({"login": "ada@example.com", "password": temporary});
    let refused = harness.nobody().post("/api/v1/session", &sign_in).await;
    refused.problem(401, "wrong_credentials");
    let me = browser.get("/api/v1/me").await;
    assert_eq!(me.expect(200)["has_password"], json!(false), "{}", me.text);

    // An account with a password is nobody's who only has its address: its password may be another's, who waits for that.
    let scope = crate::admin::people::Scope::Platform;
    harness.person("eve", scope, "viewer").await;
    oidc.person(person("2", "eve@example.com"));
    let other = Browser::new(&harness);
    other
        .sign_in(&oidc, "corp")
        .await
        .problem(409, "account_exists");
    assert!(!other.is_signed_in());
}

#[tokio::test]
async fn who_is_signed_in_adds_an_identity_and_takes_it_away() {
    on_both(|harness| {
        Box::pin(async move {
            let oidc = Oidc::start().await.unwrap();
            provider(harness, &oidc, "corp", json!({}))
                .await
                .expect(201);
            oidc.person(person("1", "ada@example.com"));
            let operator = Browser::new(harness);
            let password = json!({"login": "operator", "password": PASSWORD});
            let signed_in = operator
                .ask("POST", "/api/v1/session", Some(&password))
                .await;
            signed_in.expect(200);
            let path = "/api/v1/me/identities";
            let wanted = json!({"provider": "corp", "return_to": "/settings"});
            // Not by a page of somebody else.
            let forged = operator.ask("POST", path, Some(&wanted)).await;
            forged.problem(403, "csrf");
            let begun = operator.change("POST", path, Some(&wanted)).await;
            let url = begun.expect(200)["url"].as_str().unwrap().to_owned();
            let end = operator.get(&super::back(&oidc, &url).await).await;
            end.expect(303);
            assert_eq!(end.header("location"), "/settings");
            let listed = operator.get(path).await;
            let identity = listed.expect(200)["items"][0].clone();
            assert_eq!(identity["provider"], "corp");
            assert_eq!(identity["subject"], "1");

            let browser = Browser::new(harness);
            assert_eq!(browser.signed_in(&oidc, "corp").await, "operator");
            assert_eq!(browser.roles().await, ["platform operator"]);

            // The identity is this account's, and no other's.
            oidc.person(person("2", "eve@example.com"));
            let eve = Browser::new(harness);
            eve.signed_in(&oidc, "corp").await;
            let begun = eve.change("POST", path, Some(&wanted)).await;
            oidc.person(person("1", "ada@example.com"));
            let url = begun.expect(200)["url"].as_str().unwrap().to_owned();
            let taken = eve.get(&super::back(&oidc, &url).await).await;
            taken.problem(409, "identity_taken");
            // Who has no password keeps the last one.
            let own = eve.get(path).await.expect(200)["items"][0]["id"].clone();
            let own = format!("{path}/{}", own.as_str().unwrap());
            eve.change("DELETE", &own, None)
                .await
                .problem(409, "last_one");
            browser
                .change("DELETE", &own, None)
                .await
                .problem(404, "not_found");

            // Operators see everybody's, and take them away; not by the way of another account.
            let of = async |account: &str| {
                let path = format!("/api/v1/accounts/{account}/identities");
                let listed = harness.operator().get(&path).await;
                listed.expect(200)["items"].clone()
            };
            assert_eq!(of("operator").await, json!([identity]));
            assert_eq!(of("eve@example.com").await[0]["subject"], "2");
            let id = identity["id"].as_str().unwrap();
            let foreign = format!("/api/v1/accounts/eve@example.com/identities/{id}");
            harness
                .operator()
                .delete(&foreign)
                .await
                .problem(404, "not_found");
            let own = format!("{path}/{id}");
            operator.change("DELETE", &own, None).await.expect(204);
            assert_eq!(of("operator").await, json!([]));
            let nobody = Browser::new(harness);
            assert_eq!(nobody.signed_in(&oidc, "corp").await, "ada@example.com");
            let told = audited(harness, "action=identity").await;
            assert!(
                told.iter()
                    .any(|detail| detail.contains("no longer signs in as 1"))
            );
        })
    })
    .await;
}

#[tokio::test]
async fn an_account_with_a_second_factor_is_asked_for_it() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    oidc.person(person("1", "ada@example.com"));
    let browser = Browser::new(&harness);
    browser.signed_in(&oidc, "corp").await;
    let proposed = browser.change("POST", "/api/v1/me/totp", None).await;
    let secret = proposed.expect(200)["secret"].as_str().unwrap().to_owned();
    let code = json!({"code": totp(&secret)});
    let confirm = browser.change("POST", "/api/v1/me/totp/confirm", Some(&code));
    let codes = confirm.await.expect(200)["recovery_codes"].clone();

    let half = Browser::new(&harness);
    let end = half.sign_in(&oidc, "corp").await;
    end.expect(303);
    let location = end.header("location").to_owned();
    let (page, csrf) = location.split_once("#csrf_token=").unwrap();
    assert_eq!(page, "/sign-in?mfa=required&return_to=%2Fkeys");
    half.get("/api/v1/session")
        .await
        .problem(401, "mfa_required");
    half.get("/api/v1/me").await.problem(401, "mfa_required");
    let with_token = Browser {
        client: half.client.with("x-lingate-csrf", csrf),
        cookies: half.cookies.clone(),
    };
    let code = json!({"code": codes[0]});
    let proved = with_token
        .ask("POST", "/api/v1/session/totp", Some(&code))
        .await;
    proved.expect(200);
    assert_eq!(with_token.who().await, "ada@example.com");

    // Where the issuer's own is trusted, it is not asked for.
    let trusts = json!({"trust_second_factor": true});
    let path = format!("{PROVIDERS}/corp");
    harness.operator().patch(&path, &trusts).await.expect(200);
    let trusted = Browser::new(&harness);
    assert_eq!(trusted.signed_in(&oidc, "corp").await, "ada@example.com");
}
