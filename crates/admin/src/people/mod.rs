//! `/api/v1/accounts`, `/api/v1/memberships`, `/api/v1/invitations`: who signs in, and what they are where.

mod accept;
mod account;
mod accounts;
mod create_account;
mod delete_account;
mod delete_membership;
mod identities;
mod invitations;
mod invite;
mod memberships;
pub(crate) mod place;
mod reset;
mod revoke;
mod shown;
mod update_account;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(accounts::list, create_account::create))
        .routes(routes!(
            account::get,
            update_account::update,
            delete_account::delete
        ))
        .routes(routes!(reset::password))
        .routes(routes!(reset::totp))
        .routes(routes!(identities::list))
        .routes(routes!(identities::delete))
        .routes(routes!(memberships::list, memberships::create))
        .routes(routes!(
            memberships::get,
            memberships::update,
            delete_membership::delete
        ))
        .routes(routes!(invitations::list, invite::create))
        .routes(routes!(revoke::revoke))
        .routes(routes!(accept::accept))
}
