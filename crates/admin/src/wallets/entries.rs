//! `GET /api/v1/wallets/{organization}/entries`

use axum::Json;
use axum::extract::{Path, Query, State};
use lingate_store::{EntryFilter, EntryKind};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Owner, ShownEntry};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor, moment};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `top_up`, `redemption`, `payment`, `refund`, `adjustment` or `plan`
    kind: Option<String>,
    /// RFC 3339
    since: Option<String>,
    /// RFC 3339; not included.
    until: Option<String>,
}

/// What was put into a wallet and taken out of it, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{organization}/entries",
    tag = "wallets",
    operation_id = "list_wallet_entries",
    params(("organization" = String, Path, description = "The organization, by its id or its name"), Wanted, Listing),
    responses(
        (status = 200, description = "A page of them", body = Page<ShownEntry>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn entries(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(organization): Path<String>,
    Query(wanted): Query<Wanted>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<ShownEntry>>, Problem> {
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    let kind = wanted.kind.as_deref().map(|kind| {
        EntryKind::from_name(kind)
            .ok_or_else(|| Problem::invalid("kind", "there is no such kind of entries"))
    });
    let at = |field, text: Option<String>| text.map(|text| moment(field, &text)).transpose();
    let filter = EntryFilter {
        kind: kind.transpose()?,
        since: at("since", wanted.since)?,
        until: at("until", wanted.until)?,
        before: listing.after_number()?,
        limit: listing.limit()?,
    };
    let (entries, more) = admin.store()?.wallet_entries(owner.id, &filter).await?;
    let last = entries.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|entry| cursor(&entry.number.to_string())),
        items: entries.iter().map(ShownEntry::of).collect(),
    }))
}
