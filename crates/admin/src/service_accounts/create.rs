//! `POST /api/v1/service-accounts`

use axum::extract::State;
use serde_json::Value;

use super::ServiceAccounts;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;
use crate::tenants;
use crate::users::New;
use crate::users::Shown;

/// Make a service account
#[utoipa::path(
    post,
    path = "/api/v1/service-accounts",
    operation_id = "create_service_account",
    tag = "service accounts",
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
    tenants::create::<ServiceAccounts>(&admin, &allowed, new).await
}
