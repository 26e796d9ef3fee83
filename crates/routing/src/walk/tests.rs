//! Walks as a table of what is tried, step by step.

use secrecy::SecretString;

use super::*;
use crate::strategy::Turns;
use crate::{Handling, KeyPool, Leg, Provider, Selection};

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn provider(name: &str, keys: usize) -> Arc<Provider> {
    let keys = (0..keys).map(|key| SecretString::from(format!("key-of-{name}-{key}")));
    Arc::new(Provider {
        name: name.to_owned(),
        keys: KeyPool::new(keys),
        ..Provider::default()
    })
}

/// A plan whose targets are tried in this order, each after the one before.
fn tiers(providers: &[&Arc<Provider>]) -> Plan {
    let target = |(tier, provider): (u32, &&Arc<Provider>)| Target {
        tier,
        handling: Handling::default(),
        keys: Selection::ALL,
        ..Target::at(provider, 0, "m")
    };
    Plan {
        route: None,
        arm: None,
        legs: vec![Leg {
            on: On::Asked,
            name: "m".to_owned(),
            claimed: crate::plan::Claimed::Route(0),
            splits: Vec::new(),
            model: "m".to_owned(),
            strategy: Strategy::Priority,
            prefer_same_dialect: false,
            targets: (0..).zip(providers).map(target).collect(),
            turns: Arc::new(Turns::default()),
        }],
        retry: Retry::default(),
        last_resort: LastResort::Refuse,
        own: crate::plan::OwnChains::default(),
        mirror: None,
        sticky: None,
        tokens: 0,
    }
}

/// Lets every attempt fail in the same way; the providers that were tried, and how it ended.
fn fail_all(walk: &mut Walk, fault: &Fault, now: Moment) -> (String, Next) {
    let mut tried = String::new();
    loop {
        match walk.next(now, &mut || 0) {
            Next::Try(attempt) => {
                tried.push_str(&attempt.target.provider.name);
                walk.failed(*attempt, fault, now);
            }
            other => return (tried, other),
        }
    }
}

fn limited(scope: crate::Scope, seconds: u64) -> Fault {
    Fault {
        scope,
        retry_after: Some(Duration::from_secs(seconds)),
        ..Fault::new(Class::RateLimited)
    }
}

#[test]
fn the_last_attempt_is_kept_for_another_target() {
    let fault = limited(crate::Scope::Model, 60);
    for (attempts, expect) in [(1, "a"), (2, "ab"), (3, "aab"), (8, "aaaaaaab")] {
        let (a, b) = (provider("a", 10), provider("b", 2));
        let mut plan = tiers(&[&a, &b]);
        plan.retry.attempts = Some(attempts);
        let mut walk = Walk::new(plan, Purse::Pool, at(0));
        let (tried, next) = fail_all(&mut walk, &fault, at(0));
        assert_eq!(tried, expect);
        assert!(matches!(next, Next::End(End::Attempts)), "{next:?}");
    }
    // Where there is no other, it goes on with the same.
    let alone = provider("a", 10);
    let mut walk = Walk::new(tiers(&[&alone]), Purse::Pool, at(0));
    assert_eq!(fail_all(&mut walk, &fault, at(0)).0, "aaaaaaaa");
}

#[test]
fn in_a_storm_keys_rest_as_long_as_they_were_told() {
    let a = provider("a", 10);
    let fault = limited(crate::Scope::Key, 60);
    for expect in ["aaaaaaaa", "aa", ""] {
        let mut walk = Walk::new(tiers(&[&a]), Purse::Pool, at(0));
        assert_eq!(fail_all(&mut walk, &fault, at(0)).0, expect);
    }
    let model = a.health.model("m", at(1));
    assert!(a.health.would_enter(&model, at(1)).is_err());
    assert_eq!(a.health.would_enter(&model, at(6)), Ok(true));
    for now in [at(1), at(6), at(59)] {
        let mut walk = Walk::new(tiers(&[&a]), Purse::Pool, now);
        let Next::End(End::Down(down)) = walk.next(now, &mut || 0) else {
            panic!("tried at {now:?}");
        };
        // And callers are told so, not when the breaker may be probed.
        assert_eq!((down.ready_at, down.limited), (Some(at(60)), true));
    }
    let mut walk = Walk::new(tiers(&[&a]), Purse::Pool, at(60));
    assert!(matches!(walk.next(at(60), &mut || 0), Next::Try(_)));
}

#[test]
fn a_queue_ends_with_the_deadline_and_is_not_for_what_was_tried() {
    let tagged = |tags: &[&str], key: &str| crate::KeySpec {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..crate::KeySpec::new(SecretString::from(key))
    };
    let pool = || {
        let keys = [
            tagged(&["mine"], "key-1"),
            tagged(&["mine"], "key-2"),
            tagged(&[], "key-3"),
        ];
        Arc::new(Provider {
            keys: KeyPool::new(keys),
            ..Provider::default()
        })
    };
    let walk = |provider: &Arc<Provider>, deadline, now| {
        let mut plan = tiers(&[provider]);
        plan.legs[0].targets[0].keys = provider.keys.select(&["mine".to_owned()]);
        plan.last_resort = LastResort::Queue(Duration::from_secs(20));
        plan.retry.deadline = deadline;
        Walk::new(plan, Purse::Pool, now)
    };
    let fault = limited(crate::Scope::Key, 5);
    let provider = pool();
    let (_, next) = fail_all(&mut walk(&provider, None, at(0)), &fault, at(0));
    assert!(matches!(next, Next::End(End::Tried { .. })), "{next:?}");
    // Others wait for these keys, unless their time is over before.
    for (deadline, waits) in [
        (None, true),
        (Some(5), true),
        (Some(4), false),
        (Some(3), false),
    ] {
        let deadline = deadline.map(Duration::from_secs);
        let next = walk(&provider, deadline, at(1)).next(at(1), &mut || 0);
        match next {
            Next::Wait(until) => assert!(waits && until == at(5), "{deadline:?}: {until:?}"),
            Next::End(End::Down(_)) => assert!(!waits, "{deadline:?}"),
            other => panic!("{deadline:?}: {other:?}"),
        }
    }
}
