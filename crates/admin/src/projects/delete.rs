//! `DELETE /api/v1/projects/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::Projects;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;
use crate::tenants;

/// Delete a project
///
/// Its keys must be gone first; what was used stays in the ledger.
#[utoipa::path(
    delete,
    path = "/api/v1/projects/{id}",
    operation_id = "delete_project",
    tag = "projects",
    params(
        ("id" = String, Path, description = "Its id, or `organization/project` (with `%2F` for the slash)"),
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
    tenants::delete::<Projects>(&admin, &allowed, &id, if_match).await
}
