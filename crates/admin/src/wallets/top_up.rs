//! `POST /api/v1/wallets/{organization}/top-ups`

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use lingate_metering::Money;
use lingate_store::{EntryKind, NewEntry};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Owner, ShownEntry};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Dollars};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTopUp)]
pub(super) struct New {
    /// More than nothing.
    amount: Dollars,
    /// Who sends the same reference again is told of the entry that there is.
    reference: Option<String>,
    note: Option<String>,
}

/// Put money into a wallet by hand
///
/// It can be spent within a second, on every replica.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{organization}/top-ups",
    tag = "wallets",
    operation_id = "top_up_wallet",
    params(("organization" = String, Path, description = "The organization, by its id or its name")),
    request_body = New,
    responses(
        (status = 200, description = "There was such an entry", body = ShownEntry),
        (status = 201, description = "The new entry", body = ShownEntry),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn top_up(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(organization): Path<String>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<ShownEntry>), Problem> {
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    allowed.on_platform()?;
    if new.amount.0 <= Money::ZERO {
        return Err(Problem::invalid("/amount", "expected more than nothing")
            .hint("what is taken out is an adjustment or a refund"));
    }
    let entry = NewEntry {
        kind: EntryKind::TopUp,
        amount: new.amount.0,
        reference: new.reference,
        of: None,
        note: new.note,
        forced: false,
    };
    let store = allowed.store(&admin)?;
    let booked = store.book(owner.id, &owner.name, entry).await?;
    Ok(ShownEntry::booked(&booked))
}
