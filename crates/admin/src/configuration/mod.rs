//! `/api/v1/configuration`: all that the database holds of configuration and tenants, as one text that can be applied elsewhere.

mod apply;
mod contents;
mod diff;
mod export;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(export::export))
        .routes(routes!(apply::apply))
}
