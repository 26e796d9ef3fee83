//! `DELETE /api/v1/session`

use axum::Extension;
use axum::extract::State;
use axum::response::AppendHeaders;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use lingate_store::Deed;

use crate::Admin;
use crate::access::{Actor, browser, signed_in};
use crate::problem::Problem;

/// Sign out
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "delete_session",
    responses(
        (status = 204, description = "The session is over"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
) -> Result<(StatusCode, AppendHeaders<[(HeaderName, HeaderValue); 1]>), Problem> {
    let cookies = browser::cookies(&admin, &parts);
    let found = match actor.session {
        Some(_) => signed_in(&admin, &parts, &cookies).await?,
        None => None,
    };
    let Some((signed_in, _)) = found else {
        return Err(
            Problem::conflict("no_session", "there is no session to end")
                .hint("a token is revoked by DELETE /api/v1/tokens/{id}"),
        );
    };
    let store = admin.store()?.by(actor.act);
    store
        .end_session(
            signed_in.account.value.id,
            signed_in.session.id,
            Deed::SignOut,
        )
        .await?;
    let gone = browser::set_cookie("", 0, browser::is_https(&admin, &parts));
    Ok((
        StatusCode::NO_CONTENT,
        AppendHeaders([(header::SET_COOKIE, gone)]),
    ))
}
