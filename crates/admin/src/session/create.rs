//! `POST /api/v1/session`

use axum::extract::State;
use http::request::Parts;
use lingate_store::{Act, ActorKind, Proved};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::shown::Shown;
use crate::Admin;
use crate::access::browser;
use crate::beside::From;
use crate::frame::Body;
use crate::identity::{attempts, sign_in_as};
use crate::problem::Problem;
use crate::session::answer;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn)]
pub(super) struct SignIn {
    /// An e-mail address, or the login of an account that has none.
    #[schema(example = "operator")]
    login: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Sign in
///
/// The session is in a cookie that scripts cannot read. After five failures one has to wait, each time twice as long.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    request_body = SignIn,
    responses(
        (status = 200, description = "Who has signed in; with `state: mfa_required`, a code is still to come", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    parts: Parts,
    Body(SignIn { login, password }): Body<SignIn>,
) -> Result<answer::Answer, Problem> {
    browser::own_pages_alone(&admin, &parts)?;
    let from = parts.extensions.get::<From>();
    let address = from.map(|from| from.address);
    let nobody = Act {
        kind: ActorKind::Nobody,
        id: String::new(),
        name: String::new(),
        address: address.map(|address| address.to_string()),
        request_id: from.map(|from| from.request_id.clone()),
    };
    let store = admin.store()?.by(nobody);
    if password.expose_secret().len() > 1024 || login.len() > 1024 {
        return Err(Problem::invalid("/password", "expected at most 1024 bytes"));
    }
    let found = store.credentials_of(&login).await?;
    let subject = address.map(attempts::subject);
    let locks = attempts::count(
        &store,
        &login,
        found.as_ref(),
        subject.as_deref(),
        admin.now(),
    )
    .await?;
    let hash = found.as_ref().and_then(|found| found.password.clone());
    let matches = admin.hasher.matches(password, hash).await?;
    let good = found
        .as_ref()
        .filter(|found| matches && !found.account.value.blocked);
    let Some(good) = good else {
        let what = match &found {
            Some(found) if found.account.value.blocked => "the account is blocked",
            _ => "wrong password",
        };
        attempts::failed(&store, &login, found.as_ref(), what, locks).await?;
        return Err(wrong());
    };
    let account = &good.account.value;
    let subject = subject.as_deref();
    if account
        .password_expires_at
        .is_some_and(|at| at <= admin.now())
    {
        store.attempt_halfway(account.id, subject).await?;
        let what = "the temporary password is over";
        attempts::failed(&store, &login, found.as_ref(), what, 0).await?;
        return Err(over());
    }
    let (proved, by) = if good.totp_secret.is_some() {
        store.attempt_halfway(account.id, subject).await?;
        (Proved::Password, None)
    } else {
        store.attempt_succeeded(account.id, subject).await?;
        (Proved::Full, Some("by password"))
    };
    let opened = sign_in_as(&admin, account.id, account.known_as(), &parts, proved, by).await?;
    if proved == Proved::Password {
        return Ok(answer::with_cookie(
            opened.cookie,
            Shown::halfway(opened.csrf_token),
        ));
    }
    answer::signed_in(&admin, account.id, opened).await
}

/// Told to whoever knows the password.
fn over() -> Problem {
    Problem::new(
        http::StatusCode::UNAUTHORIZED,
        "password_expired",
        "the temporary password is over",
    )
    .hint("ask whoever has given it to you for another one")
}

/// The same whatever is wrong.
pub(super) fn wrong() -> Problem {
    Problem::new(
        http::StatusCode::UNAUTHORIZED,
        "wrong_credentials",
        "the login or the password is wrong",
    )
}
