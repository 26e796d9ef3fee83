//! Pools of keys: tables, and a comparison with a pool that does everything the slow way.

use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::{Moment, Scope};

const M: &str = "gpt-4o";

fn pool(secrets: &[&str]) -> KeyPool {
    KeyPool::new(secrets.iter().map(|secret| SecretString::from(*secret)))
}

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// `a`: the key `secret-a`.
fn spec(last: &str) -> KeySpec {
    KeySpec::new(SecretString::from(format!("secret-{last}")))
}

fn last(key: &Key) -> char {
    key.label().chars().last().unwrap()
}

/// The last characters of the next `count` keys; `-` for none.
fn turns(pool: &KeyPool, count: usize, now: Moment) -> String {
    turns_of(pool, &Wanted::of(M), count, now)
}

fn turns_of(pool: &KeyPool, wanted: &Wanted<'_>, count: usize, now: Moment) -> String {
    let taken = (0..count).map(|_| pool.take(wanted, now));
    taken.map(|key| key.map_or('-', |key| last(&key))).collect()
}

fn key(pool: &KeyPool, name: char) -> KeyRef {
    pool.keys().find(|key| last(key) == name).unwrap()
}

fn limited(millis: u64) -> Fault {
    Fault {
        status: 429,
        retry_after: Some(Duration::from_millis(millis)),
        ..Fault::new(Class::RateLimited)
    }
}

fn dead() -> Fault {
    Fault {
        status: 401,
        code: "invalid_api_key".to_owned(),
        ..Fault::new(Class::KeyDead)
    }
}

fn rest(pool: &KeyPool, name: char, millis: u64, now: Moment) {
    pool.report(&key(pool, name), M, &limited(millis), now);
}

#[test]
fn takes_turns_and_lets_rest() {
    let pool = pool(&["secret-a", "secret-b", "secret-c", "secret-b", ""]);
    assert_eq!(pool.len(), 3);
    assert_eq!(turns(&pool, 4, at(0)), "abca");
    rest(&pool, 'b', 100, at(0));
    rest(&pool, 'c', 50, at(0));
    assert_eq!(turns(&pool, 3, at(0)), "aaa");
    assert_eq!(turns(&pool, 4, at(50)), "caca");
    assert_eq!(turns(&pool, 3, at(100)), "bca");
    for name in ['a', 'b', 'c'] {
        rest(&pool, name, 10, at(200));
    }
    let unready = pool.take(&Wanted::of(M), at(205)).unwrap_err();
    assert_eq!(
        (unready.ready_at, unready.why, unready.only_limits),
        (Some(at(210)), Hindrance::Cooling, true)
    );
    assert_eq!(unready.to_string(), "cooling: 429 rate_limited");
    assert_eq!(turns(&pool, 3, at(210)), "bca");
}

#[test]
fn no_key_is_a_key_too() {
    let none = KeyPool::keyless();
    let key = none.take(&Wanted::of(M), at(0)).unwrap();
    assert!(key.is_none());
    assert_eq!(key.label(), "none");
    for pool in [pool(&[]), KeyPool::default()] {
        assert!(pool.is_empty());
        assert_eq!(
            pool.take(&Wanted::of(M), at(0)).unwrap_err().why,
            Hindrance::NoKeys
        );
    }
}

#[test]
fn shows_four_characters_at_most() {
    for (secret, expect) in [
        ("sk-proj-abcd1234", "…1234"),
        ("12345678", "…5678"),
        ("1234567", "…"),
        ("пароль-ключ", "…ключ"),
    ] {
        assert_eq!(label(secret), expect);
        let pool = pool(&[secret]);
        let lease = pool.take(&Wanted::of(M), at(0)).unwrap();
        let shown = format!(
            "{pool:?} {lease:?} {:?} {:?}",
            lease.key(),
            pool.states(at(0))
        );
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_dead_key_is_tested_by_one_request_at_a_time() {
    let pool = KeyPool::new([spec("a")]);
    let lease = pool.take(&Wanted::of(M), at(0)).unwrap();
    pool.report(&lease, M, &dead(), at(0));
    drop(lease);
    let unready = pool.take(&Wanted::of(M), at(10)).unwrap_err();
    assert_eq!(unready.to_string(), "disabled: 401 invalid_api_key");
    assert_eq!(
        (unready.ready_at, unready.only_limits),
        (Some(at(60_000)), false)
    );

    // One goes, the others wait; when it ends without a word, the next goes.
    let probe = pool.take(&Wanted::of(M), at(60_000)).unwrap();
    assert!(probe.is_probe());
    assert_eq!(turns(&pool, 2, at(60_001)), "--");
    drop(probe);
    let probe = pool.take(&Wanted::of(M), at(60_002)).unwrap();
    pool.report(&probe, M, &dead(), at(60_100));
    drop(probe);
    assert_eq!(turns(&pool, 1, at(180_099)), "-");
    let probe = pool.take(&Wanted::of(M), at(180_100)).unwrap();
    assert_eq!(turns(&pool, 1, at(180_200)), "-");
    pool.served(&probe, M, at(180_300));
    assert_eq!(turns(&pool, 2, at(180_300)), "aa");
    assert_eq!(pool.states(at(180_300))[0].state, KeyState::Healthy);
}

#[test]
fn limits_count_by_scope() {
    let scoped = |scope| Fault {
        scope,
        ..limited(1_000)
    };
    let specs = ["a", "b", "c"].map(|name| KeySpec {
        account: (name != "c").then(|| "acme".to_owned()),
        ..spec(name)
    });
    for (scope, of_model, of_other) in [
        (Scope::Key, "bcb", "cbc"),
        (Scope::Model, "bcb", "cab"),
        (Scope::Account, "ccc", "abc"),
    ] {
        let pool = KeyPool::new(specs.clone());
        pool.report(&key(&pool, 'a'), M, &scoped(scope), at(0));
        assert_eq!(turns(&pool, 3, at(0)), of_model, "{scope:?}");
        assert_eq!(
            turns_of(&pool, &Wanted::of("other"), 3, at(0)),
            of_other,
            "{scope:?}"
        );
        let mut all: Vec<char> = turns(&pool, 3, at(1_000)).chars().collect();
        all.sort_unstable();
        assert_eq!(all, ['a', 'b', 'c'], "{scope:?}");
    }
    // Nobody knows whose it is: only this key's use of the model rests; then it is learned.
    let pool = KeyPool::new([spec("a"), spec("b"), spec("c")]);
    pool.report(&key(&pool, 'a'), M, &scoped(Scope::Account), at(0));
    assert_eq!(turns(&pool, 2, at(0)), "bc");
    pool.learn_account(&key(&pool, 'a'), "acme");
    let told = Fault {
        account: Some("acme".to_owned()),
        ..scoped(Scope::Account)
    };
    pool.report(&key(&pool, 'b'), M, &told, at(2_000));
    assert_eq!(turns(&pool, 3, at(2_000)), "ccc");
}

#[test]
fn a_large_pool_with_most_keys_at_rest_stays_cheap() {
    const KEYS: usize = 100_000;
    let pool = KeyPool::new((0..KEYS).map(|i| spec(&format!("{i:05}"))));
    let keys: Vec<KeyRef> = pool.keys().collect();
    let choose = |model: &str, sticky: Option<u64>, choices: usize| {
        let (before, _) = pool.cost();
        for choice in 0..choices {
            let sticky = sticky.map(|what| what + choice as u64);
            let wanted = Wanted {
                sticky,
                ..Wanted::of(model)
            };
            pool.take(&wanted, at(0)).unwrap();
        }
        pool.cost().0 - before
    };
    assert_eq!(choose(M, None, 1_000), 1_000);
    assert_eq!(choose(M, Some(7), 1_000), 1_000);

    // All but every thousandth key rest for one model: each is met once, and no more.
    for (place, key) in keys.iter().enumerate() {
        if place % 1_000 != 0 {
            pool.report(
                key,
                "tired",
                &Fault {
                    scope: Scope::Model,
                    ..limited(3_600_000)
                },
                at(0),
            );
        }
    }
    let first = choose("tired", None, 200);
    assert!(first <= KEYS as u64 + 300, "{first}");
    assert_eq!(choose("tired", None, 1_000), 1_000);
    assert_eq!(choose("tired", Some(7), 1_000), 1_000);
    assert_eq!(choose(M, None, 1_000), 1_000);
    assert_eq!(pool.cost().1, 2);

    // As many are not accepted at all.
    for (place, key) in keys.iter().enumerate() {
        if place % 1_000 != 500 {
            pool.report(key, M, &dead(), at(0));
        }
    }
    let first = choose(M, None, 200);
    assert!(first <= KEYS as u64 + 300, "{first}");
    assert_eq!(choose(M, None, 1_000), 1_000);
    assert_eq!(choose(M, Some(7), 1_000), 1_000);
    let (before, _) = pool.cost();
    assert!(pool.take(&Wanted::of("tired"), at(0)).is_err());
    assert!(pool.cost().0 - before <= 100);
    for _ in 0..10 {
        assert!(pool.take(&Wanted::of("tired"), at(0)).is_err());
    }
    assert!(pool.cost().0 - before <= 100);

    // A new configuration knows of all of them.
    let new = KeyPool::new((0..KEYS).rev().map(|i| spec(&format!("{i:05}"))));
    new.inherit(&pool);
    let disabled = |row: &Standing| row.state.name() == "disabled";
    assert_eq!(
        new.states(at(0)).iter().filter(|row| disabled(row)).count(),
        KEYS - 100
    );
    let saved = new.saved(at(0));
    let of_all_models = saved.iter().filter(|saved| saved.model.is_none());
    assert_eq!(of_all_models.count(), KEYS - 100);
    assert_eq!(turns(&new, 100, at(0)), turns(&pool, 100, at(0)));
}

#[test]
fn shares_follow_weights_and_0_is_drained() {
    let weights = [("a", 5), ("b", 0), ("c", 1), ("d", 2)];
    let pool = KeyPool::new(weights.map(|(name, weight)| KeySpec {
        weight,
        ..spec(name)
    }));
    let count = |turns: &str, name: char| turns.chars().filter(|turn| *turn == name).count();
    let all = turns(&pool, 800, at(0));
    for (name, due) in [('a', 500), ('b', 0), ('c', 100), ('d', 200)] {
        assert!(count(&all, name).abs_diff(due) <= 4, "{name}: {all}");
    }
    // Smoothly: of any eight turns in a row the lightest has one, give or take one.
    for start in 0..=all.len() - 8 {
        assert!(count(&all[start..start + 8], 'c') <= 2, "{all}");
    }
    rest(&pool, 'a', 1_000, at(0));
    let rest = turns(&pool, 300, at(0));
    assert!(
        count(&rest, 'c').abs_diff(100) <= 4 && count(&rest, 'a') == 0,
        "{rest}"
    );

    let drained = KeyPool::new([KeySpec {
        weight: 0,
        ..spec("a")
    }]);
    let unready = drained.take(&Wanted::of(M), at(0)).unwrap_err();
    assert_eq!((unready.why, unready.ready_at), (Hindrance::Drained, None));
}

#[test]
fn routes_may_be_limited_to_tags() {
    let tagged = [("a", "eu"), ("b", "us"), ("c", "eu,gold"), ("d", "")];
    let pool = KeyPool::new(tagged.map(|(name, tags)| KeySpec {
        tags: tags.split(',').map(str::to_owned).collect(),
        ..spec(name)
    }));
    for (tags, expect) in [
        (vec![], "abcd"),
        (vec!["eu"], "acac"),
        (vec!["gold", "us"], "bcbc"),
        (vec!["us", "gold", "us"], "bcbc"),
        (vec!["asia"], "----"),
    ] {
        let tags: Vec<String> = tags.into_iter().map(str::to_owned).collect();
        let from = pool.select(&tags);
        assert_eq!(from.is_empty(), expect == "----", "{tags:?}");
        assert_eq!(from, pool.select(&tags));
        let wanted = Wanted {
            from,
            ..Wanted::of(M)
        };
        assert_eq!(turns_of(&pool, &wanted, 4, at(0)), expect, "{tags:?}");
    }
    // Who rests does so in all of them.
    rest(&pool, 'c', 1_000, at(0));
    let from = pool.select(&["eu".to_owned()]);
    assert_eq!(
        turns_of(
            &pool,
            &Wanted {
                from,
                ..Wanted::of(M)
            },
            2,
            at(0)
        ),
        "aa"
    );
    let from = pool.select(&["asia".to_owned()]);
    let nobody = pool
        .take(
            &Wanted {
                from,
                ..Wanted::of(M)
            },
            at(0),
        )
        .unwrap_err();
    assert_eq!(nobody.why, Hindrance::NoKeys);
    assert!(KeyPool::default().select(&["eu".to_owned()]).is_empty());
}

#[test]
fn the_same_stays_at_the_same_key() {
    let pool = KeyPool::new(["a", "b", "c", "d", "e"].map(spec));
    let home = |what: u64, now: Moment| {
        let wanted = Wanted {
            sticky: Some(what),
            ..Wanted::of(M)
        };
        turns_of(&pool, &wanted, 3, now)
    };
    let before: Vec<String> = (0..100).map(|what| home(what, at(0))).collect();
    for all in &before {
        assert!(all.chars().all(|turn| all.starts_with(turn)), "{all}");
    }
    rest(&pool, 'b', 1_000, at(0));
    for (what, before) in before.iter().enumerate() {
        let after = home(what as u64, at(0));
        assert_eq!(after != *before, before.starts_with('b'));
        assert!(after.chars().all(|turn| after.starts_with(turn)), "{after}");
        assert_eq!(home(what as u64, at(1_000)), *before);
        rest(&pool, 'b', 1_000, at(0));
    }
    // A request that has tried its key goes to another, and has it in mind.
    let tried = |key: &Key| before[0].starts_with(last(key));
    let wanted = Wanted {
        sticky: Some(0),
        tried: &tried,
        ..Wanted::of(M)
    };
    let other = turns_of(&pool, &wanted, 1, at(2_000));
    assert_ne!(other, before[0][..1]);
    assert_ne!(other, "-");
}

#[test]
fn nothing_is_tried_twice() {
    for weights in [[1, 1, 1], [3, 1, 2]] {
        let specs = ["a", "b", "c"].into_iter().zip(weights);
        let pool = KeyPool::new(specs.map(|(name, weight)| KeySpec {
            weight,
            ..spec(name)
        }));
        for sticky in [None, Some(3)] {
            let mut tried = String::new();
            for _ in 0..3 {
                let known = tried.clone();
                let is_tried = |key: &Key| known.contains(last(key));
                let wanted = Wanted {
                    sticky,
                    tried: &is_tried,
                    ..Wanted::of(M)
                };
                let lease = pool.take(&wanted, at(0)).unwrap();
                assert!(!known.contains(last(&lease)));
                tried.push(last(&lease));
            }
            let wanted = Wanted {
                sticky,
                tried: &|_| true,
                ..Wanted::of(M)
            };
            let unready = pool.take(&wanted, at(0)).unwrap_err();
            assert_eq!((unready.why, unready.ready_at), (Hindrance::Tried, None));
            assert!(pool.take_least_bad(&wanted, at(0)).is_none());
        }
    }
}

#[test]
fn no_more_is_under_way_than_may_be() {
    let limits = KeyLimits {
        concurrency: Some(2),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new(["a", "b"].map(|name| KeySpec {
        limits,
        ..spec(name)
    }));
    let mut leases: Vec<Lease> = (0..4)
        .map(|_| pool.take(&Wanted::of(M), at(0)).unwrap())
        .collect();
    assert!(pool.keys().all(|key| key.in_flight() == 2));
    let unready = pool.take(&Wanted::of(M), at(0)).unwrap_err();
    assert_eq!(
        (unready.why, unready.ready_at, unready.only_limits),
        (Hindrance::AtCaps, None, true)
    );
    assert!(pool.take_least_bad(&Wanted::of(M), at(0)).is_none());
    for _ in 0..100 {
        let ended = leases.remove(0);
        let name = last(&ended);
        drop(ended);
        let next = pool.take(&Wanted::of(M), at(0)).unwrap();
        assert_eq!(last(&next), name);
        leases.push(next);
        assert!(pool.take(&Wanted::of(M), at(0)).is_err());
    }
    leases.clear();
    assert!(pool.keys().all(|key| key.in_flight() == 0));
}

#[test]
fn minutes_hold_no_more_than_they_may() {
    let limits = KeyLimits {
        requests_per_minute: Some(3),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new([
        KeySpec {
            limits,
            ..spec("a")
        },
        KeySpec {
            limits,
            ..spec("b")
        },
    ]);
    assert_eq!(turns(&pool, 7, at(0)), "ababab-");
    let unready = pool.take(&Wanted::of(M), at(0)).unwrap_err();
    assert_eq!(
        (unready.why, unready.ready_at, unready.only_limits),
        (Hindrance::AtCaps, Some(at(20_000)), true)
    );
    assert_eq!(turns(&pool, 3, at(20_000)), "ab-");

    let limits = KeyLimits {
        tokens_per_minute: Some(1_000),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new([
        KeySpec {
            limits,
            ..spec("a")
        },
        KeySpec {
            limits,
            ..spec("b")
        },
    ]);
    let take = |tokens: u64, now: u64| {
        turns_of(
            &pool,
            &Wanted {
                tokens,
                ..Wanted::of(M)
            },
            1,
            at(now),
        )
    };
    // What is too large for a key at the moment passes it over; what is larger than its minute waits for a whole one.
    let all: String = [900, 600, 300, 300, 101]
        .map(|tokens| take(tokens, 0))
        .concat();
    assert_eq!(all, "abb--");
    assert_eq!(take(100, 0), "a");
    let wanted = Wanted {
        tokens: 5_000,
        ..Wanted::of(M)
    };
    let unready = pool.take(&wanted, at(0)).unwrap_err();
    assert_eq!(
        (unready.why, unready.ready_at),
        (Hindrance::AtCaps, Some(at(54_000)))
    );
    assert_eq!(take(5_000, 54_000), "b");

    // What was not used after all is given back.
    let pool = KeyPool::new([KeySpec {
        limits,
        ..spec("a")
    }]);
    let wanted = Wanted {
        tokens: 1_000,
        ..Wanted::of(M)
    };
    let mut lease = pool.take(&wanted, at(0)).unwrap();
    assert_eq!(turns(&pool, 1, at(0)), "-");
    lease.spent(400);
    assert_eq!(
        turns_of(
            &pool,
            &Wanted {
                tokens: 600,
                ..Wanted::of(M)
            },
            2,
            at(0)
        ),
        "a-"
    );
    lease.spent(600);
    assert_eq!(
        pool.take(
            &Wanted {
                tokens: 1,
                ..Wanted::of(M)
            },
            at(0)
        )
        .unwrap_err()
        .ready_at,
        Some(at(12_060))
    );
}

#[test]
fn keys_with_little_left_are_spared() {
    let pool = KeyPool::new(["a", "b", "c"].map(spec));
    let quota = |left: f32| Quota {
        left,
        reset_at: at(10_000),
    };
    assert!((pool.headroom(Selection::ALL, at(0)) - 1.0).abs() < 0.001);
    pool.quota(&key(&pool, 'a'), quota(0.01));
    pool.quota(&key(&pool, 'b'), quota(0.5));
    assert!((pool.headroom(Selection::ALL, at(0)) - 1.51 / 3.0).abs() < 0.001);
    assert_eq!(turns(&pool, 4, at(0)), "bcbc");
    // It is used when there is no other.
    rest(&pool, 'b', 5_000, at(0));
    rest(&pool, 'c', 5_000, at(0));
    assert_eq!(turns(&pool, 2, at(0)), "aa");
    assert_eq!(turns(&pool, 2, at(5_000)), "bc");
    // After the reset, or when the upstream says that there is more, it is as good as any.
    assert_eq!(turns(&pool, 3, at(10_000)), "abc");
    pool.quota(
        &key(&pool, 'a'),
        Quota {
            reset_at: at(90_000),
            ..quota(0.04)
        },
    );
    assert_eq!(turns(&pool, 2, at(11_000)), "bc");
    pool.quota(
        &key(&pool, 'a'),
        Quota {
            reset_at: at(90_000),
            ..quota(0.9)
        },
    );
    assert_eq!(turns(&pool, 3, at(12_000)), "abc");
}

#[test]
fn a_key_that_fails_where_others_do_not_rests_for_that_model() {
    let broken = Fault {
        status: 500,
        ..Fault::new(Class::Upstream)
    };
    let pool = KeyPool::new(["a", "b"].map(spec));
    let (a, b) = (key(&pool, 'a'), key(&pool, 'b'));
    // All fail: no key is at fault.
    for _ in 0..20 {
        pool.report(&a, M, &broken, at(0));
        pool.report(&b, M, &broken, at(0));
    }
    assert_eq!(turns(&pool, 4, at(0)), "abab");
    let start = 100_000;
    pool.served(&b, M, at(start));
    for _ in 0..4 {
        pool.report(&a, M, &broken, at(start));
    }
    assert_eq!(turns(&pool, 2, at(start)), "ab");
    pool.report(&a, M, &broken, at(start));
    assert_eq!(turns(&pool, 2, at(start)), "bb");
    assert_eq!(turns_of(&pool, &Wanted::of("other"), 2, at(start)), "ab");
    let models = pool.states(at(start))[0].models.clone();
    assert_eq!(models.len(), 1);
    assert_eq!(
        (models[0].1.name(), models[0].1.until()),
        ("failing", Some(at(start + 5_000)))
    );

    // One request tests it, and a failure is enough to double the rest.
    let probe = pool.take(&Wanted::of(M), at(start + 5_000)).unwrap();
    assert_eq!((last(&probe), probe.is_probe()), ('a', true));
    pool.served(&b, M, at(start + 5_000));
    pool.report(&probe, M, &broken, at(start + 5_000));
    drop(probe);
    assert_eq!(turns(&pool, 2, at(start + 14_999)), "bb");
    let probe = pool.take(&Wanted::of(M), at(start + 15_000)).unwrap();
    pool.served(&probe, M, at(start + 15_000));
    assert_eq!(turns(&pool, 4, at(start + 15_000)), "baba");
}

#[test]
fn a_storm_of_limits_disables_nothing() {
    let pool = KeyPool::new(["a", "b"].map(spec));
    let untold = Fault {
        status: 429,
        ..Fault::new(Class::RateLimited)
    };
    let mut now = 0;
    for _ in 0..1_000 {
        for key in pool.keys() {
            pool.report(&key, M, &untold, at(now));
        }
        now += 700;
    }
    let unready = pool.take(&Wanted::of(M), at(now)).unwrap_err();
    let ready = unready.ready_at.unwrap();
    assert!(
        unready.only_limits && ready <= at(now + 60_000),
        "{unready:?}"
    );
    let probe = pool.take(&Wanted::of(M), ready).unwrap();
    pool.served(&probe, M, ready);
    assert_eq!(
        pool.states(ready)
            .iter()
            .filter(|row| row.state == KeyState::Healthy)
            .count(),
        2
    );
    // However long an upstream says: a day later it is tried.
    pool.report(&probe, M, &limited(u64::MAX), at(0));
    assert!(turns(&pool, 2, at(86_400_000)).contains(last(&probe)));
}

#[test]
fn what_befell_all_keys_at_once_is_forgiven() {
    let pool = KeyPool::new(["a", "b", "c"].map(spec));
    pool.report(&key(&pool, 'a'), M, &dead(), at(0));
    for name in ['b', 'c'] {
        pool.report(&key(&pool, name), M, &dead(), at(1_000));
    }
    assert_eq!(turns(&pool, 1, at(1_000)), "-");
    pool.forgive(at(500), at(1_100));
    assert_eq!(turns(&pool, 3, at(1_100)), "bcb");
    // What there was before stands: it had been dead once, was tested, and is tested again at once.
    let probe = pool
        .take(
            &Wanted {
                tried: &|key| last(key) != 'a',
                ..Wanted::of(M)
            },
            at(60_000),
        )
        .unwrap();
    pool.report(&probe, M, &dead(), at(60_000));
    drop(probe);
    pool.forgive(at(60_000), at(60_100));
    let row = pool.states(at(60_100)).remove(0);
    assert_eq!(
        row.state,
        KeyState::Disabled {
            until: at(60_100),
            reason: "401 invalid_api_key".to_owned()
        }
    );
    assert!(turns(&pool, 3, at(60_100)).contains('a'));
}

#[test]
fn keys_are_switched_by_hand() {
    let pool = KeyPool::new([
        spec("a"),
        KeySpec {
            disabled: Some("leaked".to_owned()),
            ..spec("b")
        },
    ]);
    let (a, b) = (key(&pool, 'a').id(), key(&pool, 'b').id());
    assert_eq!(a.len(), 12);
    assert!(a.chars().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(turns(&pool, 2, at(0)), "aa");
    assert!(pool.disable(&a, "rotated"));
    let unready = pool.take(&Wanted::of(M), at(0)).unwrap_err();
    assert_eq!(
        (unready.why, unready.ready_at, unready.only_limits),
        (Hindrance::Off, None, false)
    );
    assert!(pool.take_least_bad(&Wanted::of(M), at(0)).is_none());
    let reasons: Vec<Option<String>> = pool
        .states(at(0))
        .iter()
        .map(|row| row.state.reason().map(str::to_owned))
        .collect();
    assert_eq!(
        reasons,
        [Some("rotated".to_owned()), Some("leaked".to_owned())]
    );
    assert!(pool.enable(&a) && pool.enable(&b) && !pool.enable("000000000000"));
    assert_eq!(turns(&pool, 2, at(0)), "ba");
    // Switching on forgets why a key rests.
    pool.report(&key(&pool, 'a'), M, &dead(), at(0));
    assert_eq!(turns(&pool, 2, at(0)), "bb");
    assert!(pool.enable(&a));
    assert!(turns(&pool, 2, at(0)).contains('a'));
}

#[test]
fn a_new_configuration_shares_what_is_known() {
    let old = KeyPool::new([
        spec("a"),
        spec("b"),
        KeySpec {
            disabled: Some("leaked".to_owned()),
            ..spec("d")
        },
    ]);
    let under_way = old.take(&Wanted::of(M), at(0)).unwrap();
    old.report(&key(&old, 'b'), M, &limited(1_000), at(0));
    let account = Some("acme".to_owned());
    let specs = [
        spec("b"),
        KeySpec {
            account: account.clone(),
            ..spec("a")
        },
        KeySpec {
            account,
            ..spec("c")
        },
        spec("d"),
    ];
    let new = KeyPool::new(specs);
    new.inherit(&old);
    assert_eq!(turns(&new, 3, at(0)), "acd");
    assert_eq!(key(&new, 'a').in_flight(), 1);

    // Reports to the old one reach the new one, those that are of the account among them.
    let of_account = Fault {
        scope: Scope::Account,
        ..limited(5_000)
    };
    old.report(&under_way, M, &of_account, at(10));
    drop(under_way);
    assert_eq!(turns(&new, 2, at(10)), "dd");
    assert_eq!(turns(&new, 3, at(1_000)), "bdb");
    assert_eq!(key(&new, 'a').in_flight(), 0);
    let row = new.states(at(1_000)).remove(1);
    assert_eq!(
        (row.tally.successful, row.tally.failed, row.tally.statuses),
        (0, 1, vec![(429, 1)])
    );
    assert_eq!(row.account.as_deref(), Some("acme"));
    // The old one may still be chosen from.
    assert_eq!(turns(&old, 2, at(5_010)), "bd");
}

#[test]
fn a_restart_keeps_what_matters() {
    let old = KeyPool::new(["a", "b", "c", "d", "e"].map(spec));
    let exhausted = Fault {
        status: 402,
        retry_after: Some(Duration::from_hours(5)),
        ..Fault::new(Class::Exhausted)
    };
    old.report(&key(&old, 'a'), M, &dead(), at(0));
    old.report(&key(&old, 'b'), M, &exhausted, at(0));
    old.report(&key(&old, 'c'), M, &limited(1_000), at(0));
    old.disable(&key(&old, 'd').id(), "rotated");
    let saved = old.saved(at(20_000));
    let states: Vec<(SavedState, u64)> = saved
        .iter()
        .map(|key| (key.state, key.left.as_secs()))
        .collect();
    assert_eq!(
        states,
        [
            (SavedState::Disabled, 40),
            (SavedState::Exhausted, 17_980),
            (SavedState::Off, 0)
        ]
    );

    // The clock of another process begins anew.
    let new = KeyPool::new(["d", "c", "b", "a"].map(spec));
    new.restore(&saved, at(5));
    assert_eq!(turns(&new, 2, at(5)), "cc");
    assert_eq!(new.saved(at(5)).len(), 3);
    let probe = new
        .take(
            &Wanted {
                tried: &|key| last(key) == 'c',
                ..Wanted::of(M)
            },
            at(40_005),
        )
        .unwrap();
    assert_eq!((last(&probe), probe.is_probe()), ('a', true));
    new.report(&probe, M, &dead(), at(40_005));
    let until = new.states(at(40_005))[3].state.until();
    assert_eq!(until, Some(at(160_005)));
}

#[test]
fn the_least_bad_is_the_one_that_is_only_limited() {
    let pool = KeyPool::new(["a", "b", "c"].map(spec));
    pool.report(&key(&pool, 'a'), M, &dead(), at(0));
    rest(&pool, 'b', 500_000, at(0));
    rest(&pool, 'c', 900_000, at(0));
    let mut order = String::new();
    for _ in 0..3 {
        let known = order.clone();
        let is_tried = |key: &Key| known.contains(last(key));
        let wanted = Wanted {
            tried: &is_tried,
            ..Wanted::of(M)
        };
        order.push(last(&pool.take_least_bad(&wanted, at(0)).unwrap()));
    }
    assert_eq!(order, "bca");
}

#[test]
fn a_key_that_is_not_accepted_or_used_up_for_one_model_serves_the_others() {
    for class in [Class::KeyDead, Class::Exhausted] {
        let pool = pool(&["secret-a", "secret-b"]);
        let fault = Fault {
            scope: Scope::Model,
            ..Fault::new(class)
        };
        pool.report(&key(&pool, 'a'), M, &fault, at(0));
        assert_eq!(turns(&pool, 3, at(0)), "bbb", "{class:?}");
        let mut other: Vec<char> = turns_of(&pool, &Wanted::of("other"), 2, at(0))
            .chars()
            .collect();
        other.sort_unstable();
        assert_eq!(other, ['a', 'b'], "{class:?}");
    }
}

#[test]
fn a_restart_keeps_what_rests_for_a_model_or_an_account() {
    let of = |scope, minutes: u64| Fault {
        scope,
        ..limited(minutes * 60_000)
    };
    let old = KeyPool::new(["a", "b", "c"].map(spec));
    old.report(&key(&old, 'a'), M, &of(Scope::Model, 10), at(0));
    old.learn_account(&key(&old, 'b'), "acme");
    old.learn_account(&key(&old, 'c'), "acme");
    old.report(&key(&old, 'b'), "other", &of(Scope::Account, 20), at(0));
    let saved = old.saved(at(1));
    let told: Vec<_> = saved
        .iter()
        .map(|saved| (saved.model.as_deref(), saved.state, saved.left.as_secs()))
        .collect();
    let cooling = SavedState::Cooling;
    assert_eq!(
        told,
        [
            (Some(M), cooling, 599),
            (Some("other"), cooling, 1_199),
            (Some("other"), cooling, 1_199)
        ]
    );
    // Whose the keys are is not known any more.
    let new = KeyPool::new(["a", "b", "c"].map(spec));
    new.restore(&saved, at(7));
    assert_eq!(turns(&new, 2, at(7)), "bc");
    let other = |now| new.take(&Wanted::of("other"), now).map(|key| last(&key));
    assert_eq!(other(at(7)).ok(), Some('a'));
    // Limits that are over are nothing to remember.
    let over: Vec<SavedKey> = saved
        .into_iter()
        .map(|saved| SavedKey {
            left: Duration::ZERO,
            ..saved
        })
        .collect();
    let later = KeyPool::new(["a", "b", "c"].map(spec));
    later.restore(&over, at(7));
    assert!(later.saved(at(7)).is_empty());
}

#[test]
fn changes_and_news_are_told_once_and_only_when_there_are_any() {
    let pool = KeyPool::new(["a", "b"].map(spec));
    let turns = || -> Vec<String> {
        let (news, left_out) = pool.news();
        assert_eq!(left_out, 0);
        let told = news.into_iter().map(|news| match news.turn {
            KeyTurn::Disabled { reason, wait } | KeyTurn::Exhausted { reason, wait } => {
                format!("{} {reason} {wait:?}", news.label)
            }
            KeyTurn::Off { reason } => format!("{} off {reason}", news.label),
            KeyTurn::Enabled => format!("{} enabled", news.label),
        });
        told.collect()
    };
    let (a, b) = (key(&pool, 'a'), key(&pool, 'b'));
    let mut before = pool.changes();
    let mut check = |case: &str, changed: bool, news: &[&str]| {
        let now = pool.changes();
        assert_eq!(now != before, changed, "{case}");
        before = now;
        let told = turns();
        assert_eq!(told.len(), news.len(), "{case}: {told:?}");
        for (told, word) in told.iter().zip(news) {
            assert!(told.ends_with(word), "{case}: {told:?}");
        }
    };
    pool.served(&a, M, at(0));
    check("served", false, &[]);
    pool.report(&a, M, &limited(1_000), at(0));
    check("a short limit", false, &[]);
    pool.report(&b, M, &limited(600_000), at(0));
    check("a long limit", true, &[]);
    pool.report(&a, M, &dead(), at(0));
    check("dead", true, &["401 invalid_api_key 60s"]);
    pool.report(&a, M, &dead(), at(1));
    check("at the same time", true, &[]);
    pool.report(&a, M, &dead(), at(60_000));
    check("a re-test that failed", true, &[]);
    pool.served(&a, M, at(180_000));
    check("a re-test that was served", true, &["enabled"]);
    pool.disable(&b.id(), "rotated");
    check("off", true, &["off rotated"]);
    pool.enable(&b.id());
    check("on", true, &["enabled"]);
    pool.report(&b, M, &dead(), at(180_000));
    pool.forgive(at(180_000), at(180_001));
    check("forgiven", true, &["401 invalid_api_key 60s", "enabled"]);
}

#[test]
fn a_key_is_taken_again_if_it_may_be_used() {
    let pool = KeyPool::new(["a", "b", "c"].map(spec));
    let b = key(&pool, 'b');
    let again = |now| pool.take_again(&b, &Wanted::of(M), now);
    let held = again(at(0)).unwrap();
    assert_eq!((last(&held), b.in_flight()), ('b', 1));
    drop(held);
    // Nobody's turn passes.
    assert_eq!(turns(&pool, 3, at(0)), "abc");
    pool.report(&b, M, &limited(1_000), at(0));
    assert!(again(at(999)).is_none());
    assert!(again(at(1_000)).is_some());
    let other = KeyPool::new(["c"].map(spec));
    assert!(other.take_again(&b, &Wanted::of(M), at(1_000)).is_none());
}

#[test]
fn news_are_bounded() {
    const KEYS: usize = 1_000;
    let pool = KeyPool::new((0..KEYS).map(|i| spec(&format!("{i:04}"))));
    for key in pool.keys() {
        pool.report(&key, M, &dead(), at(0));
    }
    let (news, left_out) = pool.news();
    assert_eq!(news.len() as u64 + left_out, KEYS as u64);
    assert!(news.len() <= 32);
    assert_eq!(pool.news(), (Vec::new(), 0));
}

#[test]
fn accounts_that_no_key_has_any_more_are_forgotten() {
    let pool = pool(&["secret-a", "secret-b"]);
    let (a, b) = (key(&pool, 'a'), key(&pool, 'b'));
    pool.learn_account(&b, "org-lasting");
    // An upstream that names another account in every answer.
    for number in 0..1_000 {
        pool.learn_account(&a, &format!("org-{number}"));
    }
    assert_eq!(pool.accounts(), 2);
    pool.learn_account(&a, "org-lasting");
    assert_eq!(pool.accounts(), 1);
    let of_account = Fault {
        scope: Scope::Account,
        ..limited(100)
    };
    pool.report(&a, M, &of_account, at(0));
    assert_eq!(turns(&pool, 2, at(0)), "--");
}

#[test]
fn keys_are_tested_apart_when_their_time_has_come() {
    let drained = KeySpec {
        weight: 0,
        ..spec("f")
    };
    let pool = KeyPool::new(
        ["a", "b", "c", "d", "e"]
            .map(spec)
            .into_iter()
            .chain([drained]),
    );
    let exhausted = Fault::new(Class::Exhausted);
    pool.report(&key(&pool, 'a'), M, &dead(), at(0));
    pool.report(&key(&pool, 'b'), M, &exhausted, at(10));
    pool.report(&key(&pool, 'c'), M, &limited(5_000), at(0));
    pool.report(&key(&pool, 'd'), M, &dead(), at(0));
    pool.disable(&key(&pool, 'd').id(), "rotated");
    pool.report(&key(&pool, 'f'), M, &dead(), at(0));
    let test = |paid, now| {
        let lease = pool.take_to_test(paid, now);
        lease.map(|key| (last(&key), key))
    };
    let when = |paid, now| test(paid, now).map(|(name, _)| name).unwrap_err();
    assert_eq!(when(false, at(20)), Some(at(60_000)));
    assert_eq!(when(false, at(59_999)), Some(at(60_000)));
    let (name, lease) = test(false, at(60_000)).unwrap();
    assert_eq!(name, 'a');
    // While it is tested nobody else is: not by a question, not by a request.
    assert_eq!(when(false, at(60_001)), Some(at(90_000)));
    assert_eq!(turns(&pool, 4, at(60_001)), "cece");
    // A question that tells nothing of the key.
    drop(lease);
    let (name, lease) = test(false, at(60_002)).unwrap();
    assert_eq!(name, 'a');
    // What has nothing left is not shown to have something by what costs nothing.
    let (name, other) = test(true, at(60_010)).unwrap();
    assert_eq!(name, 'b');
    pool.served_check(&other, None, at(60_010));
    assert_eq!(pool.states(at(60_010))[1].state.name(), "exhausted");
    pool.served_check(&other, Some(M), at(60_010));
    pool.served_check(&lease, None, at(60_010));
    assert_eq!(when(true, at(60_010)), None);
    assert_eq!(turns(&pool, 4, at(60_010)), "abce");
    // All that is in no tally.
    for row in pool.states(at(60_010)) {
        assert!(row.tally.total() <= 1 && row.tally.successful == 0);
    }
    pool.report_check(&lease, M, &dead(), at(60_011));
    assert_eq!(pool.states(at(60_011))[0].tally.failed, 1);
    assert_eq!(pool.states(at(60_011))[0].state.name(), "disabled");
}

#[test]
fn when_to_ask_again_is_of_the_last_report() {
    let pool = pool(&["secret-a", "secret-b"]);
    let ready_at = |now| {
        let unready = pool.ready(&Wanted::of(M), at(now)).unwrap_err();
        unready.ready_at
    };
    rest(&pool, 'a', 5_000, at(0));
    rest(&pool, 'b', 30_000, at(0));
    assert_eq!(ready_at(1), Some(at(5_000)));
    // A request that was under way was told to wait longer.
    rest(&pool, 'a', 20_000, at(1_000));
    assert_eq!(ready_at(1_001), Some(at(21_000)));
    // Who has been switched off meanwhile is not waited for.
    let id = key(&pool, 'a').id();
    pool.disable(&id, "by hand");
    assert_eq!(ready_at(1_002), Some(at(30_000)));
}

#[test]
fn what_is_looked_at_is_not_taken() {
    let mut specs: Vec<KeySpec> = ["a", "b", "c", "d"].map(spec).into();
    specs[1].weight = 0;
    specs[2].tags = vec!["some".to_owned()];
    specs[3].disabled = Some("leaked".to_owned());
    let pool = KeyPool::new(specs);
    let now = at(1_000);
    let some = Wanted {
        from: pool.select(&["some".to_owned()]),
        ..Wanted::of(M)
    };
    for _ in 0..3 {
        assert_eq!(last(&pool.peek(&Wanted::of(M), now).unwrap()), 'a');
        assert_eq!(last(&pool.peek(&some, now).unwrap()), 'c');
    }
    // One is drained, and counts as none.
    let counts = |wanted: &Wanted<'_>| {
        let count = pool.count_ready(wanted, now);
        (count.ready, count.all)
    };
    assert_eq!(counts(&Wanted::of(M)), (2, 3));
    assert_eq!(counts(&some), (1, 1));

    rest(&pool, 'c', 5_000, now);
    pool.report(&key(&pool, 'a'), M, &dead(), now);
    assert_eq!(counts(&Wanted::of(M)), (0, 3));
    for _ in 0..2 {
        let unready = pool.peek(&Wanted::of(M), now).unwrap_err();
        assert_eq!(unready, pool.ready(&Wanted::of(M), now).unwrap_err());
        // A limit is less grave than a key that is not accepted.
        let least_bad = pool.peek_least_bad(&Wanted::of(M), now).unwrap();
        assert_eq!(last(&least_bad), 'c');
    }
    assert_eq!(pool.keys().map(|key| key.in_flight()).sum::<u32>(), 0);
}

#[test]
fn keys_are_counted_together() {
    let pool = pool(&["secret-a", "secret-b", "secret-c"]);
    let now = at(1_000);
    for _ in 0..2 {
        let lease = pool.take(&Wanted::of(M), now).unwrap();
        pool.served(&lease, M, now);
    }
    pool.report(&key(&pool, 'a'), M, &dead(), now);
    rest(&pool, 'b', 5_000, now);
    let c = key(&pool, 'c').id();
    assert!(pool.disable(&c, "by hand"));
    let census = pool.census(now);
    let states: Vec<_> = census.states().filter(|(_, count)| *count > 0).collect();
    assert_eq!(states, [("cooling", 1), ("disabled", 1), ("off", 1)]);
    // As each of them says it.
    for (state, count) in census.states() {
        let same = pool.states(now).into_iter();
        let same = same.filter(|standing| standing.state.name() == state);
        assert_eq!(same.count(), count, "{state}");
    }
    let mut statuses = census.tally.statuses.clone();
    statuses.sort_unstable();
    assert_eq!(statuses, [(200, 2), (401, 1), (429, 1)]);
    assert_eq!((census.keys, census.tally.total()), (3, 4));
    assert_eq!(census.tally.last_used, Some(now));

    // A limit that is over is none.
    let later = pool.census(at(7_000));
    assert!(later.states().any(|state| state == ("healthy", 1)));
    let mut both = census.clone();
    both.add(&later);
    assert_eq!((both.keys, both.tally.total()), (6, 8));

    let place = pool.position(&c).unwrap();
    let from: Vec<String> = pool.standings(place, now).map(|it| it.key.id()).collect();
    assert_eq!((place, from.as_slice()), (2, &[c][..]));
    for unknown in ["", "0", "000000000000", "+00000000001", "zzzzzzzzzzzz"] {
        assert_eq!(pool.position(unknown), None, "{unknown}");
    }
}
