//! `GET /api/v1/invitations`

use axum::Json;
use axum::extract::{Query, State};
use lingate_store::InvitationFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::shown::ShownInvitation;
use crate::Admin;
use crate::access::{Allowed, Reach};
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;
use crate::tenants::Known;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// To this organization and its projects alone: its id or name.
    organization: Option<String>,
}

/// Invitations that nobody has accepted
#[utoipa::path(
    get,
    path = "/api/v1/invitations",
    tag = "invitations",
    operation_id = "list_invitations",
    params(Listing, Wanted),
    responses(
        (status = 200, description = "A page of them", body = Page<ShownInvitation>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<ShownInvitation>>, Problem> {
    let mut filter = InvitationFilter {
        after: listing.after()?,
        limit: listing.limit()?,
        ..InvitationFilter::default()
    };
    if let Some(text) = &wanted.organization {
        let found = Known::of(&admin, &allowed)?.organization(text).await?;
        let Some(id) = found else {
            return Ok(Json(Page {
                items: Vec::new(),
                next: None,
            }));
        };
        filter.organization = Some(id);
    }
    if let Reach::Some {
        organizations,
        projects,
        ..
    } = allowed.reach()
    {
        filter.reach = Some((organizations, projects));
    }
    let page = admin.store()?.invitations(&filter).await?;
    Ok(Json(Page {
        items: page.items.iter().map(ShownInvitation::of).collect(),
        next: page.next.map(|id| cursor(&id.to_string())),
    }))
}
