//! `/api/v1/accounts/{id}/identities`: who an account is at other services.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::account::called;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Page;
use crate::oidc::{self, ShownIdentity};
use crate::problem::Problem;

/// Who an account is at other services
///
/// Whoever signs in as one of these there is this account.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{id}/identities",
    tag = "accounts",
    operation_id = "list_account_identities",
    params(("id" = String, Path, description = "The id of the account, or what it signs in with")),
    responses(
        (status = 200, description = "All of them", body = Page<ShownIdentity>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Json<Page<ShownIdentity>>, Problem> {
    allowed.on_platform()?;
    let account = called(&admin, &id).await?;
    let store = admin.store()?;
    // There must be one.
    store.account(account).await?;
    Ok(Json(oidc::identities(&store, account).await?))
}

/// An account is no longer somebody at another service
///
/// Roles that it holds by that service's word are taken away. An account without a password keeps the last one: block it instead, or
/// give it a password first.
#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{id}/identities/{identity}",
    tag = "accounts",
    operation_id = "delete_account_identity",
    params(
        ("id" = String, Path, description = "The id of the account, or what it signs in with"),
        ("identity" = String, Path, description = "The id of the identity"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path((id, identity)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let account = called(&admin, &id).await?;
    oidc::unlink(&allowed.store(&admin)?, account, &identity).await?;
    Ok(StatusCode::NO_CONTENT)
}
