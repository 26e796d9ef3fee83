//! `GET /api/v1/organizations/{id}`

use axum::extract::{Path, State};

use super::Organizations;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;
use crate::tenants;

/// An organization
#[utoipa::path(
    get,
    path = "/api/v1/organizations/{id}",
    operation_id = "get_organization",
    tag = "organizations",
    params(("id" = String, Path, description = "Its id or name")),
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
    tenants::get::<Organizations>(&admin, &allowed, &id).await
}
