//! An organization as it is told and made.

use serde::Serialize;
use utoipa::ToSchema;

use crate::tenants::{ShownRules, Stamp, WrittenLimit};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[schema(example = "acme")]
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) rules: ShownRules,
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
}

#[derive(Debug, ToSchema)]
#[schema(as = NewOrganization)]
#[expect(dead_code, reason = "it says what `resource` reads field by field")]
pub(crate) struct New {
    #[schema(example = "acme")]
    name: String,
    blocked: Option<bool>,
    models: Option<Vec<String>>,
    deny_models: Option<Vec<String>>,
    limits: Option<Vec<WrittenLimit>>,
    plan: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(as = OrganizationPatch)]
#[expect(dead_code, reason = "it says what `resource` reads field by field")]
pub(crate) struct Patch {
    name: Option<String>,
    blocked: Option<bool>,
    models: Option<Vec<String>>,
    deny_models: Option<Vec<String>>,
    limits: Option<Vec<WrittenLimit>>,
    plan: Option<String>,
}
