//! `DELETE /api/v1/sign-in-providers/{name}`

use axum::extract::{Path, State};
use http::StatusCode;

use super::{called, may_manage};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::IfMatch;
use crate::problem::Problem;

/// Nobody signs in by it any more
///
/// Roles that were held by its word are taken away, but for the last operator's and the last owner's. Accounts and their sessions stay.
#[utoipa::path(
    delete,
    path = "/api/v1/sign-in-providers/{name}",
    tag = "sign-in",
    operation_id = "delete_sign_in_provider",
    params(
        ("name" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not deleted"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(name): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    may_manage(&allowed)?;
    let provider = called(&admin, &name).await?.value;
    let store = allowed.store(&admin)?;
    store.delete_sign_in_provider(provider.id, expected).await?;
    for account in store.accounts_by(&provider.issuer).await? {
        store
            .replace_memberships(account, &provider.issuer, &[])
            .await?;
    }
    admin.issuers().forget(&provider.issuer);
    Ok(StatusCode::NO_CONTENT)
}
