//! `DELETE /api/v1/service-accounts/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::ServiceAccounts;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;
use crate::tenants;

/// Delete a service account
///
/// Its keys must be gone first; what was used stays in the ledger.
#[utoipa::path(
    delete,
    path = "/api/v1/service-accounts/{id}",
    operation_id = "delete_service_account",
    tag = "service accounts",
    params(
        ("id" = String, Path, description = "An id, or `organization/name` (with `%2F` for the slash)"),
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
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    tenants::delete::<ServiceAccounts>(&admin, &allowed, &id, if_match).await
}
