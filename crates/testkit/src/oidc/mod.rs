//! An OpenID Connect issuer, as real as one needs: discovery, keys that rotate, the authorization and the token endpoint with PKCE,
//! signed ID tokens, and switches for what issuers and attackers do wrong.

mod keys;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, fetch};
use crate::{Received, Script, Upstream};
use keys::Keys;
pub use keys::Signing;

/// What the issuer, or somebody in between, does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Discovery names another issuer.
    OtherIssuer,
    /// Discovery sends elsewhere.
    Redirects,
    /// Discovery is longer than anybody reads.
    Endless,
    /// Nothing is answered at the token endpoint.
    Silent,
    /// The token endpoint is out of order.
    Broken,
    /// Tokens of a sign-in that is over: the nonce is another one.
    WrongNonce,
    Expired,
    WrongAudience,
    /// The token says that it is of another issuer.
    WrongIssuer,
    /// Signed by a key that is not published, under the name of one that is.
    WrongKey,
    /// `alg: none`, without a signature.
    Unsigned,
    /// `alg: HS256`, over the published key as if it were a secret.
    Symmetric,
    /// What is said of a person is about another one.
    OtherPerson,
}

/// How a client shows at the token endpoint that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProof {
    /// `client_secret_basic`; discovery does not say so, since it is the usual one.
    Basic,
    /// `client_secret_post`, and nothing else.
    Post,
    /// The client is a public one.
    Nothing,
}

/// An issuer. Dropping it closes its port.
#[derive(Debug)]
pub struct Oidc {
    upstream: Upstream,
    world: Arc<Mutex<World>>,
}

#[derive(Debug)]
struct World {
    issuer: String,
    keys: Keys,
    /// The claims of whoever signs in next.
    person: Value,
    /// What the ID token leaves to be asked for at the userinfo endpoint.
    apart: Vec<String>,
    faults: Vec<Fault>,
    proof: ClientProof,
    codes: HashMap<String, Granted>,
    number: u64,
}

/// What belongs to a code.
#[derive(Debug, Clone)]
struct Granted {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    person: Value,
}

impl Oidc {
    /// The client that every issuer knows.
    pub const CLIENT: &'static str = "lingate:gateway";
    /// Its secret.
    pub const SECRET: &'static str = "canary of/the issuer+&=";

    /// An issuer on a free port, whose next visitor is `ada`.
    pub async fn start() -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World {
            issuer: String::new(),
            keys: Keys::new(),
            person: json!({"sub": "ada"}),
            apart: Vec::new(),
            faults: Vec::new(),
            proof: ClientProof::Basic,
            codes: HashMap::new(),
            number: 0,
        }));
        let answering = Arc::clone(&world);
        let upstream = Upstream::answering(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            Arc::new(move |received: &Received| lock(&answering).answer(received)),
        )
        .await?;
        lock(&world).issuer = upstream.url();
        Ok(Self { upstream, world })
    }

    /// As it calls itself.
    pub fn issuer(&self) -> String {
        self.upstream.url()
    }

    /// Who signs in from now on: their claims, `sub` among them.
    pub fn person(&self, claims: Value) -> &Self {
        lock(&self.world).person = claims;
        self
    }

    /// These claims are told at the userinfo endpoint alone.
    pub fn apart(&self, claims: &[&str]) -> &Self {
        lock(&self.world).apart = claims.iter().map(|&claim| claim.to_owned()).collect();
        self
    }

    /// What goes wrong from now on.
    pub fn faults(&self, faults: &[Fault]) -> &Self {
        lock(&self.world).faults = faults.to_vec();
        self
    }

    /// How clients show from now on that they are one.
    pub fn proof(&self, proof: ClientProof) -> &Self {
        lock(&self.world).proof = proof;
        self
    }

    /// How tokens are signed from now on.
    pub fn sign(&self, signing: Signing) -> &Self {
        lock(&self.world).keys.signing = signing;
        self
    }

    /// From now on other keys sign, and these alone are published.
    pub fn rotate(&self) -> &Self {
        lock(&self.world).keys.rotate();
        self
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        let received = self.upstream.received();
        received.iter().filter(|one| one.path == path).count()
    }

    /// What a browser does that was sent here and whose person agrees: the address that it is sent on to.
    pub async fn visit(&self, url: &str) -> io::Result<String> {
        let answer = self.browse(url).await?;
        if answer.status != 302 {
            return Err(io::Error::other(answer.text()));
        }
        Ok(answer.header("location").to_owned())
    }

    async fn browse(&self, url: &str) -> io::Result<Answer> {
        let path = url
            .strip_prefix(&self.issuer())
            .ok_or_else(|| io::Error::other(format!("not an address of this issuer: {url}")))?;
        fetch(self.upstream.address(), "GET", path, &[], b"").await
    }
}

impl World {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn answer(&mut self, received: &Received) -> Script {
        match (&*received.method, &*received.path) {
            ("GET", "/.well-known/openid-configuration") => self.discovery(),
            ("GET", "/keys") => Script::json(200, self.keys.published().to_string()),
            ("GET", "/authorize") => self.authorize(&pairs(&received.query)),
            ("POST", "/token") if self.has(Fault::Silent) => Script::silent(),
            ("POST", "/token") if self.has(Fault::Broken) => Script::html(503),
            ("POST", "/token") => {
                let form = pairs(&String::from_utf8_lossy(&received.body));
                self.token(&form, received.header("authorization"))
            }
            ("GET", "/userinfo") => self.userinfo(received.header("authorization")),
            _ => Script::json(404, "{}"),
        }
    }

    fn discovery(&self) -> Script {
        let issuer = &self.issuer;
        if self.has(Fault::Redirects) {
            let elsewhere = format!("{issuer}/elsewhere");
            return Script::empty(302).header("location", &elsewhere);
        }
        let named = if self.has(Fault::OtherIssuer) {
            "https://id.example.com"
        } else {
            issuer
        };
        let padding = if self.has(Fault::Endless) {
            "x".repeat(4 << 20)
        } else {
            String::new()
        };
        let mut document = json!({
            "issuer": named,
            "authorization_endpoint": format!("{issuer}/authorize?tenant=a%20b"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "padding": padding,
        });
        let methods = match self.proof {
            ClientProof::Basic => None,
            ClientProof::Post => Some("client_secret_post"),
            ClientProof::Nothing => Some("none"),
        };
        if let Some(method) = methods {
            document["token_endpoint_auth_methods_supported"] = json!([method]);
        }
        Script::json(200, document.to_string())
    }

    /// What the person is asked, and agrees to.
    fn authorize(&mut self, query: &HashMap<String, String>) -> Script {
        let said = |name: &str| query.get(name).cloned().unwrap_or_default();
        let good = said("response_type") == "code"
            && said("client_id") == Oidc::CLIENT
            && said("tenant") == "a b"
            && said("scope").split(' ').any(|scope| scope == "openid")
            && said("code_challenge_method") == "S256"
            && said("code_challenge").len() == 43
            && said("nonce").len() >= 22
            && said("state").len() >= 22;
        if !good {
            return Script::json(400, json!({"refused": query}).to_string());
        }
        self.number += 1;
        let code = format!("code/{}", self.number);
        let redirect_uri = said("redirect_uri");
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        // As Keycloak and Google do, with more than the gateway asked for.
        let location = format!(
            "{redirect_uri}?state={}&session_state=1&iss={}&code={}&scope=openid",
            encoded(&said("state")),
            encoded(&self.issuer),
            encoded(&code)
        );
        let granted = Granted {
            nonce: said("nonce"),
            challenge: said("code_challenge"),
            redirect_uri,
            person: self.person.clone(),
        };
        self.codes.insert(code, granted);
        Script::empty(302).header("location", &location)
    }

    fn token(&mut self, form: &HashMap<String, String>, authorization: &str) -> Script {
        let refuse =
            |status, error: &str| Script::json(status, json!({"error": error}).to_string());
        let said = |name: &str| form.get(name).cloned().unwrap_or_default();
        let shown = authorization.strip_prefix("Basic ").unwrap_or_default();
        let shown = STANDARD.decode(shown).unwrap_or_default();
        let shown = String::from_utf8_lossy(&shown).into_owned();
        let (client, secret) = shown.split_once(':').unwrap_or_default();
        let basic = (decoded(client), decoded(secret));
        let post = (said("client_id"), said("client_secret"));
        let nothing = (String::new(), String::new());
        let whole = (Oidc::CLIENT.to_owned(), Oidc::SECRET.to_owned());
        let id_alone = (Oidc::CLIENT.to_owned(), String::new());
        // Twice is wrong, too: some issuers refuse it.
        let is_client = match self.proof {
            ClientProof::Basic => basic == whole && post == nothing,
            ClientProof::Post => basic == nothing && post == whole,
            ClientProof::Nothing => basic == nothing && post == id_alone,
        };
        if !is_client {
            return refuse(401, "invalid_client");
        }
        // A code is good once, for whoever asked for it.
        let Some(granted) = self.codes.remove(&said("code")) else {
            return refuse(400, "invalid_grant");
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(said("code_verifier")));
        if said("grant_type") != "authorization_code"
            || said("redirect_uri") != granted.redirect_uri
            || challenge != granted.challenge
        {
            return refuse(400, "invalid_grant");
        }
        let token = self.id_token(&granted);
        let subject = granted.person["sub"].as_str().unwrap_or_default();
        let answer = json!({
            "access_token": format!("canary-access-{subject}"),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": token,
        });
        Script::json(200, answer.to_string())
    }

    fn id_token(&self, granted: &Granted) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let or = |fault, wrong: &str, right: &str| {
            let wrong = if self.has(fault) { wrong } else { right };
            wrong.to_owned()
        };
        let mut claims = json!({
            "iss": or(Fault::WrongIssuer, "https://id.example.com", &self.issuer),
            "aud": or(Fault::WrongAudience, "another-client", Oidc::CLIENT),
            "nonce": or(Fault::WrongNonce, "of-another-sign-in", &granted.nonce),
            "iat": now,
            "exp": now + 300,
        });
        if self.has(Fault::Expired) {
            claims["iat"] = json!(now - 500);
            claims["exp"] = json!(now - 200);
        }
        for (name, value) in granted.person.as_object().into_iter().flatten() {
            if !self.apart.contains(name) {
                claims[name] = value.clone();
            }
        }
        if self.has(Fault::Unsigned) {
            return keys::unsigned(&claims);
        }
        if self.has(Fault::Symmetric) {
            return self.keys.symmetric(&claims);
        }
        self.keys.signed(&claims, self.has(Fault::WrongKey))
    }

    fn userinfo(&self, authorization: &str) -> Script {
        let mut said = self.person.clone();
        let token = format!(
            "Bearer canary-access-{}",
            said["sub"].as_str().unwrap_or_default()
        );
        if authorization != token {
            return Script::json(401, "{}");
        }
        if self.has(Fault::OtherPerson) {
            said["sub"] = json!("eve");
        }
        Script::json(200, said.to_string())
    }
}

/// Of a query or a form.
fn pairs(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// A test that panicked while it held the lock has failed already; the others may still read.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
