//! `PATCH /api/v1/accounts/{id}`

use axum::extract::{Path, State};
use http::StatusCode;
use lingate_store::AccountChange;
use serde_json::Value;

use super::account::called;
use super::shown::ShownAccount;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Fields, Found, IfMatch};
use crate::problem::Problem;

/// What is to be different; what is left out stays, null unsets.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = AccountPatch)]
#[expect(
    dead_code,
    reason = "it is the description of what is read field by field"
)]
pub(super) struct Patch {
    name: Option<String>,
    email: Option<String>,
    login: Option<String>,
    /// Blocked, it is signed out everywhere and its tokens are refused.
    blocked: Option<bool>,
}

/// Change an account
#[utoipa::path(
    patch,
    path = "/api/v1/accounts/{id}",
    tag = "accounts",
    operation_id = "update_account",
    params(
        ("id" = String, Path, description = "The id of the account, or what it signs in with"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    request_body = Patch,
    responses(
        (status = 200, description = "The account", body = ShownAccount),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn update(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<Value>,
) -> Result<Found<ShownAccount>, Problem> {
    allowed.on_platform()?;
    let id = called(&admin, &id).await?;
    let unset = |name: &str| patch.get(name).is_some_and(Value::is_null);
    let (no_email, no_login) = (unset("email"), unset("login"));
    let mut fields = Fields::of(patch)?;
    let name = fields.word("name");
    let email = fields.word("email");
    let login = fields.word("login");
    let blocked = fields.flag("blocked");
    fields.done()?;
    let change = AccountChange {
        name,
        email: email.map(Some).or(no_email.then_some(None)),
        login: login.map(Some).or(no_login.then_some(None)),
        blocked,
    };
    let store = allowed.store(&admin)?;
    let stored = store.update_account(id, &change, expected).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: stored.revision,
        value: ShownAccount::of(&stored),
    })
}
