//! `POST /api/v1/projects`

use axum::extract::State;
use serde_json::Value;

use super::Projects;
use super::shown::New;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;
use crate::tenants;

/// Make a project
#[utoipa::path(
    post,
    path = "/api/v1/projects",
    operation_id = "create_project",
    tag = "projects",
    request_body = New,
    responses(
        (status = 201, description = "It is there", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<Value>,
) -> Result<Found<Shown>, Problem> {
    tenants::create::<Projects>(&admin, &allowed, new).await
}
