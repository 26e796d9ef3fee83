//! `POST /api/v1/invitations`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lingate_store::{ActorKind, Invitation, Inviter, NewInvitation, new_id};
use serde::Deserialize;
use utoipa::ToSchema;

use super::place::{self, WantedScope};
use super::shown::ShownInvitation;
use crate::Admin;
use crate::access::{Actor, Allowed};
use crate::frame::{Body, moment};
use crate::identity::secret;
use crate::problem::Problem;

/// How long an invitation is good where nobody says it, and at most.
const USUAL: i64 = 7 * 24 * 60 * 60 * 1000;
const LONGEST: i64 = 90 * 24 * 60 * 60 * 1000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvitation)]
pub(super) struct New {
    #[schema(example = "ada@example.com")]
    email: String,
    scope: WantedScope,
    /// Its id or name.
    #[schema(example = "acme")]
    organization: Option<String>,
    /// Its id, or `organization/project`.
    project: Option<String>,
    #[schema(example = "member")]
    role: String,
    /// In a week, if nothing is said; at most in 90 days.
    expires_at: Option<String>,
}

/// Invite somebody
///
/// The answer has the secret, once: it is yours to send. Whoever has it makes an account with this e-mail address, or takes the role up with
/// the account that they have.
#[utoipa::path(
    post,
    path = "/api/v1/invitations",
    tag = "invitations",
    operation_id = "create_invitation",
    request_body = New,
    responses(
        (status = 201, description = "The invitation, and its secret", body = ShownInvitation),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<ShownInvitation>), Problem> {
    let (organization, project) = (new.organization.as_deref(), new.project.as_deref());
    let place = place::read(&admin, &allowed, new.scope, organization, project).await?;
    let role = place::role(place, &new.role)?;
    place::may_give(&allowed, place, role)?;
    let now = admin.now();
    let expires = new
        .expires_at
        .as_deref()
        .map(|text| moment("/expires_at", text));
    let expires_at = expires.transpose()?.unwrap_or(now + USUAL);
    if expires_at <= now || expires_at > now + LONGEST {
        return Err(Problem::invalid(
            "/expires_at",
            "expected a moment within the next 90 days",
        ));
    }
    let minted = secret::mint(secret::INVITATION)?;
    let wanted = NewInvitation {
        sha256: secret::kept(&minted),
        invitation: Invitation {
            id: new_id(),
            email: new.email,
            place,
            role: role.name().to_owned(),
            invited_by: allowed.actor.act.name.clone(),
            inviter: Some(inviter(&allowed.actor)?),
            expires_at,
            accepted_at: None,
            account: None,
            created_at: now,
        },
    };
    let made = allowed.store(&admin)?.create_invitation(&wanted).await?;
    let mut shown = ShownInvitation::of(&made);
    shown.secret = Some(minted);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// By whose right the role is given. A token's is its owner's.
fn inviter(actor: &Actor) -> Result<Inviter, Problem> {
    if let Some(account) = actor.account {
        return Ok(Inviter::Account(account));
    }
    match (actor.act.kind, actor.act.id.parse()) {
        (ActorKind::ApiKey, Ok(key)) => Ok(Inviter::ApiKey(key)),
        (ActorKind::Local, _) => Ok(Inviter::Local),
        _ => Err(Problem::forbidden("nobody in particular invites nobody")),
    }
}
