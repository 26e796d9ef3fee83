//! `/api/v1/usage`: sums of what was used, from those that the ledger keeps.

mod asked;
mod report;
mod scope;
mod series;
mod total;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) use asked::Asked;
pub(crate) use report::Named;
pub(crate) use scope::{Scoped, scope};

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(total::total))
        .routes(routes!(series::series))
}
