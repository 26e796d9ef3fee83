//! `/api/v1/invoices`

mod credit;
mod draft;
mod get;
mod issue;
mod list;
mod paper;
mod settle;
mod shown;
mod wanted;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, issue::issue))
        .routes(routes!(draft::draft))
        .routes(routes!(get::get))
        .routes(routes!(settle::pay))
        .routes(routes!(settle::void))
        .routes(routes!(credit::credit))
}
