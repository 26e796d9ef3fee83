//! `POST /api/v1/invitations/accept`

use axum::extract::State;
use http::request::Parts;
use lingate_store::{
    Acceptance, Act, ActorKind, Invitation, NewAccount, Proved, Standing, StoreError, new_id,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::place;
use crate::Admin;
use crate::access::{browser, identify};
use crate::beside::From;
use crate::frame::Body;
use crate::identity::{policy, secret, sign_in_as};
use crate::problem::Problem;
use crate::session::answer;
use crate::session::shown::Shown;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcceptInvitation)]
pub(super) struct Accept {
    /// As whoever invites has sent it.
    #[schema(example = "lgi_…")]
    secret: String,
    /// How you are to be called; not there: you are signed in, and take the role up with the account that you have.
    name: Option<String>,
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// Accept an invitation
///
/// With a name and a password: an account is made with the e-mail address that was invited, and signed in. Without: whoever is signed in
/// gets the role. It is no longer good once whoever has invited could not give the role any more.
#[utoipa::path(
    post,
    path = "/api/v1/invitations/accept",
    tag = "invitations",
    operation_id = "accept_invitation",
    request_body = Accept,
    responses(
        (status = 200, description = "You are signed in", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn accept(
    State(admin): State<Admin>,
    parts: Parts,
    Body(asked): Body<Accept>,
) -> Result<answer::Answer, Problem> {
    browser::own_pages_alone(&admin, &parts)?;
    let store = admin.store()?;
    let (sha256, now) = (secret::kept(&asked.secret), admin.now());
    let spent = || {
        Problem::new(
            http::StatusCode::GONE,
            "spent",
            "the invitation is no longer good",
        )
        .hint("ask whoever has invited you for another one")
    };
    let found = store.invitation_showing(&sha256).await?;
    let invitation = found
        .filter(|it| it.accepted_at.is_none() && it.expires_at > now)
        .ok_or_else(spent)?;
    let may_still = |invitation: &Invitation, standing: &Standing| {
        place::may_still_invite(&admin, invitation, standing)
    };
    let from = parts.extensions.get::<From>();
    let act = |name: &str| Act {
        kind: ActorKind::Account,
        id: String::new(),
        name: name.to_owned(),
        address: from.map(|from| from.address.to_string()),
        request_id: from.map(|from| from.request_id.clone()),
    };
    let accepted = match (asked.name, asked.password) {
        (Some(name), Some(password)) => {
            let names = [invitation.email.as_str(), name.as_str()];
            policy::check("/password", password.expose_secret(), names)?;
            let hash = admin.hasher.hash(password).await?;
            let new = NewAccount {
                id: new_id(),
                login: None,
                email: None,
                name,
                password: Some(hash),
                temporary_until: None,
            };
            let store = store.by(act(&invitation.email));
            store
                .accept_invitation(&sha256, Acceptance::New(new), now, may_still)
                .await
        }
        (None, None) => {
            let actor = identify(&admin, &parts).await?;
            let account = actor.account.filter(|_| actor.session.is_some());
            let account = account.ok_or_else(|| {
                Problem::invalid(
                    "/name",
                    "expected a name and a password, or somebody who is signed in",
                )
            })?;
            let store = store.by(actor.act);
            store
                .accept_invitation(&sha256, Acceptance::Account(account), now, may_still)
                .await
        }
        (Some(_), None) => return Err(Problem::invalid("/password", "expected a password")),
        (None, Some(_)) => return Err(Problem::invalid("/name", "expected a name")),
    };
    let account = match accepted {
        Ok(account) => account.value,
        Err(StoreError::Spent { .. }) => return Err(spent()),
        Err(error) => return Err(error.into()),
    };
    let opened = sign_in_as(
        &admin,
        account.id,
        account.known_as(),
        &parts,
        Proved::Full,
        Some("by an invitation"),
    )
    .await?;
    answer::signed_in(&admin, account.id, opened).await
}
