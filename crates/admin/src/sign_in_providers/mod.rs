//! `/api/v1/sign-in-providers`: services elsewhere that say who somebody is.

mod check;
mod create;
mod delete;
mod get;
mod list;
mod public;
mod settings;
mod shown;
mod update;
mod wanted;

use lingate_store::{Place, SignInProvider, Stored};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
use crate::access::{Allowed, Role};
use crate::people::place;
use crate::problem::Problem;
pub(crate) use settings::Settings;
pub(crate) use shown::settings as settings_of;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(public::public))
        .routes(routes!(check::check))
        .routes(routes!(get::get, update::update, delete::delete))
}

/// Whoever says whom to believe can become anybody: it takes all that an operator may, and no token that may less.
fn may_manage(allowed: &Allowed) -> Result<(), Problem> {
    allowed.on_platform()?;
    place::may_give(allowed, Place::Platform, Role::Operator)
}

async fn called(admin: &Admin, name: &str) -> Result<Stored<SignInProvider>, Problem> {
    let found = admin.store()?.sign_in_provider(name).await?;
    found.ok_or_else(|| Problem::not_found("sign-in provider"))
}
