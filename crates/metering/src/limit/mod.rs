//! Limits and budgets: how much of what, in which time, and what happens then.

use serde::{Deserialize, Serialize};

use crate::{Id, Millis};

/// A limit of whoever it stands with: a key, a user, a project or an organization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Names its counters: a limit that keeps its id keeps what has been used of it.
    pub id: Id,
    #[serde(default)]
    pub name: Option<String>,
    pub measure: Measure,
    /// In the unit of the measure; for cost, nano-dollars.
    pub amount: u64,
    pub window: Window,
    /// Only requests for these models (a name or a glob) count.
    #[serde(default)]
    pub model: Option<String>,
    /// Only requests that this provider is asked with count.
    #[serde(default)]
    pub provider: Option<String>,
    /// Each of these has the amount for itself.
    #[serde(default)]
    pub each: Vec<Each>,
    #[serde(default)]
    pub enforcement: Enforcement,
    /// Percent of the amount at which an event is raised.
    #[serde(default)]
    pub thresholds: Vec<u8>,
    /// The model that is asked instead of refusing, once nothing is left.
    #[serde(default)]
    pub downgrade: Option<String>,
    /// Another amount for some time.
    #[serde(default)]
    pub raise: Option<Raise>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Requests,
    InputTokens,
    OutputTokens,
    /// Input and output together.
    Tokens,
    Images,
    /// Nano-dollars that the tenant is charged.
    Cost,
    /// Requests under way.
    Concurrency,
}

/// The time that an amount is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last so many seconds, at every moment.
    Sliding(u32),
    /// From the beginning of the minute, hour, day … in a time zone (IANA name).
    Calendar { unit: Unit, zone: String },
    /// Forever.
    Total,
    /// No time at all: what is under way now. For [`Measure::Concurrency`] alone.
    Now,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    /// Begins on Monday.
    Week,
    Month,
    Year,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// The user that the request names (`user`, `metadata.user_id` …).
    EndUser,
    Model,
    Provider,
}

/// What happens when an amount is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Requests are refused.
    #[default]
    Hard,
    /// Requests go on, and an event is raised.
    Soft,
    /// It is written down what would have been refused.
    Shadow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    pub amount: u64,
    pub until: Millis,
}
