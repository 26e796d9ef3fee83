//! `GET /api/v1/limits`

use axum::Json;
use axum::extract::{Query, State};

use super::gathered::{Asked, Limits, gather};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Listing;
use crate::problem::Problem;
use crate::tenants::Known;

/// All limits in force
///
/// Those of organizations first, then of projects, users and keys, each with how much of it is used.
#[utoipa::path(
    get,
    path = "/api/v1/limits",
    operation_id = "list_limits",
    tag = "limits",
    params(Listing, Asked),
    responses(
        (status = 200, description = "A page of them: the limits of at most so many things", body = Limits),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(asked): Query<Asked>,
) -> Result<Json<Limits>, Problem> {
    let known = Known::of(&admin, &allowed)?;
    Ok(Json(gather(&admin, &known, &listing, &asked, None).await?))
}
