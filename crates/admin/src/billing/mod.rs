//! What callers of models are told of their own account, in the forms that the clients of other gateways read. They show the key that they
//! ask models with.

mod account;
mod credit_grants;
mod subscription;
mod token;
mod usage;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(subscription::subscription))
        .routes(routes!(subscription::subscription_v1))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::usage_v1))
        .routes(routes!(credit_grants::credit_grants))
        .routes(routes!(token::token))
}
