//! Whose turn it is: smooth weighted round robin, as nginx does it.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::NameHash;

/// The turns of one route. Begins anew when the configuration changes.
#[derive(Debug, Default)]
pub struct Turns(Mutex<FxHashMap<NameHash, i64>>);

/// A route that passes on the model's name has as many identities as callers make up: of those that are not there now, no
/// more are kept.
const MOST: usize = 1024;

impl Turns {
    /// The same turns, to look ahead in: whoever goes on with them takes none away here.
    pub(crate) fn copy(&self) -> Self {
        let credits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self(Mutex::new(credits.clone()))
    }

    /// The next of those who are there now: index, identity, weight. Each comes by its weight in the long run, and as evenly
    /// as can be: 5, 1, 1 gives a a b a c a a. One that was away goes on where it was.
    pub(super) fn next(
        &self,
        present: impl Iterator<Item = (usize, NameHash, u32)> + Clone,
    ) -> Option<usize> {
        // Nothing under this lock panics half way.
        let mut credits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if credits.len() >= MOST && credits.len() - MOST >= present.clone().count() {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Who comes when, as letters; weights by place, those who are away have none.
    fn turns(turns: &Turns, weights: &[u32], count: usize) -> String {
        let present = || {
            let with_weight = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| **weight > 0);
            with_weight.map(|(place, weight)| (place, place as u64, *weight))
        };
        (0..count)
            .map(|_| {
                turns
                    .next(present())
                    .map_or('-', |place| char::from(b'a' + u8::try_from(place).unwrap()))
            })
            .collect()
    }

    #[test]
    fn as_evenly_as_can_be() {
        for (weights, expect) in [
            (&[5, 1, 1][..], "aabacaaaabacaa"),
            (&[1, 1, 1], "abcabc"),
            (&[2, 1], "abaaba"),
            (&[7], "aaa"),
            (&[0, 1], "bbb"),
            (&[0, 0], "--"),
            (&[], "--"),
        ] {
            assert_eq!(
                turns(&Turns::default(), weights, expect.len()),
                expect,
                "{weights:?}"
            );
        }
    }

    #[test]
    fn who_was_away_goes_on_where_it_was() {
        let state = Turns::default();
        assert_eq!(turns(&state, &[1, 1, 1], 2), "ab");
        assert_eq!(turns(&state, &[1, 1, 0], 4).len(), 4);
        let after = turns(&state, &[1, 1, 1], 300);
        for letter in ['a', 'b', 'c'] {
            let count = after.matches(letter).count();
            assert!((99..=101).contains(&count), "{letter}: {count}");
        }
    }

    #[test]
    fn names_that_callers_make_up_are_not_kept() {
        let state = Turns::default();
        for identity in 0..100_000 {
            state.next([(0, identity, 1), (1, identity + 1, 1)].into_iter());
        }
        assert!(state.0.lock().unwrap().len() <= MOST + 4);
        // Of those that are there, all are.
        let state = Turns::default();
        let many: Vec<_> = (0..3 * MOST)
            .map(|place| (place, place as u64, 1))
            .collect();
        let mut seen: Vec<_> = (0..many.len())
            .map(|_| state.next(many.iter().copied()).unwrap())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), many.len());
    }

    proptest! {
        /// Over a whole round each comes exactly by its weight, and in any stretch of it nearly so.
        #[test]
        fn shares_are_exact(weights in prop::collection::vec(1_u32..20, 1..8)) {
            let total: u32 = weights.iter().sum();
            let state = Turns::default();
            let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
            for turn in 1..=2 * total {
                let present = weights.iter().enumerate();
                let next = state.next(present.map(|(place, weight)| (place, place as u64, *weight)));
                *counts.entry(next.unwrap()).or_default() += 1;
                for (place, weight) in weights.iter().enumerate() {
                    let count = f64::from(counts.get(&place).copied().unwrap_or_default());
                    let due = f64::from(turn) * f64::from(*weight) / f64::from(total);
                    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                    let bound = weights.len() as f64;
                    prop_assert!((count - due).abs() < bound, "{weights:?} turn {turn} place {place}");
                }
            }
            for (place, weight) in weights.iter().enumerate() {
                prop_assert_eq!(counts.get(&place).copied().unwrap_or_default(), 2 * weight);
            }
        }

        /// However candidates come and go, nobody who stays is starved afterwards.
        #[test]
        fn nobody_starves(
            weights in prop::collection::vec(1_u32..20, 2..6),
            absences in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let state = Turns::default();
            let present = |absent: u8| {
                let there = move |place: &usize| absent & (1 << place) == 0;
                let weights = &weights;
                (0..weights.len()).filter(there).map(move |place| (place, place as u64, weights[place]))
            };
            for absent in absences {
                let next = state.next(present(absent));
                prop_assert!(next.is_none_or(|place| absent & (1 << place) == 0));
            }
            // Each is chosen within as many turns as all credits that may have gathered need.
            let total: usize = weights.iter().map(|weight| *weight as usize).sum();
            let mut seen: Vec<_> = (0..total * weights.len() * 2)
                .filter_map(|_| state.next(present(0)))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), weights.len());
        }
    }
}
