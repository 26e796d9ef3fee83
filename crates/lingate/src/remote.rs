//! Asking a running gateway something about itself.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use lingate_upstream::{Clients, Payload};
use secrecy::SecretString;
use serde_json::Value;

use crate::{Failed, signed_in};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 << 20;

/// The key to show to a gateway.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Token {
    /// A key that may see or change how the gateway works; it is better given as a variable, since others see the command line.
    #[arg(
        long,
        value_name = "KEY",
        env = "LINGATE_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// A gateway that runs, here unless something else is said.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Where the gateway is.
    #[arg(
        long,
        value_name = "URL",
        env = "LINGATE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
    #[command(flatten)]
    token: Token,
}

impl Server {
    pub(crate) fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        self.token.ask(&self.server, method, path, body)
    }
}

impl Token {
    /// What the gateway at `server` answers to this.
    pub(crate) fn ask(
        &self,
        server: &str,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.send(server, method, path, body))
    }

    async fn send(
        &self,
        server: &str,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().map_err(|_| no_address(path))?;
        if let Some(body) = body {
            *request.body_mut() = Bytes::from(body.to_string());
        }
        let answer = self.exchange(server, request).await?;
        let status = answer.status().as_u16();
        let told: Option<Value> = serde_json::from_slice(answer.body()).ok();
        match told {
            Some(told) if status == 200 => Ok(told),
            Some(told) if told["detail"].is_string() => Err(Failed::new(format!(
                "{server}: {}",
                told["detail"].as_str().unwrap_or_default()
            ))),
            Some(_) | None => Err(not_lingate(server, status)),
        }
    }

    /// What the gateway at `server` answers, whole. The request names a path alone.
    pub(crate) async fn exchange(
        &self,
        server: &str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failed> {
        let base = server.trim_end_matches('/');
        let token = self.token.clone().or_else(|| signed_in::token(base));
        exchange(server, request, token).await
    }
}

/// What the gateway at `server` answers to whoever shows this token, or nothing. The request names a path alone.
pub(crate) async fn exchange(
    server: &str,
    request: Request<Bytes>,
    token: Option<String>,
) -> Result<Response<Bytes>, Failed> {
    let base = server.trim_end_matches('/');
    if !(base.starts_with("http://") || base.starts_with("https://")) {
        return Err(no_address(server));
    }
    let mut request = request.map(Payload::from);
    let uri = format!("{base}{}", request.uri());
    *request.uri_mut() = uri.parse().map_err(|_| no_address(server))?;
    request
        .headers_mut()
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    let failed = |error: &dyn std::fmt::Display| Failed::new(error.to_string());
    if let Some(token) = token {
        let token = SecretString::from(token);
        let headers = request.headers_mut();
        lingate_upstream::authorize(headers, "authorization", "Bearer {key}", &token)
            .map_err(|error| failed(&error))?;
    }
    let clients = Clients::new(Duration::from_secs(5));
    let client = clients.get(None).map_err(|error| failed(&error))?;
    let sent = lingate_upstream::send(&client, request, PATIENCE).await;
    let response = sent.map_err(|error| {
        Failed::new(format!(
            "{server}: {error}; is `lingate serve` running there?"
        ))
    })?;
    let (parts, body) = response.into_parts();
    let body = tokio::time::timeout(PATIENCE, Limited::new(body, LARGEST).collect());
    let body = body
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

fn no_address(server: &str) -> Failed {
    Failed::new(format!(
        "--server: '{server}' is not an address such as http://127.0.0.1:8080"
    ))
}

pub(crate) fn not_lingate(server: &str, status: u16) -> Failed {
    Failed::new(format!(
        "{server} answers {status}, and not as Lingate does; is it another version?"
    ))
}

/// A segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
