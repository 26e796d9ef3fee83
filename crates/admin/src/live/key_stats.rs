//! `GET /api/v1/api-keys/stats`

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

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the gateway reads the query; this describes it")]
pub(super) struct Which {
    /// Of this one alone.
    provider: Option<String>,
    /// In this state alone: `healthy`, `cooling`, `failing`, `exhausted`, `disabled`, `off`.
    state: Option<String>,
    #[param(minimum = 1, maximum = 10000, default = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What keys of providers were used for, since this gateway started
#[utoipa::path(
    get,
    path = "/api/v1/api-keys/stats",
    operation_id = "get_key_stats",
    tag = "key pools",
    params(Which),
    responses(
        (status = 200, description = "Of each provider, its keys", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_key_stats(
    State(admin): State<Admin>,
    allowed: Allowed,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = query.unwrap_or_default();
    ask(&admin, &allowed, Question::KeyStats(&query)).await
}
