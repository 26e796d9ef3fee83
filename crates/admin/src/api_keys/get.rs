//! `GET /api/v1/api-keys/{id}`

use axum::extract::{Path, State};

use super::ApiKeys;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;
use crate::tenants;

/// A key
#[utoipa::path(
    get,
    path = "/api/v1/api-keys/{id}",
    operation_id = "get_api_key",
    tag = "api keys",
    params(("id" = String, Path, description = "An id, or `organization/project/key` (with `%2F` for slashes)")),
    responses(
        (status = 200, description = "It is there; its ETag says in which state", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Found<Shown>, Problem> {
    tenants::get::<ApiKeys>(&admin, &allowed, &id).await
}
