//! `POST /api/v1/sign-in-providers/{name}/check`

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{called, may_manage};
use crate::Admin;
use crate::access::Allowed;
use crate::oidc;
use crate::problem::Problem;

/// What became of asking an issuer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInCheck)]
pub(super) struct Checked {
    /// People can be sent there, and what it signs can be checked.
    good: bool,
    /// What is wrong, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Where people sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://id.example.com/authorize")]
    authorization_endpoint: Option<String>,
    /// How many of its keys can have signed an ID token.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<usize>,
}

/// Ask the issuer what it is
///
/// As a sign-in does: what it says of itself, its keys, and whether the client's secret is at hand. Whether the issuer knows the client,
/// only a sign-in shows.
#[utoipa::path(
    post,
    path = "/api/v1/sign-in-providers/{name}/check",
    tag = "sign-in",
    operation_id = "check_sign_in_provider",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "What became of it", body = Checked),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn check(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(name): Path<String>,
) -> Result<Json<Checked>, Problem> {
    may_manage(&allowed)?;
    let provider = called(&admin, &name).await?.value;
    let found = oidc::examine(&admin, &provider).await;
    Ok(Json(match found {
        Ok(found) => Checked {
            good: true,
            problem: None,
            authorization_endpoint: Some(found.authorization_endpoint),
            keys: Some(found.keys),
        },
        Err(problem) => Checked {
            good: false,
            problem: Some(problem),
            authorization_endpoint: None,
            keys: None,
        },
    }))
}
