//! `GET /api/v1/routes/explain`

use axum::Json;
use axum::extract::{RawQuery, State};
use lingate_gateway::Question;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::ask;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// The request, described.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the gateway reads the query; this describes it")]
pub(super) struct Described {
    /// As the caller would name it.
    #[param(example = "gpt-5")]
    model: String,
    /// `chat`, `messages`, `responses`, `gemini`.
    dialect: Option<String>,
    stream: Option<bool>,
    /// `name: value`; may be there several times.
    header: Option<Vec<String>>,
    /// Tokens of the prompt.
    tokens: Option<u64>,
    max_output: Option<u64>,
    /// A tool of the request; may be there several times.
    tool: Option<Vec<String>>,
    /// The same.
    tools: Option<String>,
    thinking: Option<bool>,
    image: Option<bool>,
    /// What the last message says.
    text: Option<String>,
    user: Option<String>,
    session: Option<String>,
    /// May be there several times.
    tag: Option<Vec<String>>,
    /// The same.
    tags: Option<String>,
    /// The name of the key that would be shown.
    caller: Option<String>,
    /// When it would come: `2026-11-30T22:00`, or with a zone.
    at: Option<String>,
}

/// Where a request would go, why, and why not elsewhere
#[utoipa::path(
    get,
    path = "/api/v1/routes/explain",
    operation_id = "explain_route",
    tag = "routes",
    params(Described),
    responses(
        (status = 200, description = "Routes, targets and keys, each with why", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn explain(
    State(admin): State<Admin>,
    allowed: Allowed,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = query.unwrap_or_default();
    ask(&admin, &allowed, Question::Explain(&query)).await
}
