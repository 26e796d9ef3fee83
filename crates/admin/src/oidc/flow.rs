//! A sign-in from the browser to the issuer: the cookie that it is bound to, and the address at which it goes on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use lingate_metering::{Id, Millis};
use lingate_store::{PendingSignIn, SignInProvider};
use ring::hmac;
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;
use crate::Admin;
use crate::access::browser;
use crate::beside::From;
use crate::identity::{attempts, secret};
use crate::problem::Problem;
use crate::sign_in_providers::settings_of;

/// For as long as somebody needs to type a password and fetch a code.
const LASTS: Millis = 10 * 60 * 1000;

/// A sign-in that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Where the browser goes.
    pub(crate) url: String,
    /// For `Set-Cookie`.
    pub(crate) cookie: HeaderValue,
}

/// Where the browser goes in the end: a path of this gateway, and of nothing else, whatever browsers make of it.
/// `field`: where it stands.
pub(crate) fn return_to(text: Option<&str>, field: &str) -> Result<String, Problem> {
    let text = text.unwrap_or("/");
    let is_path = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains('\\')
        && text.len() <= 2000
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_path
        .then(|| text.to_owned())
        .ok_or_else(|| Problem::invalid(field, "expected a path of this gateway, such as /keys"))
}

/// `account`: who is signed in already, and wants to be known by the issuer, too.
pub(super) async fn begin(
    admin: &Admin,
    parts: &Parts,
    name: &str,
    return_to: String,
    account: Option<Id>,
) -> Result<Begun, Refusal> {
    let found = admin.store()?.sign_in_provider(name).await?;
    let provider = found
        .map(|found| found.value)
        .filter(|provider| provider.enabled)
        .ok_or_else(|| Problem::not_found("sign-in provider"))?;
    let begun = sent(admin, parts, &provider, return_to, account).await;
    if let Err(refusal) = &begun
        && refusal.problem.status() == StatusCode::BAD_GATEWAY
    {
        tracing::warn!(provider = name, why = refusal.why, "nobody can sign in");
    }
    begun
}

async fn sent(
    admin: &Admin,
    parts: &Parts,
    provider: &SignInProvider,
    return_to: String,
    account: Option<Id>,
) -> Result<Begun, Refusal> {
    let settings = settings_of(provider)?;
    let secure = browser::is_https(admin, parts);
    let redirect_uri = if let Some(uri) = settings.redirect_uri {
        uri
    } else {
        let host = browser::host(admin, parts).ok_or_else(|| {
            Problem::bad("the request does not say under which name this gateway is asked")
        })?;
        let scheme = if secure { "https" } else { "http" };
        format!("{scheme}://{host}/api/v1/oidc/{}/callback", provider.name)
    };
    let now = admin.now();
    let metadata = admin.issuers().metadata(&provider.issuer, now).await;
    let metadata = metadata.map_err(Refusal::issuer)?;
    let (state, cookie) = (secret::mint("")?, secret::mint("")?);
    let from = parts.extensions.get::<From>();
    let pending = PendingSignIn {
        state_sha256: secret::kept(&state),
        cookie_sha256: secret::kept(&cookie),
        provider: provider.id,
        account,
        redirect_uri,
        return_to,
        address: from.map_or_else(String::new, |from| attempts::subject(from.address)),
        expires_at: now + LASTS,
    };
    if !admin.store()?.begin_pending_sign_in(&pending, now).await? {
        return Err(Refusal::too_many());
    }
    let mut scopes = vec!["openid"];
    scopes.extend(settings.scopes.iter().map(String::as_str));
    scopes.dedup();
    let endpoint = &metadata.authorization_endpoint;
    let (base, given) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .extend_pairs(form_urlencoded::parse(given.as_bytes()))
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", &pending.redirect_uri)
        .append_pair("scope", &scopes.join(" "))
        .append_pair("state", &state)
        .append_pair("nonce", &nonce(&cookie, &state))
        .append_pair("code_challenge", &challenge(&verifier(&cookie, &state)))
        .append_pair("code_challenge_method", "S256");
    Ok(Begun {
        url: format!("{base}?{}", query.finish()),
        cookie: set_cookie(&state, &cookie, LASTS / 1000, secure),
    })
}

/// One for each sign-in: there may be several at once in one browser. Where TLS is spoken, no neighbour of this name can set it.
fn cookie_name(state: &str, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    let hash = secret::kept(state);
    format!("{prefix}lingate_oidc_{}", hash.get(..16).unwrap_or(&hash))
}

fn set_cookie(state: &str, value: &str, seconds: i64, secure: bool) -> HeaderValue {
    browser::set_cookie_named(&cookie_name(state, secure), value, seconds, secure)
}

/// The cookie of a sign-in, in the browser that comes back.
pub(super) fn cookie(admin: &Admin, parts: &Parts, state: &str) -> Option<String> {
    let name = cookie_name(state, browser::is_https(admin, parts));
    browser::cookies_named(parts, &name)
        .next()
        .map(str::to_owned)
}

/// Takes the cookie of a sign-in away.
pub(super) fn forget(admin: &Admin, parts: &Parts, state: &str) -> HeaderValue {
    set_cookie(state, "", 0, browser::is_https(admin, parts))
}

/// What the ID token must repeat. Only whoever has the cookie can say it, and what is kept here does not tell it.
pub(super) fn nonce(cookie: &str, state: &str) -> String {
    derived(cookie, "nonce", state)
}

/// What proves that whoever brings the code is who asked for it (RFC 7636).
pub(super) fn verifier(cookie: &str, state: &str) -> String {
    derived(cookie, "verifier", state)
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn derived(cookie: &str, what: &str, state: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    let text = format!("lingate oidc {what} {state}");
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_ends_nowhere_else() {
        for (text, expect) in [
            ("/", true),
            ("/keys?project=a%2Fb#x", true),
            ("", false),
            ("keys", false),
            ("//evil.test", false),
            ("/\\evil.test", false),
            ("/\t/evil.test", false),
            ("https://evil.test", false),
            ("/a\r\nset-cookie: x=y", false),
            ("/é", false),
        ] {
            assert_eq!(
                return_to(Some(text), "return_to").is_ok(),
                expect,
                "{text:?}"
            );
        }
        assert_eq!(return_to(None, "return_to").unwrap(), "/");
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn what_follows_from_the_cookie_is_of_one_sign_in() {
        let all = [
            nonce("c", "s"),
            verifier("c", "s"),
            nonce("d", "s"),
            nonce("c", "t"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(!all.iter().skip(at + 1).any(|other| other == one), "{at}");
        }
    }
}
