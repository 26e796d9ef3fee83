//! `GET /api/v1/provider-keys`

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of this provider alone.
    provider: Option<String>,
}

/// Stored keys of providers, in the order in which they were added
#[utoipa::path(
    get,
    path = "/api/v1/provider-keys",
    operation_id = "list_provider_keys",
    tag = "provider keys",
    params(Which, Listing),
    responses(
        (status = 200, description = "A page of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(which): Query<Which>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Shown>>, Problem> {
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    let (after, limit) = (listing.after()?, listing.limit()?);
    let found = store.provider_keys(which.provider.as_deref(), after, limit);
    let (keys, next) = found.await?;
    Ok(Json(Page {
        items: keys.into_iter().map(Shown::of).collect(),
        next: next.map(|id| cursor(&id.to_string())),
    }))
}
