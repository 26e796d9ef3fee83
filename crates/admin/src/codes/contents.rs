//! `GET /api/v1/code-batches/{batch}/codes`

use axum::Json;
use axum::extract::{Path, Query, State};

use super::shown::ShownCode;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

/// The codes of a batch, without what they are
#[utoipa::path(
    get,
    path = "/api/v1/code-batches/{batch}/codes",
    tag = "codes",
    operation_id = "list_codes",
    params(("batch" = String, Path, description = "The id of the batch"), Listing),
    responses(
        (status = 200, description = "A page of them", body = Page<ShownCode>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn contents(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(batch): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<ShownCode>>, Problem> {
    allowed.on_platform()?;
    let batch = batch
        .parse()
        .map_err(|_| Problem::not_found("batch of codes"))?;
    let after = listing.after_number()?.unwrap_or(0);
    let after = u32::try_from(after)
        .map_err(|_| Problem::invalid("cursor", "this is no cursor of this list"))?;
    let store = admin.store()?;
    let (codes, more) = store.codes_of(batch, after, listing.limit()?).await?;
    let last = codes.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|code| cursor(&code.place.to_string())),
        items: codes.iter().map(ShownCode::of).collect(),
    }))
}
