//! `GET /api/v1/accounts/{id}`

use axum::extract::{Path, State};
use http::StatusCode;
use lingate_metering::Id;

use super::shown::ShownAccount;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;

/// An account
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{id}",
    tag = "accounts",
    operation_id = "get_account",
    params(("id" = String, Path, description = "The id of the account, or what it signs in with")),
    responses(
        (status = 200, description = "The account", body = ShownAccount),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Found<ShownAccount>, Problem> {
    allowed.on_platform()?;
    let id = called(&admin, &id).await?;
    let stored = admin.store()?.account(id).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: stored.revision,
        value: ShownAccount::of(&stored),
    })
}

/// By its id, or what it signs in with.
pub(super) async fn called(admin: &Admin, text: &str) -> Result<Id, Problem> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let found = admin.store()?.credentials_of(text).await?;
    found
        .map(|found| found.account.value.id)
        .ok_or_else(|| Problem::not_found("account"))
}
