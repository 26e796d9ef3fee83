//! `/api/v1/limits` and `/api/v1/budgets`: all limits in force, whosever they are, and how much of each is used.

mod budgets;
mod gathered;
mod list;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(budgets::budgets))
}
