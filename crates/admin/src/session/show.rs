//! `GET /api/v1/session`

use axum::extract::State;
use axum::{Extension, Json};
use http::request::Parts;

use super::shown::Shown;
use crate::Admin;
use crate::access::{Actor, browser, signed_in};
use crate::frame::moment_text;
use crate::identity::csrf_token;
use crate::problem::Problem;

/// Who you are, and what you may
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "get_session",
    responses(
        (status = 200, description = "Who asks", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
) -> Result<Json<Shown>, Problem> {
    let account = match actor.account {
        Some(id) => Some(admin.store()?.account(id).await?.value),
        None => None,
    };
    let mut shown = Shown::of(&actor, account.as_ref());
    if actor.session.is_some() {
        let cookies = browser::cookies(&admin, &parts);
        if let Some((signed_in, cookie)) = signed_in(&admin, &parts, &cookies).await? {
            shown.csrf_token = Some(csrf_token(&cookie));
            shown.expires_at = Some(moment_text(signed_in.session.expires_at));
        }
    }
    Ok(Json(shown))
}
