//! `/api/v1/me/sessions`

use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::StatusCode;
use http::request::Parts;
use lingate_metering::Id;
use lingate_store::{Deed, Session};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::{Actor, browser, signed_in};
use crate::frame::{Page, moment_text};
use crate::identity::IDLE;
use crate::problem::Problem;
use crate::tokens::own_account;

/// Where you are signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnSession)]
pub(super) struct Shown {
    id: String,
    /// It is the one that asks.
    is_this: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    created_at: String,
    /// Some time within the last minute of use.
    seen_at: String,
    expires_at: String,
}

impl Shown {
    fn of(session: &Session, this: Option<Id>) -> Self {
        Self {
            id: session.id.to_string(),
            is_this: this == Some(session.id),
            address: session.address.clone(),
            user_agent: session.user_agent.clone(),
            created_at: moment_text(session.created_at),
            seen_at: moment_text(session.seen_at),
            expires_at: moment_text(session.expires_at),
        }
    }
}

/// The session that asks.
async fn this(admin: &Admin, parts: &Parts) -> Result<Option<Id>, Problem> {
    let cookies = browser::cookies(admin, parts);
    let found = signed_in(admin, parts, &cookies).await?;
    Ok(found.map(|(signed_in, _)| signed_in.session.id))
}

/// Where you are signed in
#[utoipa::path(
    get,
    path = "/api/v1/me/sessions",
    tag = "me",
    operation_id = "list_sessions",
    responses(
        (status = 200, description = "All of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
) -> Result<Json<Page<Shown>>, Problem> {
    let account = own_account(&actor)?;
    let this = this(&admin, &parts).await?;
    let sessions = admin.store()?.sessions(account, admin.now(), IDLE).await?;
    Ok(Json(Page {
        items: sessions.iter().map(|it| Shown::of(it, this)).collect(),
        next: None,
    }))
}

/// End one of your sessions
#[utoipa::path(
    delete,
    path = "/api/v1/me/sessions/{id}",
    tag = "me",
    operation_id = "end_session",
    params(("id" = String, Path, description = "The id of the session")),
    responses(
        (status = 204, description = "It is over"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let account = own_account(&actor)?;
    let id = id.parse().map_err(|_| Problem::not_found("session"))?;
    let store = admin.store()?.by(actor.act);
    store.end_session(account, id, Deed::Revoke).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all your sessions but the one that asks
#[utoipa::path(
    delete,
    path = "/api/v1/me/sessions",
    tag = "me",
    operation_id = "end_other_sessions",
    responses(
        (status = 204, description = "They are over"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end_others(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
) -> Result<StatusCode, Problem> {
    let account = own_account(&actor)?;
    let this = this(&admin, &parts).await?;
    let store = admin.store()?.by(actor.act);
    store.end_other_sessions(account, this).await?;
    Ok(StatusCode::NO_CONTENT)
}
