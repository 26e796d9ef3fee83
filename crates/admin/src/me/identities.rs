//! `/api/v1/me/identities`: who one is at other services, by whose word one signs in.

use axum::extract::{Path, State};
use axum::response::AppendHeaders;
use axum::{Extension, Json};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::totp::by_session;
use crate::Admin;
use crate::access::Actor;
use crate::frame::{Body, Page};
use crate::oidc::{self, ShownIdentity};
use crate::problem::Problem;
use crate::tokens::own_account;

/// Who you are at other services
///
/// Whoever signs in as one of these there is you here.
#[utoipa::path(
    get,
    path = "/api/v1/me/identities",
    tag = "me",
    operation_id = "list_identities",
    responses(
        (status = 200, description = "All of them", body = Page<ShownIdentity>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Page<ShownIdentity>>, Problem> {
    let id = own_account(&actor)?;
    Ok(Json(oidc::identities(&admin.store()?, id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewIdentity)]
pub(super) struct New {
    /// The name of a sign-in provider.
    #[schema(example = "example")]
    provider: String,
    /// The path at which the browser ends.
    #[schema(example = "/settings")]
    return_to: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityBegun)]
pub(super) struct Begun {
    /// Where the browser goes now, with the cookie that came along.
    url: String,
}

type Answer = (AppendHeaders<[(HeaderName, HeaderValue); 1]>, Json<Begun>);

/// Be somebody at another service, too
///
/// For a page of the gateway: it sends its browser to `url`. Whoever signs in there is you here, from then on.
#[utoipa::path(
    post,
    path = "/api/v1/me/identities",
    tag = "me",
    operation_id = "add_identity",
    request_body = New,
    responses(
        (status = 200, description = "Where the browser goes", body = Begun),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
    Body(New {
        provider,
        return_to,
    }): Body<New>,
) -> Result<Answer, Problem> {
    let id = by_session(&actor)?;
    let return_to = oidc::return_to(return_to.as_deref(), "/return_to")?;
    let begun = oidc::begin_for(&admin, &parts, &provider, return_to, id).await?;
    Ok((
        AppendHeaders([(header::SET_COOKIE, begun.cookie)]),
        Json(Begun { url: begun.url }),
    ))
}

/// No longer be somebody at another service
///
/// Roles that you hold by its word are taken away. An account without a password keeps the last one.
#[utoipa::path(
    delete,
    path = "/api/v1/me/identities/{id}",
    tag = "me",
    operation_id = "delete_identity",
    params(("id" = String, Path, description = "The id of the identity")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let account = by_session(&actor)?;
    let store = admin.store()?.by(actor.act.clone());
    oidc::unlink(&store, account, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
