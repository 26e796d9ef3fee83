//! `/api/v1/me/identities`: who one is at other services, by whose word one signs in.

use axum::extract::{Path, State};
use axum::response::AppendHeaders;
use axum::{Extension, Json};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use lingate_store::Identity;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::totp::by_session;
use crate::Admin;
use crate::access::Actor;
use crate::frame::{Body, Page, moment_text};
use crate::oidc;
use crate::problem::Problem;
use crate::tokens::own_account;

/// Who you are at another service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
pub(super) struct Shown {
    id: String,
    /// The sign-in provider; not there: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "example")]
    provider: Option<String>,
    #[schema(example = "https://id.example.com")]
    issuer: String,
    /// As the issuer knows you.
    subject: String,
    created_at: String,
}

/// Who you are at other services
///
/// Whoever signs in as one of these there is you here.
#[utoipa::path(
    get,
    path = "/api/v1/me/identities",
    tag = "me",
    operation_id = "list_identities",
    responses(
        (status = 200, description = "All of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Page<Shown>>, Problem> {
    let id = own_account(&actor)?;
    let store = admin.store()?;
    let providers = store.sign_in_providers().await?;
    let shown = |identity: Identity| Shown {
        id: identity.id.to_string(),
        provider: providers
            .iter()
            .find(|provider| provider.value.issuer == identity.issuer)
            .map(|provider| provider.value.name.clone()),
        issuer: identity.issuer,
        subject: identity.subject,
        created_at: moment_text(identity.created_at),
    };
    let items = store.identities(id).await?.into_iter().map(shown).collect();
    Ok(Json(Page { items, next: None }))
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
    let missing = || Problem::not_found("identity");
    let id = id.parse().map_err(|_| missing())?;
    let store = admin.store()?.by(actor.act.clone());
    let all = store.identities(account).await?;
    let one = all.iter().find(|one| one.id == id).ok_or_else(missing)?;
    store.unlink_subject(account, id).await?;
    store.replace_memberships(account, &one.issuer, &[]).await?;
    Ok(StatusCode::NO_CONTENT)
}
