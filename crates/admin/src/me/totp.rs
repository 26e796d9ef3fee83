//! `/api/v1/me/totp`: a second factor, from its proposal to its end.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use http::request::Parts;
use lingate_seal::Purpose;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::codes::{base32, step_of};
use crate::Admin;
use crate::access::Actor;
use crate::frame::{Body, moment_text};
use crate::identity::{attempts, go_on, secret};
use crate::problem::Problem;
use crate::session::answer::{Answer, WithCookie, signed_in, with_cookie};
use crate::session::shown::Shown;
use crate::tokens::own_account;

/// So many codes for the day on which the device is lost.
const RECOVERY: usize = 10;

/// What an authenticator is told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotpProposal)]
pub(super) struct Proposal {
    /// In base 32; told this once.
    secret: String,
    /// The same for a QR code.
    #[schema(example = "otpauth://totp/Lingate:ada@example.com?secret=…&issuer=Lingate")]
    url: String,
}

/// Propose a second factor
///
/// It holds once a code of it was sent to `/api/v1/me/totp/confirm`. Whoever has one already does without it first, which takes the
/// password: a browser that is left signed in is not enough to exchange it.
#[utoipa::path(
    post,
    path = "/api/v1/me/totp",
    tag = "me",
    operation_id = "enroll_totp",
    responses(
        (status = 200, description = "The secret, for an authenticator", body = Proposal),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn enroll(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Proposal>, Problem> {
    let id = by_session(&actor)?;
    let store = admin.store()?;
    let account = store.account(id).await?.value;
    if account.has_totp {
        return Err(
            Problem::conflict("has_totp", "there is a second factor already")
                .hint("DELETE /api/v1/me/totp takes it away, with the password"),
        );
    }
    let bytes = secret::random::<20>()?;
    let sealed = admin.seal().seal(Purpose::Totp, &id.to_string(), &bytes);
    let sealed = sealed.map_err(|error| unsealable(&error))?;
    store.propose_totp(id, &sealed).await?;
    let secret = base32(&bytes);
    let label = utf8_percent_encode(account.known_as(), NON_ALPHANUMERIC);
    Ok(Json(Proposal {
        url: format!("otpauth://totp/Lingate:{label}?secret={secret}&issuer=Lingate"),
        secret,
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TotpCode)]
pub(super) struct Code {
    /// Six digits, as the authenticator shows them.
    #[schema(example = "123456")]
    code: String,
}

/// Codes for the day on which the device is lost, and the session that goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(super) struct Confirmed {
    /// Each is good once; told this once.
    recovery_codes: Vec<String>,
    /// Of the session under its new cookie: to be sent as `x-lingate-csrf` from now on.
    csrf_token: String,
    /// When that session ends, whatever is done.
    #[schema(example = "2026-12-08T09:30:00.000Z")]
    expires_at: String,
}

/// Take the proposed second factor into force
///
/// All your other sessions end, and this one goes on under another cookie.
#[utoipa::path(
    post,
    path = "/api/v1/me/totp/confirm",
    tag = "me",
    operation_id = "confirm_totp",
    request_body = Code,
    responses(
        (status = 200, description = "It holds; codes for the day on which the device is lost. The session has a new cookie and a new `csrf_token`", body = Confirmed),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn confirm(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
    Body(Code { code }): Body<Code>,
) -> Result<WithCookie<Confirmed>, Problem> {
    let id = by_session(&actor)?;
    let store = admin.store()?.by(actor.act.clone());
    let found = store.credentials(id).await?;
    let sealed = found.totp_pending.ok_or_else(|| {
        Problem::conflict("nothing_proposed", "there is no second factor to confirm")
            .hint("POST /api/v1/me/totp proposes one")
    })?;
    let bytes = admin.seal().open(Purpose::Totp, &id.to_string(), &sealed);
    let bytes = bytes.map_err(|error| unsealable(&error))?;
    let step = step_of(&bytes, &code, admin.now()).ok_or_else(|| {
        Problem::invalid("/code", "this is not the code of this moment")
            .hint("see whether the clock of your device is right")
    })?;
    let codes = (0..RECOVERY)
        .map(|_| secret::readable(20))
        .collect::<Result<Vec<_>, _>>()?;
    let kept: Vec<String> = codes.iter().map(|code| secret::kept(code)).collect();
    let opened = go_on(&admin, id, found.account.value.known_as(), &parts).await?;
    store
        .enroll_totp(id, &sealed, step, &kept, Some(&opened.sha256))
        .await?;
    let told = Confirmed {
        recovery_codes: codes,
        csrf_token: opened.csrf_token,
        expires_at: moment_text(opened.expires_at),
    };
    Ok(with_cookie(opened.cookie, told))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnPassword)]
pub(super) struct Password {
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Do without a second factor
///
/// Takes the password. All your other sessions end, and this one goes on under another cookie.
#[utoipa::path(
    delete,
    path = "/api/v1/me/totp",
    tag = "me",
    operation_id = "disable_totp",
    request_body = Password,
    responses(
        (status = 200, description = "There is none any more; the session has a new cookie and a new `csrf_token`", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn disable(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    parts: Parts,
    Body(Password { password }): Body<Password>,
) -> Result<Answer, Problem> {
    let id = by_session(&actor)?;
    let store = admin.store()?.by(actor.act.clone());
    let found = store.credentials(id).await?;
    let login = found.account.value.known_as().to_owned();
    let locks = attempts::count(&store, &login, Some(&found), None, admin.now()).await?;
    let hash = found.password.clone();
    if !admin.hasher.matches(password, hash).await? {
        attempts::failed(&store, &login, Some(&found), "wrong password", locks).await?;
        return Err(Problem::invalid("/password", "this is not your password"));
    }
    store.attempt_succeeded(id, None).await?;
    let opened = go_on(&admin, id, &login, &parts).await?;
    store.reset_totp(id, Some(&opened.sha256)).await?;
    signed_in(&admin, id, opened).await
}

/// How somebody signs in is changed by whoever has signed in.
pub(super) fn by_session(actor: &Actor) -> Result<lingate_metering::Id, Problem> {
    let id = own_account(actor)?;
    if actor.session.is_none() {
        return Err(
            Problem::forbidden("a token does not change how its owner signs in").hint("sign in"),
        );
    }
    Ok(id)
}

pub(super) fn unsealable(error: &lingate_seal::SealError) -> Problem {
    tracing::error!(%error, "a second factor cannot be sealed or opened");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "master_key",
        "second factors cannot be opened with the master key that the gateway has; the log says more",
    )
}
