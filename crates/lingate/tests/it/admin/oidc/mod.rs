//! Signing in by another service's word: the running binary, browsers, and an issuer that signs its tokens.

mod accounts;
mod providers;
mod refused;
mod signing_in;

use std::cell::RefCell;
use std::collections::BTreeMap;

use lingate_testkit::Oidc;
use serde_json::{Value, json};

use super::harness::{Client, Harness, Reply};

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

    /// One that wants to show pages.
    fn of_pages(harness: &'h Harness) -> Self {
        let accepts = "text/html,application/xhtml+xml,*/*;q=0.8";
        Self {
            client: harness.nobody().with("accept", accepts),
            cookies: RefCell::default(),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let cookies = self.cookies.borrow().clone();
        let cookies = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = cookies.collect();
        let mut client = self.client.clone();
        if !cookies.is_empty() {
            client = client.with("cookie", &cookies.join("; "));
        }
        let reply = client.ask(method, path, &[], body).await;
        for (name, value) in &reply.headers {
            if name != "set-cookie" {
                continue;
            }
            let (pair, rest) = value.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let is_closed = rest.contains("HttpOnly") && rest.contains("SameSite=Lax");
            assert!(is_closed, "{rest}");
            let mut kept = self.cookies.borrow_mut();
            if value.is_empty() {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Changes something as a page of the gateway does.
    async fn change(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let session = self.get("/api/v1/session").await;
        let token = session.expect(200)["csrf_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let with_token = Self {
            client: self.client.with("x-lingate-csrf", &token),
            cookies: self.cookies.clone(),
        };
        let reply = with_token.ask(method, path, body).await;
        *self.cookies.borrow_mut() = with_token.cookies.into_inner();
        reply
    }

    /// To the issuer and back, up to the address of the gateway at which it comes back.
    async fn to_and_back(&self, oidc: &Oidc, name: &str) -> String {
        let start = format!("/api/v1/oidc/{name}/start?return_to=/keys");
        let start = self.get(&start).await;
        start.expect(303);
        back(oidc, start.header("location")).await
    }

    async fn sign_in(&self, oidc: &Oidc, name: &str) -> Reply {
        let back = self.to_and_back(oidc, name).await;
        self.get(&back).await
    }

    /// Signs in, and says who that is.
    async fn signed_in(&self, oidc: &Oidc, name: &str) -> String {
        let end = self.sign_in(oidc, name).await;
        end.expect(303);
        assert_eq!(end.header("location"), "/keys");
        self.who().await
    }

    async fn who(&self) -> String {
        let session = self.get("/api/v1/session").await;
        session.expect(200)["name"].as_str().unwrap().to_owned()
    }

    /// Where they are what, in a line each.
    async fn roles(&self) -> Vec<String> {
        let session = self.get("/api/v1/session").await;
        let roles = session.expect(200)["roles"].as_array().unwrap().clone();
        let line = |role: &Value| {
            let text = |name: &str| role[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("scope"), text("role"))
        };
        let mut roles: Vec<String> = roles.iter().map(line).collect();
        roles.sort();
        roles
    }

    fn is_signed_in(&self) -> bool {
        self.cookies.borrow().contains_key("lingate_session")
    }
}

/// Where an issuer sends a browser whose person agrees, as the tests' browser calls the gateway.
async fn back(oidc: &Oidc, url: &str) -> String {
    let back = oidc.visit(url).await.unwrap();
    let path = back.strip_prefix("http://localhost");
    path.unwrap_or_else(|| panic!("{back}")).to_owned()
}

/// A provider of this name for an issuer, which makes accounts; `more`: other settings.
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

/// What the issuer says of somebody whose address it has verified.
fn person(subject: &str, email: &str) -> Value {
    json!({"sub": subject, "email": email, "email_verified": true})
}

/// The details of events of the audit log, the newest first.
async fn audited(harness: &Harness, query: &str) -> Vec<String> {
    let path = format!("/api/v1/audit-events?{query}");
    let listed = harness.operator().get(&path).await;
    let items = listed.expect(200)["items"].as_array().unwrap().clone();
    let detail = |event: &Value| event["detail"].as_str().unwrap_or_default().to_owned();
    items.iter().map(detail).collect()
}
