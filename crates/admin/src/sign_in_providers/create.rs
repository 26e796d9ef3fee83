//! `POST /api/v1/sign-in-providers`

use axum::extract::State;
use http::StatusCode;
use lingate_store::new_id;
use serde_json::Value;
use utoipa::ToSchema;

use super::settings::{Given, Mapping};
use super::shown::Shown;
use super::{may_manage, wanted};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;

#[derive(Debug, ToSchema)]
#[schema(as = NewSignInProvider)]
#[expect(
    dead_code,
    reason = "it is the description of what is read field by field"
)]
pub(super) struct New {
    /// Up to 50 letters a-z, digits and dashes.
    #[schema(example = "example")]
    name: String,
    /// As the issuer calls itself, letter by letter.
    #[schema(example = "https://id.example.com")]
    issuer: String,
    /// Under which the issuer knows this gateway.
    client_id: String,
    /// Sealed, and never told again; or `${NAME}`, the variable that holds it. Not there: the client is a public one.
    client_secret: Option<String>,
    /// By default it is in use.
    enabled: Option<bool>,
    /// On the button of the page for signing in.
    label: Option<String>,
    /// By default `email` and `profile`.
    scopes: Option<Vec<String>>,
    /// Whoever has no verified e-mail address of these domains is not let in; by default nobody is turned away for that.
    email_domains: Option<Vec<String>>,
    /// The claim that lists groups, or a path into one: `realm_access.roles`.
    groups_claim: Option<String>,
    /// Which roles whoever is in a group holds, made so at each sign-in.
    mappings: Option<Vec<Mapping>>,
    /// The role that everybody who signs in so holds.
    default_role: Option<Given>,
    /// By default nobody gets an account by signing in.
    create_accounts: Option<bool>,
    /// By default nobody becomes an account that is there already.
    link_by_email: Option<bool>,
    /// Whoever is in none of these groups is not let in; by default nobody is turned away for that.
    allowed_groups: Option<Vec<String>>,
    /// By default an account with a second factor is asked for it.
    trust_second_factor: Option<bool>,
    /// By default the address at which the browser asks.
    redirect_uri: Option<String>,
}

/// Let another service say who somebody is
///
/// Any issuer of OpenID Connect that publishes what it is (discovery), with the code flow and PKCE.
#[utoipa::path(
    post,
    path = "/api/v1/sign-in-providers",
    tag = "sign-in",
    operation_id = "create_sign_in_provider",
    request_body = New,
    responses(
        (status = 201, description = "The provider", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<Value>,
) -> Result<Found<Shown>, Problem> {
    may_manage(&allowed)?;
    let provider = wanted::read(&admin, &allowed, new_id(), new, None).await?;
    let store = allowed.store(&admin)?;
    let stored = store.create_sign_in_provider(&provider).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: stored.revision,
        value: Shown::of(&stored)?,
    })
}
