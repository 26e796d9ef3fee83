//! `GET /api/v1/requests`

use axum::Json;
use axum::extract::{Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lingate_metering::{Id, Millis};
use serde::Deserialize;
use utoipa::IntoParams;

use super::shown::{Shown, names};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor, now};
use crate::problem::Problem;
use crate::tenants::Known;
use crate::usage::{Asked, scope};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Ended {
    /// How it ended, by the name that the log has for it: `complete`, `client_gone`, `gateway_lost` …
    outcome: Option<String>,
}

/// Requests, the newest first
///
/// One is in the list a second or two after its end, as long as records are kept.
#[utoipa::path(
    get,
    path = "/api/v1/requests",
    operation_id = "list_requests",
    tag = "requests",
    params(Listing, Asked, Ended),
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
    Query(ended): Query<Ended>,
) -> Result<Json<Page<Shown>>, Problem> {
    let limit = listing.limit()?;
    let after = listing.cursor.as_deref().map(position).transpose()?;
    let (from, to) = asked.time(now())?;
    let known = Known::of(&admin, &allowed)?;
    let filter = scope(&known, &allowed, asked.scoped()).await?;
    let outcome = ended.outcome.as_deref();
    let page = known
        .store
        .records(&filter, outcome, from, to, after.as_ref(), limit)
        .await?;
    let names = names(&known, &page.records).await?;
    let records = page.records.iter();
    Ok(Json(Page {
        items: records
            .map(|record| Shown::of(record, &names, &allowed))
            .collect(),
        next: page.next.map(|(at, id)| cursor(&format!("{at} {id}"))),
    }))
}

/// Where a page ended.
fn position(cursor: &str) -> Result<(Millis, Id), Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let read = text.as_deref().and_then(|text| {
        let (at, id) = text.split_once(' ')?;
        Some((at.parse().ok()?, id.parse().ok()?))
    });
    read.ok_or_else(|| Problem::invalid("cursor", "this is no cursor of this list"))
}
