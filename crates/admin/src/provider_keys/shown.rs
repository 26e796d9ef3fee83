//! A stored key as it is told: never itself.

use lingate_store::{KeptSecret, ProviderKey};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::frame::moment_text;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderKey)]
pub(crate) struct Shown {
    id: String,
    #[schema(example = "openai")]
    provider: String,
    /// Its last four characters, or the reference to where it is.
    #[schema(example = "…x7Qd")]
    key: String,
    /// Where the key is, instead of the key.
    is_reference: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    enabled: bool,
    #[schema(value_type = super::input::Settings)]
    settings: Value,
    created_at: String,
}

impl Shown {
    pub(crate) fn of(key: ProviderKey) -> Self {
        Self {
            id: key.id.to_string(),
            provider: key.provider,
            key: key.hint,
            is_reference: matches!(key.secret, KeptSecret::Reference(_)),
            name: key.name,
            enabled: key.enabled,
            settings: key.spec,
            created_at: moment_text(key.created_at),
        }
    }
}
