//! `DELETE /api/v1/memberships/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::place;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;

/// Take a role away
///
/// The last owner of an organization and the last operator stay what they are.
#[utoipa::path(
    delete,
    path = "/api/v1/memberships/{id}",
    tag = "memberships",
    operation_id = "delete_membership",
    params(
        ("id" = String, Path, description = "The id of the membership"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    responses(
        (status = 204, description = "It does not hold any more"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    let member = place::member(&admin, &allowed, &id).await?;
    let held = &member.membership.value;
    place::may_give(&allowed, held.place, place::role(held.place, &held.role)?)?;
    // The role that was looked at is the one that is taken: nobody has given another one meanwhile.
    let expected = expected.or(Some(member.membership.revision));
    let store = allowed.store(&admin)?;
    store.delete_membership(held.id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
