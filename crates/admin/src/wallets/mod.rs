//! `/api/v1/wallets`

mod adjust;
mod entries;
mod get;
mod list;
mod open;
mod owner;
mod refund;
mod shown;
mod statement;
#[cfg(test)]
mod tests;
mod top_up;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
pub(crate) use owner::Owner;
pub(crate) use shown::ShownEntry;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, open::open))
        .routes(routes!(get::get, update::update))
        .routes(routes!(top_up::top_up))
        .routes(routes!(refund::refund))
        .routes(routes!(adjust::adjust))
        .routes(routes!(entries::entries))
        .routes(routes!(statement::statement))
}
