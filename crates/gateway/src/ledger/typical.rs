//! How long answers of each model usually are: what is reserved for those whose request sets no limit.

use std::sync::{PoisonError, RwLock};

use lingate_metering::limit::USUAL_OUTPUT;
use rustc_hash::FxHashMap;

/// Models that are remembered; callers choose names, and memory is bounded.
const MOST: usize = 4096;

/// A moving average for each upstream model, in tokens.
#[derive(Debug, Default)]
pub(crate) struct Typical(RwLock<FxHashMap<Box<str>, u64>>);

impl Typical {
    pub(crate) fn of(&self, model: &str) -> u64 {
        let lengths = self.0.read().unwrap_or_else(PoisonError::into_inner);
        lengths.get(model).copied().unwrap_or(USUAL_OUTPUT)
    }

    /// An answer had so many tokens.
    pub(crate) fn learn(&self, model: &str, output: u64) {
        let mut lengths = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(length) = lengths.get_mut(model) {
            // The last thirty or so count; a longer answer weighs more, since what is reserved had better be enough.
            let step = if output > *length { 8 } else { 32 };
            *length = length
                .saturating_sub(*length / step)
                .saturating_add(output / step);
        } else if lengths.len() < MOST {
            lengths.insert(model.into(), output.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_learned_and_lean_to_the_longer() {
        let typical = Typical::default();
        assert_eq!(typical.of("m"), USUAL_OUTPUT);
        typical.learn("m", 320);
        assert_eq!(typical.of("m"), 320);
        typical.learn("m", 3200);
        assert_eq!(typical.of("m"), 680);
        typical.learn("m", 0);
        assert_eq!(typical.of("m"), 659);
        for model in 0..2 * MOST {
            typical.learn(&format!("{model}"), 1);
        }
        assert_eq!(typical.0.read().unwrap().len(), MOST);
    }
}
