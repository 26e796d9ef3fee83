//! Asks an issuer: an answer of bounded length, within a time, and from nowhere else than where it was asked for.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use lingate_upstream::{Client, Payload, send};
use serde_json::Value;
use tokio::time::timeout;

use crate::documents::secrets::is_metadata;

/// For the whole answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: usize = 512 << 10;

/// Whether an issuer may be asked there: over TLS, or on this machine; never where clouds tell machines their credentials.
pub(crate) fn is_safe(url: &str) -> bool {
    is_web(url) && !is_metadata(url) && (url.starts_with("https://") || is_here(url))
}

/// Whether it is an address of the web, without a name and a password.
pub(crate) fn is_web(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let web = ["https", "http"].map(Some).contains(&uri.scheme_str());
    web && uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
}

/// Whether it is on this machine.
pub(super) fn is_here(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// What is sent.
pub(super) struct Asking<'a> {
    /// What is asked for, in a sentence about its absence: "the issuer's keys".
    pub(super) what: &'static str,
    pub(super) url: &'a str,
    pub(super) authorization: Option<HeaderValue>,
    /// A form; `None`: it is a GET.
    pub(super) form: Option<String>,
}

/// The answer's status, and the JSON that it is. The error is a sentence without any of what was sent.
pub(super) async fn json(
    client: &Client,
    asking: Asking<'_>,
) -> Result<(StatusCode, Value), String> {
    let Asking {
        what,
        url,
        authorization,
        form,
    } = asking;
    if !is_safe(url) {
        return Err(format!(
            "{what} cannot be asked for: its address is neither https nor on this machine"
        ));
    }
    let mut request = Request::get(url)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "lingate");
    if form.is_some() {
        request = request
            .method(http::Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if let Some(mut authorization) = authorization {
        authorization.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let body = Payload::from(Bytes::from(form.unwrap_or_default()));
    let request = request
        .body(body)
        .map_err(|_| format!("{what} cannot be asked for: its address is none"))?;
    let asked = async {
        let response = send(client, request, PATIENCE)
            .await
            .map_err(|error| format!("{what} cannot be asked for: {error}"))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!(
                "{what} cannot be had: the answer sends elsewhere ({status}), where nobody is asked"
            ));
        }
        let body = Limited::new(response.into_body(), LONGEST);
        let body = body.collect().await.map_err(|_| {
            format!("{what} cannot be had: the answer breaks off, or is longer than 512 KiB")
        })?;
        let value = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| format!("{what} cannot be had: the answer ({status}) is no JSON"))?;
        Ok((status, value))
    };
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        Err(format!(
            "{what} cannot be had: no answer within {} s",
            PATIENCE.as_secs()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_asked_over_tls_or_on_this_machine() {
        for (url, expect) in [
            ("https://id.test", true),
            ("https://id.test/realms/a?b=c", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]:8080", true),
            ("http://localhost", true),
            ("http://id.test", false),
            ("http://127.0.0.1.id.test", false),
            ("https://user:secret@id.test", false),
            ("https://169.254.169.254/latest", false),
            ("https://metadata.google.internal", false),
            ("ftp://id.test", false),
            ("/x", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url), expect, "{url}");
        }
    }
}
