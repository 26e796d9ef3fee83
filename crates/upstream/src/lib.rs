//! The HTTP client towards providers: connections, proxies, TLS and credentials.
//!
//! The only crate that sees an upstream secret in clear. Redirects are never followed, so that a credential never reaches an
//! address that nobody configured.

mod auth;
mod connect;
mod payload;
mod send;
mod url;

pub use auth::{AuthError, authorize};
pub use connect::{Client, Clients, ProxyError};
pub use payload::Payload;
pub use send::{SendError, send, without_secret};
pub use url::{Operation, stored_response, url};
