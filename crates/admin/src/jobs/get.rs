//! `GET /api/v1/jobs/{id}`

use axum::Json;
use axum::extract::{Path, State};

use super::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// How far a job is, and what came of it
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    operation_id = "get_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of the job")),
    responses(
        (status = 200, description = "The job", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    allowed.on_platform()?;
    let id = id.parse().map_err(|_| Problem::not_found("job"))?;
    Ok(Json(Shown::of(allowed.store(&admin)?.job(id).await?)))
}
