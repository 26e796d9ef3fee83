//! `GET /api/v1/jobs`

use axum::Json;
use axum::extract::{Query, State};

use super::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

/// Jobs, the latest first
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(Listing),
    responses(
        (status = 200, description = "A page of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Shown>>, Problem> {
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    let (jobs, next) = store.jobs(listing.after()?, listing.limit()?).await?;
    Ok(Json(Page {
        items: jobs.into_iter().map(Shown::of).collect(),
        next: next.map(|id| cursor(&id.to_string())),
    }))
}
