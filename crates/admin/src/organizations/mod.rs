//! `/api/v1/organizations`

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

pub(crate) use resource::Organizations;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, update::update, delete::delete))
}
