//! `/api/v1/organizations`

mod create;
mod list;
mod shown;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(list::list, create::create))
}
