//! What a browser says of where a request comes from, and the cookie of a session.
//!
//! A cookie is sent by the browser whoever made it ask. So a request with one has to come from a page of the gateway itself (`Origin`,
//! `Sec-Fetch-Site`), under the name at which the cookie was given (`Host`), and, where it changes something, with a token that only
//! such a page knows.

use http::request::Parts;
use http::{HeaderName, HeaderValue, header};

use crate::Admin;
use crate::beside::From;
use crate::problem::Problem;

const COOKIE: &str = "lingate_session";
/// Where TLS is spoken, browsers take it from this host alone, and for all of it: no neighbour can plant one.
const COOKIE_OVER_TLS: &str = "__Host-lingate_session";
pub(crate) const CSRF: HeaderName = HeaderName::from_static("x-lingate-csrf");

const fn cookie_name(secure: bool) -> &'static str {
    if secure { COOKIE_OVER_TLS } else { COOKIE }
}

/// What the cookies of sessions hold. There can be several: without TLS, another program on a neighbouring name may set one for us.
pub(crate) fn cookies(admin: &Admin, parts: &Parts) -> Vec<String> {
    let name = cookie_name(is_https(admin, parts));
    cookies_named(parts, name).map(str::to_owned).collect()
}

/// What the cookies of this name hold, four at most.
pub(crate) fn cookies_named<'p>(
    parts: &'p Parts,
    wanted: &'p str,
) -> impl Iterator<Item = &'p str> + use<'p> {
    let lists = parts.headers.get_all(header::COOKIE).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value)
        .take(4)
}

/// `seconds`: how long it is kept; 0: it is taken away.
pub(crate) fn set_cookie(value: &str, seconds: i64, secure: bool) -> HeaderValue {
    set_cookie_named(cookie_name(secure), value, seconds, secure)
}

pub(crate) fn set_cookie_named(name: &str, value: &str, seconds: i64, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Of base64 and these words alone.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// What a proxy in front of us says, if we trust it: the last word is the nearest proxy's.
fn forwarded<'a>(admin: &Admin, parts: &'a Parts, name: &'static str) -> Option<&'a str> {
    let peer = parts.extensions.get::<From>()?.peer;
    let gateway = admin.gateway().ok()?;
    if !gateway.trusts(peer) {
        return None;
    }
    let said = parts
        .headers
        .get_all(name)
        .iter()
        .next_back()?
        .to_str()
        .ok()?;
    said.rsplit(',').next().map(str::trim)
}

/// The name and the port under which the browser asks; `None`: it does not say, or says several.
pub(crate) fn host(admin: &Admin, parts: &Parts) -> Option<String> {
    if let Some(host) = forwarded(admin, parts, "x-forwarded-host") {
        return Some(host.to_ascii_lowercase());
    }
    let mut said = parts.headers.get_all(header::HOST).iter();
    let host = match (said.next(), said.next()) {
        (Some(_), Some(_)) => return None,
        (Some(host), None) => host.to_str().ok()?,
        (None, _) => parts.uri.authority()?.as_str(),
    };
    Some(host.to_ascii_lowercase())
}

/// The browser speaks TLS: with a proxy that says so.
pub(crate) fn is_https(admin: &Admin, parts: &Parts) -> bool {
    forwarded(admin, parts, "x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}

/// Refuses what a page of another origin asks.
pub(crate) fn own_pages_alone(admin: &Admin, parts: &Parts) -> Result<(), Problem> {
    let refuse = || {
        Err(Problem::new(
            http::StatusCode::FORBIDDEN,
            "other_origin",
            "a page of another origin asks",
        )
        .hint("behind a proxy: let it pass the `Host` on, and name it in `trusted_proxies`"))
    };
    if let Some(site) = parts.headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return refuse();
    }
    let Some(origin) = parts.headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("").to_ascii_lowercase();
    let Some((scheme, authority)) = origin.split_once("://") else {
        return refuse();
    };
    // Browsers leave the usual port away in both places; proxies need not.
    let port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_owned();
    match host(admin, parts) {
        Some(host) if bare(&host) == bare(authority) => Ok(()),
        Some(_) | None => refuse(),
    }
}
