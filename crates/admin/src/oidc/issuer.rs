//! What an issuer says of itself, remembered for a while: its endpoints, and its keys, which change.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lingate_metering::Millis;
use lingate_upstream::{Client, Clients};
use serde_json::{Map, Value};

use super::fetch::{self, Asking, is_here, is_safe};
use super::token::{self, Key, Wrong};

/// How long what an issuer says of itself is believed.
const FRESH: Millis = 10 * 60 * 1000;
/// A key that is not known is asked for at once, but no more than so often in a row, and then once in this time.
const ASKS: u32 = 4;
const ASK_AGAIN: Millis = 30 * 1000;
/// How long an issuer that does not answer is left alone.
const REST: Millis = 2 * 1000;
const CONNECT: Duration = Duration::from_secs(5);

/// The endpoints of an issuer.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) userinfo_endpoint: Option<String>,
    jwks_uri: String,
    /// The client's secret goes into a header, and not into the form.
    pub(super) takes_basic: bool,
    /// The browser always brings the issuer along (RFC 9207).
    pub(super) names_itself: bool,
}

/// Why a token says nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The issuer does not answer as it must.
    Issuer(String),
    /// The token is not to be believed.
    Token(Wrong),
}

#[derive(Debug, Default)]
struct Remembered {
    metadata: Option<(Metadata, Millis)>,
    /// Why it could not be had lately: nobody waits for the same failure again at once.
    failed: Option<(String, Millis)>,
    keys: Option<(Vec<Key>, Millis)>,
    asks: u32,
    asked_at: Millis,
}

/// All issuers that were asked.
#[derive(Default)]
pub(crate) struct Issuers {
    client: std::sync::OnceLock<Clients>,
    remembered: Mutex<HashMap<String, Remembered>>,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuers").finish_non_exhaustive()
    }
}

impl Issuers {
    pub(super) fn client(&self) -> Result<Client, String> {
        let clients = self.client.get_or_init(|| Clients::new(CONNECT));
        clients
            .get(None)
            .map_err(|_| "no issuer can be asked".to_owned())
    }

    fn with<T>(&self, issuer: &str, read: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut all = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        read(all.entry(issuer.to_owned()).or_default())
    }

    /// Forgets what it said: an operator has changed something.
    pub(crate) fn forget(&self, issuer: &str) {
        self.with(issuer, |remembered| *remembered = Remembered::default());
    }

    pub(super) async fn metadata(&self, issuer: &str, now: Millis) -> Result<Metadata, String> {
        let (known, failed) = self.with(issuer, |it| (it.metadata.clone(), it.failed.clone()));
        if let Some((metadata, at)) = known
            && now - at < FRESH
        {
            return Ok(metadata);
        }
        if let Some((why, at)) = failed
            && now - at < REST
        {
            return Err(why);
        }
        let found = self.discover(issuer).await;
        self.with(issuer, |it| match &found {
            Ok(metadata) => {
                it.metadata = Some((metadata.clone(), now));
                it.failed = None;
            }
            Err(why) => it.failed = Some((why.clone(), now)),
        });
        found
    }

    async fn discover(&self, issuer: &str) -> Result<Metadata, String> {
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let asking = Asking {
            what: "what the issuer says of itself",
            url: &url,
            authorization: None,
            form: None,
        };
        let (status, said) = fetch::json(&self.client()?, asking).await?;
        if !status.is_success() {
            return Err(format!("the issuer does not say what it is: {status}"));
        }
        read(issuer, &said)
    }

    /// What a token says, once a key of the issuer has signed it. A key that is not known may be new: the issuer is asked once more.
    pub(super) async fn claims(
        &self,
        issuer: &str,
        metadata: &Metadata,
        token: &str,
        now: Millis,
    ) -> Result<Map<String, Value>, Failure> {
        let known = self.with(issuer, |it| it.keys.clone());
        let known = known.filter(|(_, at)| now - at < FRESH);
        if let Some((keys, _)) = &known {
            match token::claims(token, keys) {
                // Tokens need not say which key has signed them, so a new one shows as a wrong signature, too.
                Err(wrong @ (Wrong::UnknownKey | Wrong::Signature)) => {
                    if !self.with(issuer, |it| it.may_ask(now)) {
                        return Err(Failure::Token(wrong));
                    }
                }
                found => return found.map_err(Failure::Token),
            }
        }
        let keys = self.fetch_keys(metadata).await.map_err(Failure::Issuer)?;
        self.with(issuer, |it| it.keys = Some((keys.clone(), now)));
        token::claims(token, &keys).map_err(Failure::Token)
    }

    /// The keys that an issuer publishes now.
    pub(super) async fn fetch_keys(&self, metadata: &Metadata) -> Result<Vec<Key>, String> {
        let asking = Asking {
            what: "the issuer's keys",
            url: &metadata.jwks_uri,
            authorization: None,
            form: None,
        };
        let (status, set) = fetch::json(&self.client()?, asking).await?;
        if !status.is_success() {
            return Err(format!("the issuer's keys cannot be had: {status}"));
        }
        Ok(token::keys(&set))
    }
}

impl Remembered {
    fn may_ask(&mut self, now: Millis) -> bool {
        if now - self.asked_at >= ASK_AGAIN {
            self.asks = self.asks.saturating_sub(1);
        }
        if self.asks >= ASKS {
            return false;
        }
        self.asks += 1;
        self.asked_at = now;
        true
    }
}

/// <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>
fn read(issuer: &str, said: &Value) -> Result<Metadata, String> {
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    // An issuer elsewhere sends nobody to what listens on this machine alone.
    let reachable = |url: &str| is_safe(url) && (is_here(issuer) || !is_here(url));
    if text("issuer") != Some(issuer) {
        return Err(
            "the issuer calls itself by another name: `issuer` must be as it says it, letter by letter"
                .to_owned(),
        );
    }
    let endpoint = |name: &str| {
        let url = text(name).ok_or_else(|| format!("the issuer does not say its `{name}`"))?;
        if reachable(url) {
            Ok(url.to_owned())
        } else {
            Err(format!(
                "the issuer's `{name}` is not at an address where it may be asked: https, and none of this machine"
            ))
        }
    };
    let listed = |name: &str| said.get(name).and_then(Value::as_array);
    let methods = listed("token_endpoint_auth_methods_supported");
    let takes_basic = methods.is_none_or(|methods| {
        methods
            .iter()
            .any(|method| method.as_str() == Some("client_secret_basic"))
    });
    Ok(Metadata {
        authorization_endpoint: endpoint("authorization_endpoint")?,
        token_endpoint: endpoint("token_endpoint")?,
        userinfo_endpoint: text("userinfo_endpoint")
            .filter(|url| reachable(url))
            .map(str::to_owned),
        jwks_uri: endpoint("jwks_uri")?,
        takes_basic,
        names_itself: said
            .get("authorization_response_iss_parameter_supported")
            .and_then(Value::as_bool)
            .unwrap_or(false),
    })
}
