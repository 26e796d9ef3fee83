//! `DELETE /api/v1/provider-keys/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;

/// Delete a stored key of a provider
#[utoipa::path(
    delete,
    path = "/api/v1/provider-keys/{id}",
    operation_id = "delete_provider_key",
    tag = "provider keys",
    params(
        ("id" = String, Path, description = "The id of the key"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    allowed: Allowed,
    IfMatch(expected): IfMatch,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let id = id.parse().map_err(|_| Problem::not_found("provider key"))?;
    let store = allowed.store(&admin)?;
    store.delete_provider_key(id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
