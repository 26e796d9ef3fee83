//! Sign-ins that are refused: each with a clear answer, a line in the audit log, and no session.

use lingate_testkit::{Fault, Oidc};
use serde_json::json;

use super::{Browser, audited, back, person, provider};
use crate::admin::harness::{Database, Harness};

#[tokio::test]
async fn a_token_that_proves_nothing_signs_nobody_in() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({"groups_claim": "groups"}))
        .await
        .expect(201);
    oidc.person(person("1", "ada@example.com"));
    let browser = Browser::new(&harness);
    for (fault, why) in [
        (Fault::WrongNonce, "is of another sign-in"),
        (Fault::Expired, "has expired"),
        (Fault::WrongAudience, "is for another client"),
        (Fault::WrongIssuer, "is of another issuer"),
        (Fault::WrongKey, "signature of the ID token is wrong"),
        (Fault::Unsigned, "by an algorithm that is not taken"),
        (Fault::Symmetric, "by an algorithm that is not taken"),
        (Fault::OtherPerson, "is about another one"),
    ] {
        oidc.faults(&[fault]);
        let refused = browser.sign_in(&oidc, "corp").await;
        let problem = refused.problem(401, "sign_in_unproved");
        // Why, is for operators.
        assert!(!problem.to_string().contains(why), "{problem}");
        assert!(!browser.is_signed_in(), "{fault:?}");
        let told = audited(&harness, "action=session.sign_in&outcome=refused").await;
        assert!(told[0].contains(why), "{fault:?}: {}", told[0]);
    }
    // However often tokens are wrong, the issuer is not asked for its keys each time.
    oidc.faults(&[Fault::WrongKey]);
    for _ in 0..8 {
        browser
            .sign_in(&oidc, "corp")
            .await
            .problem(401, "sign_in_unproved");
    }
    assert!(oidc.asked("/keys") <= 6, "{}", oidc.asked("/keys"));
    oidc.faults(&[]);
    assert_eq!(browser.signed_in(&oidc, "corp").await, "ada@example.com");
    let accounts = harness.operator().get("/api/v1/accounts").await;
    assert_eq!(accounts.expect(200)["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_sign_in_is_of_one_browser_and_good_once() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let (oidc, other) = (Oidc::start().await.unwrap(), Oidc::start().await.unwrap());
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    provider(&harness, &other, "other", json!({}))
        .await
        .expect(201);
    oidc.person(person("1", "ada@example.com"));
    let (browser, victim) = (Browser::new(&harness), Browser::new(&harness));

    // Another browser that is sent to where the first one would end: nobody is signed in as the attacker, and nothing is used up.
    let path = browser.to_and_back(&oidc, "corp").await;
    victim.get(&path).await.problem(400, "sign_in_over");
    let started = victim.to_and_back(&oidc, "corp").await;
    victim.get(&path).await.problem(400, "sign_in_over");
    assert!(!victim.is_signed_in());
    browser.get(&path).await.expect(303);
    // The same once more, also with the cookie that was taken away.
    let before = browser.cookies.borrow().clone();
    browser.get(&path).await.problem(400, "sign_in_over");
    assert_eq!(*browser.cookies.borrow(), before);

    // A code of one sign-in in another: the issuer gives nothing for it, since it was asked for by another verifier.
    let parameter = |path: &str, name: &str| {
        let rest = path.split_once(&format!("{name}=")).unwrap().1;
        rest.split('&').next().unwrap().to_owned()
    };
    let fresh = browser.to_and_back(&oidc, "corp").await;
    let mixed = fresh.replace(&parameter(&fresh, "code"), &parameter(&started, "code"));
    assert_ne!(mixed, fresh);
    browser.get(&mixed).await.problem(401, "sign_in_unproved");
    // It is over now, and so is the code that was good.
    browser.get(&fresh).await.problem(400, "sign_in_over");

    // Of one provider at another, or of another issuer by its own word.
    let path = browser.to_and_back(&oidc, "corp").await;
    let elsewhere = path.replace("/oidc/corp/", "/oidc/other/");
    browser.get(&elsewhere).await.problem(400, "sign_in_over");
    let path = browser.to_and_back(&oidc, "corp").await;
    let mixed_up = path.replace(&parameter(&path, "iss"), "https%3A%2F%2Fid.example.com");
    browser
        .get(&mixed_up)
        .await
        .problem(401, "sign_in_unproved");
    let path = browser.to_and_back(&oidc, "corp").await;
    let unnamed = path.replace(&format!("iss={}&", parameter(&path, "iss")), "");
    browser.get(&unnamed).await.problem(401, "sign_in_unproved");

    // A state that nobody has, twice the same, none at all.
    let path = browser.to_and_back(&oidc, "corp").await;
    let state = parameter(&path, "state");
    for wrong in [
        path.replace(&state, "A".repeat(43).as_str()),
        format!("{path}&state={state}"),
        "/api/v1/oidc/corp/callback?code=1".to_owned(),
        "/api/v1/oidc/corp/callback".to_owned(),
    ] {
        browser.get(&wrong).await.problem(400, "sign_in_over");
    }
    // That was not used up by any of these.
    browser.get(&path).await.expect(303);
}

#[tokio::test]
async fn what_the_person_or_the_issuer_refuses_is_said() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    let browser = Browser::of_pages(&harness);
    let path = browser.to_and_back(&oidc, "corp").await;
    let state = path.split_once("state=").unwrap().1;
    let state = state.split('&').next().unwrap();
    let denied = format!(
        "/api/v1/oidc/corp/callback?state={state}&error=access_denied&error_description=%3Cscript%3E"
    );
    let refused = browser.get(&denied).await;
    refused.expect(303);
    let location = "/sign-in?error=sign_in_denied&provider=corp";
    assert_eq!(refused.header("location"), location);
    assert!(!browser.is_signed_in());
    // Who asks for no page is told otherwise.
    let over = Browser::new(&harness).get(&denied).await;
    over.problem(400, "sign_in_over");

    // Nobody ends anywhere else.
    for elsewhere in ["https://evil.test", "//evil.test", "/%5Cevil.test", "evil"] {
        let start = format!("/api/v1/oidc/corp/start?return_to={elsewhere}");
        let refused = harness.nobody().get(&start).await;
        assert!(refused.wrong_fields().contains_key("return_to"));
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_as_it_must_is_told_from_a_wrong_person() {
    let harness = Harness::start(Database::Sqlite, "").await;
    for (at, fault) in [Fault::OtherIssuer, Fault::Redirects, Fault::Endless]
        .into_iter()
        .enumerate()
    {
        let oidc = Oidc::start().await.unwrap();
        let name = format!("corp-{at}");
        provider(&harness, &oidc, &name, json!({}))
            .await
            .expect(201);
        oidc.faults(&[fault]);
        let start = format!("/api/v1/oidc/{name}/start");
        let refused = harness.nobody().get(&start).await;
        refused.problem(502, "issuer_unavailable");
        assert_eq!(oidc.asked("/elsewhere"), 0);
        // Nobody waits for the same failure at once again.
        harness
            .nobody()
            .get(&start)
            .await
            .problem(502, "issuer_unavailable");
        let page = Browser::of_pages(&harness).get(&start).await;
        let location = format!("/sign-in?error=issuer_unavailable&provider={name}");
        assert_eq!(page.header("location"), location);
        // An operator who changes something makes it be asked again.
        oidc.faults(&[]);
        let path = format!("{}/{name}", super::PROVIDERS);
        let changed = json!({"label": "Corp"});
        harness.operator().patch(&path, &changed).await.expect(200);
        harness.nobody().get(&start).await.expect(303);
    }
    let oidc = Oidc::start().await.unwrap();
    provider(&harness, &oidc, "corp", json!({}))
        .await
        .expect(201);
    for fault in [Fault::Broken, Fault::Silent] {
        oidc.faults(&[fault]);
        let browser = Browser::new(&harness);
        let refused = browser.sign_in(&oidc, "corp").await;
        refused.problem(502, "issuer_unavailable");
        assert!(!browser.is_signed_in());
    }
    // Gone altogether, with sign-ins under way.
    let browser = Browser::new(&harness);
    let path = browser.to_and_back(&oidc, "corp").await;
    let start = browser.get("/api/v1/oidc/corp/start").await;
    let under_way = back(&oidc, start.header("location")).await;
    drop(oidc);
    browser.get(&path).await.problem(502, "issuer_unavailable");
    browser
        .get(&under_way)
        .await
        .problem(502, "issuer_unavailable");
}
