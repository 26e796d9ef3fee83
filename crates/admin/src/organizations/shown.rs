//! An organization as it is told.

use lingate_metering::tenant::Organization;
use lingate_store::Stored;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[schema(example = "acme")]
    pub(crate) name: String,
    pub(crate) blocked: bool,
}

impl Shown {
    pub(crate) fn of(stored: &Stored<Organization>) -> Self {
        Self {
            id: stored.value.id.to_string(),
            name: stored.value.name.clone(),
            blocked: stored.value.rules.blocked,
        }
    }
}
