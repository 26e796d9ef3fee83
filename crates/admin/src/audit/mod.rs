//! `/api/v1/audit-events`: who did what, to be read and never changed.

mod asked;
mod check;
mod export;
mod get;
mod list;
mod shown;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(check::check))
        .routes(routes!(export::export))
        .routes(routes!(get::get))
}
