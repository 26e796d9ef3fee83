//! `PUT /api/v1/me/password`

use axum::Extension;
use axum::extract::State;
use http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::Actor;
use crate::frame::Body;
use crate::identity::{attempts, go_on, policy};
use crate::problem::Problem;
use crate::session::answer::{Answer, signed_in};
use crate::session::shown::Shown;
use crate::tokens::own_account;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
pub(super) struct New {
    #[schema(value_type = String, format = Password)]
    old_password: SecretString,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password)]
    new_password: SecretString,
}

/// Choose another password
///
/// Takes the old one. All your other sessions end, and this one goes on under another cookie.
#[utoipa::path(
    put,
    path = "/api/v1/me/password",
    tag = "me",
    operation_id = "change_password",
    request_body = New,
    responses(
        (status = 200, description = "It holds from now on; the session has a new cookie and a new `csrf_token`", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
    Body(new): Body<New>,
) -> Result<Answer, Problem> {
    let id = own_account(&actor)?;
    if actor.session.is_none() {
        return Err(Problem::forbidden("a token changes no passwords").hint("sign in"));
    }
    let store = admin.store()?.by(actor.act.clone());
    let found = store.credentials(id).await?;
    let account = found.account.value.clone();
    let login = account.known_as().to_owned();
    // Whoever finds a browser that is signed in must not guess either.
    let locks = attempts::count(&store, &login, Some(&found), None, admin.now()).await?;
    let matches = admin
        .hasher
        .matches(new.old_password.clone(), found.password.clone())
        .await?;
    if !matches {
        attempts::failed(&store, &login, Some(&found), "wrong password", locks).await?;
        return Err(Problem::invalid(
            "/old_password",
            "this is not your password",
        ));
    }
    store.attempt_succeeded(id, None).await?;
    let names = [
        account.email.as_deref(),
        account.login.as_deref(),
        Some(account.name.as_str()),
    ];
    policy::check(
        "/new_password",
        new.new_password.expose_secret(),
        names.into_iter().flatten(),
    )?;
    if new.new_password.expose_secret() == new.old_password.expose_secret() {
        return Err(Problem::invalid("/new_password", "this is the old one"));
    }
    let hash = admin.hasher.hash(new.new_password).await?;
    let opened = go_on(&admin, id, &login, &parts).await?;
    store
        .set_password(id, &hash, None, Some(&opened.sha256))
        .await?;
    signed_in(&admin, id, opened).await
}
