//! `GET /api/v1/tokens`

use axum::extract::State;
use axum::{Extension, Json};

use super::own_account;
use super::shown::Shown;
use crate::Admin;
use crate::access::Actor;
use crate::frame::Page;
use crate::problem::Problem;

/// Your tokens
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    operation_id = "list_tokens",
    responses(
        (status = 200, description = "All of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Page<Shown>>, Problem> {
    let tokens = admin.store()?.tokens(own_account(&actor)?).await?;
    Ok(Json(Page {
        items: tokens.iter().map(Shown::of).collect(),
        next: None,
    }))
}
