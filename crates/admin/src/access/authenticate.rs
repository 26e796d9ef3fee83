//! Finds out who asks, and whether they may use the endpoint at all.
//!
//! In this order: the command line in its own process; a session's cookie; a personal access token; a key of the gateway that is for
//! management or for reading; and, where the gateway is open, whoever sits at this machine.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use lingate_store::{Act, ActorKind};

use super::table::{self, Need};
use super::{Actor, Allowed, Grant, Role, Scope};
use crate::Admin;
use crate::beside::From;
use crate::problem::Problem;

/// Marks a request of the command line in its own process: whoever may read the data folder may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// Who it is, as the system knows them.
    pub(crate) user: String,
}

/// Lets a request through to its endpoint, with [`Allowed`] or [`Actor`] in it, or refuses it.
pub(crate) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let request_id = parts
        .extensions
        .get::<From>()
        .map(|from| from.request_id.clone());
    match admit(&admin, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(mut problem) => {
            problem.request_id = request_id;
            problem.into_response()
        }
    }
}

async fn admit(admin: &Admin, parts: &mut Parts) -> Result<(), Problem> {
    let path = parts
        .extensions
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned())
        .unwrap_or_default();
    let need = table::need(&parts.method, &path).ok_or_else(|| {
        Problem::forbidden("nothing says who may use this endpoint, so nobody may")
    })?;
    match need {
        Need::Nothing | Need::OwnProof => {}
        Need::SomeAccount => {
            let actor = identify(admin, parts).await?;
            parts.extensions.insert(actor);
        }
        Need::Permission(permission) => {
            let actor = identify(admin, parts).await?;
            if actor.grants_of(permission).next().is_none() {
                return Err(Problem::forbidden(format!(
                    "this takes the permission `{}`, which none of your roles has",
                    permission.name()
                )));
            }
            parts.extensions.insert(Allowed {
                actor,
                permission,
                own: None,
            });
        }
        Need::Own(permission, own) => {
            let actor = identify(admin, parts).await?;
            let mut held = actor.grants_of(permission).chain(actor.grants_of(own));
            if held.next().is_none() {
                return Err(Problem::forbidden(format!(
                    "this takes the permission `{}`, or `{}` for what is your own, and none of your roles has either",
                    permission.name(),
                    own.name()
                )));
            }
            drop(held);
            parts.extensions.insert(Allowed {
                actor,
                permission,
                own: Some(own),
            });
        }
    }
    Ok(())
}

#[expect(
    clippy::unused_async,
    reason = "sessions and tokens are looked up in the store"
)]
async fn identify(_admin: &Admin, parts: &Parts) -> Result<Actor, Problem> {
    let from = parts.extensions.get::<From>();
    if let Some(local) = parts.extensions.get::<Local>() {
        return Ok(Actor {
            act: Act {
                kind: ActorKind::Local,
                id: String::new(),
                name: local.user.clone(),
                address: None,
                request_id: from.map(|from| from.request_id.clone()),
            },
            account: None,
            session: None,
            grants: vec![Grant {
                scope: Scope::Platform,
                role: Role::Operator,
            }],
            scopes: None,
            users: Vec::new(),
        });
    }
    Err(Problem::unauthenticated("nobody is signed in")
        .hint("sign in, or send a personal access token as `Authorization: Bearer …`"))
}
