//! What happened at a limit, for whoever wants to be told.

use serde::{Deserialize, Serialize};

use super::{Bound, Measure, Scope};
use crate::{Id, Millis};

/// Something that happened at a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same for the same thing: of the same limit, user, window and threshold there is one event, whoever raises it how often. What
    /// happens to single requests ([`What::Downgraded`], [`What::WouldRefuse`]) is told apart by the moment, too.
    pub id: Id,
    pub at: Millis,
    pub limit: Id,
    pub name: Option<String>,
    pub scope: Scope,
    pub measure: Measure,
    /// In the unit of the measure; for cost, nano-dollars.
    pub amount: u64,
    /// What is used at that moment, the request included.
    pub used: u64,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// So many percent are used.
    Threshold { percent: u8 },
    /// Nothing is left: requests are refused, or go on over it where the limit is soft.
    Exhausted,
    /// Another model is asked.
    Downgraded { from: String, to: String },
    /// A limit that only watches would have refused this request.
    WouldRefuse,
    /// No price is known of what was asked for, so that a limit of cost could not be applied.
    Unpriced { model: String },
}

impl Event {
    pub(super) fn new(
        bound: &Bound,
        counter: Id,
        begins: Millis,
        at: Millis,
        used: u64,
        what: What,
    ) -> Self {
        let limit = bound.limit();
        let once = match &what {
            What::Threshold { percent } => format!("threshold {percent} {begins}"),
            What::Exhausted => format!("exhausted {begins}"),
            What::Downgraded { .. } => format!("downgraded {at}"),
            What::WouldRefuse => format!("would_refuse {at}"),
            What::Unpriced { model } => format!("unpriced {begins} {model}"),
        };
        Self {
            id: Id::declared(&["limit event", &counter.to_string(), &once]),
            at,
            limit: limit.id,
            name: limit.name.clone(),
            scope: bound.scope().clone(),
            measure: limit.measure,
            amount: limit.amount_at(at),
            used,
            what,
        }
    }

    /// Whether it is told once and not for every request.
    pub fn is_once(&self) -> bool {
        match self.what {
            What::Threshold { .. } | What::Exhausted | What::Unpriced { .. } => true,
            What::Downgraded { .. } | What::WouldRefuse => false,
        }
    }
}
