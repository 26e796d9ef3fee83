//! `/api/v1/provider-keys`: credentials at providers that the database holds, sealed. They are in use beside those of the file; how
//! they fare is told by the key pools.

mod add;
mod delete;
mod feed;
mod get;
mod import;
mod input;
mod list;
mod remove;
mod rotate;
mod shown;
mod test;
#[cfg(test)]
mod tests;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
pub use feed::key_specs;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, add::add))
        .routes(routes!(import::import))
        .routes(routes!(remove::remove))
        .routes(routes!(test::test))
        .routes(routes!(get::get, update::update, delete::delete))
        .routes(routes!(rotate::rotate))
}
