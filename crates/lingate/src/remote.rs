//! Asking a running gateway something about itself.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use lingate_upstream::{Clients, Payload};
use secrecy::SecretString;
use serde_json::Value;

use crate::Failed;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 << 20;

/// The key to show to a gateway.
#[derive(Debug, Clone, Args)]
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
        let base = server.trim_end_matches('/');
        let no_address = || {
            Failed::new(format!(
                "--server: '{server}' is not an address such as http://127.0.0.1:8080"
            ))
        };
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            return Err(no_address());
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut request = Request::new(Payload::from(bytes));
        *request.method_mut() = method.clone();
        let uri = format!("{base}{path}");
        *request.uri_mut() = uri.parse().map_err(|_| no_address())?;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let failed = |error: &dyn std::fmt::Display| Failed::new(error.to_string());
        if let Some(token) = &self.token {
            let token = SecretString::from(token.clone());
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
        let status = response.status().as_u16();
        let body = tokio::time::timeout(
            PATIENCE,
            Limited::new(response.into_body(), LARGEST).collect(),
        );
        let body = body
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))?;
        let answer: Option<Value> = serde_json::from_slice(&body.to_bytes()).ok();
        match answer {
            Some(answer) if status == 200 => Ok(answer),
            Some(answer) if answer["detail"].is_string() => Err(Failed::new(format!(
                "{server}: {}",
                answer["detail"].as_str().unwrap_or_default()
            ))),
            Some(_) | None => Err(Failed::new(format!(
                "{server} answers {status}, and not as Lingate does; is it another version?"
            ))),
        }
    }
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
