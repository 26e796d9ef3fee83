//! `GET /api/v1/oidc/{name}/start`

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::header;
use http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use super::flow;
use super::refusal::redirect;
use crate::Admin;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The path at which the browser ends once it is signed in.
    #[param(example = "/keys")]
    return_to: Option<String>,
}

/// Sign in by another service: for browsers
///
/// Sends the browser to the issuer. It comes back to `…/callback`, and ends at `return_to` with a session.
#[utoipa::path(
    get,
    path = "/api/v1/oidc/{name}/start",
    tag = "sign-in",
    operation_id = "start_sign_in",
    params(("name" = String, Path, description = "The name of the provider"), Wanted),
    responses(
        (status = 303, description = "To the issuer; a page that asks and cannot be served is sent to the page for signing in, with `error`"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn start(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    parts: Parts,
) -> Response {
    let return_to = flow::return_to(wanted.return_to.as_deref(), "return_to");
    let begun = match return_to {
        Ok(return_to) => flow::begin(&admin, &parts, &name, return_to, None).await,
        Err(problem) => Err(problem.into()),
    };
    match begun {
        Ok(begun) => {
            let mut response = redirect(&begun.url);
            let headers = response.headers_mut();
            headers.append(header::SET_COOKIE, begun.cookie);
            response
        }
        Err(refusal) => refusal.answer(&parts, &name),
    }
}
