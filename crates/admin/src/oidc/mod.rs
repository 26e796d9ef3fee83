//! `/api/v1/oidc`: signing in by another service's word (OpenID Connect Core 1.0, code flow with PKCE).
//!
//! [`start`] sends a browser to the issuer, and [`callback`] takes it back. In between stands one row of the database and one cookie
//! of the browser, which hold together: whoever has only one of them has nothing. The issuer's word is an ID token that one of its
//! published keys has signed ([`token`]); who it is about is an account by issuer and subject ([`account`]), and never by an address
//! that the issuer has not verified.

mod account;
mod callback;
mod exchange;
mod fetch;
mod flow;
mod identity;
mod issuer;
mod person;
mod refusal;
mod start;
mod token;

use http::request::Parts;
use lingate_metering::Id;
use lingate_store::SignInProvider;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
use crate::problem::Problem;
pub(crate) use fetch::{is_safe, is_web};
pub(crate) use flow::{Begun, return_to};
pub(crate) use identity::{ShownIdentity, identities, unlink};
pub(crate) use issuer::Issuers;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(start::start))
        .routes(routes!(callback::callback))
}

/// Sends whoever is signed in to an issuer, to be known by it from then on.
pub(crate) async fn begin_for(
    admin: &Admin,
    parts: &Parts,
    provider: &str,
    return_to: String,
    account: Id,
) -> Result<Begun, Problem> {
    let begun = flow::begin(admin, parts, provider, return_to, Some(account)).await;
    begun.map_err(|refusal| *refusal.problem)
}

/// What an issuer says of itself when it is asked.
pub(crate) struct Examined {
    pub(crate) authorization_endpoint: String,
    /// How many keys can have signed an ID token.
    pub(crate) keys: usize,
}

/// Asks an issuer anew; the error says what keeps people from signing in.
pub(crate) async fn examine(admin: &Admin, provider: &SignInProvider) -> Result<Examined, String> {
    let issuers = admin.issuers();
    issuers.forget(&provider.issuer);
    let metadata = issuers.metadata(&provider.issuer, admin.now()).await?;
    let keys = issuers.fetch_keys(&metadata).await?.len();
    if keys == 0 {
        return Err("the issuer publishes no key that can have signed an ID token".to_owned());
    }
    exchange::secret(admin, provider).map_err(|refusal| refusal.why)?;
    Ok(Examined {
        authorization_endpoint: metadata.authorization_endpoint,
        keys,
    })
}
