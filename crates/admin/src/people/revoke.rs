//! `DELETE /api/v1/invitations/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::place;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// Take an invitation back
#[utoipa::path(
    delete,
    path = "/api/v1/invitations/{id}",
    tag = "invitations",
    operation_id = "delete_invitation",
    params(("id" = String, Path, description = "The id of the invitation")),
    responses(
        (status = 204, description = "Nobody can accept it any more"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn revoke(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("invitation"))?;
    let invitation = admin.store()?.invitation(id).await?;
    place::is_there(&allowed, invitation.place, "invitation")?;
    allowed.store(&admin)?.revoke_invitation(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
