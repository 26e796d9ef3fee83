//! `/api/v1/me`: one's own account, password, sessions and second factor.

mod codes;
mod identities;
mod name;
mod password;
mod prove;
mod sessions;
#[cfg(test)]
mod tests;
mod totp;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(name::show, name::rename))
        .routes(routes!(password::change))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .routes(routes!(totp::enroll, totp::disable))
        .routes(routes!(totp::confirm))
        .routes(routes!(identities::list, identities::add))
        .routes(routes!(identities::delete))
        .routes(routes!(prove::prove))
}
