//! What happened at limits, told in the log.

use std::sync::{Mutex, PoisonError};

use lingate_metering::Id;
use lingate_metering::limit::{Event, What};
use rustc_hash::FxHashSet;

use super::Governance;

/// Events that are remembered; then all are forgotten, and may be told once more.
const MOST: usize = 1 << 16;

/// What was told already of what is told once.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<FxHashSet<Id>>);

impl Told {
    /// Whether it is the first time.
    fn is_new(&self, id: Id) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(id)
    }
}

impl Governance {
    /// Tells what happened at limits: what concerns a window once, what concerns a request each time.
    pub(crate) fn tell(&self, events: Vec<Event>) {
        for event in events {
            if event.is_once() && !self.told.is_new(event.id) {
                continue;
            }
            let (what, percent) = match &event.what {
                What::Threshold { percent } => ("threshold", Some(*percent)),
                What::Exhausted => ("exhausted", None),
                What::Downgraded { .. } => ("downgraded", None),
                What::WouldRefuse => ("would_refuse", None),
                What::Unpriced { .. } => ("unpriced", None),
            };
            let model = match &event.what {
                What::Downgraded { to, .. } => Some(to.as_str()),
                What::Unpriced { model } => Some(model.as_str()),
                What::Threshold { .. } | What::Exhausted | What::WouldRefuse => None,
            };
            tracing::warn!(
                what,
                percent,
                model,
                scope = %event.scope,
                limit = event.name,
                measure = event.measure.name(),
                amount = event.amount,
                used = event.used,
                "limit"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_forgotten_when_there_is_much_of_it() {
        let told = Told::default();
        assert!(told.is_new(Id::from_u128(0)));
        assert!(!told.is_new(Id::from_u128(0)));
        for id in 1..=MOST as u128 {
            assert!(told.is_new(Id::from_u128(id)));
        }
        assert!(told.is_new(Id::from_u128(0)));
    }
}
