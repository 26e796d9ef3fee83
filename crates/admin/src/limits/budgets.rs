//! `GET /api/v1/budgets`

use axum::Json;
use axum::extract::{Query, State};
use lingate_metering::limit::Measure;

use super::gathered::{Asked, Limits, gather};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Listing;
use crate::problem::Problem;
use crate::tenants::Known;

/// Limits of money
///
/// With the thresholds that are reached, and what will have been used if it goes on so.
#[utoipa::path(
    get,
    path = "/api/v1/budgets",
    operation_id = "list_budgets",
    tag = "limits",
    params(Listing, Asked),
    responses(
        (status = 200, description = "A page of them: the limits of at most so many things", body = Limits),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn budgets(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(asked): Query<Asked>,
) -> Result<Json<Limits>, Problem> {
    let known = Known::of(&admin, &allowed)?;
    Ok(Json(
        gather(&admin, &known, &listing, &asked, Some(Measure::Cost)).await?,
    ))
}
