//! The gateway that is examined: sending it what a client sends.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Limited};
use lingate_upstream::{Clients, Payload};
use secrecy::SecretString;
use serde_json::Value;

use crate::Failed;

/// How long an answer may take: models think.
const PATIENCE: Duration = Duration::from_mins(2);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// The gateway, and how to ask it.
pub(super) struct Gateway {
    clients: Clients,
    /// Without a closing slash.
    base: String,
    key: Option<SecretString>,
    /// The model to ask for.
    pub(super) model: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Unsent(pub(super) String);

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Where a client puts its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyIn {
    Bearer,
    XApiKey,
    XGoogApiKey,
}

impl Gateway {
    pub(super) fn new(url: &str, key: Option<&str>, model: &str) -> Result<Self, Failed> {
        let base = url.trim_end_matches('/').to_owned();
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            return Err(Failed::new(format!("--url: '{url}' is not an address")));
        }
        Ok(Self {
            clients: Clients::new(Duration::from_secs(5)),
            base,
            key: key.map(SecretString::from),
            model: model.to_owned(),
        })
    }

    pub(super) async fn get(
        &self,
        path: &str,
        key: KeyIn,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Unsent> {
        self.send(Method::GET, path, key, headers, Bytes::new())
            .await
    }

    pub(super) async fn post(
        &self,
        path: &str,
        key: KeyIn,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer, Unsent> {
        let body = Bytes::from(body.to_string());
        self.send(Method::POST, path, key, headers, body).await
    }

    /// Sends exactly this, and the key where the client has it.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        key: KeyIn,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Unsent> {
        let unsent = |error: &dyn std::fmt::Display| Unsent(error.to_string());
        let mut request = Request::new(Payload::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base)
            .parse()
            .map_err(|error: http::uri::InvalidUri| unsent(&error))?;
        let given = request.headers_mut();
        given.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsent(&error))?;
            let value = HeaderValue::from_str(value).map_err(|error| unsent(&error))?;
            given.insert(name, value);
        }
        if let Some(secret) = &self.key {
            let (header, format) = match key {
                KeyIn::Bearer => ("authorization", "Bearer {key}"),
                KeyIn::XApiKey => ("x-api-key", "{key}"),
                KeyIn::XGoogApiKey => ("x-goog-api-key", "{key}"),
            };
            lingate_upstream::authorize(given, header, format, secret)
                .map_err(|error| unsent(&error))?;
        }
        let client = self.clients.get(None).map_err(|error| unsent(&error))?;
        let response = lingate_upstream::send(&client, request, PATIENCE)
            .await
            .map_err(|error| unsent(&error))?;
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, Limited::new(body, LARGEST).collect())
            .await
            .map_err(|_| Unsent("the answer did not end".to_owned()))?
            .map_err(|error| Unsent(format!("the answer broke off: {error}")))?;
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}
