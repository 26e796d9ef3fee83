//! `GET /api/v1/users/{id}`

use axum::extract::{Path, State};

use super::Persons;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;
use crate::tenants;

/// A user
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}",
    operation_id = "get_user",
    tag = "users",
    params(("id" = String, Path, description = "An id, or `organization/user` (with `%2F` for the slash)")),
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
    tenants::get::<Persons>(&admin, &allowed, &id).await
}
