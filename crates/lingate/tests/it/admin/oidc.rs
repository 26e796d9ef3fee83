//! Signing in by another service's word: the running binary, a browser, and an issuer that signs its tokens.

use std::cell::RefCell;
use std::collections::BTreeMap;

use lingate_testkit::Oidc;
use serde_json::{Value, json};

use super::harness::{Client, Harness, Reply};
use super::on_both;

const PROVIDERS: &str = "/api/v1/sign-in-providers";

/// Keeps cookies, and follows nothing by itself.
struct Browser<'h> {
    client: Client<'h>,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'h> Browser<'h> {
    fn new(harness: &'h Harness) -> Self {
        Self {
            client: harness.nobody(),
            cookies: RefCell::default(),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        let cookies = self.cookies.borrow().clone();
        let cookies = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = cookies.collect();
        let mut client = self.client.clone();
        if !cookies.is_empty() {
            client = client.with("cookie", &cookies.join("; "));
        }
        let reply = client.get(path).await;
        for (name, value) in &reply.headers {
            if name != "set-cookie" {
                continue;
            }
            let (pair, rest) = value.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(
                rest.contains("HttpOnly") && rest.contains("SameSite=Lax"),
                "{rest}"
            );
            if value.is_empty() {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies
                    .borrow_mut()
                    .insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// To the issuer and back, up to the address of the gateway at which it comes back.
    async fn to_and_back(&self, oidc: &Oidc, name: &str) -> String {
        let start = self
            .get(&format!("/api/v1/oidc/{name}/start?return_to=/keys"))
            .await;
        start.expect(303);
        let back = oidc.visit(start.header("location")).await.unwrap();
        // As the browser of these tests calls the gateway.
        let path = back.strip_prefix("http://localhost");
        path.unwrap_or_else(|| panic!("{back}")).to_owned()
    }

    async fn sign_in(&self, oidc: &Oidc, name: &str) -> Reply {
        let back = self.to_and_back(oidc, name).await;
        self.get(&back).await
    }

    /// Who is signed in, and their roles in a line each.
    async fn session(&self) -> (String, Vec<String>) {
        let session = self.get("/api/v1/session").await;
        let session = session.expect(200);
        let roles = session["roles"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut roles: Vec<String> = roles
            .iter()
            .map(|role| format!("{} {}", text(&role["scope"]), text(&role["role"])))
            .collect();
        roles.sort();
        (text(&session["name"]), roles)
    }
}

/// A provider of this name for an issuer; `more`: its settings.
async fn provider(harness: &Harness, oidc: &Oidc, name: &str, more: Value) -> Reply {
    let mut wanted = json!({
        "name": name,
        "issuer": oidc.issuer(),
        "client_id": Oidc::CLIENT,
        "client_secret": Oidc::SECRET,
        "create_accounts": true,
    });
    for (name, value) in more.as_object().unwrap() {
        wanted[name] = value.clone();
    }
    harness.operator().post(PROVIDERS, &wanted).await
}

#[tokio::test]
async fn whoever_the_issuer_vouches_for_is_signed_in() {
    on_both(|harness| {
        Box::pin(async move {
            let oidc = Oidc::start().await.unwrap();
            let made = provider(harness, &oidc, "corp", json!({"label": "Corp"})).await;
            made.expect(201);
            let public = harness.nobody().get(&format!("{PROVIDERS}/public")).await;
            assert_eq!(
                public.expect(200)["items"],
                json!([{"name": "corp", "label": "Corp", "start": "/api/v1/oidc/corp/start"}])
            );
            oidc.person(json!({"sub": "1", "email": "ada@example.com", "email_verified": true, "name": "Ada"}));
            let browser = Browser::new(harness);
            let end = browser.sign_in(&oidc, "corp").await;
            end.expect(303);
            assert_eq!(end.header("location"), "/keys");
            assert_eq!(browser.session().await, ("ada@example.com".to_owned(), vec![]));
            assert_eq!(browser.cookies.borrow().len(), 1);

            // The same person, under another address: the same account.
            oidc.person(json!({"sub": "1", "email": "lovelace@example.com", "email_verified": true}));
            let again = Browser::new(harness);
            again.sign_in(&oidc, "corp").await.expect(303);
            assert_eq!(again.session().await.0, "ada@example.com");
        })
    })
    .await;
}
