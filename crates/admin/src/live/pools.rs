//! `GET /api/v1/key-pools`

use axum::Json;
use axum::extract::State;
use lingate_gateway::Question;
use serde_json::Value;

use super::ask;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// The providers, their keys counted, and their circuit breakers
#[utoipa::path(
    get,
    path = "/api/v1/key-pools",
    operation_id = "list_key_pools",
    tag = "key pools",
    responses(
        (status = 200, description = "All pools of this gateway", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_key_pools(
    State(admin): State<Admin>,
    allowed: Allowed,
) -> Result<Json<Value>, Problem> {
    ask(&admin, &allowed, Question::KeyPools).await
}
