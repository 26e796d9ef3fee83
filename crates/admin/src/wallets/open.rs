//! `POST /api/v1/wallets`

use axum::extract::State;
use http::StatusCode;
use lingate_metering::Money;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Owner;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Dollars, Found};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWallet)]
pub(super) struct New {
    /// The organization, by its id or its name, that pays in advance from now on.
    organization: String,
    /// How far below nothing the balance may go; not at all, if nothing is said.
    overdraft: Option<Dollars>,
}

/// Open the wallet of an organization
///
/// From then on its usage is taken from the wallet, which is empty, and requests are refused that it does not pay for. A wallet that
/// is open already is left as it is.
#[utoipa::path(
    post,
    path = "/api/v1/wallets",
    tag = "wallets",
    operation_id = "open_wallet",
    request_body = New,
    responses(
        (status = 200, description = "It was open", body = Shown),
        (status = 201, description = "It is open", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn open(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    let no_such = || Problem::invalid("/organization", "there is no such organization");
    let owner = Owner::called(&admin, &store, &new.organization)
        .await?
        .ok_or_else(no_such)?;
    let overdraft = new.overdraft.map_or(Money::ZERO, |amount| amount.0);
    let (wallet, is_new) = store.open_wallet(owner.id, &owner.name, overdraft).await?;
    Ok(Found {
        status: if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        revision: wallet.revision,
        value: Shown::of(&wallet, &owner.name),
    })
}
