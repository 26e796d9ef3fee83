//! `GET /api/v1/code-batches/{batch}`

use axum::Json;
use axum::extract::{Path, State};

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// A batch of codes
#[utoipa::path(
    get,
    path = "/api/v1/code-batches/{batch}",
    tag = "codes",
    operation_id = "get_code_batch",
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = 200, description = "The batch", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(batch): Path<String>,
) -> Result<Json<Shown>, Problem> {
    allowed.on_platform()?;
    let batch = batch
        .parse()
        .map_err(|_| Problem::not_found("batch of codes"))?;
    Ok(Json(Shown::of(&admin.store()?.code_batch(batch).await?)))
}
