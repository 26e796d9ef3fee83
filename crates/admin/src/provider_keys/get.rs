//! `GET /api/v1/provider-keys/{id}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;

/// A stored key of a provider
#[utoipa::path(
    get,
    path = "/api/v1/provider-keys/{id}",
    operation_id = "get_provider_key",
    tag = "provider keys",
    params(("id" = String, Path, description = "The id of the key")),
    responses(
        (status = 200, description = "The key, without the key", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let id = id.parse().map_err(|_| Problem::not_found("provider key"))?;
    let key = allowed.store(&admin)?.provider_key(id).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: key.revision,
        value: Shown::of(key),
    })
}
