//! `/api/v1/api-keys`

mod bulk;
mod create;
mod delete;
mod get;
mod list;
mod made;
mod power;
mod resource;
mod rotate;
mod shown;
pub(crate) mod snippets;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) use resource::ApiKeys;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(bulk::bulk))
        .routes(routes!(get::get, update::update, delete::delete))
        .routes(routes!(rotate::rotate))
}
