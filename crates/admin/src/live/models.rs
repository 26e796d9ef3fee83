//! `GET /api/v1/models`

use axum::Json;
use axum::extract::State;
use lingate_gateway::Question;
use serde_json::Value;

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// Models that callers can ask for by name
///
/// Those of routes, those that providers declare, and what is known of the vendors' own; each with who serves it and in which dialects.
/// What a key is allowed is not looked at: callers read theirs at `/v1/models`.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    operation_id = "list_available_models",
    tag = "providers",
    responses(
        (status = 200, description = "All of them", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_models(
    State(admin): State<Admin>,
    _allowed: Allowed,
) -> Result<Json<Value>, Problem> {
    let told = admin.gateway()?.tell(Question::Models).await;
    told.map(Json).map_err(Problem::from)
}
