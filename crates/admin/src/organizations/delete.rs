//! `DELETE /api/v1/organizations/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::Organizations;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;
use crate::tenants;

/// Delete an organization
///
/// Projects, users and keys of it must be gone first; what was used stays in the ledger.
#[utoipa::path(
    delete,
    path = "/api/v1/organizations/{id}",
    operation_id = "delete_organization",
    tag = "organizations",
    params(
        ("id" = String, Path, description = "Its id or name"),
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
    tenants::delete::<Organizations>(&admin, &allowed, &id, if_match).await
}
