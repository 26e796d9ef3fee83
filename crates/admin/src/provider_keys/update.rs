//! `PATCH /api/v1/provider-keys/{id}`

use axum::extract::{Path, State};
use http::StatusCode;
use lingate_store::ProviderKeyChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::input::Settings;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found, IfMatch};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProviderKeyChange)]
pub(super) struct Change {
    name: Option<String>,
    enabled: Option<bool>,
    /// All of them, in place of those that there are.
    settings: Option<Settings>,
}

/// Change what is said of a stored key
///
/// A key itself is not changed: add the new one, and delete the old one.
#[utoipa::path(
    patch,
    path = "/api/v1/provider-keys/{id}",
    operation_id = "update_provider_key",
    tag = "provider keys",
    params(
        ("id" = String, Path, description = "The id of the key"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    request_body(content = Change, content_type = "application/json"),
    responses(
        (status = 200, description = "The key as it is now", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn update(
    State(admin): State<Admin>,
    allowed: Allowed,
    IfMatch(expected): IfMatch,
    Path(id): Path<String>,
    Body(change): Body<Change>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let id = id.parse().map_err(|_| Problem::not_found("provider key"))?;
    let settings = change.settings.map(|settings| settings.checked());
    let spec = settings
        .transpose()
        .map_err(|fault| Problem::invalid("/settings", fault))?;
    let wanted = ProviderKeyChange {
        name: change.name,
        spec,
        enabled: change.enabled,
    };
    let store = allowed.store(&admin)?;
    let key = store.update_provider_key(id, &wanted, expected).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: key.revision,
        value: Shown::of(key),
    })
}
