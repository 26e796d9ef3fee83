//! `GET /api/v1/projects/{id}`

use axum::extract::{Path, State};

use super::Projects;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;
use crate::tenants;

/// A project
#[utoipa::path(
    get,
    path = "/api/v1/projects/{id}",
    operation_id = "get_project",
    tag = "projects",
    params(("id" = String, Path, description = "Its id, or `organization/project` (with `%2F` for the slash)")),
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
    tenants::get::<Projects>(&admin, &allowed, &id).await
}
