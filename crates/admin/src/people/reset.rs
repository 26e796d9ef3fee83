//! `POST /api/v1/accounts/{id}/reset-password` and `/reset-totp`

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::account::called;
use super::shown::{ShownAccount, WithPassword};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::moment_text;
use crate::identity::{policy, secret};
use crate::problem::Problem;

/// Give an account a temporary password
///
/// It is told once, and is good for choosing another, for 72 hours. Every session of the account ends.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{id}/reset-password",
    tag = "accounts",
    operation_id = "reset_account_password",
    params(("id" = String, Path, description = "The id of the account, or what it signs in with")),
    responses(
        (status = 200, description = "The account, and its temporary password", body = WithPassword),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn password(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Json<WithPassword>, Problem> {
    allowed.on_platform()?;
    let id = called(&admin, &id).await?;
    let password = secret::readable(20)?;
    let hash = admin.hasher.hash(password.clone().into()).await?;
    let expires_at = admin.now() + policy::TEMPORARY;
    let store = allowed.store(&admin)?;
    let stored = store
        .set_password(id, &hash, Some(expires_at), None)
        .await?;
    Ok(Json(WithPassword {
        account: ShownAccount::of(&stored),
        temporary_password: password,
        expires_at: moment_text(expires_at),
    }))
}

/// Take an account's second factor away
///
/// For whoever has lost it. Every session of the account ends.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{id}/reset-totp",
    tag = "accounts",
    operation_id = "reset_account_totp",
    params(("id" = String, Path, description = "The id of the account, or what it signs in with")),
    responses(
        (status = 204, description = "It has none any more"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn totp(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let id = called(&admin, &id).await?;
    allowed.store(&admin)?.reset_totp(id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
