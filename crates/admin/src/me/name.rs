//! `GET` and `PATCH /api/v1/me`

use axum::extract::State;
use axum::{Extension, Json};
use lingate_store::AccountChange;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::Actor;
use crate::frame::Body;
use crate::problem::Problem;
use crate::session::shown::ShownAccount;
use crate::tokens::own_account;

/// Your account
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "me",
    operation_id = "get_me",
    responses(
        (status = 200, description = "Your account", body = ShownAccount),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<ShownAccount>, Problem> {
    let stored = admin.store()?.account(own_account(&actor)?).await?;
    Ok(Json(ShownAccount::of(&stored.value)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MePatch)]
pub(super) struct Patch {
    #[schema(example = "Ada")]
    name: String,
}

/// Call yourself something else
#[utoipa::path(
    patch,
    path = "/api/v1/me",
    tag = "me",
    operation_id = "update_me",
    request_body = Patch,
    responses(
        (status = 200, description = "Your account", body = ShownAccount),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rename(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    Body(patch): Body<Patch>,
) -> Result<Json<ShownAccount>, Problem> {
    let change = AccountChange {
        name: Some(patch.name),
        ..AccountChange::default()
    };
    let account = own_account(&actor)?;
    let store = admin.store()?.by(actor.act);
    let stored = store.update_account(account, &change, None).await?;
    Ok(Json(ShownAccount::of(&stored.value)))
}
