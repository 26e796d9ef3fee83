//! Whose turn it is: smooth weighted round robin, as nginx does it.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::NameHash;

/// The turns of one route. Begins anew when the configuration changes.
#[derive(Debug, Default)]
pub struct Turns(Mutex<FxHashMap<NameHash, i64>>);

/// A route that passes on the model's name has as many identities as callers make up: more than these are not kept.
const MOST: usize = 1024;

impl Turns {
    /// The next of those who are there now: index, identity, weight. Each comes by its weight in the long run, and as evenly
    /// as can be: 5, 1, 1 gives a a b a c a a. One that was away goes on where it was.
    pub(super) fn next(
        &self,
        present: impl Iterator<Item = (usize, NameHash, u32)> + Clone,
    ) -> Option<usize> {
        // Nothing under this lock panics half way.
        let mut credits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if credits.len() >= MOST {
            credits.clear();
        }
        let mut total = 0;
        let mut best: Option<(i64, usize, NameHash)> = None;
        for (index, identity, weight) in present {
            let weight = i64::from(weight);
            total += weight;
            let credit = credits.entry(identity).or_default();
            *credit = credit.saturating_add(weight);
            if weight > 0 && best.is_none_or(|(most, ..)| *credit > most) {
                best = Some((*credit, index, identity));
            }
        }
        let (_, index, identity) = best?;
        if let Some(credit) = credits.get_mut(&identity) {
            *credit -= total;
        }
        Some(index)
    }
}
