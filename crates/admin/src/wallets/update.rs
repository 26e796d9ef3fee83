//! `PATCH /api/v1/wallets/{organization}`

use axum::extract::{Path, State};
use http::StatusCode;
use lingate_metering::Money;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::Owner;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Dollars, Found, IfMatch};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WalletChange)]
pub(super) struct Change {
    /// How far below nothing the balance may go; `null`: not at all.
    #[serde(default)]
    #[schema(value_type = Option<Dollars>)]
    overdraft: Overdraft,
}

#[derive(Debug, Default)]
enum Overdraft {
    /// It stays as it is.
    #[default]
    Unsaid,
    Said(Money),
}

impl<'d> Deserialize<'d> for Overdraft {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        let said = Option::<Dollars>::deserialize(from)?;
        Ok(Self::Said(said.map_or(Money::ZERO, |amount| amount.0)))
    }
}

/// Change the overdraft of a wallet
#[utoipa::path(
    patch,
    path = "/api/v1/wallets/{organization}",
    tag = "wallets",
    operation_id = "update_wallet",
    params(
        ("organization" = String, Path, description = "The organization, by its id or its name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    request_body(content = Change, content_type = "application/json"),
    responses(
        (status = 200, description = "The wallet as it is now", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn update(
    State(admin): State<Admin>,
    allowed: Allowed,
    IfMatch(expected): IfMatch,
    Path(organization): Path<String>,
    Body(change): Body<Change>,
) -> Result<Found<Shown>, Problem> {
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    let wallet = if let Overdraft::Said(overdraft) = change.overdraft {
        store
            .set_overdraft(owner.id, &owner.name, overdraft, expected)
            .await?
    } else {
        let wallet = store.wallet(owner.id).await?;
        wallet.ok_or_else(|| Problem::not_found("wallet"))?
    };
    Ok(Found {
        status: StatusCode::OK,
        revision: wallet.revision,
        value: Shown::of(&wallet, &owner.name),
    })
}
