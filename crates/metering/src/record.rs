//! What became of one request, as it is billed and reported.

use lingate_catalog::Money;
pub use lingate_dialect::hub::Usage;
use serde::{Deserialize, Serialize};

use crate::{Id, Millis};

/// One request that an upstream was asked with. There is one for each, however it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// That of the request.
    pub id: Id,
    pub started_at: Millis,
    /// Milliseconds to the end of the answer.
    pub duration: u32,
    /// Milliseconds to the first content.
    #[serde(default)]
    pub first_token: Option<u32>,
    pub organization: Id,
    pub project: Id,
    /// `None`: callers have no keys.
    #[serde(default)]
    pub key: Option<Id>,
    #[serde(default)]
    pub user: Option<Id>,
    /// Whom the request names.
    #[serde(default)]
    pub end_user: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    /// The dialect that the caller speaks, by name.
    pub dialect: String,
    /// As it was asked for.
    pub model: String,
    pub provider: String,
    /// The provider's name of the model.
    pub upstream_model: String,
    pub stream: bool,
    pub attempts: u16,
    /// By name, as in the log; `gateway_lost` where the gateway ended before the answer did.
    pub outcome: String,
    /// Of what the caller was answered.
    pub status: u16,
    #[serde(default)]
    pub error: Option<String>,
    /// `None`: [`Provenance::Unknown`].
    #[serde(default)]
    pub usage: Option<Usage>,
    pub provenance: Provenance,
    #[serde(default)]
    pub service_tier: Option<String>,
    /// Which price list was used; `None`: no price is known, and so no cost.
    #[serde(default)]
    pub price_version: Option<String>,
    /// What the provider takes.
    #[serde(default)]
    pub cost: Option<Money>,
    /// What the tenant is charged.
    #[serde(default)]
    pub price: Option<Money>,
}

/// Where the counts are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The provider says so.
    Reported,
    /// Counted from what went by.
    Counted,
    /// Guessed from the length of texts.
    Estimated,
    /// Nobody knows; it is not nothing.
    Unknown,
}
