//! `POST /api/v1/routes/explain`

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use lingate_gateway::Question;
use serde_json::{Map, Value};

use super::ask;
use crate::Admin;
use crate::access::Allowed;
use crate::documents;
use crate::problem::Problem;

/// Where a request would go that is written down
///
/// The fields are those of the query of `GET`, `headers` an object and `tools` and `tags` lists; `request` is a body of a request in
/// any dialect. What is described counts more than what is written.
///
/// With `route` (`definition`, and `name` and `before` if need be, as `POST /api/v1/routes` takes them) it is told as if that route were
/// stored, with all keys ready; nothing is stored. That takes `routes.write`.
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
    let Some((route, question)) = candidate(&body) else {
        return ask(&admin, &allowed, Question::ExplainWritten(&body)).await;
    };
    let loaded = documents::with_route(&admin, &allowed, route).await?;
    let told = admin.gateway()?.explain_with(loaded.snapshot, &question);
    told.map(Json).map_err(Problem::from)
}

/// The route that is asked about, and the question without it; what is no JSON is for others to refuse.
fn candidate(body: &[u8]) -> Option<(Value, Vec<u8>)> {
    let mut question: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let route = question.shift_remove("route")?;
    let question = Value::Object(question).to_string();
    Some((route, question.into_bytes()))
}
