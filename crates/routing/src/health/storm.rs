//! When most keys of a provider fail together, it is not for the keys.

use std::time::Duration;

use crate::strategy::NameHash;
use crate::{Class, Fault, Moment, Scope};

/// The keys that failed one after the other, without a success in between.
#[derive(Debug, Default)]
pub(crate) struct Storms {
    /// The key, when it failed first, for which model, and how.
    failed: Vec<Failed>,
    /// Keys that took part in a storm and have not served since. That they fail again is no news: in a pool where most
    /// keys are simply dead, the storm would come again and again.
    known: Vec<u64>,
    /// Failures of keys in the probe that goes on.
    probes: u32,
    /// Those of them whose keys did not take part in the storm.
    fresh: u32,
}

#[derive(Debug)]
struct Failed {
    key: u64,
    at: Moment,
    model: NameHash,
    limited: bool,
}

/// A storm: the breaker opens in the keys' stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// What befell keys at this moment or later should be forgiven: `KeyPool::forgive(since)`.
    pub since: Moment,
    /// Distinct keys that failed.
    pub keys: usize,
    /// All were rate limits of one model: its breaker opens, not the provider's.
    pub one_model: bool,
}

/// Failures that lie further apart do not belong together.
const WINDOW: Duration = Duration::from_mins(1);
/// Fewer keys than this are no storm.
const FEWEST: usize = 3;
/// So many are, whatever the size of the pool.
const MANY: usize = 10;
/// Keys that are remembered from storms; when there are more, the oldest are forgotten.
const KNOWN: usize = 1024;
/// A probe goes on from key to key, since some may be dead indeed. It has failed when so many have that took no part in
/// the storm,
const FRESH: u32 = 3;
/// or so many in all.
const PROBES: u32 = 8;

impl Storms {
    /// A key of a pool of `pool` failed.
    pub(crate) fn failed(
        &mut self,
        key: u64,
        pool: usize,
        model: NameHash,
        fault: &Fault,
        now: Moment,
    ) -> Option<Storm> {
        let limited = is_limit(fault)?;
        if self.known.contains(&key) {
            return None;
        }
        self.failed.retain(|failed| failed.at.until(now) < WINDOW);
        if self.failed.iter().any(|failed| failed.key == key) {
            return None;
        }
        self.failed.push(Failed {
            key,
            at: now,
            model,
            limited,
        });
        let keys = self.failed.len();
        // Keys at their limits rest by themselves, each as long as it was told, and a large one may have room when the small
        // ones have none: in a small pool that is no storm.
        let limited = self.failed.iter().all(|failed| failed.limited);
        let most = !limited && keys * 2 > pool;
        if keys < FEWEST || !(most || keys >= MANY) {
            return None;
        }
        let storm = Storm {
            since: self.failed.iter().map(|failed| failed.at).min()?,
            keys,
            one_model: self
                .failed
                .iter()
                .all(|failed| failed.limited && failed.model == model),
        };
        let room = KNOWN.saturating_sub(keys);
        let forgotten = self.known.len().saturating_sub(room);
        self.known.drain(..forgotten);
        self.known
            .extend(self.failed.drain(..).map(|failed| failed.key));
        self.next_probe();
        Some(storm)
    }

    /// A key served a request that began at `began`: what failed until then failed for its own sake. What failed since is not
    /// refuted by an answer that was on its way already.
    pub(crate) fn succeeded(&mut self, key: u64, began: Moment) {
        self.failed.retain(|failed| failed.at > began);
        self.known.retain(|known| *known != key);
        self.next_probe();
    }

    /// A key failed in the probe of a breaker that a storm has opened; returns whether the probe has failed with it.
    pub(crate) fn failed_in_probe(&mut self, key: u64) -> bool {
        self.probes += 1;
        self.fresh += u32::from(!self.known.contains(&key));
        let spent = self.probes >= PROBES || self.fresh >= FRESH;
        if spent {
            self.next_probe();
        }
        spent
    }

    fn next_probe(&mut self) {
        self.probes = 0;
        self.fresh = 0;
    }
}

/// Whether the failure is a rate limit of the key, or the key's end; `None`: it tells nothing of the key as such.
pub(crate) fn is_limit(fault: &Fault) -> Option<bool> {
    match fault.class {
        Class::KeyDead | Class::Exhausted => Some(false),
        Class::RateLimited => (fault.scope == Scope::Key).then_some(true),
        Class::Client
        | Class::Unfit
        | Class::ContextLength
        | Class::Refused
        | Class::Overloaded
        | Class::Upstream
        | Class::Timeout
        | Class::Network
        | Class::BadAnswer => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    fn of(class: Class) -> Fault {
        Fault::new(class)
    }

    /// Keys of a pool fail for model 1, a second after the other; which of the failures completes a storm, and how many keys
    /// it counts.
    fn storm(keys: &[u64], pool: usize, fault: &Fault) -> Option<(usize, usize)> {
        let mut storms = Storms::default();
        keys.iter()
            .zip(0..)
            .enumerate()
            .find_map(|(place, (key, second))| {
                let storm = storms.failed(*key, pool, 1, fault, at(second))?;
                assert_eq!(storm.since, at(0));
                Some((place, storm.keys))
            })
    }

    #[test]
    fn most_of_a_pool_or_many_keys() {
        let many: Vec<u64> = (0..20).collect();
        for (keys, pool, expect) in [
            (&[1, 2, 3][..], 3, Some((2, 3))),
            (&[1, 2, 3], 5, Some((2, 3))),
            (&[1, 2, 3], 6, None),
            (&[1, 2, 3, 4], 6, Some((3, 4))),
            // The same key again is no news.
            (&[1, 1, 1, 2, 2], 3, None),
            (&[1, 1, 2, 2, 3], 3, Some((4, 3))),
            // Two keys are too few to tell.
            (&[1, 2, 1, 2], 2, None),
            (&many[..9], 100_000, None),
            (&many, 100_000, Some((9, 10))),
        ] {
            assert_eq!(
                storm(keys, pool, &of(Class::KeyDead)),
                expect,
                "{keys:?} of {pool}"
            );
        }
    }

    #[test]
    fn only_what_is_of_the_keys_alone() {
        for class in Class::ALL {
            let expect = match class {
                Class::KeyDead | Class::Exhausted => Some((2, 3)),
                Class::RateLimited => Some((9, 10)),
                _ => None,
            };
            let keys: Vec<u64> = (1..=12).collect();
            assert_eq!(storm(&keys, 4, &of(class)), expect, "{class:?}");
        }
        for scope in [Scope::Model, Scope::Account] {
            let fault = Fault {
                scope,
                ..of(Class::RateLimited)
            };
            assert_eq!(storm(&[1, 2, 3], 4, &fault), None);
        }
    }

    #[test]
    fn a_success_in_between_and_time_part_them() {
        let dead = of(Class::KeyDead);
        let mut storms = Storms::default();
        assert_eq!(storms.failed(1, 4, 1, &dead, at(0)), None);
        assert_eq!(storms.failed(2, 4, 1, &dead, at(0)), None);
        storms.succeeded(9, at(0));
        assert_eq!(storms.failed(3, 4, 1, &dead, at(0)), None);
        assert_eq!(storms.failed(4, 4, 1, &dead, at(59)), None);
        assert_eq!(storms.failed(1, 4, 1, &dead, at(60)), None);
        let storm = storms.failed(2, 4, 1, &dead, at(61)).unwrap();
        assert_eq!((storm.since, storm.keys), (at(59), 3));
    }

    #[test]
    fn an_answer_that_was_on_its_way_refutes_no_storm() {
        let dead = of(Class::KeyDead);
        let mut storms = Storms::default();
        assert_eq!(storms.failed(1, 4, 1, &dead, at(5)), None);
        assert_eq!(storms.failed(2, 4, 1, &dead, at(6)), None);
        storms.succeeded(9, at(4));
        assert_eq!(storms.failed(3, 4, 1, &dead, at(7)).unwrap().keys, 3);
    }

    #[test]
    fn a_rate_limit_of_one_model_is_not_the_providers() {
        let limited = of(Class::RateLimited);
        let dead = of(Class::KeyDead);
        for (failures, expect) in [
            ([(1, &limited), (1, &limited), (1, &limited)], true),
            ([(1, &limited), (2, &limited), (1, &limited)], false),
            ([(1, &limited), (1, &dead), (1, &limited)], false),
            ([(1, &dead), (1, &dead), (1, &dead)], false),
        ] {
            let mut storms = Storms::default();
            let round = failures.into_iter().cycle().zip(0..MANY as u64);
            let storm = round
                .into_iter()
                .find_map(|((model, fault), key)| storms.failed(key, 100, model, fault, at(0)));
            assert_eq!(storm.unwrap().one_model, expect, "{failures:?}");
        }
    }

    #[test]
    fn keys_that_are_dead_indeed_make_no_second_storm() {
        let dead = of(Class::KeyDead);
        let mut storms = Storms::default();
        let mut round = |second, served| {
            let storm = [1, 2, 3]
                .into_iter()
                .find_map(|key| storms.failed(key, 4, 1, &dead, at(second)));
            storms.succeeded(served, at(second));
            storm.is_some()
        };
        assert!(round(0, 4));
        assert!(!round(1000, 4));
        // Two of them have served since, the third is still under suspicion.
        assert!(!round(2000, 1));
        assert!(!round(3000, 2));
        assert!(!round(4000, 3));
        // Each of these rounds ended with one more that served and then failed again: none is known any more.
        assert!(round(5000, 4));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let dead = of(Class::KeyDead);
        let mut storms = Storms::default();
        for key in 0..100_000 {
            storms.failed(key, 100_000, 1, &dead, at(key));
        }
        assert!(storms.known.len() <= KNOWN && storms.failed.len() <= MANY);
        assert!(storms.known.contains(&99_999));
    }

    #[test]
    fn a_probe_may_meet_some_dead_keys() {
        for (keys, expect) in [
            // None of the storm's.
            (&[11, 12, 13, 14, 15, 16][..], "..x..x"),
            // The storm's alone.
            (&[1, 2, 3, 1, 2, 3, 1, 2, 3], ".......x."),
            (&[1, 11, 2, 12, 3, 13, 1], ".....x."),
        ] {
            let mut storms = Storms::default();
            for key in [1, 2, 3] {
                storms.failed(key, 4, 1, &of(Class::KeyDead), at(0));
            }
            let mut spent = |key: &u64| {
                if storms.failed_in_probe(*key) {
                    'x'
                } else {
                    '.'
                }
            };
            let spent: String = keys.iter().map(&mut spent).collect();
            assert_eq!(spent, expect, "{keys:?}");
        }
    }
}
