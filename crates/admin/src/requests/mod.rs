//! `/api/v1/requests`: what became of each request, as far as records are kept.

mod get;
mod list;
mod shown;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(get::get))
}
