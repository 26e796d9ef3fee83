//! `POST /api/v1/jobs/{id}/cancel`

use axum::Json;
use axum::extract::{Path, State};

use super::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// End a job early
///
/// It ends within a few seconds, wherever it runs; what it has done stays.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of the job")),
    responses(
        (status = 200, description = "The job; it may still run", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn cancel(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    allowed.on_platform()?;
    let id = id.parse().map_err(|_| Problem::not_found("job"))?;
    Ok(Json(Shown::of(allowed.store(&admin)?.end_job(id).await?)))
}
