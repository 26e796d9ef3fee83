use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Scope;

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// Breakers that open at five requests, so that the cases are short.
fn five() -> ProviderHealth {
    ProviderHealth::new(BreakerRules {
        requests: 5,
        ..BreakerRules::default()
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as it is handed in")]
fn key(id: u64, pool: usize) -> Option<KeyOf> {
    Some(KeyOf { id, pool })
}

/// One attempt that fails at once; `None`: it was not admitted.
fn fail(
    health: &ProviderHealth,
    model: &str,
    class: Class,
    key: Option<KeyOf>,
    now: Moment,
) -> Option<Blame> {
    let model = health.model(model, now);
    let mut pass = health.enter(&model, now).ok()?;
    Some(pass.failed(&Fault::new(class), key, now))
}

/// One attempt that is served; whether it was admitted.
fn serve(health: &ProviderHealth, model: &str, key: Option<KeyOf>, now: Moment) -> bool {
    let model = health.model(model, now);
    let Ok(mut pass) = health.enter(&model, now) else {
        return false;
    };
    pass.succeeded(key, now);
    true
}

/// Whose breaker keeps a request for the model away.
fn shut(health: &ProviderHealth, model: &str, now: Moment) -> Option<Whose> {
    let model = health.model(model, now);
    let answer = health.would_enter(&model, now);
    assert_eq!(answer.is_ok(), health.enter(&model, now).is_ok());
    answer.err().map(|shut| shut.whose)
}

#[test]
fn each_class_counts_where_it_belongs() {
    for class in Class::ALL {
        let (of_this, of_another) = match class {
            Class::Network | Class::Timeout => (Some(Whose::Provider), Some(Whose::Provider)),
            Class::Overloaded | Class::Upstream | Class::BadAnswer => (Some(Whose::Model), None),
            Class::Client
            | Class::Unfit
            | Class::ContextLength
            | Class::Refused
            | Class::KeyDead
            | Class::Exhausted
            | Class::RateLimited => (None, None),
        };
        let health = five();
        for _ in 0..20 {
            fail(&health, "this", class, key(1, 1), at(0));
        }
        assert_eq!(shut(&health, "this", at(1)), of_this, "{class:?}");
        assert_eq!(shut(&health, "another", at(1)), of_another, "{class:?}");
    }
}

#[test]
fn an_unreachable_host_is_probed_by_one_model_for_all() {
    let health = five();
    for model in ["a", "b", "c", "d", "e"] {
        fail(&health, model, Class::Network, None, at(0));
    }
    assert_eq!(shut(&health, "f", at(4_999)), Some(Whose::Provider));
    let model = health.model("a", at(5_000));
    let mut probe = health.enter(&model, at(5_000)).unwrap();
    assert!(probe.is_probe());
    assert_eq!(shut(&health, "b", at(5_000)), Some(Whose::Provider));
    // It answers, if only that it is not well: it can be reached.
    probe.failed(&Fault::new(Class::Upstream), None, at(5_000));
    assert_eq!(shut(&health, "b", at(5_000)), None);
    assert!(serve(&health, "a", None, at(5_000)));
}

#[test]
fn whoever_hangs_up_was_no_probe() {
    let health = five();
    for _ in 0..5 {
        fail(&health, "m", Class::Network, None, at(0));
    }
    for _ in 0..3 {
        let model = health.model("m", at(5_000));
        let pass = health.enter(&model, at(5_000)).unwrap();
        assert!(pass.is_probe());
        assert_eq!(model.gauge.in_flight(), 1);
        assert!(health.enter(&model, at(5_000)).is_err());
    }
    assert!(serve(&health, "m", None, at(5_000)));
    let model = health.model("m", at(5_000));
    assert!(!health.enter(&model, at(5_000)).unwrap().is_probe());
    assert_eq!(model.gauge.in_flight(), 0);
    assert_eq!((model.gauge.served(), model.gauge.failed()), (1, 5));
}

#[test]
fn the_providers_probe_is_not_spent_on_a_model_that_rests() {
    let health = five();
    for _ in 0..5 {
        fail(&health, "rests", Class::Network, None, at(0));
    }
    // The model's probe fails with what is not for the provider: only its own breaker opens again.
    fail(&health, "rests", Class::Upstream, None, at(5_000)).unwrap();
    assert_eq!(shut(&health, "rests", at(5_001)), Some(Whose::Model));
    for _ in 0..4 {
        fail(&health, "other", Class::Network, None, at(5_001));
    }
    fail(&health, "another", Class::Network, None, at(5_001));
    assert_eq!(shut(&health, "other", at(5_002)), Some(Whose::Provider));
    assert!(fail(&health, "rests", Class::Network, None, at(10_001)).is_none());
    assert!(serve(&health, "other", None, at(10_001)));
}

#[test]
fn a_models_probe_is_not_spent_where_the_provider_rests() {
    let health = five();
    for _ in 0..5 {
        fail(&health, "m", Class::Upstream, None, at(0));
    }
    for _ in 0..5 {
        fail(&health, "other", Class::Network, None, at(3_000));
    }
    assert_eq!(shut(&health, "m", at(6_000)), Some(Whose::Provider));
    assert!(serve(&health, "m", None, at(8_000)));
}

#[test]
fn many_models_that_each_fail_now_and_then() {
    // Every `healthy`th of 200 models serves; whether the provider's breaker opens.
    for (healthy, expect) in [
        (None, true),
        (Some(2), false),
        (Some(3), false),
        (Some(10), true),
    ] {
        let health = five();
        for number in 1..=200 {
            serve(&health, &format!("model-{number}"), None, at(0));
        }
        for number in 1..=200_u64 {
            let (model, now) = (format!("model-{number}"), at(60_000 + number * 100));
            if healthy.is_some_and(|healthy| number % healthy == 0) {
                serve(&health, &model, None, now);
            } else {
                fail(&health, &model, Class::Upstream, None, now);
            }
        }
        let end = at(80_001);
        let open = shut(&health, "new", end) == Some(Whose::Provider)
            || matches!(health.state(end), BreakerState::HalfOpen { .. });
        assert_eq!(open, expect, "{healthy:?}");
    }
}

#[test]
fn names_that_a_caller_makes_up_close_nothing_to_others() {
    let health = ProviderHealth::default();
    assert!(serve(&health, "real", None, at(0)));
    for number in 0..1_000 {
        let made_up = format!("made-up-{number}");
        fail(&health, &made_up, Class::Overloaded, None, at(number));
    }
    assert_eq!(shut(&health, "real", at(1_000)), None);
}

#[test]
fn models_that_failed_together_are_probed_and_come_back() {
    let health = five();
    let mut opened = 0;
    for number in 0..200 {
        let model = format!("model-{number}");
        if fail(&health, &model, Class::Upstream, None, at(0)).is_some() {
            opened = number + 1;
        }
    }
    assert_eq!(opened, 10);
    let BreakerState::Open(open) = health.state(at(0)) else {
        panic!("it is closed");
    };
    assert_eq!(
        open.why.cause.to_string(),
        "10 models failed, last: upstream_error"
    );
    // What says nothing of the models gives the probe back, what fails opens it again, what is served closes it.
    fail(&health, "x", Class::Client, None, at(5_000)).unwrap();
    fail(&health, "x", Class::Upstream, None, at(5_000)).unwrap();
    assert!(fail(&health, "x", Class::Upstream, None, at(14_999)).is_none());
    assert!(serve(&health, "x", None, at(15_000)));
    assert!(fail(&health, "y", Class::Upstream, None, at(15_000)).is_some());
    assert_eq!(shut(&health, "z", at(15_000)), None);
}

#[test]
fn a_storm_opens_the_breaker_and_spares_the_keys() {
    let health = five();
    let model = health.model("m", at(0));
    // 100 requests are under way when the keys begin to fail.
    let mut passes: Vec<_> = (0..100)
        .map(|_| health.enter(&model, at(0)).unwrap())
        .collect();
    let fault = Fault::new(Class::KeyDead);
    let blames: Vec<Blame> = passes
        .iter_mut()
        .zip(0..)
        .map(|(pass, id)| pass.failed(&fault, key(id, 1000), at(1_000 + id)))
        .collect();
    assert!(blames[..9].iter().all(|blame| *blame == Blame::Key));
    let storm = Storm {
        since: at(1_000),
        keys: 10,
        one_model: false,
    };
    assert_eq!(blames[9], Blame::Forgive(storm));
    assert!(blames[10..].iter().all(|blame| *blame == Blame::Spare));
    drop(passes);
    assert_eq!(shut(&health, "another", at(2_000)), Some(Whose::Provider));

    // The probe may meet three keys, none of which is to blame.
    let now = at(1_009 + 5_000);
    for id in 200..203 {
        let blame = fail(&health, "m", Class::KeyDead, key(id, 1000), now);
        assert_eq!(blame, Some(Blame::Spare));
    }
    assert_eq!(
        fail(&health, "m", Class::KeyDead, key(204, 1000), now),
        None
    );
    let now = now.after(Duration::from_secs(10));
    assert!(serve(&health, "m", key(205, 1000), now));
    assert_eq!(shut(&health, "another", now), None);
}

#[test]
fn a_pool_of_dead_keys_with_a_good_one_comes_to_rest() {
    let health = five();
    let mut now = at(0);
    let mut forgiven = 0;
    let mut served = 0;
    for round in 0..100 {
        // Each request goes through the dead keys before the good one, which is the worst that can happen.
        for id in [1, 2, 3] {
            let blame = fail(&health, "m", Class::KeyDead, key(id, 4), now);
            forgiven += u32::from(matches!(blame, Some(Blame::Forgive(_))));
        }
        served += u32::from(serve(&health, "m", key(4, 4), now));
        now = now.after(Duration::from_secs(if round == 0 { 5 } else { 20 }));
    }
    assert_eq!(forgiven, 1);
    assert!(served >= 98, "{served}");
}

#[test]
fn a_storm_in_one_models_limit_is_the_models() {
    let health = five();
    let blames: Vec<_> = (0..10)
        .filter_map(|id| fail(&health, "m", Class::RateLimited, key(id, 30), at(0)))
        .collect();
    assert!(matches!(
        blames[9],
        Blame::Forgive(Storm {
            one_model: true,
            ..
        })
    ));
    assert_eq!(shut(&health, "m", at(1)), Some(Whose::Model));
    assert_eq!(shut(&health, "another", at(1)), None);
    assert!(serve(&health, "m", key(0, 3), at(5_000)));

    let scoped = Fault {
        scope: Scope::Model,
        ..Fault::new(Class::RateLimited)
    };
    let health = five();
    let model = health.model("m", at(0));
    for id in 0..50 {
        let mut pass = health.enter(&model, at(0)).unwrap();
        assert_eq!(pass.failed(&scoped, key(id, 50), at(0)), Blame::Key);
    }
}

#[test]
fn callers_own_keys_tell_nothing_of_the_provider() {
    let health = five();
    for _ in 0..100 {
        let blame = fail(&health, "m", Class::KeyDead, None, at(0));
        assert_eq!(blame, Some(Blame::Key));
    }
}

#[test]
fn without_breakers_there_are_no_storms() {
    let health = ProviderHealth::new(BreakerRules {
        enabled: false,
        ..BreakerRules::default()
    });
    for id in 0..100 {
        let blame = fail(&health, "m", Class::KeyDead, key(id, 100), at(0));
        assert_eq!(blame, Some(Blame::Key));
        fail(&health, "m", Class::Network, None, at(0)).unwrap();
    }
}

#[test]
fn configurations_share_the_state_and_have_their_own_rules() {
    let old = five();
    let model = old.model("m", at(0));
    let mut early: Vec<_> = (0..5).map(|_| old.enter(&model, at(0)).unwrap()).collect();
    let new = ProviderHealth::new(BreakerRules {
        requests: 3,
        ..BreakerRules::default()
    });
    new.inherit(&old);
    assert!(Arc::ptr_eq(&model, &new.model("m", at(1))));
    assert_eq!(new.model("m", at(1)).gauge.in_flight(), 5);
    // Three that began under the old rules end badly, then one under the new.
    for pass in early.iter_mut().take(3) {
        pass.failed(&Fault::new(Class::Upstream), None, at(1));
    }
    assert_eq!(shut(&new, "m", at(1)), None);
    fail(&new, "m", Class::Upstream, None, at(1));
    assert_eq!(shut(&new, "m", at(1)), Some(Whose::Model));
    assert_eq!(shut(&old, "m", at(1)), Some(Whose::Model));
}

#[test]
fn what_is_sent_anyway_closes_both() {
    let health = five();
    for _ in 0..5 {
        fail(&health, "m", Class::Network, None, at(0));
    }
    let model = health.model("m", at(1));
    health
        .enter_anyway(&model, at(1))
        .failed(&Fault::new(Class::Network), None, at(1));
    assert!(health.enter(&model, at(4_999)).is_err());
    health.enter_anyway(&model, at(2)).succeeded(None, at(2));
    assert!(!health.enter(&model, at(2)).unwrap().is_probe());
}

/// What may happen to a provider, in any order.
#[derive(Debug, Clone)]
enum Event {
    /// So many milliseconds pass.
    Wait(u64),
    /// A request for the model of this number, with the key of this number.
    Ask(usize, u64),
    /// One that is sent whether or not it is admitted.
    Insist(usize, u64),
    /// The request under way of this number, modulo how many there are, ends: `None`: its caller hung up.
    End(usize, Option<Result<(), Class>>),
}

fn event() -> impl Strategy<Value = Event> {
    let end = prop_oneof![
        1 => Just(None),
        2 => Just(Some(Ok(()))),
        6 => prop::sample::select(&Class::ALL[..]).prop_map(|class| Some(Err(class))),
    ];
    prop_oneof![
        2 => (0_u64..8_000).prop_map(Event::Wait),
        8 => (0_usize..12, 0_u64..6).prop_map(|(model, key)| Event::Ask(model, key)),
        1 => (0_usize..12, 0_u64..6).prop_map(|(model, key)| Event::Insist(model, key)),
        8 => (any::<usize>(), end).prop_map(|(which, end)| Event::End(which, end)),
    ]
}

proptest! {
    /// One probe at a time for the provider and for each model, an open breaker names a moment that lies ahead and not too
    /// far, and however it went, all is admitted again once the upstream is well and the longest cooldown is over.
    #[test]
    fn in_any_order(events in prop::collection::vec(event(), 1..400)) {
        let health = five();
        let longest = health.rules().longest;
        let names: Vec<String> = (0..12).map(|number| format!("model-{number}")).collect();
        let mut now = at(0);
        let mut under_way: Vec<(Pass, Option<KeyOf>)> = Vec::new();
        let mut insisted: Vec<Pass> = Vec::new();
        for event in events {
            match event {
                Event::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                Event::Ask(model, id) => {
                    let model = health.model(&names[model], now);
                    let foretold = health.would_enter(&model, now);
                    match (foretold, health.enter(&model, now)) {
                        (Ok(probe), Ok(pass)) => {
                            prop_assert_eq!(probe, pass.is_probe());
                            under_way.push((pass, key(id, 6)));
                        }
                        (Err(foretold), Err(shut)) => {
                            prop_assert!(shut.until > now && foretold.until >= shut.until);
                            prop_assert!(now.until(foretold.until) <= longest);
                        }
                        (foretold, entered) => prop_assert!(false, "{foretold:?} {entered:?}"),
                    }
                }
                Event::Insist(model, id) => {
                    let model = health.model(&names[model], now);
                    let mut pass = health.enter_anyway(&model, now);
                    pass.failed(&Fault::new(Class::Network), key(id, 6), now);
                    insisted.push(pass);
                }
                Event::End(which, end) if !under_way.is_empty() => {
                    let which = which % under_way.len();
                    let (mut pass, key) = under_way.swap_remove(which);
                    match end {
                        None => {}
                        Some(Ok(())) => pass.succeeded(key, now),
                        Some(Err(class)) => {
                            pass.failed(&Fault::new(class), key, now);
                        }
                    }
                    prop_assert!(!pass.is_probe() || end.is_none());
                }
                Event::End(..) => {}
            }
            // None is given up for lost before so long. Nor does anybody who insists succeed and close a breaker meanwhile:
            // what is under way then is no probe any more, though it was sent as one.
            let probes = |name: Option<&str>| {
                let of = |(pass, _): &&(Pass, Option<KeyOf>)| match name {
                    None => pass.of_provider.is_probe(),
                    Some(name) => pass.of_model.is_probe() && pass.model.name() == name,
                };
                under_way.iter().filter(of).count()
            };
            prop_assert!(probes(None) <= 1 || now.as_millis() > 300_000);
            for name in &names {
                prop_assert!(probes(Some(name)) <= 1 || now.as_millis() > 300_000);
                let model = health.model(name, now);
                let passes = under_way.iter().map(|(pass, _)| pass).chain(&insisted);
                let busy = passes.filter(|pass| pass.model.name() == name.as_str());
                prop_assert_eq!(model.gauge.in_flight() as usize, busy.count());
            }
        }
        drop((under_way, insisted));
        let now = now.after(longest);
        for name in &names {
            prop_assert!(serve(&health, name, key(1, 6), now), "{}", name);
            prop_assert_eq!(shut(&health, name, now), None);
        }
    }
}

#[test]
fn what_opens_and_what_closes_is_told_once() {
    let health = ProviderHealth::new(BreakerRules {
        requests: 4,
        ..BreakerRules::default()
    });
    let told = || -> Vec<String> {
        let (news, left_out) = health.news();
        assert_eq!(left_out, 0);
        let told = news.into_iter().map(|news| {
            let whose = news.model.unwrap_or_else(|| "provider".to_owned());
            match news.turn {
                BreakerTurn::Opened { cause, wait } => format!("{whose}: {cause}, {wait:?}"),
                BreakerTurn::Closed => format!("{whose} closed"),
            }
        });
        told.collect()
    };
    for class in [Class::Upstream, Class::Client] {
        fail(&health, "m", class, None, at(0));
    }
    assert!(serve(&health, "m", None, at(0)));
    assert!(told().is_empty());
    for _ in 0..3 {
        fail(&health, "m", Class::Upstream, None, at(0));
    }
    assert_eq!(
        told(),
        ["m: 3 of 4 requests failed, last: upstream_error, 5s"]
    );
    // The probe fails: it was open and is open.
    fail(&health, "m", Class::Upstream, None, at(5_000));
    assert!(told().is_empty());
    assert!(serve(&health, "m", None, at(15_000)));
    assert_eq!(told(), ["m closed"]);
    for _ in 0..4 {
        fail(&health, "n", Class::Network, None, at(100_000));
    }
    let news = told();
    assert!(
        news[0].starts_with("n: ") && news[1].starts_with("provider: "),
        "{news:?}"
    );
    assert!(serve(&health, "n", None, at(105_000)));
    assert_eq!(told(), ["n closed", "provider closed"]);
}

#[test]
fn a_question_of_ones_own_closes_what_it_shows_to_be_well() {
    for (class, model, expect) in [
        // The list of models shows that the host is there.
        (Class::Network, None, None),
        (Class::Timeout, None, None),
        // That a model fails is seen by asking that model.
        (Class::Upstream, None, Some(Whose::Model)),
        (Class::Upstream, Some("another"), Some(Whose::Model)),
        (Class::Upstream, Some("m"), None),
    ] {
        let health = five();
        for _ in 0..5 {
            fail(&health, "m", class, None, at(0));
        }
        assert!(shut(&health, "m", at(1)).is_some());
        let asked = model.map(|model| health.model(model, at(1)));
        health.check_passed(asked.as_deref(), at(1));
        assert_eq!(shut(&health, "m", at(1)), expect, "{class:?} {model:?}");
        let model = health.model("m", at(1));
        assert_eq!((model.gauge.served(), model.gauge.failed()), (0, 5));
    }
    // Without any request a provider that does not answer is left alone, too.
    for (class, model, expect) in [
        (Class::Network, None, Some(Whose::Provider)),
        (Class::Upstream, None, Some(Whose::Provider)),
        (Class::Upstream, Some("m"), None),
        (Class::Timeout, Some("m"), Some(Whose::Provider)),
    ] {
        let health = five();
        let asked = model.map(|model| health.model(model, at(0)));
        for _ in 0..5 {
            health.check_failed(asked.as_deref(), &Fault::new(class), at(0));
        }
        assert_eq!(
            shut(&health, "another", at(1)),
            expect,
            "{class:?} {model:?}"
        );
        assert!(shut(&health, "m", at(1)).is_some());
        // It was open and is: a question that fails does not prolong it.
        health.check_failed(asked.as_deref(), &Fault::new(class), at(4_000));
        assert!(shut(&health, "m", at(5_000)).is_none());
    }
}

#[test]
fn what_may_have_been_asked_for_opens_nothing() {
    let health = five();
    let empty = Fault {
        asked_for: true,
        ..Fault::new(Class::BadAnswer)
    };
    for millis in 0..100 {
        let model = health.model("m", at(millis));
        let mut pass = health.enter(&model, at(millis)).unwrap();
        assert_eq!(pass.failed(&empty, None, at(millis)), Blame::Key);
    }
    assert_eq!(shut(&health, "m", at(100)), None);
}
