//! `POST /api/v1/tokens`

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use lingate_store::{ActorKind, NewToken, Token, new_id};
use serde::Deserialize;
use utoipa::ToSchema;

use super::own_account;
use super::shown::Shown;
use crate::Admin;
use crate::access::{Actor, Permission, Scope};
use crate::frame::{Body, moment};
use crate::identity::secret;
use crate::problem::Problem;
use crate::wallets::Owner;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
pub(super) struct New {
    #[schema(example = "deploy script")]
    name: String,
    /// Permissions that it has at most; not there: all that you have.
    #[schema(example = json!(["api_keys.write", "usage.read"]))]
    scopes: Option<Vec<String>>,
    /// Good there alone: its id or name.
    organization: Option<String>,
    #[schema(example = "2027-06-30T00:00:00Z")]
    expires_at: Option<String>,
    /// Whose it is to be, by what they sign in with. On the command line of this machine alone.
    account: Option<String>,
}

/// Make a token
///
/// It is told once. It may never more than you, now and later. Tokens make no tokens: sign in.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    operation_id = "create_token",
    request_body = New,
    responses(
        (status = 201, description = "The token", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let store = admin.store()?.by(actor.act.clone());
    let account = match (&new.account, actor.act.kind) {
        (Some(login), ActorKind::Local) => store
            .credentials_of(login)
            .await?
            .map(|found| found.account.value.id)
            .ok_or_else(|| Problem::invalid("/account", "there is no such account"))?,
        (Some(_), _) => {
            return Err(Problem::invalid(
                "/account",
                "tokens are made by whose they are",
            ));
        }
        (None, _) => own_account(&actor)?,
    };
    if actor.act.kind == ActorKind::Token {
        return Err(Problem::forbidden("a token makes no tokens").hint("sign in to make one"));
    }
    let mut scopes = new.scopes;
    if let Some(scopes) = &mut scopes {
        scopes.sort_unstable();
        scopes.dedup();
        for (place, scope) in scopes.iter().enumerate() {
            let known = Permission::from_name(scope).ok_or_else(|| {
                Problem::invalid(
                    format!("/scopes/{place}"),
                    format!("there is no permission `{scope}`"),
                )
                .hint("GET /api/v1/session lists what you may")
            })?;
            if actor.grants_of(known).next().is_none() {
                return Err(Problem::invalid(
                    format!("/scopes/{place}"),
                    format!("you have no permission `{scope}` yourself"),
                ));
            }
        }
    }
    let organization = match &new.organization {
        None => None,
        Some(said) => {
            let found = Owner::called(&admin, &store, said).await?;
            let is_seen = |id| {
                actor.grants.iter().any(|grant| match grant.scope {
                    Scope::Platform => true,
                    Scope::Organization(its)
                    | Scope::Project {
                        organization: its, ..
                    } => its == id,
                })
            };
            let found = found.filter(|owner| is_seen(owner.id));
            let found = found.ok_or_else(|| {
                Problem::invalid("/organization", "there is no such organization")
            })?;
            Some(found.id)
        }
    };
    let now = admin.now();
    let expires = new
        .expires_at
        .as_deref()
        .map(|text| moment("/expires_at", text));
    let expires_at = expires.transpose()?;
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Problem::invalid("/expires_at", "expected a moment to come"));
    }
    let minted = secret::mint(secret::TOKEN)?;
    let wanted = NewToken {
        sha256: secret::kept(&minted),
        token: Token {
            id: new_id(),
            account,
            name: new.name,
            hint: secret::hint(&minted),
            scopes,
            organization,
            expires_at,
            used_at: None,
            created_at: now,
        },
    };
    let made = store.create_token(&wanted).await?;
    let mut shown = Shown::of(&made);
    shown.token = Some(minted);
    Ok((StatusCode::CREATED, Json(shown)))
}
