//! Limits and budgets: how much of what, in which time, and what happens then.
//!
//! [`Bounds`] holds the limits of one principal, ready to be asked. A request goes through three questions, each of which is a function of
//! values: [`Bounds::charges`] (what would it take of which counters?), [`Charges::decide`] (the counters have answered: does it
//! pass, with which model, and who is told?), [`Charges::settle`] (what did it really take?).

mod bounds;
mod charges;
mod contradiction;
mod decision;
mod demand;
mod event;
mod explain;
mod refusal;
#[cfg(test)]
mod tests;
mod window;

use serde::{Deserialize, Serialize};

pub(crate) use bounds::Binder;
pub use bounds::{Bound, Bounds, Level, Scope};
pub use charges::{Charged, Charges, Facts};
pub use contradiction::{Contradiction, contradictions};
pub use decision::{Decision, Downgrade, Exceeded, Refused};
pub use demand::{Demand, USUAL_OUTPUT};
pub use event::{Event, What};
pub use explain::{Explanation, Standing, Step};
pub use refusal::{Header, is_of_limits, length, plain};
pub use window::{BadZone, Edges, LONGEST_SLIDING, Zone};

use crate::{Id, Millis};

/// A limit of whoever it stands with: a key, a user, a project or an organization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Names its counters: a limit that keeps its id, its measure and its window keeps what has been used of it, whatever its amount.
    pub id: Id,
    #[serde(default)]
    pub name: Option<String>,
    pub measure: Measure,
    /// In the unit of the measure; for cost, nano-dollars. 0: nothing is allowed.
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
    /// Percent of the amount at which an event is raised, rising.
    #[serde(default)]
    pub thresholds: Vec<u8>,
    /// The model that is asked instead of refusing, once nothing is left. Requests for that model are counted and not refused.
    #[serde(default)]
    pub downgrade: Option<String>,
    /// Another amount for some time.
    #[serde(default)]
    pub raise: Option<Raise>,
    /// Of money: what becomes of requests whose price nobody knows.
    #[serde(default)]
    pub unpriced: Unpriced,
}

impl Limit {
    /// The amount that holds at a moment.
    pub fn amount_at(&self, now: Millis) -> u64 {
        match self.raise {
            Some(raise) if now < raise.until => raise.amount,
            _ => self.amount,
        }
    }
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

impl Measure {
    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Images => "images",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }
}

/// The time that an amount is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last so many seconds, at every moment.
    Sliding(u32),
    /// From the beginning of the minute, hour, day … in a time zone.
    Calendar { unit: Unit, zone: Zone },
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

impl Unit {
    pub const ALL: [Self; 7] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
    ];

    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// The user that the request names (`user`, `metadata.user_id` …). Requests that name nobody share one amount.
    EndUser,
    Model,
    Provider,
}

impl Each {
    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndUser => "end_user",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
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

/// What a limit of money makes of a request that it cannot be held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It passes and takes nothing, and an event is raised.
    #[default]
    Allow,
    /// It is treated like one that does not fit.
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    pub amount: u64,
    /// The first moment at which it does not hold any more.
    pub until: Millis,
}
