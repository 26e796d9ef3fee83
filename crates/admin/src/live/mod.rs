//! How the gateway that runs here fares: routes as they are in force, where a request would go, whether it would pass its limits, and
//! the keys of providers. The gateway computes it; what is asked of one replica is told by that one.

mod check_limits;
mod explain;
mod explain_written;
mod key_stats;
mod models;
mod pool_keys;
mod pools;
mod switch;
mod test_provider;

use axum::Json;
use axum::extract::DefaultBodyLimit;
use lingate_gateway::{LiveProblem, Question};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// Bytes of a question that holds a request: requests hold images.
const LARGEST_QUESTION: usize = 64 << 20;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(explain::explain, explain_written::explain_written))
        .layer(DefaultBodyLimit::max(LARGEST_QUESTION))
        .routes(routes!(check_limits::check_limits))
        .routes(routes!(models::list_models))
        .routes(routes!(test_provider::test_provider))
        .routes(routes!(key_stats::get_key_stats))
        .routes(routes!(pools::list_key_pools))
        .routes(routes!(pool_keys::list_pool_keys))
        .routes(routes!(switch::enable_pool_key))
        .routes(routes!(switch::disable_pool_key))
}

/// What the gateway says. It tells of all tenants: it is for those who hold the permission on the platform.
async fn ask(
    admin: &Admin,
    allowed: &Allowed,
    question: Question<'_>,
) -> Result<Json<Value>, Problem> {
    allowed.on_platform()?;
    let told = admin.gateway()?.tell(question).await;
    told.map(Json).map_err(Problem::from)
}

impl From<LiveProblem> for Problem {
    fn from(problem: LiveProblem) -> Self {
        let LiveProblem { status, detail } = problem;
        let code = match status {
            http::StatusCode::NOT_FOUND => "not_found",
            http::StatusCode::SERVICE_UNAVAILABLE => "counters_away",
            _ => "bad_request",
        };
        Self::new(status, code, detail)
    }
}
