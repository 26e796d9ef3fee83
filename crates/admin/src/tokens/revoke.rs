//! `DELETE /api/v1/tokens/{id}`

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;

use super::own_account;
use crate::Admin;
use crate::access::Actor;
use crate::problem::Problem;

/// Revoke a token of yours
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    operation_id = "delete_token",
    params(("id" = String, Path, description = "The id of the token")),
    responses(
        (status = 204, description = "It is refused from now on"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn revoke(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let account = own_account(&actor)?;
    let id = id.parse().map_err(|_| Problem::not_found("token"))?;
    let store = admin.store()?.by(actor.act);
    store.revoke_token(account, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
