//! `DELETE /api/v1/code-batches/{batch}` and `DELETE /api/v1/code-batches/{batch}/codes/{place}`

use axum::extract::{Path, State};
use http::StatusCode;
use lingate_metering::Id;

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

fn batch_id(text: &str) -> Result<Id, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("batch of codes"))
}

/// Take back a batch of codes
///
/// What was redeemed stays so; the others are worth nothing.
#[utoipa::path(
    delete,
    path = "/api/v1/code-batches/{batch}",
    tag = "codes",
    operation_id = "revoke_code_batch",
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = 204, description = "It is taken back"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn batch(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(batch): Path<String>,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    store.revoke_codes(batch_id(&batch)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take back one code
#[utoipa::path(
    delete,
    path = "/api/v1/code-batches/{batch}/codes/{place}",
    tag = "codes",
    operation_id = "revoke_code",
    params(
        ("batch" = String, Path, description = "The id of the batch"),
        ("place" = String, Path, description = "Its place in the batch, from 1 on"),
    ),
    responses(
        (status = 204, description = "It is taken back"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn code(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path((batch, place)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let place = place.parse().map_err(|_| Problem::not_found("code"))?;
    let store = allowed.store(&admin)?;
    store.revoke_codes(batch_id(&batch)?, Some(place)).await?;
    Ok(StatusCode::NO_CONTENT)
}
