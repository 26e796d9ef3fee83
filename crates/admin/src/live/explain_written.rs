//! `POST /api/v1/routes/explain`

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use lingate_gateway::Question;
use serde_json::Value;

use super::ask;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// Where a request would go that is written down
///
/// The fields are those of the query of `GET`, `headers` an object and `tools` and `tags` lists; `request` is a body of a request in
/// any dialect. What is described counts more than what is written.
#[utoipa::path(
    post,
    path = "/api/v1/routes/explain",
    operation_id = "explain_written_route",
    tag = "routes",
    request_body(content = Value, example = json!({"model": "gpt-5", "request": {"messages": [{"role": "user", "content": "Hello"}]}})),
    responses(
        (status = 200, description = "Routes, targets and keys, each with why", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn explain_written(
    State(admin): State<Admin>,
    allowed: Allowed,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    ask(&admin, &allowed, Question::ExplainWritten(&body)).await
}
