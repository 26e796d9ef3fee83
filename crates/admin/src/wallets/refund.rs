//! `POST /api/v1/wallets/{organization}/refunds`

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use lingate_metering::{Id, Money};
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
#[schema(as = NewRefund)]
pub(super) struct New {
    /// The id of the top-up, redemption or payment that is given back.
    entry: String,
    /// More than nothing, and at most what is left of the entry.
    amount: Dollars,
    /// Who sends the same reference again is told of the entry that there is.
    reference: Option<String>,
    note: Option<String>,
    /// Also if the wallet owes something then.
    #[serde(default)]
    force: bool,
}

/// Give money back
///
/// It is taken out of the wallet; that it gets to whoever has paid is not done here.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{organization}/refunds",
    tag = "wallets",
    operation_id = "refund_wallet_entry",
    params(("organization" = String, Path, description = "The organization, by its id or its name")),
    request_body = New,
    responses(
        (status = 200, description = "There was such an entry", body = ShownEntry),
        (status = 201, description = "The new entry", body = ShownEntry),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn refund(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(organization): Path<String>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<ShownEntry>), Problem> {
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    allowed.on_platform()?;
    let of: Id = new
        .entry
        .parse()
        .map_err(|_| Problem::invalid("/entry", "there is no such entry in this wallet"))?;
    if new.amount.0 <= Money::ZERO {
        return Err(Problem::invalid("/amount", "expected more than nothing"));
    }
    let entry = NewEntry {
        kind: EntryKind::Refund,
        amount: Money::ZERO.minus(new.amount.0),
        reference: new.reference,
        of: Some(of),
        note: new.note,
        forced: new.force,
    };
    let store = allowed.store(&admin)?;
    let booked = store.book(owner.id, &owner.name, entry).await?;
    Ok(ShownEntry::booked(&booked))
}
