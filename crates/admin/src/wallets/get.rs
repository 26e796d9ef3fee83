//! `GET /api/v1/wallets/{organization}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::Owner;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;

/// The wallet of an organization
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{organization}",
    tag = "wallets",
    operation_id = "get_wallet",
    params(("organization" = String, Path, description = "The organization, by its id or its name")),
    responses(
        (status = 200, description = "The wallet", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(organization): Path<String>,
) -> Result<Found<Shown>, Problem> {
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    let wallet = admin.store()?.wallet(owner.id).await?;
    let wallet = wallet.ok_or_else(|| Problem::not_found("wallet"))?;
    Ok(Found {
        status: StatusCode::OK,
        revision: wallet.revision,
        value: Shown::of(&wallet, &owner.name),
    })
}
