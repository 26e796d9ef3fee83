//! Begins a session: 256 random bits in a cookie that scripts cannot read, of which the hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::request::Parts;
use lingate_metering::{Id, Millis};
use lingate_store::{Act, ActorKind, NewSession, Proved, Session, new_id};
use ring::hmac;

use super::secret;
use crate::Admin;
use crate::access::browser;
use crate::beside::From;
use crate::problem::Problem;

/// A session that nobody uses ends after this long.
pub(crate) const IDLE: Millis = 12 * 60 * 60 * 1000;
/// However it is used, it ends after this long.
pub(crate) const ABSOLUTE: Millis = 7 * 24 * 60 * 60 * 1000;
/// For the second factor.
const SECOND_FACTOR: Millis = 10 * 60 * 1000;

/// A session that has begun.
#[derive(Debug)]
pub(crate) struct Opened {
    /// For `Set-Cookie`.
    pub(crate) cookie: HeaderValue,
    /// What unsafe requests send as `x-lingate-csrf`.
    pub(crate) csrf_token: String,
    pub(crate) expires_at: Millis,
    /// What is kept of the cookie.
    pub(crate) sha256: String,
}

/// Signs an account in: a new session, in place of the one that the request has, if any. `by`: how it was proved who it is, for
/// the audit log; `None`: that is still to be proved.
pub(crate) async fn sign_in_as(
    admin: &Admin,
    account: Id,
    name: &str,
    parts: &Parts,
    proved: Proved,
    by: Option<&str>,
) -> Result<Opened, Problem> {
    let replaces = browser::cookies(admin, parts);
    let replaces = replaces.first().map(|cookie| secret::kept(cookie));
    begin(admin, account, name, parts, proved, by, replaces).await
}

/// Begins the session in which somebody who is signed in goes on, once what they sign in with is another: whoever may have their
/// cookie stays behind. The one before goes on until then; whatever changes how they sign in ends all but this one.
pub(crate) async fn go_on(
    admin: &Admin,
    account: Id,
    name: &str,
    parts: &Parts,
) -> Result<Opened, Problem> {
    begin(admin, account, name, parts, Proved::Full, None, None).await
}

async fn begin(
    admin: &Admin,
    account: Id,
    name: &str,
    parts: &Parts,
    proved: Proved,
    by: Option<&str>,
    replaces: Option<String>,
) -> Result<Opened, Problem> {
    let cookie = secret::mint("")?;
    let now = admin.now();
    let from = parts.extensions.get::<From>();
    let lasts = match proved {
        Proved::Full => ABSOLUTE,
        Proved::Password => SECOND_FACTOR,
    };
    let address = from.map(|from| from.address.to_string());
    let user_agent = parts.headers.get(http::header::USER_AGENT);
    let session = Session {
        id: new_id(),
        account,
        proved,
        host: browser::host(admin, parts).unwrap_or_default(),
        address: address.clone(),
        user_agent: user_agent
            .and_then(|agent| agent.to_str().ok())
            .map(|agent| agent.chars().take(300).collect()),
        created_at: now,
        seen_at: now,
        expires_at: now + lasts,
    };
    let sha256 = secret::kept(&cookie);
    let store = admin.store()?.by(Act {
        kind: ActorKind::Account,
        id: account.to_string(),
        name: name.to_owned(),
        address,
        request_id: from.map(|from| from.request_id.clone()),
    });
    store
        .begin_session(&NewSession {
            sha256: sha256.clone(),
            session,
            by: by.map(str::to_owned),
            replaces,
        })
        .await?;
    Ok(Opened {
        csrf_token: csrf_token(&cookie),
        cookie: browser::set_cookie(&cookie, lasts / 1000, browser::is_https(admin, parts)),
        expires_at: now + lasts,
        sha256,
    })
}

/// Follows from the cookie, which no page of another origin can read; the cookie does not follow from it.
pub(crate) fn csrf_token(cookie: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"lingate csrf"))
}
