//! `/api/v1/session`

pub(crate) mod answer;
mod create;
mod delete;
mod show;
pub(crate) mod shown;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(create::create, show::show, delete::delete))
}
