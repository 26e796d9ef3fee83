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
}
