//! `GET /api/v1/requests/{id}`

use axum::Json;
use axum::extract::{Path, State};
use lingate_metering::Id;

use super::shown::{Shown, names};
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;
use crate::tenants::Known;

/// One request
#[utoipa::path(
    get,
    path = "/api/v1/requests/{id}",
    operation_id = "get_request",
    tag = "requests",
    params(("id" = String, Path, description = "As `x-request-id` of the answer tells it")),
    responses(
        (status = 200, description = "All that is known of it", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let nothing = || Problem::not_found("request");
    let bare = id.strip_prefix("req_").unwrap_or(&id).replace('-', "");
    let is_hex = bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(&bare, 16).ok().filter(|_| is_hex);
    let id = number.map(Id::from_u128).ok_or_else(nothing)?;
    let known = Known::of(&admin, &allowed)?;
    let record = known.store.record(id).await?.ok_or_else(nothing)?;
    allowed.of_user(record.organization, record.project, record.user, "request")?;
    let names = names(&known, std::slice::from_ref(&record)).await?;
    Ok(Json(Shown::of(&record, &names, &allowed)))
}
