//! `GET /api/v1/limits/check`

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

/// What would be asked, by whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the gateway reads the query; this describes it")]
pub(super) struct Described {
    /// As the caller would name it.
    #[param(example = "gpt-5")]
    model: String,
    /// The name of a key, `organization/project/key` where several have it; left out: callers who have none.
    key: Option<String>,
    input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    images: Option<u64>,
    /// Decimal dollars; left out: what the price says.
    cost: Option<String>,
    end_user: Option<String>,
    /// Who would be asked.
    provider: Option<String>,
}

/// Whether a request would pass, and which limit decides
///
/// Nothing is taken.
#[utoipa::path(
    get,
    path = "/api/v1/limits/check",
    operation_id = "check_limits",
    tag = "limits",
    params(Described),
    responses(
        (status = 200, description = "Each limit, with what is left of it", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn check_limits(
    State(admin): State<Admin>,
    allowed: Allowed,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = query.unwrap_or_default();
    ask(&admin, &allowed, Question::LimitsCheck(&query)).await
}
