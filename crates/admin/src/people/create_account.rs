//! `POST /api/v1/accounts`

use axum::extract::State;
use http::StatusCode;
use lingate_store::{NewAccount, new_id};
use serde::Deserialize;
use utoipa::ToSchema;

use super::shown::{ShownAccount, WithPassword};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found, moment_text};
use crate::identity::{policy, secret};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount)]
pub(super) struct New {
    /// What it signs in with; one of this and `login`.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// A name to sign in with that is no e-mail address.
    login: Option<String>,
    #[schema(example = "Ada")]
    name: String,
}

/// Make an account
///
/// It gets a temporary password, which is told once and is good for choosing another, for 72 hours. Whoever is to choose their own at once is invited
/// instead.
#[utoipa::path(
    post,
    path = "/api/v1/accounts",
    tag = "accounts",
    operation_id = "create_account",
    request_body = New,
    responses(
        (status = 201, description = "The account, and its temporary password", body = WithPassword),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<Found<WithPassword>, Problem> {
    allowed.on_platform()?;
    if new.email.is_none() && new.login.is_none() {
        return Err(Problem::invalid(
            "/email",
            "expected an e-mail address, or a `login`",
        ));
    }
    let password = secret::readable(20)?;
    let hash = admin.hasher.hash(password.clone().into()).await?;
    let expires_at = admin.now() + policy::TEMPORARY;
    let account = NewAccount {
        id: new_id(),
        login: new.login,
        email: new.email,
        name: new.name,
        password: Some(hash),
        temporary_until: Some(expires_at),
    };
    let stored = allowed.store(&admin)?.create_account(&account, &[]).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: stored.revision,
        value: WithPassword {
            account: ShownAccount::of(&stored),
            temporary_password: password,
            expires_at: moment_text(expires_at),
        },
    })
}
