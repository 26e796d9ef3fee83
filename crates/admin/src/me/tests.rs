//! Signing in, from the first password to the last session, on a store and a clock of the test's own.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use lingate_gateway::Origin;
use lingate_seal::Sealer;
use lingate_store::{AuditFilter, Store};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::codes::{code, step};
use crate::frame::moment;
use crate::identity::first_operator;
use crate::{Admin, Parts};

const PASSWORD: &str = "canary-violet-tractor-harbour";
const OTHER: &str = "canary-copper-lantern-meadow";

struct Bed {
    admin: Admin,
    store: Store,
    folder: PathBuf,
}

/// What somebody shows.
#[derive(Debug, Clone, Default)]
struct Shown {
    cookie: String,
    csrf: String,
    token: String,
    more: Vec<(&'static str, String)>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    cookie: String,
    retry_after: Option<u64>,
    body: Value,
}

impl Shown {
    fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.more.push((name, value.to_owned()));
        other
    }

    fn token(token: &Value) -> Self {
        Self {
            token: token.as_str().unwrap().to_owned(),
            ..Self::default()
        }
    }
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    /// What a browser shows from then on.
    fn shown(&self) -> Shown {
        Shown {
            cookie: self.cookie.clone(),
            csrf: self.body["csrf_token"].as_str().unwrap().to_owned(),
            ..Shown::default()
        }
    }
}

impl Bed {
    async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lingate-signing-in-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let store = Store::open(&"sqlite".parse().unwrap(), &folder)
            .await
            .unwrap();
        first_operator(&store, Some(PASSWORD.into())).await.unwrap();
        let (_, there) = watch::channel(Some(store.clone()));
        let admin = Admin::new(Parts {
            store: there,
            gateway: None,
            seal: Arc::new(Sealer::new(&folder, None, None).unwrap()),
            configured: ArcSwap::default(),
        });
        Self {
            admin,
            store,
            folder,
        }
    }

    async fn ask_from(&self, address: &str, shown: &Shown, ask: &str, body: Value) -> Answer {
        let (method, path) = ask.split_once(' ').unwrap();
        let address: IpAddr = address.parse().unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if !shown.more.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "gateway.test:8080");
        }
        for (name, value) in &shown.more {
            request = request.header(*name, value);
        }
        for (name, value) in [("cookie", &shown.cookie), ("x-lingate-csrf", &shown.csrf)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        if !shown.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", shown.token));
        }
        request = request.extension(Origin {
            peer: address,
            address,
            request_id: "req_test".to_owned(),
        });
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        let request = request.body(body).unwrap();
        let response = self.admin.router().clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let header = |name: &str| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let cookie = header("set-cookie").unwrap_or_default();
        let (status, retry_after) = (head.status.as_u16(), header("retry-after"));
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status,
            cookie: cookie.split(';').next().unwrap_or("").to_owned(),
            retry_after: retry_after.map(|seconds| seconds.parse().unwrap()),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    async fn ask(&self, shown: &Shown, ask: &str, body: Value) -> Answer {
        self.ask_from("192.0.2.1", shown, ask, body).await
    }

    /// The answer to what must succeed.
    async fn get(&self, shown: &Shown, ask: &str, body: Value) -> Value {
        let answer = self.ask(shown, ask, body).await;
        assert!(answer.status < 300, "{ask}: {answer:?}");
        answer.body
    }

    async fn sign_in(&self, login: &str, password: &str) -> Answer {
        let body = json!({"login": login, "password": password});
        let nobody = Shown::default();
        self.ask(&nobody, "POST /api/v1/session", body).await
    }

    async fn operator(&self) -> Shown {
        self.sign_in("operator", PASSWORD).await.shown()
    }

    /// An answer after which the session has another cookie, and all that were there before are over.
    async fn went_on(&self, answer: &Answer, before: &[&Shown]) -> Shown {
        assert_eq!(answer.status, 200, "{answer:?}");
        let now = answer.shown();
        for shown in before {
            assert_ne!((&shown.cookie, &shown.csrf), (&now.cookie, &now.csrf));
            let over = self.ask(shown, "GET /api/v1/me", Value::Null).await;
            assert_eq!((over.status, over.code()), (401, "session_over"));
        }
        let sessions = self.get(&now, "GET /api/v1/me/sessions", Value::Null).await;
        assert_eq!(sessions["items"].as_array().unwrap().len(), 1, "{sessions}");
        // The token is the new cookie's.
        let own = json!({"name": "Somebody"});
        let changed = self.ask(&now, "PATCH /api/v1/me", own).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        now
    }

    /// Invites somebody, who chooses [`OTHER`] for a password.
    async fn invited(&self, by: &Shown, email: &str, role: &str) -> Shown {
        let wanted =
            json!({"email": email, "scope": "organization", "organization": "acme", "role": role});
        let made = self.get(by, "POST /api/v1/invitations", wanted).await;
        let body = json!({"secret": made["secret"], "name": "Somebody", "password": OTHER});
        let accept = "POST /api/v1/invitations/accept";
        let answer = self.ask(&Shown::default(), accept, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.shown()
    }

    async fn audit(&self) -> String {
        let filter = AuditFilter {
            limit: 1000,
            ..AuditFilter::default()
        };
        let page = self.store.audit_log(&filter).await.unwrap();
        serde_json::to_string(&page.items).unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_session_is_new_with_each_sign_in_and_ends_by_itself() {
    let bed = Bed::new().await;
    let me = "GET /api/v1/session";
    // One that somebody else has planted is not taken up.
    let planted = Shown {
        cookie: "lingate_session=planted".to_owned(),
        ..Shown::default()
    };
    let body = json!({"login": "OPERATOR ", "password": PASSWORD});
    let first = bed
        .ask(&planted, "POST /api/v1/session", body.clone())
        .await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_ne!(first.cookie, planted.cookie);
    assert_eq!(bed.ask(&planted, me, Value::Null).await.status, 401);
    // The one before is over.
    let first = first.shown();
    let second = bed.ask(&first, "POST /api/v1/session", body).await.shown();
    assert_ne!(first.cookie, second.cookie);
    let over = bed.ask(&first, me, Value::Null).await;
    assert_eq!((over.status, over.code()), (401, "session_over"));
    // Used now and then, it lasts longer than an idle one; not for ever.
    for _ in 0..16 {
        assert_eq!(bed.ask(&second, me, Value::Null).await.status, 200);
        bed.admin.clock.advance(Duration::from_hours(10));
    }
    bed.get(&second, me, Value::Null).await;
    bed.admin.clock.advance(Duration::from_hours(9));
    assert_eq!(bed.ask(&second, me, Value::Null).await.status, 401);
    let idle = bed.operator().await;
    bed.admin.clock.advance(Duration::from_hours(13));
    assert_eq!(bed.ask(&idle, me, Value::Null).await.status, 401);
    // Signing out ends it.
    let last = bed.operator().await;
    bed.get(&last, "DELETE /api/v1/session", Value::Null).await;
    assert_eq!(bed.ask(&last, me, Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let bed = Bed::new().await;
    let own = bed.operator().await;
    let check = async |shown: &Shown, status: u16, code: &str| {
        let rename = json!({"name": "Somebody"});
        let answer = bed.ask(shown, "PATCH /api/v1/me", rename).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{shown:?}");
    };
    let without = Shown {
        csrf: String::new(),
        ..own.clone()
    };
    let anothers = Shown {
        csrf: bed.operator().await.csrf,
        ..own.clone()
    };
    check(&own, 200, "").await;
    check(&without, 403, "csrf").await;
    check(&anothers, 403, "csrf").await;
    for origin in [
        "https://evil.example",
        "null",
        "http://gateway.test",
        "http://gateway.test:8081",
    ] {
        check(&own.with("origin", origin), 403, "other_origin").await;
    }
    let here = own.with("origin", "http://gateway.test:8080");
    check(&here, 200, "").await;
    check(&here.with("sec-fetch-site", "same-origin"), 200, "").await;
    for site in ["cross-site", "same-site"] {
        check(&here.with("sec-fetch-site", site), 403, "other_origin").await;
    }
    // Another name that somebody points here.
    check(
        &own.with("host", "rebound.example:8080"),
        401,
        "session_over",
    )
    .await;
    // Nor does a page sign somebody in as somebody else.
    let evil = Shown::default().with("origin", "https://evil.example");
    let body = json!({"login": "operator", "password": PASSWORD});
    let answer = bed.ask(&evil, "POST /api/v1/session", body).await;
    assert_eq!((answer.status, answer.code()), (403, "other_origin"));
    assert_eq!(answer.cookie, "");
}

#[tokio::test]
async fn guesses_wait_longer_each_time_whether_there_is_such_an_account() {
    let bed = Bed::new().await;
    let body = |login: &str| json!({"login": login, "password": "canary-wrong-password"});
    let session = "POST /api/v1/session";
    let nobody = Shown::default();
    let mut told = Vec::new();
    for (address, login) in [("192.0.2.7", "operator"), ("192.0.2.8", "nobody")] {
        let mut answers = Vec::new();
        for _ in 0..5 {
            let answer = bed.ask_from(address, &nobody, session, body(login)).await;
            answers.push((answer.status, answer.body["detail"].clone()));
        }
        for longer in [30, 60, 120] {
            let answer = bed.ask_from(address, &nobody, session, body(login)).await;
            let wait = answer.retry_after.unwrap();
            assert!((longer - 5..=longer + 1).contains(&wait), "{answer:?}");
            answers.push((answer.status, answer.body["code"].clone()));
            bed.admin.clock.advance(Duration::from_secs(wait));
            let answer = bed.ask_from(address, &nobody, session, body(login)).await;
            answers.push((answer.status, answer.body["detail"].clone()));
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0][0].0, 401);
    assert_eq!(told[0][5].0, 429);
    // The right password waits, too, from wherever it comes, and is good afterwards.
    bed.ask(&nobody, session, body("operator")).await;
    let early = bed.sign_in("operator", PASSWORD).await;
    assert_eq!(early.status, 429);
    let wait = early.retry_after.unwrap();
    bed.admin.clock.advance(Duration::from_secs(wait));
    assert_eq!(bed.sign_in("operator", PASSWORD).await.status, 200);
    // What went before is forgotten.
    assert_eq!(
        bed.ask(&nobody, session, body("operator")).await.status,
        401
    );
    assert_eq!(bed.sign_in("operator", PASSWORD).await.status, 200);
    let audit = bed.audit().await;
    assert!(audit.contains("account.lock"), "{audit}");
    assert!(audit.contains("session.sign_in"), "{audit}");
    assert!(!audit.contains("canary"), "{audit}");
}

#[tokio::test]
async fn many_guesses_at_once_are_no_more_than_one_after_the_other() {
    let bed = Bed::new().await;
    let mut statuses = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    let bed = Arc::new(bed);
    for number in 0..20 {
        let bed = Arc::clone(&bed);
        running.spawn(async move {
            let guess = format!("canary-wrong-{number}");
            bed.sign_in("operator", &guess).await.status
        });
    }
    while let Some(status) = running.join_next().await {
        statuses.push(status.unwrap());
    }
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(looked_at, 5, "{statuses:?}");
}

/// Base 32 as an authenticator reads it.
fn read_base32(text: &str) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for letter in text.bytes() {
        let five = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
            .iter()
            .position(|known| *known == letter);
        bits = bits << 5 | u32::try_from(five.unwrap()).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn a_code_is_good_once_and_the_password_forgives_no_wrong_ones() {
    let bed = Bed::new().await;
    let own = bed.operator().await;
    let proposed = bed.get(&own, "POST /api/v1/me/totp", Value::Null).await;
    let secret = read_base32(proposed["secret"].as_str().unwrap());
    let now = || format!("{:06}", code(&secret, step(bed.admin.now())));
    let confirm = "POST /api/v1/me/totp/confirm";
    let wrong = bed.ask(&own, confirm, json!({"code": "abcdef"})).await;
    assert_eq!(wrong.status, 422);
    let used = now();
    let elsewhere = bed.operator().await;
    let confirmed = bed.ask(&own, confirm, json!({"code": used})).await;
    let recovery = confirmed.body["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    bed.went_on(&confirmed, &[&own, &elsewhere]).await;

    let prove = "POST /api/v1/session/totp";
    let half = bed.sign_in("operator", PASSWORD).await;
    assert_eq!(half.body["state"], "mfa_required");
    assert!(half.body.get("account").is_none(), "{half:?}");
    let half = half.shown();
    let me = bed.ask(&half, "GET /api/v1/me", Value::Null).await;
    assert_eq!((me.status, me.code()), (401, "mfa_required"));
    // The code that was shown when it was confirmed was used then.
    let again = bed.ask(&half, prove, json!({"code": used})).await;
    assert_eq!((again.status, again.code()), (401, "wrong_code"));
    bed.admin.clock.advance(Duration::from_secs(30));
    let next = now();
    let whole = bed.ask(&half, prove, json!({"code": next})).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    assert_ne!(whole.cookie, half.cookie);
    assert_eq!(
        bed.ask(&half, "GET /api/v1/me", Value::Null).await.status,
        401
    );
    let half = bed.sign_in("operator", PASSWORD).await.shown();
    let replayed = bed.ask(&half, prove, json!({"code": next})).await;
    assert_eq!(replayed.status, 401);
    let lost = bed.ask(&half, prove, json!({"code": recovery[0]})).await;
    assert_eq!(lost.status, 200, "{lost:?}");
    let half = bed.sign_in("operator", PASSWORD).await.shown();
    let twice = bed.ask(&half, prove, json!({"code": recovery[0]})).await;
    assert_eq!(twice.status, 401);

    // Whoever knows the password guesses no more often by showing it again in between.
    let mut looked_at = 1;
    let locked = loop {
        let again = bed.sign_in("operator", PASSWORD).await;
        if again.status == 429 {
            break again;
        }
        let guess = json!({"code": "x00000"});
        let answer = bed.ask(&again.shown(), prove, guess).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        looked_at += 1;
        assert!(looked_at <= 5, "guesses have no end");
    };
    assert_eq!(looked_at, 5, "{locked:?}");

    let audit = bed.audit().await;
    for by in ["with a second factor", "with a recovery code"] {
        assert!(audit.contains(by), "{by}: {audit}");
    }
    let told = proposed["secret"].as_str().unwrap();
    for secret in [told, recovery[1].as_str().unwrap(), "canary"] {
        assert!(!audit.contains(secret), "{secret}: {audit}");
    }
}

#[tokio::test]
async fn whoever_does_without_a_second_factor_goes_on_under_another_cookie() {
    let bed = Bed::new().await;
    let own = bed.operator().await;
    let proposed = bed.get(&own, "POST /api/v1/me/totp", Value::Null).await;
    let secret = read_base32(proposed["secret"].as_str().unwrap());
    let code = format!("{:06}", code(&secret, step(bed.admin.now())));
    let confirm = "POST /api/v1/me/totp/confirm";
    let own = own.with("idempotency-key", "once");
    let confirmed = bed.ask(&own, confirm, json!({"code": code})).await;
    let with = bed.went_on(&confirmed, &[&own]).await;
    // The codes, and what belongs to the cookie, are told once.
    let again = with.with("idempotency-key", "once");
    let again = bed.ask(&again, confirm, json!({"code": code})).await;
    assert_eq!(
        (again.status, again.code()),
        (409, "idempotency_answer_gone")
    );
    // The one that goes on is the one that asks, whichever cookie stands in front of it.
    let with = Shown {
        cookie: format!("lingate_session=of-a-neighbour; {}", with.cookie),
        ..with
    };
    let disable = "DELETE /api/v1/me/totp";
    let wrong = bed.ask(&with, disable, json!({"password": OTHER})).await;
    assert_eq!((wrong.status, &*wrong.cookie), (422, ""));
    let without = bed.ask(&with, disable, json!({"password": PASSWORD})).await;
    assert_eq!(without.body["account"]["totp"], false, "{without:?}");
    bed.went_on(&without, &[&with]).await;
}

#[tokio::test]
async fn a_token_may_what_it_says_and_makes_nobody_more() {
    let bed = Bed::new().await;
    let own = bed.operator().await;
    let acme = json!({"name": "acme"});
    bed.get(&own, "POST /api/v1/organizations", acme).await;
    let tokens = "POST /api/v1/tokens";
    let whole = bed.get(&own, tokens, json!({"name": "whole"})).await;
    let scopes = json!(["organizations.read", "members.write"]);
    let narrow = json!({"name": "narrow", "scopes": scopes, "expires_at": "2099-01-01T00:00:00Z"});
    let narrow = bed.get(&own, tokens, narrow).await;
    let whole_token = Shown::token(&whole["token"]);
    let narrow_token = Shown::token(&narrow["token"]);
    let check = async |shown: &Shown, ask: &str, body: Value, status: u16| {
        let answer = bed.ask(shown, ask, body).await;
        assert_eq!(answer.status, status, "{ask}: {answer:?}");
    };
    let list = "GET /api/v1/organizations";
    check(&whole_token, list, Value::Null, 200).await;
    check(&narrow_token, list, Value::Null, 200).await;
    check(&whole_token, "GET /api/v1/accounts", Value::Null, 200).await;
    check(&narrow_token, "GET /api/v1/accounts", Value::Null, 403).await;
    check(&narrow_token, tokens, json!({"name": "more"}), 403).await;
    check(&whole_token, tokens, json!({"name": "more"}), 403).await;
    for name in ["", " ", "a\u{0}b", "a\nb", &"x".repeat(201)] {
        check(&own, tokens, json!({"name": name}), 422).await;
    }
    check(
        &own,
        tokens,
        json!({"name": "x", "scopes": ["nonsense"]}),
        422,
    )
    .await;
    // A role is made of permissions, too.
    for (scope, role) in [
        (json!({"scope": "platform"}), "operator"),
        (
            json!({"scope": "organization", "organization": "acme"}),
            "owner",
        ),
        (
            json!({"scope": "organization", "organization": "acme"}),
            "member",
        ),
    ] {
        let mut wanted = scope;
        wanted["role"] = json!(role);
        wanted["email"] = json!("eve@example.com");
        check(
            &narrow_token,
            "POST /api/v1/invitations",
            wanted.clone(),
            403,
        )
        .await;
        check(&whole_token, "POST /api/v1/invitations", wanted, 201).await;
    }
    // Its owner's account is not its own, and it may be given up by whoever has it.
    let other = whole["id"].as_str().unwrap();
    for (ask, status) in [
        ("GET /api/v1/me", 200),
        ("GET /api/v1/session", 200),
        ("PATCH /api/v1/me", 403),
        ("GET /api/v1/me/sessions", 403),
        ("DELETE /api/v1/me/sessions", 403),
        ("GET /api/v1/me/identities", 403),
        ("GET /api/v1/tokens", 403),
        (&*format!("DELETE /api/v1/tokens/{other}"), 403),
    ] {
        check(&narrow_token, ask, json!({"name": "Eve"}), status).await;
    }
    check(&whole_token, "GET /api/v1/tokens", Value::Null, 200).await;
    for more in [json!({"scopes": []}), json!({"organization": "acme"})] {
        let mut wanted = more;
        wanted["name"] = json!(format!("given up {wanted}"));
        let made = bed.get(&own, tokens, wanted).await;
        let given_up = Shown::token(&made["token"]);
        check(&given_up, "GET /api/v1/me/sessions", Value::Null, 403).await;
        let itself = format!("DELETE /api/v1/tokens/{}", made["id"].as_str().unwrap());
        check(&given_up, &itself, Value::Null, 204).await;
        check(&given_up, "GET /api/v1/me", Value::Null, 401).await;
    }
    // What its owner loses, it loses.
    let id = narrow["id"].as_str().unwrap();
    let revoke = format!("DELETE /api/v1/tokens/{id}");
    check(&own, &revoke, Value::Null, 204).await;
    check(&narrow_token, list, Value::Null, 401).await;
    bed.admin.clock.advance(Duration::from_hours(24 * 365 * 80));
    let soon = json!({"name": "soon", "expires_at": "2199-01-01T00:00:00Z"});
    let own = bed.operator().await;
    let soon = Shown::token(&bed.get(&own, tokens, soon).await["token"]);
    check(&soon, list, Value::Null, 200).await;
    bed.admin
        .clock
        .advance(Duration::from_hours(24 * 365 * 100));
    check(&soon, list, Value::Null, 401).await;
    let audit = bed.audit().await;
    assert!(audit.contains("token.create") && audit.contains("token.revoke"));
    for made in [&whole, &narrow] {
        assert!(!audit.contains(made["token"].as_str().unwrap()), "{audit}");
    }
}

#[tokio::test]
async fn an_invitation_is_accepted_once_however_many_try() {
    let bed = Arc::new(Bed::new().await);
    let own = bed.operator().await;
    bed.get(&own, "POST /api/v1/organizations", json!({"name": "acme"}))
        .await;
    let wanted = json!({"email": "ada@example.com", "scope": "organization", "organization": "acme", "role": "owner"});
    let made = bed.get(&own, "POST /api/v1/invitations", wanted).await;
    let mut running = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (bed, secret) = (Arc::clone(&bed), made["secret"].clone());
        running.spawn(async move {
            let name = format!("Ada {number}");
            let body = json!({"secret": secret, "name": name, "password": OTHER});
            let accept = "POST /api/v1/invitations/accept";
            bed.ask(&Shown::default(), accept, body).await.status
        });
    }
    let mut statuses = Vec::new();
    while let Some(status) = running.join_next().await {
        statuses.push(status.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200, "{statuses:?}");
    assert!(
        statuses[1..].iter().all(|status| *status == 410),
        "{statuses:?}"
    );
    assert_eq!(bed.sign_in("ada@example.com", OTHER).await.status, 200);
    let audit = bed.audit().await;
    assert!(audit.contains("invitation.accept"), "{audit}");
    assert!(!audit.contains(made["secret"].as_str().unwrap()), "{audit}");
    // One that is over.
    let wanted = json!({"email": "eve@example.com", "scope": "organization", "organization": "acme", "role": "member"});
    let made = bed.get(&own, "POST /api/v1/invitations", wanted).await;
    bed.admin.clock.advance(Duration::from_hours(8 * 24));
    let body = json!({"secret": made["secret"], "name": "Eve", "password": OTHER});
    let late = bed
        .ask(&Shown::default(), "POST /api/v1/invitations/accept", body)
        .await;
    assert_eq!((late.status, late.code()), (410, "spent"));
}

#[tokio::test]
async fn somebody_is_left_who_can_appoint_and_nobody_appoints_above_themselves() {
    let bed = Bed::new().await;
    let own = bed.operator().await;
    bed.get(&own, "POST /api/v1/organizations", json!({"name": "acme"}))
        .await;
    let owner = bed.invited(&own, "owner@example.com", "owner").await;
    let admin = bed.invited(&owner, "admin@example.com", "admin").await;
    let invite = |role: &str| json!({"email": "eve@example.com", "scope": "organization", "organization": "acme", "role": role});
    let check = async |shown: &Shown, ask: &str, body: Value, status: u16| {
        let answer = bed.ask(shown, ask, body).await;
        assert_eq!(answer.status, status, "{ask}: {answer:?}");
        answer
    };
    let invitations = "POST /api/v1/invitations";
    check(&admin, invitations, invite("owner"), 403).await;
    check(&admin, invitations, invite("member"), 201).await;
    let above = json!({"email": "eve@example.com", "scope": "platform", "role": "operator"});
    check(&owner, invitations, above, 403).await;

    let members = bed.get(&own, "GET /api/v1/memberships", Value::Null).await;
    let id_of = |known_as: &str| {
        let all = members["items"].as_array().unwrap();
        let one = all.iter().find(|it| it["known_as"] == known_as).unwrap();
        one["id"].as_str().unwrap().to_owned()
    };
    let owners = format!("/api/v1/memberships/{}", id_of("owner@example.com"));
    let operators = format!("/api/v1/memberships/{}", id_of("operator"));
    let demote = json!({"role": "member"});
    check(&admin, &format!("PATCH {owners}"), demote.clone(), 403).await;
    check(&admin, &format!("DELETE {owners}"), Value::Null, 403).await;
    check(&owner, &format!("DELETE {operators}"), Value::Null, 404).await;
    for (ask, body) in [
        (format!("PATCH {owners}"), demote),
        (format!("DELETE {owners}"), Value::Null),
        (format!("DELETE {operators}"), Value::Null),
        (
            "PATCH /api/v1/accounts/owner@example.com".to_owned(),
            json!({"blocked": true}),
        ),
        (
            "PATCH /api/v1/accounts/operator".to_owned(),
            json!({"blocked": true}),
        ),
        ("DELETE /api/v1/accounts/operator".to_owned(), Value::Null),
    ] {
        let answer = check(&own, &ask, body, 409).await;
        assert_eq!(answer.code(), "last_one", "{ask}");
    }
    // Whether somebody elsewhere has an account is not told.
    let give = |account: &str| json!({"account": account, "scope": "organization", "organization": "acme", "role": "viewer"});
    let memberships = "POST /api/v1/memberships";
    let strange = check(&owner, memberships, give("operator"), 422).await;
    let missing = check(&owner, memberships, give("nobody@example.com"), 422).await;
    assert_eq!(strange.body["detail"], missing.body["detail"]);
    check(&owner, memberships, give("admin@example.com"), 201).await;
    check(&own, memberships, give("operator"), 201).await;
    // Blocked, one is out at once.
    let block = json!({"blocked": true});
    check(&own, "PATCH /api/v1/accounts/admin@example.com", block, 200).await;
    check(&admin, "GET /api/v1/me", Value::Null, 401).await;
    let blocked = bed.sign_in("admin@example.com", OTHER).await;
    let wrong = bed.sign_in("nobody@example.com", OTHER).await;
    assert_eq!(blocked.body["detail"], wrong.body["detail"]);
    assert_eq!(blocked.status, 401);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it_and_ends_other_sessions() {
    let bed = Bed::new().await;
    let (own, other) = (bed.operator().await, bed.operator().await);
    let change = "PUT /api/v1/me/password";
    let body = |old: &str, new: &str| json!({"old_password": old, "new_password": new});
    let wrong = bed.ask(&own, change, body("canary-wrong", OTHER)).await;
    assert_eq!(wrong.status, 422);
    for weak in ["short", "password1234", "operator-operator", PASSWORD] {
        let answer = bed.ask(&own, change, body(PASSWORD, weak)).await;
        assert_eq!(answer.status, 422, "{weak}: {answer:?}");
    }
    let changed = bed.ask(&own, change, body(PASSWORD, OTHER)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let me = "GET /api/v1/me";
    // Whoever has the old cookie has nothing.
    for over in [&own, &other] {
        assert_eq!(bed.ask(over, me, Value::Null).await.status, 401);
    }
    assert_eq!(bed.sign_in("operator", PASSWORD).await.status, 401);
    let own = changed.shown();

    // One that somebody else gives is good for choosing another.
    let ada = json!({"email": "ada@example.com", "name": "Ada"});
    let made = bed.get(&own, "POST /api/v1/accounts", ada).await;
    let temporary = made["temporary_password"].as_str().unwrap();
    let ada = bed.sign_in("ada@example.com", temporary).await;
    assert_eq!(ada.body["account"]["must_change_password"], true);
    let ada = ada.shown();
    let early = bed.ask(&ada, me, Value::Null).await;
    assert_eq!(
        (early.status, early.code()),
        (403, "password_change_required")
    );
    let changed = bed.ask(&ada, change, body(temporary, PASSWORD)).await;
    let ada = changed.shown();
    bed.get(&ada, me, Value::Null).await;
    let reset = "POST /api/v1/accounts/ada@example.com/reset-password";
    bed.get(&own, reset, Value::Null).await;
    assert_eq!(bed.ask(&ada, me, Value::Null).await.status, 401);
    assert_eq!(bed.sign_in("ada@example.com", PASSWORD).await.status, 401);

    // It is not good for ever: whoever knows it is told so, and nobody else.
    let given = bed.get(&own, reset, Value::Null).await;
    let ends = moment("/expires_at", given["expires_at"].as_str().unwrap()).unwrap();
    let lasts = Duration::from_millis((ends - bed.admin.now()).unsigned_abs());
    assert!(lasts.as_secs().abs_diff(72 * 3600) < 60, "{given}");
    let temporary = given["temporary_password"].as_str().unwrap();
    bed.admin.clock.advance(Duration::from_hours(71));
    assert_eq!(bed.sign_in("ada@example.com", temporary).await.status, 200);
    bed.admin.clock.advance(Duration::from_hours(1));
    for _ in 0..10 {
        let over = bed.sign_in("ada@example.com", temporary).await;
        assert_eq!((over.status, over.code()), (401, "password_expired"));
        assert_eq!(over.cookie, "");
    }
    let wrong = bed.sign_in("ada@example.com", PASSWORD).await;
    assert_eq!(wrong.code(), "wrong_credentials");
    let own = bed.sign_in("operator", OTHER).await.shown();
    let given = bed.get(&own, reset, Value::Null).await;
    let temporary = given["temporary_password"].as_str().unwrap();
    let ada = bed.sign_in("ada@example.com", temporary).await.shown();
    let changed = bed.ask(&ada, change, body(temporary, PASSWORD)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    // What one has chosen stays.
    bed.admin.clock.advance(Duration::from_hours(24 * 365));
    assert_eq!(bed.sign_in("ada@example.com", PASSWORD).await.status, 200);
    let audit = bed.audit().await;
    for secret in [temporary, "canary", "argon2"] {
        assert!(!audit.contains(secret), "{audit}");
    }
}
