//! `/api/v1/users`

mod create;
mod delete;
mod get;
mod list;
mod resource;
mod shown;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) use resource::{Anybody, Persons, ServiceAccounts};
pub(crate) use shown::{New, Patch, Shown};

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, update::update, delete::delete))
}
