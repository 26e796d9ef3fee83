//! Sign-ins that succeed: who somebody becomes, and what they may then.

use lingate_testkit::{ClientProof, Oidc, Signing};
use serde_json::{Value, json};

use super::{Browser, PROVIDERS, audited, person, provider};
use crate::admin::harness::{Database, Harness};
use crate::admin::on_both;
use crate::world::PATIENCE;

#[tokio::test]
async fn whoever_the_issuer_vouches_for_is_signed_in() {
    on_both(|harness| {
        Box::pin(async move {
            let oidc = Oidc::start().await.unwrap();
            let made = provider(harness, &oidc, "corp", json!({"label": "Corp"})).await;
            made.expect(201);
            let public = harness.nobody().get(&format!("{PROVIDERS}/public")).await;
            let choice =
                json!({"name": "corp", "label": "Corp", "start": "/api/v1/oidc/corp/start"});
            assert_eq!(public.expect(200)["items"], json!([choice]));

            oidc.person(person("1", "ada@example.com"));
            let browser = Browser::new(harness);
            assert_eq!(browser.signed_in(&oidc, "corp").await, "ada@example.com");
            // Of the sign-in itself nothing is left.
            let kept: Vec<String> = browser.cookies.borrow().keys().cloned().collect();
            assert_eq!(kept, ["lingate_session"]);
            let by = audited(harness, "action=session.sign_in").await;
            assert_eq!(by, [format!("by corp ({})", oidc.issuer())]);

            // The same person under another address: the same account, since it goes by the subject.
            oidc.person(person("1", "lovelace@example.com"));
            let again = Browser::new(harness);
            assert_eq!(again.signed_in(&oidc, "corp").await, "ada@example.com");
            // And another one under the first one's address is nobody.
            oidc.person(person("2", "ada@example.com"));
            let other = Browser::new(harness);
            let refused = other.sign_in(&oidc, "corp").await;
            refused.problem(409, "account_exists");
            assert!(!other.is_signed_in());
        })
    })
    .await;
}

#[tokio::test]
async fn groups_become_roles_at_each_sign_in() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let acme = json!({"name": "acme"});
            operator.post("/api/v1/organizations", &acme).await.expect(201);
            let web = json!({"name": "web", "organization": "acme"});
            operator.post("/api/v1/projects", &web).await.expect(201);
            let oidc = Oidc::start().await.unwrap();
            let mappings = json!([
                {"group": "/staff", "scope": "organization", "organization": "acme", "role": "member"},
                {"group": "/web", "scope": "project", "project": "acme/web", "role": "admin"},
                {"group": "/watch", "scope": "platform", "role": "viewer"},
            ]);
            let settings = json!({"groups_claim": "realm.groups", "mappings": mappings});
            provider(harness, &oidc, "corp", settings).await.expect(201);

            let with = |groups: &[&str]| {
                let mut ada = person("1", "ada@example.com");
                ada["realm"] = json!({"groups": groups});
                oidc.person(ada);
            };
            let browser = Browser::new(harness);
            with(&["/staff", "/web", "/others"]);
            browser.signed_in(&oidc, "corp").await;
            let both = ["organization member", "project admin"];
            assert_eq!(browser.roles().await, both);

            // What is given by hand stays, whatever the issuer says.
            let by_hand = json!({"account": "ada@example.com", "scope": "organization", "organization": "acme", "role": "billing"});
            operator.post("/api/v1/memberships", &by_hand).await.expect(201);
            with(&["/watch"]);
            browser.signed_in(&oidc, "corp").await;
            let after = ["organization billing", "platform viewer"];
            assert_eq!(browser.roles().await, after);
            let told = operator.get("/api/v1/memberships?role=viewer").await;
            assert_eq!(told.expect(200)["items"][0]["held_by"], oidc.issuer());

            // No word of groups is as good as none.
            oidc.person(person("1", "ada@example.com"));
            browser.signed_in(&oidc, "corp").await;
            assert_eq!(browser.roles().await, ["organization billing"]);

            // Where the provider is gone, so is what was held by its word; the account stays.
            with(&["/staff"]);
            browser.signed_in(&oidc, "corp").await;
            assert_eq!(browser.roles().await.len(), 2);
            operator.delete(&format!("{PROVIDERS}/corp")).await.expect(204);
            assert_eq!(browser.roles().await, ["organization billing"]);
            let gone = Browser::new(harness).get("/api/v1/oidc/corp/start").await;
            gone.problem(404, "not_found");
        })
    })
    .await;
}

#[tokio::test]
async fn two_issuers_may_call_two_people_the_same() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let (one, other) = (Oidc::start().await.unwrap(), Oidc::start().await.unwrap());
    for (oidc, name) in [(&one, "one"), (&other, "other")] {
        provider(&harness, oidc, name, json!({})).await.expect(201);
        oidc.person(person("1", &format!("{name}@example.com")));
    }
    let browser = Browser::new(&harness);
    assert_eq!(browser.signed_in(&one, "one").await, "one@example.com");
    assert_eq!(
        browser.signed_in(&other, "other").await,
        "other@example.com"
    );
    let accounts = harness.operator().get("/api/v1/accounts").await;
    // These two, and the operator of the first start.
    assert_eq!(accounts.expect(200)["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn keys_may_be_of_any_kind_and_change() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    oidc.person(person("1", "ada@example.com"));
    let browser = Browser::new(&harness);
    for signing in [Signing::Rs256, Signing::Ps256, Signing::Es256] {
        oidc.sign(signing);
        browser.signed_in(&oidc, "corp").await;
    }
    assert_eq!(oidc.asked("/keys"), 1);
    assert_eq!(oidc.asked("/.well-known/openid-configuration"), 1);
    // A key that is not known is asked for once.
    oidc.rotate();
    browser.signed_in(&oidc, "corp").await;
    browser.signed_in(&oidc, "corp").await;
    assert_eq!(oidc.asked("/keys"), 2);
}

#[tokio::test]
async fn what_the_id_token_leaves_out_is_asked_for() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    let settings = json!({"groups_claim": "groups", "allowed_groups": ["staff"], "email_domains": ["example.com"]});
    provider(&harness, &oidc, "corp", settings)
        .await
        .expect(201);
    let mut ada = person("1", "ada@example.com");
    ada["groups"] = json!(["staff"]);
    oidc.person(ada)
        .apart(&["email", "email_verified", "groups"]);
    let browser = Browser::new(&harness);
    assert_eq!(browser.signed_in(&oidc, "corp").await, "ada@example.com");
    assert_eq!(oidc.asked("/userinfo"), 1);
}

#[tokio::test]
async fn the_clients_secret_may_be_a_variable_and_outlives_the_master_key() {
    let variable = [("OIDC_SECRET", Oidc::SECRET)];
    let harness = Harness::start_with(Database::Sqlite, "", &variable).await;
    let (one, other) = (Oidc::start().await.unwrap(), Oidc::start().await.unwrap());
    let referred = json!({"client_secret": "${OIDC_SECRET}"});
    let told = provider(&harness, &one, "one", referred).await;
    assert_eq!(
        told.expect(201)["client_secret_reference"],
        "${OIDC_SECRET}"
    );
    provider(&harness, &other, "other", json!({}))
        .await
        .expect(201);
    one.person(person("1", "one@example.com"));
    other.person(person("1", "other@example.com"));
    let browser = Browser::new(&harness);
    browser.signed_in(&one, "one").await;
    browser.signed_in(&other, "other").await;
    let operator = harness.operator();
    let path = "/api/v1/system/rotate-master-key";
    let rotated = operator.post(path, &json!({})).await;
    let job = rotated.expect(202)["id"].as_str().unwrap().to_owned();
    let started = std::time::Instant::now();
    loop {
        let job = operator.get(&format!("/api/v1/jobs/{job}")).await;
        match job.expect(200)["state"].as_str().unwrap() {
            "running" => assert!(started.elapsed() < PATIENCE, "{}", job.text),
            state => break assert_eq!(state, "done", "{}", job.text),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    browser.signed_in(&one, "one").await;
    browser.signed_in(&other, "other").await;
}

#[tokio::test]
async fn the_client_proves_itself_as_the_issuer_wants_it() {
    let harness = Harness::start(Database::Sqlite, "").await;
    for (name, proof, secret) in [
        ("basic", ClientProof::Basic, json!(Oidc::SECRET)),
        ("post", ClientProof::Post, json!(Oidc::SECRET)),
        ("public", ClientProof::Nothing, Value::Null),
    ] {
        let oidc = Oidc::start().await.unwrap();
        oidc.proof(proof);
        let name = format!("corp-{name}");
        let settings = json!({"client_secret": secret});
        provider(&harness, &oidc, &name, settings).await.expect(201);
        let account = format!("{name}@example.com");
        oidc.person(person("1", &account));
        let browser = Browser::new(&harness);
        assert_eq!(browser.signed_in(&oidc, &name).await, account);
        // A wrong secret is the operator's to mend, and nobody else's.
        let wrong = json!({"client_secret": "wrong"});
        let path = format!("{PROVIDERS}/{name}");
        harness.operator().patch(&path, &wrong).await.expect(200);
        let refused = browser.sign_in(&oidc, &name).await;
        refused.problem(502, "issuer_unavailable");
    }
}

#[tokio::test]
async fn behind_a_proxy_the_issuer_sends_people_to_its_address() {
    let harness = Harness::start(Database::Sqlite, "trusted_proxies: [127.0.0.1]").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    oidc.person(person("1", "ada@example.com"));
    let proxied = harness
        .nobody()
        .with("x-forwarded-proto", "https")
        .with("x-forwarded-host", "gateway.example.com");
    let start = proxied.get("/api/v1/oidc/corp/start").await;
    start.expect(303);
    let cookie = start.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-lingate_oidc_"), "{cookie}");
    assert!(
        cookie.contains("; Secure") && cookie.contains("; Path=/;"),
        "{cookie}"
    );
    let back = oidc.visit(start.header("location")).await.unwrap();
    let path = back.strip_prefix("https://gateway.example.com").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let end = proxied.with("cookie", cookie).get(path).await;
    end.expect(303);
    assert!(end.header("set-cookie").contains("; Secure"));

    // Where the gateway cannot know the address, it is said.
    let uri = "https://sign.example.com/api/v1/oidc/corp/callback";
    let said = json!({"redirect_uri": uri});
    let path = format!("{PROVIDERS}/corp");
    harness.operator().patch(&path, &said).await.expect(200);
    let start = harness.nobody().get("/api/v1/oidc/corp/start").await;
    let back = oidc.visit(start.header("location")).await.unwrap();
    assert!(back.starts_with(uri), "{back}");
}
