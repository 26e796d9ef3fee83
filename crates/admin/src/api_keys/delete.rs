//! `DELETE /api/v1/api-keys/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::ApiKeys;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;
use crate::tenants;

/// Delete a key
///
/// What was used with it stays in the ledger.
#[utoipa::path(
    delete,
    path = "/api/v1/api-keys/{id}",
    operation_id = "delete_api_key",
    tag = "api keys",
    params(
        ("id" = String, Path, description = "An id, or `organization/project/key` (with `%2F` for slashes)"),
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
    tenants::delete::<ApiKeys>(&admin, &allowed, &id, if_match).await
}
