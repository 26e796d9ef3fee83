//! `DELETE /api/v1/accounts/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::account::called;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;

/// Delete an account
///
/// Its sessions, tokens and roles go with it. Keys that its users hold must be gone first.
#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{id}",
    tag = "accounts",
    operation_id = "delete_account",
    params(
        ("id" = String, Path, description = "The id of the account, or what it signs in with"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let id = called(&admin, &id).await?;
    allowed.store(&admin)?.delete_account(id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
