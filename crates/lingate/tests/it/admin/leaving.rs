//! What is left of what somebody has begun once they are gone, blocked, or less than they were.

use serde_json::{Value, json};

use super::harness::{Client, Harness, Reply};
use super::on_both;
use super::people::{Person, Scope};
use crate::world::PATIENCE;

async fn acme(harness: &Harness) -> String {
    let made = harness
        .operator()
        .post("/api/v1/organizations", &json!({"name": "acme"}))
        .await;
    made.id()
}

/// The secret of an invitation to be this in the organization.
async fn invited(by: &Client<'_>, email: &str, organization: &str) -> Value {
    let wanted = json!({
        "email": email, "scope": "organization", "organization": organization, "role": "member",
    });
    let made = by.post("/api/v1/invitations", &wanted).await;
    made.expect(201)["secret"].clone()
}

async fn accept(harness: &Harness, secret: &Value) -> Reply {
    let body = json!({"secret": secret, "name": "Eve", "password": "battery of eve 47"});
    let accept = "/api/v1/invitations/accept";
    harness.nobody().post(accept, &body).await
}

/// An invitation that is refused as one that there never was, and which makes nobody.
async fn is_refused(harness: &Harness, secret: &Value, email: &str) {
    let known = |reply: &Reply| {
        let problem = reply.problem(410, "spent");
        (problem["detail"].clone(), problem["hint"].clone())
    };
    let never = accept(harness, &json!("lgi_nothing")).await;
    assert_eq!(known(&accept(harness, secret).await), known(&never));
    let account = format!("/api/v1/accounts/{email}");
    harness
        .operator()
        .get(&account)
        .await
        .problem(404, "not_found");
    let events = "/api/v1/audit-events?action=invitation.accept&outcome=refused";
    let events = harness.operator().all(events, 100).await;
    let told = events.iter().any(|event| event["object"]["name"] == email);
    assert!(told, "{email}: {events:?}");
}

async fn membership(harness: &Harness, known_as: &str) -> String {
    let all = harness.operator().all("/api/v1/memberships", 100).await;
    let one = all.iter().find(|one| one["known_as"] == known_as).unwrap();
    format!("/api/v1/memberships/{}", one["id"].as_str().unwrap())
}

#[tokio::test]
async fn who_may_not_invite_any_more_has_invited_nobody() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let id = acme(harness).await;
            let of_acme = Scope::Organization(id.clone());
            // Somebody else stays, who owns it.
            harness.person("other", of_acme.clone(), "owner").await;
            for (name, token) in [("session", false), ("token", true)] {
                let owner = harness.person(name, of_acme.clone(), "owner").await;
                let asks = if token {
                    &owner.client
                } else {
                    owner.session.as_ref().unwrap()
                };
                let email = |number: u8| format!("{name}-{number}@example.org");
                let first = invited(asks, &email(1), &id).await;
                let second = invited(asks, &email(2), &id).await;
                let third = invited(asks, &email(3), &id).await;
                accept(harness, &first).await.expect(200);

                let known_as = format!("{name}@example.com");
                let role = membership(harness, &known_as).await;
                let less = operator.patch(&role, &json!({"role": "viewer"})).await;
                less.expect(200);
                is_refused(harness, &second, &email(2)).await;
                operator
                    .patch(&role, &json!({"role": "admin"}))
                    .await
                    .expect(200);
                accept(harness, &second).await.expect(200);

                let account = format!("/api/v1/accounts/{known_as}");
                let blocked = operator.patch(&account, &json!({"blocked": true})).await;
                blocked.expect(200);
                is_refused(harness, &third, &email(3)).await;
                assert_eq!(operator.delete(&account).await.status, 204);
                is_refused(harness, &third, &email(3)).await;
            }
        })
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_blocked_has_invited_nobody() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let id = acme(harness).await;
            let project = json!({"name": "web", "organization": id});
            let project = operator.post("/api/v1/projects", &project).await.id();
            let key = harness.key("management", &id, &project, "admin").await;
            let first = invited(&key.client, "first@example.org", &id).await;
            let second = invited(&key.client, "second@example.org", &id).await;
            accept(harness, &first).await.expect(200);
            let keys = format!("/api/v1/api-keys?project={project}");
            let keys = operator.all(&keys, 100).await;
            let key_path = format!("/api/v1/api-keys/{}", keys[0]["id"].as_str().unwrap());
            operator
                .patch(&key_path, &json!({"blocked": true}))
                .await
                .expect(200);
            let started = std::time::Instant::now();
            while key.client.get("/api/v1/session").await.status == 200 {
                assert!(started.elapsed() < PATIENCE, "the key is still good");
            }
            is_refused(harness, &second, "second@example.org").await;
        })
    })
    .await;
}

#[tokio::test]
async fn whoever_is_blocked_or_deleted_is_out_at_once() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let id = acme(harness).await;
            let asks = async |person: &Person<'_>, expect: u16| {
                let session = person.session.as_ref().unwrap();
                for client in [&person.client, session] {
                    for path in ["/api/v1/me", "/api/v1/organizations"] {
                        let reply = client.get(path).await;
                        assert_eq!(reply.status, expect, "{}: {}", reply.asked, reply.text);
                    }
                }
            };
            let of_acme = Scope::Organization(id);
            let person = harness.person("ada", of_acme, "member").await;
            let account = "/api/v1/accounts/ada@example.com";
            asks(&person, 200).await;
            let blocked = |blocked: bool| json!({"blocked": blocked});
            operator.patch(account, &blocked(true)).await.expect(200);
            asks(&person, 401).await;
            // What was ended stays ended; a token is good again.
            operator.patch(account, &blocked(false)).await.expect(200);
            person.client.get("/api/v1/me").await.expect(200);
            let session = person.session.as_ref().unwrap();
            session.get("/api/v1/me").await.problem(401, "session_over");
            assert_eq!(operator.delete(account).await.status, 204);
            asks(&person, 401).await;
        })
    })
    .await;
}
