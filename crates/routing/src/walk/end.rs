//! Why nothing more is tried, and why what was not tried was passed over.

use std::time::Duration;

use crate::health::{Shut, Whose};
use crate::plan::Target;
use crate::{Hindrance, Moment, Unready};

/// Why nothing more is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The last failure would be the same everywhere.
    Final,
    /// Everything that might answer has been tried.
    Tried {
        /// When something of it is ready again.
        ready_at: Option<Moment>,
    },
    /// As many attempts as allowed.
    Attempts,
    /// No time is left for another attempt, or the last one took too long for one.
    Time,
    /// Nothing could be tried at all.
    Down(Down),
}

/// Nothing that serves the model is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// When the first is; `None`: nobody knows.
    pub ready_at: Option<Moment>,
    /// All of it rests because of rate limits.
    pub limited: bool,
    /// Each target and why.
    pub skipped: Vec<Skipped>,
}

/// A target that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub provider: String,
    pub model: String,
    pub why: Skip,
}

/// Why a target was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// Its weight is 0.
    Drained,
    /// The circuit breaker of the provider or of this model there is open.
    Breaker(Shut),
    /// None of its keys can be used.
    Keys(Unready),
    /// Its context is no larger than the one that was too small.
    Context,
}
/// The shortest wait in a queue, and the longest for a key that is at its cap, of which nobody knows when it is free.
pub(super) const MOMENT: Duration = Duration::from_millis(25);

impl Skip {
    /// When it may be over; `None`: not by waiting.
    pub fn ready_at(&self, now: Moment) -> Option<Moment> {
        match self {
            Self::Breaker(shut) => Some(shut.until),
            Self::Keys(unready) => unready
                .ready_at
                .or_else(|| (unready.why == Hindrance::AtCaps).then(|| now.after(MOMENT))),
            Self::Drained | Self::Context => None,
        }
    }

    /// Why, for people.
    pub fn told(&self, now: Moment) -> String {
        let waits = |until: Moment| now.until(until).as_millis().div_ceil(1000);
        match self {
            Self::Drained => "drained: its weight is 0".to_owned(),
            Self::Context => "its context is no larger".to_owned(),
            Self::Breaker(shut) => {
                let whose = match shut.whose {
                    Whose::Provider => "the provider's",
                    Whose::Model => "this model's",
                };
                let (cause, wait) = (&shut.why.cause, waits(shut.until));
                format!("{whose} circuit breaker is open for {wait} s: {cause}")
            }
            Self::Keys(unready) => match unready.ready_at {
                Some(until) => format!("keys: {unready}, for {} s", waits(until)),
                None => format!("keys: {unready}"),
            },
        }
    }

    /// Of an open breaker and the keys behind it, what lasts longer: when that is over, so is the other.
    pub(crate) fn longer(shut: Shut, keys: Option<Unready>) -> Self {
        match keys {
            Some(unready) if unready.ready_at > Some(shut.until) => Self::Keys(unready),
            Some(_) | None => Self::Breaker(shut),
        }
    }

    pub(super) fn is_tried(&self) -> bool {
        matches!(self, Self::Keys(unready) if unready.why == Hindrance::Tried)
    }

    /// A limit is the reason, and nothing is broken.
    pub(crate) fn is_limited(&self) -> bool {
        match self {
            Self::Keys(unready) => unready.only_limits,
            Self::Breaker(_) | Self::Drained | Self::Context => false,
        }
    }
}

pub(super) fn skip(target: &Target, why: Skip) -> Skipped {
    Skipped {
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        why,
    }
}
