//! `/api/v1/configuration`: all that the database holds of configuration and tenants, as one text that can be applied elsewhere.

mod apply;
mod contents;
mod diff;
mod export;
#[cfg(test)]
mod tests;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::Admin;

/// Of a text that is applied, in bytes: a hundred thousand keys.
const LARGEST: usize = 64 << 20;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(export::export))
        .routes(routes!(apply::apply).layer(DefaultBodyLimit::max(LARGEST)))
}
