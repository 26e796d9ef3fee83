//! What is sent to store a document, and to change one.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

/// A part of the configuration that is to be stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDocument)]
pub(crate) struct New {
    /// What it is called. A price is called `PROVIDER/MODEL` (`*` for all providers), and a currency by its code; left out, prices
    /// get their name from what they say.
    #[schema(example = "openai")]
    pub(crate) name: Option<String>,
    /// As it would stand in `lingate.yml`.
    #[schema(value_type = Object)]
    pub(crate) definition: Value,
    /// Of a route: the stored route that it comes before. Left out: it is the last one.
    pub(crate) before: Option<String>,
}

/// A change of what is stored, as JSON Merge Patch (RFC 7396).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = DocumentPatch)]
pub(crate) struct Patch {
    /// Laid over what is there; null takes a key away.
    #[schema(value_type = Option<Object>)]
    pub(crate) definition: Option<Value>,
    /// Of a route: the stored route that it comes before from now on; null: it is the last one.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub(crate) before: Option<Value>,
}

/// Null is not the same as nothing.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}
