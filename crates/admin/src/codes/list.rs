//! `GET /api/v1/code-batches`

use axum::Json;
use axum::extract::{Query, State};

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

/// Batches of codes, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/code-batches",
    tag = "codes",
    operation_id = "list_code_batches",
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
    let store = admin.store()?;
    let (batches, more) = store
        .code_batches(listing.after()?, listing.limit()?)
        .await?;
    let last = batches.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|batch| cursor(&batch.id.to_string())),
        items: batches.iter().map(Shown::of).collect(),
    }))
}
