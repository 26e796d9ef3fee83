//! `POST /api/v1/providers/{name}/test`

use axum::Json;
use axum::extract::{Path, State};
use lingate_gateway::Question;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ask;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Body;
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProviderTest)]
pub(super) struct Test {
    /// Asked for an answer of one token, which costs what it costs; left out: the provider is asked for its list of models.
    #[schema(example = "gpt-5-mini")]
    model: Option<String>,
}

/// Ask a provider now
///
/// With the next of its keys. What is found out counts: a key that is refused rests, a provider that answers is used again.
#[utoipa::path(
    post,
    path = "/api/v1/providers/{name}/test",
    operation_id = "test_provider",
    tag = "providers",
    params(("name" = String, Path, description = "Its name")),
    request_body = Test,
    responses(
        (status = 200, description = "Whether it answers: `well`, `detail`, `duration_ms`, and the `key` that was used", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn test_provider(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(provider): Path<String>,
    Body(test): Body<Test>,
) -> Result<Json<Value>, Problem> {
    let question = Question::TestProvider {
        provider: &provider,
        model: test.model.as_deref(),
    };
    ask(&admin, &allowed, question).await
}
