//! `POST /api/v1/provider-keys/remove`

use axum::Json;
use axum::extract::State;
use lingate_metering::Id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::input;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Body;
use crate::problem::Problem;

/// Named at once, at most.
const MOST: usize = 10_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProviderKeysToRemove)]
pub(super) struct Which {
    #[schema(example = "openai")]
    provider: String,
    /// By their ids.
    #[serde(default)]
    ids: Vec<String>,
    /// By themselves: the keys as they were added.
    #[serde(default)]
    keys: Vec<String>,
}

// By hand: it holds keys.
impl std::fmt::Debug for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Which")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemovedProviderKeys)]
pub(super) struct Removed {
    removed: u64,
}

/// Remove many keys of a provider
#[utoipa::path(
    post,
    path = "/api/v1/provider-keys/remove",
    operation_id = "remove_provider_keys",
    tag = "provider keys",
    request_body = Which,
    responses(
        (status = 200, description = "How many there were of those", body = Removed),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(which): Body<Which>,
) -> Result<Json<Removed>, Problem> {
    allowed.on_platform()?;
    if which.ids.len() + which.keys.len() > MOST {
        return Err(Problem::invalid("", "at most 10,000 at once"));
    }
    let ids: Result<Vec<Id>, _> = which.ids.iter().map(|id| id.parse()).collect();
    let ids = ids.map_err(|_| Problem::invalid("/ids", "one of them is no id"))?;
    let mut fingerprints = Vec::new();
    for key in which.keys {
        let (now, before) = input::fingerprint(admin.seal(), &Zeroizing::new(key));
        fingerprints.push(now);
        fingerprints.extend(before);
    }
    let store = allowed.store(&admin)?;
    let removed = store
        .delete_provider_keys(&which.provider, &ids, &fingerprints, "removed together")
        .await?;
    Ok(Json(Removed { removed }))
}
