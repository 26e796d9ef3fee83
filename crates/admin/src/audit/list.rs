//! `GET /api/v1/audit-events`

use axum::Json;
use axum::extract::{Query, State};

use super::asked::Asked;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

/// What was done, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/audit-events",
    operation_id = "list_audit_events",
    tag = "audit",
    params(Listing, Asked),
    responses(
        (status = 200, description = "A page of events that you may see", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Shown>>, Problem> {
    let mut filter = asked.filter(&allowed)?;
    filter.limit = listing.limit()?;
    let before = listing.after_number()?.map(i64::try_from).transpose();
    filter.before =
        before.map_err(|_| Problem::invalid("cursor", "this is no cursor of this list"))?;
    let page = allowed.store(&admin)?.audit_log(&filter).await?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Shown::of).collect(),
        next: page.next.map(|number| cursor(&number.to_string())),
    }))
}
