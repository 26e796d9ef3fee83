//! `GET /api/v1/organizations`

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Organizations;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page};
use crate::problem::Problem;
use crate::tenants::{self, Source, Wanted};

/// Which of them, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    blocked: Option<bool>,
    /// What names begin with, as it stands.
    name_prefix: Option<String>,
    /// From the file or from the database alone.
    #[param(inline)]
    source: Option<Source>,
    /// `created_at`, `name`, with `-` before it from the last to the first. What the file defines was there before everything else.
    #[param(default = "created_at", example = "name")]
    sort: Option<String>,
}

/// The organizations that you may see
#[utoipa::path(
    get,
    path = "/api/v1/organizations",
    operation_id = "list_organizations",
    tag = "organizations",
    params(Listing, Asked),
    responses(
        (status = 200, description = "A page of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Shown>>, Problem> {
    let wanted = Wanted {
        blocked: asked.blocked,
        name_prefix: asked.name_prefix,
        source: asked.source,
        sort: asked.sort,
        ..Wanted::default()
    };
    tenants::list::<Organizations>(&admin, &allowed, &listing, wanted).await
}
