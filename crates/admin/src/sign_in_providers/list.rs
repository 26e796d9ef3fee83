//! `GET /api/v1/sign-in-providers`

use axum::Json;
use axum::extract::{Query, State};

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor, cursor_text};
use crate::problem::Problem;

/// The services that say who somebody is
#[utoipa::path(
    get,
    path = "/api/v1/sign-in-providers",
    tag = "sign-in",
    operation_id = "list_sign_in_providers",
    params(Listing),
    responses(
        (status = 200, description = "A page of them, by name", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Shown>>, Problem> {
    allowed.on_platform()?;
    let limit = listing.limit()? as usize;
    let after = listing.cursor.as_deref().map(cursor_text).transpose()?;
    let mut all = admin.store()?.sign_in_providers().await?;
    all.retain(|one| after.as_ref().is_none_or(|after| one.value.name > *after));
    let more = all.len() > limit;
    all.truncate(limit);
    let last = all.last().filter(|_| more);
    Ok(Json(Page {
        items: all.iter().map(Shown::of).collect::<Result<_, _>>()?,
        next: last.map(|one| cursor(&one.value.name)),
    }))
}
