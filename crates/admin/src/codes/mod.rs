//! `/api/v1/code-batches` and `/api/v1/codes`

mod contents;
mod create;
mod get;
mod list;
mod redeem;
mod revoke;
mod shown;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, revoke::batch))
        .routes(routes!(contents::contents))
        .routes(routes!(revoke::code))
        .routes(routes!(redeem::redeem))
}
