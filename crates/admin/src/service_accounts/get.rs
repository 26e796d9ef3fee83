//! `GET /api/v1/service-accounts/{id}`

use axum::extract::{Path, State};

use super::ServiceAccounts;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;
use crate::tenants;
use crate::users::Shown;

/// A service account
#[utoipa::path(
    get,
    path = "/api/v1/service-accounts/{id}",
    operation_id = "get_service_account",
    tag = "service accounts",
    params(("id" = String, Path, description = "An id, or `organization/name` (with `%2F` for the slash)")),
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
    tenants::get::<ServiceAccounts>(&admin, &allowed, &id).await
}
