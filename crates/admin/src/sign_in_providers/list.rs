//! `GET /api/v1/sign-in-providers`

use axum::Json;
use axum::extract::State;

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Page;
use crate::problem::Problem;

/// The services that say who somebody is
#[utoipa::path(
    get,
    path = "/api/v1/sign-in-providers",
    tag = "sign-in",
    operation_id = "list_sign_in_providers",
    responses(
        (status = 200, description = "All of them, by name", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
) -> Result<Json<Page<Shown>>, Problem> {
    allowed.on_platform()?;
    let all = admin.store()?.sign_in_providers().await?;
    Ok(Json(Page {
        items: all.iter().map(Shown::of).collect::<Result<_, _>>()?,
        next: None,
    }))
}
