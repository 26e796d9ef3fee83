//! `POST /api/v1/provider-keys`

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::input::{self, Settings};
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProviderKey)]
pub(super) struct New {
    #[schema(example = "openai")]
    provider: String,
    /// The key, or where it is: `${NAME}` or `file:PATH`, read on the gateway's machine.
    key: String,
    #[serde(default)]
    name: String,
    enabled: Option<bool>,
    #[serde(default)]
    settings: Settings,
}

// By hand: it holds a key.
impl std::fmt::Debug for New {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("New")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Add a key of a provider
///
/// It is sealed, and never told again; it is in use within a second.
#[utoipa::path(
    post,
    path = "/api/v1/provider-keys",
    operation_id = "create_provider_key",
    tag = "provider keys",
    request_body = New,
    responses(
        (status = 201, description = "It is there", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let key = Zeroizing::new(new.key);
    if let Some(fault) = input::fault(&key) {
        return Err(Problem::invalid("/key", fault));
    }
    let spec = new.settings.checked();
    let spec = spec.map_err(|fault| Problem::invalid("/settings", fault))?;
    input::known_provider(&admin, "/provider", &new.provider).await?;
    let store = allowed.store(&admin)?;
    let sealed = input::sealed(
        admin.seal(),
        &key,
        new.name,
        spec,
        new.enabled != Some(false),
    )
    .map_err(|error| input::unsealable(&error))?;
    let added = store
        .add_provider_keys(&new.provider, &[sealed], None)
        .await?;
    let id = added
        .first()
        .ok_or_else(|| Problem::conflict("secret_taken", "the provider has this key already"))?;
    let key = store.provider_key(*id).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: key.revision,
        value: Shown::of(key),
    })
}
