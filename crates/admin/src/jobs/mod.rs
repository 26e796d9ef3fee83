//! `/api/v1/jobs`: work that lasts longer than a request. Whoever begins it is told the job's id at once.

mod begin;
mod cancel;
mod events;
mod get;
mod list;
mod shown;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
pub(crate) use begin::{Work, begin};
pub(crate) use shown::Shown;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(get::get))
        .routes(routes!(events::events))
        .routes(routes!(cancel::cancel))
}
