//! The health of a provider's models, by name. The names come from callers: what is kept is bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::{Breaker, Gauge};
use crate::Moment;
use crate::strategy::{NameHash, name_hash};

/// One model of one provider.
#[derive(Debug)]
pub struct ModelHealth {
    name: Box<str>,
    hash: NameHash,
    pub breaker: Breaker,
    pub gauge: Arc<Gauge>,
    /// When it was asked for last, in milliseconds.
    used: AtomicU64,
    /// When it failed and when it served last, in milliseconds plus one; 0: never.
    failed: AtomicU64,
    served: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Models(RwLock<FxHashMap<Box<str>, Arc<ModelHealth>>>);

/// How many models failed of late without having served, and how many served. Callers make up names, and some upstreams
/// answer a name that they do not know as if they were down: one that never served counts only where none ever did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spread {
    pub(super) failing: usize,
    pub(super) serving: usize,
}

/// More models than any provider has.
const MOST: usize = 4096;
/// So many idle ones make room at a time, so that finding them costs little per name.
const MAKE_ROOM: usize = MOST / 8;
/// Bytes of a name; what is asked for by a longer one is not remembered.
const LONGEST_NAME: usize = 256;

impl Models {
    pub(super) fn of(&self, name: &str, now: Moment) -> Arc<ModelHealth> {
        {
            let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(model) = models.get(name) {
                model.used.fetch_max(now.as_millis(), Ordering::Relaxed);
                return Arc::clone(model);
            }
        }
        if name.len() > LONGEST_NAME {
            return Arc::new(ModelHealth::new("", now));
        }
        let mut models = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster.
        if let Some(model) = models.get(name) {
            return Arc::clone(model);
        }
        if models.len() >= MOST {
            make_room(&mut models);
        }
        let model = Arc::new(ModelHealth::new(name, now));
        if models.len() < MOST {
            models.insert(name.into(), Arc::clone(&model));
        }
        model
    }

    /// As [`of`](Self::of), but remembers nothing: what nobody has asked for has no history.
    pub(super) fn peek(&self, name: &str, now: Moment) -> Arc<ModelHealth> {
        let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = models.get(name).map(Arc::clone);
        known.unwrap_or_else(|| Arc::new(ModelHealth::new(name, now)))
    }

    pub(super) fn all(&self) -> Vec<Arc<ModelHealth>> {
        let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = models.values().map(Arc::clone).collect();
        drop(models);
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    pub(super) fn spread(&self, window: Duration, now: Moment) -> Spread {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let of_late = |at: &AtomicU64| {
            let at = at.load(Ordering::Relaxed);
            at != 0 && now.as_millis().saturating_sub(at - 1) < window
        };
        let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut spread = Spread::default();
        let (mut known, mut unknown) = (false, 0);
        for model in models.values() {
            let has_served = model.served.load(Ordering::Relaxed) != 0;
            known |= has_served;
            if of_late(&model.served) {
                spread.serving += 1;
            } else if of_late(&model.failed) {
                if has_served {
                    spread.failing += 1;
                } else {
                    unknown += 1;
                }
            }
        }
        if !known {
            spread.failing = unknown;
        }
        spread
    }
}

/// Forgets those that nobody uses: first those whose breaker is closed, and of these the longest unused.
fn make_room(models: &mut FxHashMap<Box<str>, Arc<ModelHealth>>) {
    let mut idle: Vec<(bool, u64, Box<str>)> = models
        .values()
        .filter(|model| Arc::strong_count(model) == 1)
        .map(|model| {
            let used = model.used.load(Ordering::Relaxed);
            (model.breaker.why().is_some(), used, model.name.clone())
        })
        .collect();
    idle.sort_unstable();
    for (_, _, name) in idle.iter().take(MAKE_ROOM) {
        models.remove(name);
    }
}

impl ModelHealth {
    fn new(name: &str, now: Moment) -> Self {
        Self {
            name: name.into(),
            hash: name_hash(name),
            breaker: Breaker::default(),
            gauge: Arc::default(),
            used: AtomicU64::new(now.as_millis()),
            failed: AtomicU64::new(0),
            served: AtomicU64::new(0),
        }
    }

    /// The upstream's name of the model; empty for one that is too long to be remembered.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn name_hash(&self) -> NameHash {
        self.hash
    }

    pub(super) fn note_failure(&self, now: Moment) {
        self.failed
            .fetch_max(now.as_millis().saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn note_success(&self, now: Moment) {
        self.served
            .fetch_max(now.as_millis().saturating_add(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn the_same_for_the_same_name() {
        let models = Models::default();
        let first = models.of("gpt", at(0));
        assert!(Arc::ptr_eq(&first, &models.of("gpt", at(1))));
        assert!(!Arc::ptr_eq(&first, &models.of("claude", at(1))));
        let names: Vec<_> = models
            .all()
            .iter()
            .map(|model| model.name().to_owned())
            .collect();
        assert_eq!(names, ["claude", "gpt"]);
    }

    #[test]
    fn is_bounded_and_forgets_the_idle_first() {
        let models = Models::default();
        let held = models.of("held", at(0));
        let open = models.of("open", at(0));
        let fault = crate::Fault::new(crate::Class::Upstream);
        open.breaker.trip(
            super::super::Cause::Models {
                models: 5,
                last: fault,
            },
            &super::super::BreakerRules::default(),
            at(0),
        );
        drop(open);
        let names: Vec<String> = (0..3 * MOST).map(|i| format!("model-{i}")).collect();
        for (name, millis) in names.iter().zip(1..) {
            models.of(name, at(millis));
        }
        let all = models.all();
        assert!(all.len() <= MOST);
        let known = |name: &str| all.iter().any(|model| model.name() == name);
        assert!(known("held") && known("open"));
        assert!(known(names.last().unwrap()) && !known(&names[0]));
        assert!(Arc::ptr_eq(&held, &models.of("held", at(0))));
    }

    #[test]
    fn a_name_that_is_too_long_is_not_kept() {
        let models = Models::default();
        let name = "m".repeat(LONGEST_NAME + 1);
        models.of(&name, at(0));
        assert!(models.all().is_empty());
    }

    #[test]
    fn all_in_use_are_kept_and_another_is_not_remembered() {
        let models = Models::default();
        let held: Vec<_> = (0..MOST)
            .map(|i| models.of(&format!("model-{i}"), at(0)))
            .collect();
        models.of("one more", at(0));
        assert_eq!(models.all().len(), held.len());
    }

    #[test]
    fn tells_who_fails() {
        let models = Models::default();
        let window = Duration::from_secs(30);
        let tell = |told: &[(&str, Option<u64>, Option<u64>)]| {
            for (name, failed, served) in told {
                let model = models.of(name, at(0));
                if let Some(failed) = failed {
                    model.note_failure(at(*failed));
                }
                if let Some(served) = served {
                    model.note_success(at(*served));
                }
            }
            let Spread { failing, serving } = models.spread(window, at(30_001));
            (failing, serving)
        };
        let cold = [
            ("fails", Some(10_000), None),
            ("failed long ago", Some(1), None),
            ("new", None, None),
        ];
        assert_eq!(tell(&cold), (1, 0));
        // What never served may be no model at all, as soon as another one has.
        let warm = [
            ("serves and fails", Some(10_000), Some(9_000)),
            ("served long ago", Some(10_000), Some(0)),
        ];
        assert_eq!(tell(&warm), (1, 1));
    }
}
