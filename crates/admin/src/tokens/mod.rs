//! `/api/v1/tokens`: personal access tokens, for scripts and for the command line.

mod create;
mod list;
mod revoke;
mod shown;

use lingate_metering::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
use crate::access::Actor;
use crate::problem::Problem;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(revoke::revoke))
}

/// The account that asks.
pub(crate) fn own_account(actor: &Actor) -> Result<Id, Problem> {
    actor.account.ok_or_else(|| {
        Problem::conflict("no_account", "whoever asks has no account of their own")
            .hint("sign in as a person")
    })
}
