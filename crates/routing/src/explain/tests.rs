//! Explanations as tables, and their one law: what is said to be tried first is what then is tried, and asking changes nothing.

use std::fmt::Write as _;

use secrecy::SecretString;

use super::*;
use crate::{
    Arm, AuthScheme, BreakerRules, CallerKeys, Class, Endpoint, FallbacksOn, Fault, KeyPool,
    KeySpec, Mirror, Next, Pattern, ProviderHealth, RouteTarget, Split, Stated, Walk, When,
    name_hash,
};

fn provider(name: &str, dialect: DialectId, keys: &[&str]) -> Arc<Provider> {
    let spec = |key: &&str| {
        let (key, tag) = key.split_once('#').unwrap_or((key, ""));
        let mut spec = KeySpec::new(SecretString::from(format!("secret-{name}-{key}")));
        spec.tags = vec![tag.to_owned()];
        spec
    };
    Arc::new(Provider {
        name: name.to_owned(),
        endpoints: vec![Endpoint {
            dialect,
            base_url: format!("https://{name}.example/v1"),
            auth: AuthScheme {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
            },
            headers: Vec::new(),
        }],
        keys: KeyPool::new(keys.iter().map(spec)),
        health: ProviderHealth::new(BreakerRules {
            requests: 2,
            ..BreakerRules::default()
        }),
        ..Provider::default()
    })
}

fn at(provider: usize, weight: u32, priority: u32) -> RouteTarget {
    RouteTarget {
        weight,
        priority,
        ..RouteTarget::at(provider, None)
    }
}

fn route(model: &str, targets: Vec<RouteTarget>) -> Route {
    Route::to(Pattern::parse(model).unwrap(), targets)
}

/// a (0, chat, two keys), b (1, messages), c (2, chat).
fn snapshot(routes: Vec<Route>) -> Snapshot {
    Snapshot {
        providers: vec![
            provider("a", DialectId::Chat, &["0001#one", "0002"]),
            provider("b", DialectId::Messages, &["0003"]),
            provider("c", DialectId::Chat, &["0004"]),
        ]
        .into(),
        routes: routes.into(),
        ..Snapshot::default()
    }
}

fn ask<'a>(model: &'a str, facts: &'a Stated) -> Ask<'a> {
    Ask {
        model,
        dialect: DialectId::Chat,
        stream: false,
        facts,
    }
}

fn dice(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed += 1;
        name_hash(&seed.to_string())
    }
}

const NOW: Moment = Moment::from_millis(1_000);

/// What is claimed, each leg with its candidates, and the verdict, in one line.
fn describe(explanation: &Explanation) -> String {
    let claimed = |by: &ClaimedBy| match by {
        ClaimedBy::Route { index, pattern } => format!("route {index} {pattern}"),
        other => format!("{other:?}").to_lowercase(),
    };
    let mut out = claimed(&explanation.claimed);
    for passed in &explanation.passed_over {
        _ = write!(out, "; not {}: {}", passed.index, passed.why);
    }
    for leg in &explanation.legs {
        _ = write!(out, "; {:?} {}", leg.on, leg.name);
        for arm in &leg.arms {
            let by = arm.by.map_or("chance".to_owned(), |by| format!("{by:?}"));
            _ = write!(
                out,
                " → {} ({} of {} by {by})",
                arm.model, arm.weight, arm.of
            );
        }
        for candidate in &leg.candidates {
            let key = candidate.key.as_deref().unwrap_or("-");
            let keys = format!("{}/{}", candidate.keys.ready, candidate.keys.all);
            _ = write!(out, " [{} {key} {keys}", candidate.provider);
            if let Some(not) = &candidate.not {
                _ = write!(out, " {}", not.told(NOW));
            }
            out += "]";
        }
    }
    let verdict = match &explanation.verdict {
        Verdict::Goes {
            leg,
            candidate,
            chosen,
        } => format!("; goes {leg}.{candidate} {}", chosen.name()),
        Verdict::Waits(until) => format!("; waits {}", until.as_millis()),
        Verdict::Refused { ready_at, limited } => {
            format!("; refused {:?} {limited}", ready_at.map(Moment::as_millis))
        }
        Verdict::NoRoute(none) => format!("; {none}"),
    };
    out + &verdict
}

fn check(snapshot: &Snapshot, model: &str, facts: &Stated, expect: &str) {
    let explanation = explain(
        snapshot,
        &ask(model, facts),
        &Purse::Pool,
        NOW,
        &mut dice(0),
    );
    assert_eq!(describe(&explanation), expect, "{model}");
}

/// A request that failed so at its first attempt.
fn fail(snapshot: &Snapshot, model: &str, fault: &Fault) {
    let facts = Stated::default();
    let plan = plan(snapshot, &ask(model, &facts), &mut dice(0)).unwrap();
    let mut walk = Walk::new(plan, Purse::Pool, NOW);
    let Next::Try(attempt) = walk.next(NOW, &mut dice(0)) else {
        panic!("nothing is tried");
    };
    walk.failed(*attempt, fault, NOW);
}

#[test]
fn how_a_name_is_claimed() {
    let mut gold = route("m", vec![at(1, 1, 0)]);
    gold.when = When {
        headers: vec![("x-tier".to_owned(), Pattern::parse("gold").unwrap())],
        ..When::default()
    };
    let snapshot = snapshot(vec![gold, route("m*", vec![at(0, 1, 0)])]);
    let plain = Stated::default();
    let golden = Stated {
        headers: vec![("x-tier".to_owned(), "gold".to_owned())],
        ..Stated::default()
    };
    check(
        &snapshot,
        "m",
        &golden,
        "route 0 m; Asked m [b …0003 1/1]; goes 0.0 priority",
    );
    check(
        &snapshot,
        "m",
        &plain,
        "route 1 m*; not 0: there is no header `x-tier`; Asked m [a …0001 2/2]; goes 0.0 priority",
    );
    check(
        &snapshot,
        "c/m",
        &plain,
        "writtenout; Asked c/m [c …0004 1/1]; goes 0.0 priority",
    );
    check(
        &snapshot,
        "other",
        &plain,
        "nobody; Asked other; no provider serves the model `other`",
    );
}

#[test]
fn routes_that_are_passed_over_are_bounded() {
    let mut routes: Vec<Route> = (0..50).map(|_| route("m", vec![at(1, 1, 0)])).collect();
    for route in &mut routes {
        route.when.stream = Some(true);
    }
    routes.push(route("m", vec![at(0, 1, 0)]));
    let snapshot = snapshot(routes);
    let facts = Stated::default();
    let explanation = explain(&snapshot, &ask("m", &facts), &Purse::Pool, NOW, &mut || 0);
    assert_eq!(explanation.passed_over.len(), PASSED_OVER);
    assert_eq!(explanation.passed_over_more, 30);
}

#[test]
fn tiers_drained_ones_and_fallbacks() {
    let mut with = route("m", vec![at(1, 0, 0), at(2, 1, 1), at(0, 1, 0)]);
    with.fallbacks = vec!["b/x".to_owned(), "c/m".to_owned(), "nobody".to_owned()];
    with.fallbacks_on = FallbacksOn {
        refusal: Some(vec!["b/y".to_owned()]),
        ..FallbacksOn::default()
    };
    with.mirror = Some(Mirror {
        provider: 2,
        model: None,
        share: 10_000,
    });
    let snapshot = snapshot(vec![with]);
    check(
        &snapshot,
        "m",
        &Stated::default(),
        "route 0 m; Asked m [a …0001 2/2] [c …0004 1/1] [b - 1/1 drained: its weight is 0]; \
         Failure b/x [b …0003 1/1]; Failure c/m [c - 1/1 it is tried before]; Failure nobody; \
         Refusal b/y [b …0003 1/1]; goes 0.0 priority",
    );
}

#[test]
fn what_rests_says_why() {
    let mut with = route("m", vec![at(0, 1, 0), at(1, 1, 1)]);
    with.targets[0].keys = vec!["one".to_owned()];
    let snapshot = snapshot(vec![with]);
    let mut dead = Fault::new(Class::KeyDead);
    dead.status = 401;
    dead.code = "invalid_api_key".to_owned();
    fail(&snapshot, "m", &dead);
    let facts = Stated::default();
    let explanation = explain(&snapshot, &ask("m", &facts), &Purse::Pool, NOW, &mut || 0);
    let told = describe(&explanation);
    assert!(
        told.contains("[a - 0/1 keys: disabled: 401 invalid_api_key"),
        "{told}"
    );
    assert!(told.ends_with("goes 0.1 priority"), "{told}");

    for _ in 0..2 {
        fail(&snapshot, "b/m", &Fault::new(Class::Upstream));
    }
    let explanation = explain(&snapshot, &ask("m", &facts), &Purse::Pool, NOW, &mut || 0);
    let told = describe(&explanation);
    let open = "this model's circuit breaker is open for 5 s: 2 of 2 requests failed";
    assert!(told.contains(open), "{told}");
    assert!(told.contains("; refused Some("), "{told}");
}

#[test]
fn arms_say_what_keeps_a_request_in_them() {
    let mut split = route("m", Vec::new());
    split.split = Some(Split {
        name: "s".to_owned(),
        sticky: Some(By::User),
        arms: vec![
            Arm {
                weight: 3,
                model: "a/x".to_owned(),
            },
            Arm {
                weight: 0,
                model: "b/x".to_owned(),
            },
        ],
    });
    let snapshot = snapshot(vec![split]);
    let known = Stated {
        user: Some("u".to_owned()),
        ..Stated::default()
    };
    check(
        &snapshot,
        "m",
        &known,
        "route 0 m; Asked m → a/x (3 of 3 by User) [a …0001 2/2]; goes 0.0 priority",
    );
    check(
        &snapshot,
        "m",
        &Stated::default(),
        "route 0 m; Asked m → a/x (3 of 3 by chance) [a …0001 2/2]; goes 0.0 priority",
    );
}

#[test]
fn mode_direct_and_callers_keys_leave_out() {
    let mut with = route("m", vec![at(1, 1, 0), at(0, 1, 0)]);
    with.fallbacks = vec!["c/m".to_owned()];
    let mut snapshot = snapshot(vec![with]);
    snapshot.mode = Mode::Direct;
    check(
        &snapshot,
        "m",
        &Stated::default(),
        "route 0 m; Asked m [a …0001 2/2] [b - 1/1 mode direct: it does not speak the caller's dialect]; \
         Failure c/m [c …0004 1/1]; goes 0.0 priority",
    );
    let facts = Stated::default();
    let purse = Purse::Caller {
        keys: Arc::from([]),
        memory: Arc::new(CallerKeys::new(8)),
    };
    let explanation = explain(&snapshot, &ask("m", &facts), &purse, NOW, &mut || 0);
    assert_eq!(
        describe(&explanation),
        "route 0 m; Asked m [a caller's 0/0] [b - 0/0 mode direct: it does not speak the caller's dialect]; \
         Failure c/m [c - 0/0 the caller's own keys are another provider's]; goes 0.0 priority",
    );
}

/// Thousands of requests of all strategies and last resorts, with failures of all classes: each time what is explained is what is
/// done then.
#[test]
fn what_is_explained_is_what_is_done() {
    let strategies = [
        Strategy::Priority,
        Strategy::Weighted,
        Strategy::RoundRobin,
        Strategy::LeastBusy,
        Strategy::Latency(Measure::FirstToken),
        Strategy::Cheapest,
        Strategy::Sticky(By::Session),
        Strategy::Quota,
    ];
    let resorts = [
        LastResort::Usual,
        LastResort::Refuse,
        LastResort::LeastBad,
        LastResort::Queue(Duration::from_secs(5)),
        LastResort::Fallback("c/last".to_owned()),
    ];
    let mut met = [0; 4];
    for (place, strategy) in strategies.into_iter().enumerate() {
        for (index, resort) in resorts.iter().enumerate() {
            let mut with = route("m", vec![at(0, 3, 0), at(1, 1, 0), at(2, 0, 0)]);
            with.strategy = strategy;
            with.last_resort = resort.clone();
            with.prefer_same_dialect = index == 1;
            with.fallbacks = vec!["b/other".to_owned()];
            let mut single = route("single", vec![at(1, 1, 0)]);
            single.last_resort = resort.clone();
            let snapshot = snapshot(vec![with, single]);
            let mut chance = dice(u64::try_from(place * 100 + index).unwrap() * 1_000_000);
            let mut now = NOW;
            for round in 0..400 {
                now = now.after(Duration::from_millis(chance() % 3_000));
                let model = if chance().is_multiple_of(4) {
                    "single"
                } else {
                    "m"
                };
                let facts = Stated {
                    session: Some((chance() % 5).to_string()),
                    ..Stated::default()
                };
                let ask = ask(model, &facts);
                let seed = chance() >> 8;
                let explained = explain(&snapshot, &ask, &Purse::Pool, now, &mut dice(seed));
                let again = explain(&snapshot, &ask, &Purse::Pool, now, &mut dice(seed));
                assert_eq!(format!("{explained:?}"), format!("{again:?}"));

                let mut rolls = dice(seed);
                let plan = plan(&snapshot, &ask, &mut rolls).unwrap();
                let mut walk = Walk::new(plan, Purse::Pool, now);
                let next = walk.next(now, &mut rolls);
                let context = format!("{strategy:?} {resort:?} round {round}: {explained:?}");
                match (&explained.verdict, next) {
                    (
                        Verdict::Goes {
                            leg,
                            candidate,
                            chosen,
                        },
                        Next::Try(mut attempt),
                    ) => {
                        met[usize::from(*chosen == Chosen::LastResort)] += 1;
                        let said = &explained.legs[*leg].candidates[*candidate];
                        assert_eq!(said.provider, attempt.target.provider.name, "{context}");
                        assert_eq!(said.model, attempt.target.model, "{context}");
                        assert_eq!(said.key.as_deref(), Some(attempt.label()), "{context}");
                        assert_eq!(*chosen, attempt.chosen, "{context}");
                        let classes = [
                            None,
                            None,
                            Some(Class::KeyDead),
                            Some(Class::RateLimited),
                            Some(Class::Upstream),
                            Some(Class::Timeout),
                        ];
                        let class = usize::try_from(chance() % 6).unwrap();
                        let after = now.after(Duration::from_millis(50));
                        match classes[class] {
                            None => {
                                attempt.served(true, after);
                            }
                            Some(class) => {
                                walk.failed(*attempt, &Fault::new(class), after);
                            }
                        }
                    }
                    (Verdict::Waits(until), Next::Wait(at)) => {
                        met[2] += 1;
                        assert!(*until <= at, "{context}");
                    }
                    (Verdict::Refused { ready_at, limited }, Next::End(end)) => {
                        met[3] += 1;
                        let crate::End::Down(down) = end else {
                            panic!("{context}: {end:?}");
                        };
                        assert_eq!(down.ready_at, *ready_at, "{context}");
                        assert_eq!(down.limited, *limited, "{context}");
                    }
                    (_, next) => panic!("{context}: {next:?}"),
                }
            }
        }
    }
    // Each of them was met.
    assert!(met.iter().all(|count| *count > 20), "{met:?}");
}

#[test]
fn models_that_are_only_asked_about_are_not_remembered() {
    let snapshot = snapshot(vec![route("*", vec![at(0, 1, 0), at(1, 1, 0)])]);
    let facts = Stated::default();
    for model in 0..100 {
        let model = format!("made-up-{model}");
        explain(
            &snapshot,
            &ask(&model, &facts),
            &Purse::Pool,
            NOW,
            &mut || 0,
        );
    }
    for provider in &snapshot.providers {
        assert!(provider.health.models().is_empty());
    }
}
