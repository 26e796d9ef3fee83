//! `GET /api/v1/organizations`

use axum::Json;
use axum::extract::{Query, State};
use lingate_metering::tenant::Organization;
use lingate_store::Filter;

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

/// The organizations that you may see
#[utoipa::path(
    get,
    path = "/api/v1/organizations",
    tag = "organizations",
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
    let filter = Filter {
        after: listing.after()?,
        limit: listing.limit()?,
        ..Filter::default()
    };
    let page = allowed.store(&admin)?.list::<Organization>(&filter).await?;
    Ok(Json(Page {
        items: page.items.iter().map(Shown::of).collect(),
        next: page.next.map(|id| cursor(&id.to_string())),
    }))
}
