//! `/api/v1/me/totp`: a second factor, from its proposal to its end.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use lingate_seal::Purpose;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::codes::{base32, step_of};
use crate::Admin;
use crate::access::Actor;
use crate::frame::Body;
use crate::identity::{attempts, secret};
use crate::problem::Problem;
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

/// Codes for the day on which the device is lost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(super) struct Recovery {
    /// Each is good once; told this once.
    recovery_codes: Vec<String>,
}

/// Take the proposed second factor into force
///
/// All your other sessions end.
#[utoipa::path(
    post,
    path = "/api/v1/me/totp/confirm",
    tag = "me",
    operation_id = "confirm_totp",
    request_body = Code,
    responses(
        (status = 200, description = "It holds; codes for the day on which the device is lost", body = Recovery),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn confirm(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Body(Code { code }): Body<Code>,
) -> Result<Json<Recovery>, Problem> {
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
    store
        .enroll_totp(id, &sealed, step, &kept, actor.session.as_deref())
        .await?;
    Ok(Json(Recovery {
        recovery_codes: codes,
    }))
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
/// Takes the password. All your other sessions end.
#[utoipa::path(
    delete,
    path = "/api/v1/me/totp",
    tag = "me",
    operation_id = "disable_totp",
    request_body = Password,
    responses(
        (status = 204, description = "There is none any more"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn disable(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Body(Password { password }): Body<Password>,
) -> Result<StatusCode, Problem> {
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
    store.reset_totp(id, actor.session.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
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
