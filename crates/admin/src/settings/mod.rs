//! What is the gateway's own: its settings, and what it knows of vendors.

mod catalog;
mod show;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(show::show))
        .routes(routes!(catalog::catalog))
}
