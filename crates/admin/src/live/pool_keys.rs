//! `GET /api/v1/key-pools/{provider}/keys`

use axum::Json;
use axum::extract::{Path, RawQuery, State};
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
    /// In this state alone: `healthy`, `cooling`, `failing`, `exhausted`, `disabled`, `off`.
    state: Option<String>,
    #[param(minimum = 1, maximum = 10000, default = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The keys of a provider, and how each of them stands
#[utoipa::path(
    get,
    path = "/api/v1/key-pools/{provider}/keys",
    operation_id = "list_pool_keys",
    tag = "key pools",
    params(("provider" = String, Path, description = "Its name"), Which),
    responses(
        (status = 200, description = "A page of them", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_pool_keys(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let (provider, query) = (&provider, &query.unwrap_or_default());
    ask(&admin, &allowed, Question::PoolKeys { provider, query }).await
}
