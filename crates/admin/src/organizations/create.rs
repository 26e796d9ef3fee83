//! `POST /api/v1/organizations`

use axum::extract::State;
use serde_json::Value;

use super::Organizations;
use super::shown::New;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;
use crate::tenants;

/// Make an organization
#[utoipa::path(
    post,
    path = "/api/v1/organizations",
    operation_id = "create_organization",
    tag = "organizations",
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
    tenants::create::<Organizations>(&admin, &allowed, new).await
}
