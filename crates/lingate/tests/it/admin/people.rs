//! People with roles, each with a token: invited by the operator, as people are.

use serde_json::{Value, json};

use super::harness::{Client, Harness};
use crate::world::PATIENCE;

/// Where a role holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Platform,
    Organization(String),
    Project { organization: String, id: String },
}

/// Somebody with one role.
pub(crate) struct Person<'h> {
    pub(crate) scope: Scope,
    pub(crate) role: &'static str,
    /// A token may less than its owner: these permissions alone.
    pub(crate) scopes: Option<&'static [&'static str]>,
    /// Asks with a personal access token, or a key.
    pub(crate) client: Client<'h>,
    /// Asks with the session, and its token against forged requests; keys have none.
    pub(crate) session: Option<Client<'h>>,
}

impl Scope {
    /// As endpoints take it, with the role.
    fn body(&self, role: &str) -> Value {
        match self {
            Self::Platform => json!({"scope": "platform", "role": role}),
            Self::Organization(organization) => {
                json!({"scope": "organization", "organization": organization, "role": role})
            }
            Self::Project { id, .. } => json!({"scope": "project", "project": id, "role": role}),
        }
    }
}

impl Harness {
    /// Invites somebody, who accepts, and makes a token.
    pub(crate) async fn person(&self, name: &str, scope: Scope, role: &'static str) -> Person<'_> {
        let email = format!("{name}@example.com");
        let mut wanted = scope.body(role);
        wanted["email"] = json!(email);
        let invited = self.operator().post("/api/v1/invitations", &wanted).await;
        let secret = invited.expect(201)["secret"].as_str().unwrap().to_owned();
        let accepted =
            json!({"secret": secret, "name": name, "password": format!("battery of {name} 47")});
        let accepted = self
            .nobody()
            .post("/api/v1/invitations/accept", &accepted)
            .await;
        let told = accepted.expect(200);
        let session = self.session(
            accepted.header("set-cookie"),
            told["csrf_token"].as_str().unwrap(),
        );
        let client = self.token(&session, &json!({"name": "of a test"})).await;
        Person {
            scope,
            role,
            scopes: None,
            client,
            session: Some(session),
        }
    }

    /// Whoever has a new token of somebody who is signed in.
    pub(crate) async fn token(&self, session: &Client<'_>, wanted: &Value) -> Client<'_> {
        let token = session.post("/api/v1/tokens", wanted).await;
        self.bearer(token.expect(201)["token"].as_str().unwrap())
    }

    /// Whoever has a new key of this kind in a project. It is in force when this answers.
    pub(crate) async fn key(
        &self,
        kind: &str,
        organization: &str,
        project: &str,
        role: &'static str,
    ) -> Person<'_> {
        let wanted = json!({"name": format!("of kind {kind}"), "project": project, "kind": kind});
        let made = self.operator().post("/api/v1/api-keys", &wanted).await;
        let client = self.bearer(made.expect(201)["secret"].as_str().unwrap());
        let started = std::time::Instant::now();
        while client.get("/api/v1/session").await.status == 401 {
            assert!(started.elapsed() < PATIENCE, "the key is not in force");
        }
        Person {
            scope: Scope::Organization(organization.to_owned()),
            role,
            scopes: None,
            client,
            session: None,
        }
    }

    /// Whoever has this cookie, as it was set, and the token that belongs to it.
    pub(crate) fn session(&self, set_cookie: &str, csrf_token: &str) -> Client<'_> {
        let cookie = set_cookie.split(';').next().unwrap_or_default();
        self.nobody()
            .with("cookie", cookie)
            .with("x-lingate-csrf", csrf_token)
    }
}
