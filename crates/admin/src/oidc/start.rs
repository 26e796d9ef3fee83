//! `GET /api/v1/oidc/{name}/start`

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::flow;
use super::refusal::{Refusal, redirect};
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
    match begin(&admin, &parts, &name, wanted).await {
        Ok(response) => response,
        Err(refusal) => {
            if refusal.problem.status() == StatusCode::BAD_GATEWAY {
                tracing::warn!(provider = name, why = refusal.why, "nobody can sign in");
            }
            refusal.answer(&parts, &name)
        }
    }
}

async fn begin(
    admin: &Admin,
    parts: &Parts,
    name: &str,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let return_to = flow::return_to(wanted.return_to.as_deref())?;
    let found = admin.store()?.sign_in_provider(name).await?;
    let provider = found
        .map(|found| found.value)
        .filter(|provider| provider.enabled)
        .ok_or_else(|| Problem::not_found("sign-in provider"))?;
    let begun = flow::begin(admin, parts, &provider, return_to, None).await?;
    let mut response = redirect(&begun.url);
    response
        .headers_mut()
        .append(header::SET_COOKIE, begun.cookie);
    Ok(response)
}
