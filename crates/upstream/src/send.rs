//! Sending one request, up to the head of its answer.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use secrecy::SecretString;

use crate::{Client, Payload};

/// Why there is no answer. The text names no credential and no address of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("cannot connect to the upstream: {0}")]
    Connect(String),
    #[error("the upstream did not begin to answer within {} s", .0.as_secs_f64())]
    FirstByteTimeout(Duration),
    #[error("the connection to the upstream broke: {0}")]
    Broken(String),
}

/// Sends `request`; returns when the head of the answer is there. Dropping the future closes the connection or resets the stream.
pub async fn send(
    client: &Client,
    request: Request<Payload>,
    first_byte_timeout: Duration,
) -> Result<Response<Incoming>, SendError> {
    match tokio::time::timeout(first_byte_timeout, client.request(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) if error.is_connect() => Err(SendError::Connect(innermost(&error))),
        Ok(Err(error)) => Err(SendError::Broken(innermost(&error))),
        Err(_) => Err(SendError::FirstByteTimeout(first_byte_timeout)),
    }
}

/// The last cause: the outer ones only say "client error".
fn innermost(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An answer's body in which the secret that was sent, should the upstream have repeated it, is masked.
pub fn without_secret(body: Bytes, secret: &SecretString) -> Bytes {
    crate::auth::mask(&body, secret).map_or(body, Bytes::from)
}
