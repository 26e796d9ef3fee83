//! `GET /api/v1/accounts`

use axum::Json;
use axum::extract::{Query, State};
use lingate_store::AccountFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::shown::ShownAccount;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The one that signs in so: an e-mail address or a login.
    login: Option<String>,
    blocked: Option<bool>,
}

/// Everybody who signs in
#[utoipa::path(
    get,
    path = "/api/v1/accounts",
    tag = "accounts",
    operation_id = "list_accounts",
    params(Listing, Wanted),
    responses(
        (status = 200, description = "A page of them", body = Page<ShownAccount>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<ShownAccount>>, Problem> {
    allowed.on_platform()?;
    let filter = AccountFilter {
        login: wanted.login,
        blocked: wanted.blocked,
        organization: None,
        after: listing.after()?,
        limit: listing.limit()?,
    };
    let page = admin.store()?.accounts(&filter).await?;
    Ok(Json(Page {
        items: page.items.iter().map(ShownAccount::of).collect(),
        next: page.next.map(|id| cursor(&id.to_string())),
    }))
}
