//! What is stored of the configuration, each part by itself: `/api/v1/providers`, `routes`, `plans`, `prices`, `currencies`.
//!
//! A part has the shape that it has in `lingate.yml`. Whatever is to be stored is loaded before, together with the file and all that is
//! stored besides: what does not load is refused, and what is in force stays so. What the file defines can be read here and not changed.

mod body;
mod candidate;
mod currencies;
mod dry_run;
mod endpoint;
mod kind;
mod list;
mod plans;
mod prices;
mod providers;
mod routes;
pub(crate) mod secrets;
mod shown;
#[cfg(test)]
pub(crate) mod tests;
mod write;

pub(crate) use candidate::{Candidate, Refused, known};
pub(crate) use dry_run::with_route;
pub(crate) use kind::Resource;
pub(crate) use secrets::check as check_secrets;

use utoipa_axum::router::OpenApiRouter;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .merge(providers::endpoints())
        .merge(routes::endpoints())
        .merge(plans::endpoints())
        .merge(prices::endpoints())
        .merge(currencies::endpoints())
}
