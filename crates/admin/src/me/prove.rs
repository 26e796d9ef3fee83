//! `POST /api/v1/session/totp`

use axum::extract::State;
use http::StatusCode;
use http::request::Parts;
use lingate_seal::Purpose;
use lingate_store::{Act, ActorKind, Proved};
use serde::Deserialize;
use utoipa::ToSchema;

use super::codes::step_of;
use super::totp::unsealable;
use crate::Admin;
use crate::access::{browser, check_csrf, signed_in};
use crate::beside::From;
use crate::frame::Body;
use crate::identity::{attempts, secret, sign_in_as};
use crate::problem::Problem;
use crate::session::answer;
use crate::session::shown::Shown;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecondFactor)]
pub(super) struct Code {
    /// Six digits of the authenticator, or a recovery code.
    #[schema(example = "123456")]
    code: String,
}

/// Send the second factor
///
/// After `POST /api/v1/session` has answered `mfa_required`, with the cookie and the token that it gave. Each code is good once.
#[utoipa::path(
    post,
    path = "/api/v1/session/totp",
    tag = "session",
    operation_id = "prove_second_factor",
    request_body = Code,
    responses(
        (status = 200, description = "You are signed in", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn prove(
    State(admin): State<Admin>,
    parts: Parts,
    Body(Code { code }): Body<Code>,
) -> Result<answer::Answer, Problem> {
    let cookies = browser::cookies(&admin, &parts);
    let Some((half, cookie)) = signed_in(&admin, &parts, &cookies).await? else {
        return Err(
            Problem::unauthenticated("the password comes first").hint("POST /api/v1/session")
        );
    };
    check_csrf(&admin, &parts, &cookie)?;
    if half.session.proved == Proved::Full {
        return Err(Problem::conflict("signed_in", "you are signed in already"));
    }
    let from = parts.extensions.get::<From>();
    let id = half.account.value.id;
    let store = admin.store()?.by(Act {
        kind: ActorKind::Nobody,
        id: String::new(),
        name: String::new(),
        address: from.map(|from| from.address.to_string()),
        request_id: from.map(|from| from.request_id.clone()),
    });
    let found = store.credentials(id).await?;
    let login = found.account.value.known_as().to_owned();
    let subject = from.map(|from| attempts::subject(from.address));
    let locks = attempts::count(
        &store,
        &login,
        Some(&found),
        subject.as_deref(),
        admin.now(),
    )
    .await?;
    // Somebody has taken the factor away meanwhile.
    let sealed = found.totp_secret.clone().ok_or_else(|| {
        Problem::unauthenticated("there is no second factor any more").hint("sign in again")
    })?;
    let bytes = admin.seal().open(Purpose::Totp, &id.to_string(), &sealed);
    let bytes = bytes.map_err(|error| unsealable(&error))?;
    let (good, by) = if let Some(step) = step_of(&bytes, &code, admin.now()) {
        (store.use_totp(id, step).await?, "with a second factor")
    } else {
        let recovery = secret::kept(&code.trim().to_ascii_lowercase());
        let good = store.use_recovery_code(id, &recovery).await?;
        (good, "with a recovery code")
    };
    if !good {
        attempts::failed(&store, &login, Some(&found), "wrong second factor", locks).await?;
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "wrong_code",
            "the code is wrong, or was used before",
        ));
    }
    store.attempt_succeeded(id, subject.as_deref()).await?;
    let opened = sign_in_as(&admin, id, &login, &parts, Proved::Full, Some(by)).await?;
    answer::signed_in(&admin, id, opened).await
}
