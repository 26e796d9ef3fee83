//! `GET /api/v1/service-accounts`

use axum::Json;
use axum::extract::{Query, State};
use lingate_metering::tenant::UserKind;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ServiceAccounts;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page};
use crate::problem::Problem;
use crate::tenants::{self, Source, Wanted};
use crate::users::Shown;

/// Which of them, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Of this organization alone: its id or name.
    #[param(example = "acme")]
    organization: Option<String>,
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

/// The service accounts that you may see
#[utoipa::path(
    get,
    path = "/api/v1/service-accounts",
    operation_id = "list_service_accounts",
    tag = "service accounts",
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
        organization: asked.organization,
        kind: Some(UserKind::ServiceAccount),
        blocked: asked.blocked,
        name_prefix: asked.name_prefix,
        source: asked.source,
        sort: asked.sort,
        ..Wanted::default()
    };
    tenants::list::<ServiceAccounts>(&admin, &allowed, &listing, wanted).await
}
