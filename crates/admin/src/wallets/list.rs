//! `GET /api/v1/wallets`

use axum::Json;
use axum::extract::{Query, State};

use super::Owner;
use super::shown::Shown;
use crate::Admin;
use crate::access::{Allowed, Reach};
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

/// The wallets that you may see
#[utoipa::path(
    get,
    path = "/api/v1/wallets",
    tag = "wallets",
    operation_id = "list_wallets",
    params(Listing),
    responses(
        (status = 200, description = "A page of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Shown>>, Problem> {
    let limit = listing.limit()?;
    let store = allowed.store(&admin)?;
    let among = match allowed.reach() {
        Reach::All => None,
        Reach::Some { organizations, .. } => Some(organizations),
    };
    let mut wallets = store
        .wallets(among.as_deref(), listing.after()?, limit + 1)
        .await?;
    let more = wallets.len() > limit as usize;
    wallets.truncate(limit as usize);
    let mut items = Vec::with_capacity(wallets.len());
    for wallet in &wallets {
        let name = Owner::name_of(&admin, &store, wallet.organization).await;
        items.push(Shown::of(wallet, &name));
    }
    let last = wallets.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|wallet| cursor(&wallet.organization.to_string())),
        items,
    }))
}
