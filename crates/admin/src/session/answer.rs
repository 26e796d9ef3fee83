//! The answer to whoever has just signed in: who they are, and the session's cookie.

use axum::Json;
use axum::response::AppendHeaders;
use http::{HeaderName, HeaderValue, header};
use lingate_metering::Id;
use lingate_store::{Act, ActorKind};

use super::shown::Shown;
use crate::Admin;
use crate::access::{Actor, grants};
use crate::frame::moment_text;
use crate::identity::Opened;
use crate::problem::Problem;

/// An answer with the cookie of the session that has begun.
pub(crate) type WithCookie<T> = (AppendHeaders<[(HeaderName, HeaderValue); 2]>, Json<T>);

pub(crate) type Answer = WithCookie<Shown>;

pub(crate) fn with_cookie<T>(cookie: HeaderValue, shown: T) -> WithCookie<T> {
    (
        AppendHeaders([
            (header::SET_COOKIE, cookie),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ]),
        Json(shown),
    )
}

/// `account`: who has signed in.
pub(crate) async fn signed_in(
    admin: &Admin,
    account: Id,
    opened: Opened,
) -> Result<Answer, Problem> {
    let store = admin.store()?;
    let account = store.account(account).await?.value;
    let memberships = store.memberships_of(account.id).await?;
    let actor = Actor {
        act: Act {
            kind: ActorKind::Account,
            id: account.id.to_string(),
            name: account.known_as().to_owned(),
            address: None,
            request_id: None,
        },
        account: Some(account.id),
        session: None,
        grants: grants(&memberships),
        scopes: None,
        users: Vec::new(),
    };
    let shown = Shown {
        csrf_token: Some(opened.csrf_token),
        expires_at: Some(moment_text(opened.expires_at)),
        ..Shown::of(&actor, Some(&account))
    };
    Ok(with_cookie(opened.cookie, shown))
}
