//! `GET /api/v1/sign-in-providers/{name}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::called;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Found;
use crate::problem::Problem;

/// A sign-in provider
#[utoipa::path(
    get,
    path = "/api/v1/sign-in-providers/{name}",
    tag = "sign-in",
    operation_id = "get_sign_in_provider",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The provider, without its secret", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(name): Path<String>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let stored = called(&admin, &name).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: stored.revision,
        value: Shown::of(&stored)?,
    })
}
