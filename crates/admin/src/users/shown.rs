//! A person or a service account as it is told and made.

use serde::Serialize;
use utoipa::ToSchema;

use crate::tenants::{ShownRules, Stamp, WrittenLimit};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[schema(example = "alice")]
    pub(crate) name: String,
    /// The names from the organization down.
    #[schema(example = "acme/alice")]
    pub(crate) path: String,
    /// The id of its organization.
    pub(crate) organization: String,
    #[serde(flatten)]
    pub(crate) rules: ShownRules,
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
}

#[derive(Debug, ToSchema)]
#[schema(as = NewUser)]
#[expect(dead_code, reason = "it says what `resource` reads field by field")]
pub(crate) struct New {
    /// Unique within the organization.
    #[schema(example = "alice")]
    name: String,
    /// An id or a name.
    #[schema(example = "acme")]
    organization: String,
    blocked: Option<bool>,
    models: Option<Vec<String>>,
    deny_models: Option<Vec<String>>,
    limits: Option<Vec<WrittenLimit>>,
    plan: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(as = UserPatch)]
#[expect(dead_code, reason = "it says what `resource` reads field by field")]
pub(crate) struct Patch {
    name: Option<String>,
    blocked: Option<bool>,
    models: Option<Vec<String>>,
    deny_models: Option<Vec<String>>,
    limits: Option<Vec<WrittenLimit>>,
    plan: Option<String>,
}
