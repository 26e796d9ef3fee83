//! `PATCH /api/v1/users/{id}`

use axum::extract::{Path, State};
use serde_json::Value;

use super::Persons;
use super::shown::Patch;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found, IfMatch};
use crate::problem::Problem;
use crate::tenants;

/// Change a user
///
/// A JSON merge patch (RFC 7396): what is left out stays as it is, null unsets.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}",
    operation_id = "update_user",
    tag = "users",
    params(
        ("id" = String, Path, description = "An id, or `organization/user` (with `%2F` for the slash)"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    request_body = Patch,
    responses(
        (status = 200, description = "As it is now", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn update(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(patch): Body<Value>,
) -> Result<Found<Shown>, Problem> {
    tenants::update::<Persons>(&admin, &allowed, &id, if_match, &patch).await
}
