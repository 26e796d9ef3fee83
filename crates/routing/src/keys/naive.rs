//! A pool that looks at every key for every choice, and the pool beside it: they must say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::SecretString;

use super::*;
use crate::{Moment, Scope};

const MODELS: [&str; 3] = ["small", "large", "other"];
const PATIENCE: u64 = 30_000;

#[derive(Debug, Clone)]
enum Step {
    Take {
        model: usize,
    },
    Drop {
        lease: prop::sample::Index,
    },
    Served {
        key: prop::sample::Index,
        model: usize,
    },
    Limited {
        key: prop::sample::Index,
        millis: u64,
    },
    LimitedFor {
        key: prop::sample::Index,
        model: usize,
        millis: u64,
    },
    Dead {
        key: prop::sample::Index,
    },
    Off {
        key: prop::sample::Index,
    },
    On {
        key: prop::sample::Index,
    },
    Wait {
        millis: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let key = any::<prop::sample::Index>;
    let model = 0..MODELS.len();
    prop_oneof![
        8 => model.clone().prop_map(|model| Step::Take { model }),
        5 => key().prop_map(|lease| Step::Drop { lease }),
        2 => (key(), model.clone()).prop_map(|(key, model)| Step::Served { key, model }),
        2 => (key(), 0_u64..20_000).prop_map(|(key, millis)| Step::Limited { key, millis }),
        2 => (key(), model, 0_u64..20_000)
            .prop_map(|(key, model, millis)| Step::LimitedFor { key, model, millis }),
        2 => key().prop_map(|key| Step::Dead { key }),
        1 => key().prop_map(|key| Step::Off { key }),
        2 => key().prop_map(|key| Step::On { key }),
        3 => (0_u64..40_000).prop_map(|millis| Step::Wait { millis }),
    ]
}

#[derive(Debug, Default, Clone)]
struct Naive {
    off: bool,
    until: u64,
    /// Times in a row that it was not accepted; 0: it is only limited, if anything.
    strikes: u32,
    probe: Option<(usize, u64)>,
    models: BTreeMap<usize, u64>,
    in_flight: u32,
}

impl Naive {
    /// From when on it may be used; `None`: nobody knows.
    fn ready(&self, model: usize, most: u32) -> Option<u64> {
        if self.off || self.in_flight >= most {
            return None;
        }
        let probe = self.probe.map_or(0, |(_, went)| went + PATIENCE);
        let of_model = self.models.get(&model).copied().unwrap_or(0);
        Some(self.until.max(probe).max(of_model))
    }

    fn dead(&mut self, now: u64) {
        if self.strikes == 0 {
            self.strikes = 1;
        } else if self.until <= now {
            self.strikes += 1;
        }
        let wait = (60_000_u64 << (self.strikes - 1).min(12)).min(3_600_000);
        self.until = self.until.max(now + wait);
        self.probe = None;
    }

    fn limited(&mut self, millis: u64, now: u64) {
        if self.strikes > 0 && self.until > now {
            return;
        }
        self.strikes = 0;
        self.probe = None;
        self.until = self.until.max(now + millis);
    }

    fn served(&mut self, model: usize, now: u64) {
        if self.strikes > 0 || self.until <= now {
            self.strikes = 0;
            self.until = 0;
            self.probe = None;
        }
        if self.models.get(&model).is_some_and(|until| *until <= now) {
            self.models.remove(&model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_is_as_good_as_one_that_looks_at_every_key(
        count in 1_usize..9,
        most in 1_u32..4,
        reload in any::<prop::sample::Index>(),
        steps in prop::collection::vec(steps(), 1..120),
    ) {
        let limits = KeyLimits { concurrency: Some(most), ..KeyLimits::default() };
        let specs: Vec<KeySpec> = (0..count)
            .map(|name| KeySpec { limits, ..KeySpec::new(SecretString::from(format!("secret-{name}"))) })
            .collect();
        let mut pool = KeyPool::new(specs.clone());
        let keys: Vec<KeyRef> = pool.keys().collect();
        let mut naive = vec![Naive::default(); count];
        let mut leases: Vec<(usize, usize, Lease)> = Vec::new();
        let mut numbers = 0..;
        let mut next = 0;
        let mut now = 0;
        let reload = reload.index(steps.len());
        for (place, step) in steps.into_iter().enumerate() {
            let at = Moment::from_millis(now);
            if place == reload {
                let new = KeyPool::new(specs.clone());
                new.inherit(&pool);
                pool = new;
                next = 0;
            }
            match step {
                Step::Take { model } => {
                    let ready = |key: usize| naive[key].ready(model, most);
                    let mut order = (next..count).chain(0..next);
                    let expect = order.find(|key| ready(*key).is_some_and(|ready| ready <= now));
                    let wanted = Wanted::of(MODELS[model]);
                    prop_assert_eq!(pool.ready(&wanted, at).is_ok(), expect.is_some());
                    match (pool.take(&wanted, at), expect) {
                        (Ok(lease), Some(key)) => {
                            prop_assert_eq!(lease.fingerprint(), keys[key].fingerprint());
                            let number: usize = numbers.next().unwrap();
                            let known = &mut naive[key];
                            known.in_flight += 1;
                            prop_assert_eq!(lease.is_probe(), known.strikes > 0);
                            if known.strikes > 0 {
                                known.probe = Some((number, now));
                            }
                            next = (key + 1) % count;
                            leases.push((number, key, lease));
                        }
                        (Err(unready), None) => {
                            let first = (0..count).filter_map(ready).min();
                            if let Some(told) = unready.ready_at {
                                prop_assert!(told > at);
                                prop_assert!(first.is_none_or(|first| told.as_millis() <= first));
                            } else {
                                prop_assert_eq!(first, None);
                            }
                        }
                        (taken, expect) => prop_assert!(false, "{taken:?} for {expect:?}"),
                    }
                }
                Step::Drop { lease } if !leases.is_empty() => {
                    let (number, key, lease) = leases.swap_remove(lease.index(leases.len()));
                    drop(lease);
                    naive[key].in_flight -= 1;
                    naive[key].probe.take_if(|(probe, _)| *probe == number);
                }
                Step::Drop { .. } => {}
                Step::Served { key, model } => {
                    let key = key.index(count);
                    pool.served(&keys[key], MODELS[model], at);
                    naive[key].served(model, now);
                }
                Step::Limited { key, millis } => {
                    let key = key.index(count);
                    pool.report(&keys[key], MODELS[0], &limited(Scope::Key, millis), at);
                    naive[key].limited(millis, now);
                }
                Step::LimitedFor { key, model, millis } => {
                    let key = key.index(count);
                    pool.report(&keys[key], MODELS[model], &limited(Scope::Model, millis), at);
                    let until = naive[key].models.entry(model).or_default();
                    *until = (*until).max(now + millis);
                }
                Step::Dead { key } => {
                    let key = key.index(count);
                    pool.report(&keys[key], MODELS[0], &Fault::new(Class::KeyDead), at);
                    naive[key].dead(now);
                }
                Step::Off { key } => {
                    let key = key.index(count);
                    prop_assert!(pool.disable(&keys[key].id(), "by hand"));
                    naive[key].off = true;
                }
                Step::On { key } => {
                    let key = key.index(count);
                    prop_assert!(pool.enable(&keys[key].id()));
                    let in_flight = naive[key].in_flight;
                    naive[key] = Naive { in_flight, ..Naive::default() };
                }
                Step::Wait { millis } => now += millis,
            }
            for (key, known) in keys.iter().zip(&naive) {
                prop_assert_eq!(key.in_flight(), known.in_flight);
            }
        }

        // Nothing rests forever, and nothing is held by requests that are over.
        leases.clear();
        let later = Moment::from_millis(now + 25 * 3_600_000);
        for (key, known) in keys.iter().zip(&naive) {
            prop_assert_eq!(key.in_flight(), 0);
            if known.off {
                pool.enable(&key.id());
            }
        }
        for model in MODELS {
            let turn: Vec<Lease> = (0..count).filter_map(|_| pool.take(&Wanted::of(model), later).ok()).collect();
            prop_assert!(keys.iter().all(|key| turn.iter().any(|lease| lease.fingerprint() == key.fingerprint())));
        }
    }
}

fn limited(scope: Scope, millis: u64) -> Fault {
    Fault {
        retry_after: Some(Duration::from_millis(millis)),
        scope,
        ..Fault::new(Class::RateLimited)
    }
}
