//! What comes after a failure: chains by cause, how often and how long, what is done when all rests, and splits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lingate_testkit::{Script, Step};

use crate::retries::too_long;
use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, World, at_once, eventually, key, provider};

/// Fails as the model's name says.
fn fail(asked: &Asked<'_>) -> Script {
    let error =
        |status: u16, message: &str| Script::json(status, asked.dialect.error(status, message));
    match asked.model.as_str() {
        "refuses" => error(400, "Output blocked by content filtering policy"),
        // Both have the same known context.
        "gpt-4o" => Script::json(400, too_long(asked.dialect)),
        "times-out" => error(504, "The request timed out."),
        "fails" => error(500, "out of order"),
        "fails-slowly" => error(500, "out of order").after(Duration::from_secs(3)),
        "limited" => error(429, "slow down").header("retry-after", "40"),
        model if model.starts_with("ok") => asked.good(),
        other => panic!("{other} is asked"),
    }
}

#[tokio::test]
async fn each_cause_has_its_chain_and_others_go_the_common_way() {
    let world = World::playing(
        "routes:
  - {model: common-refuses, targets: [up-chat/refuses], fallbacks: [up-gemini/ok-common]}
  - {model: common-gpt-4o, targets: [up-chat/gpt-4o], fallbacks: [up-gemini/ok-common]}
  - {model: common-times-out, targets: [up-chat/times-out], fallbacks: [up-gemini/ok-common]}
  - {model: common-fails, targets: [up-chat/fails], fallbacks: [named]}
  - {model: named, targets: [{provider: up-responses, model: fails}, {provider: up-messages, model: ok-named, priority: 1}]}
  - {model: own-refuses, targets: [up-chat/refuses], fallbacks: [up-gemini/x], fallbacks_on: {refusal: [up-chat/refuses, up-messages/ok-own]}}
  - {model: own-times-out, targets: [up-chat/times-out], fallbacks: [up-gemini/x], fallbacks_on: {timeout: [up-responses/times-out, up-messages/ok-own]}}
  - {model: own-fails, targets: [up-chat/fails], fallbacks: [up-gemini/ok-common], fallbacks_on: {timeout: [up-gemini/x], refusal: [up-gemini/x], context_length: [up-gemini/x]}}
  - {model: none-refuses, targets: [up-chat/refuses, up-gemini/x], fallbacks: [up-gemini/x], fallbacks_on: {refusal: []}}
  - {model: none-gpt-4o, targets: [up-chat/gpt-4o], fallbacks: [up-gemini/x], fallbacks_on: {context_length: []}}
  - {model: none-times-out, targets: [up-chat/times-out], fallbacks: [up-gemini/x], fallbacks_on: {timeout: []}}
  - {model: none-fails, targets: [up-chat/fails], fallbacks: [up-gemini/ok-common], fallbacks_on: {refusal: [], timeout: [], context_length: []}}
  - {model: then-refuses, targets: [up-chat/fails], fallbacks: [up-gemini/refuses], fallbacks_on: {refusal: [up-messages/ok-own]}}
",
        fail,
    )
    .await;
    for caller in Dialect::ALL {
        for stream in [false, true] {
            for (model, expect, attempts) in [
                ("common-refuses", "ok-common", 2),
                ("common-gpt-4o", "ok-common", 2),
                ("common-times-out", "ok-common", 2),
                ("common-fails", "ok-named", 3),
                ("own-refuses", "ok-own", 2),
                ("own-times-out", "ok-own", 3),
                ("own-fails", "ok-common", 2),
                ("none-fails", "ok-common", 2),
                ("then-refuses", "ok-own", 3),
            ] {
                let answer = world.ask(caller, model, stream).await;
                assert_eq!(answer.status, 200, "{model}: {}", answer.text());
                assert_eq!(
                    answer.header("x-lingate-model"),
                    expect,
                    "{caller:?} {model}"
                );
                let trail = answer.header("x-lingate-attempts");
                assert_eq!(answer.attempts(), attempts, "{caller:?} {model}: {trail}");
            }
            for (model, status) in [
                ("none-refuses", 400),
                ("none-gpt-4o", 400),
                ("none-times-out", 504),
            ] {
                let answer = world.ask(caller, model, stream).await;
                caller.refusal(&answer);
                assert_eq!((answer.status, answer.attempts()), (status, 1), "{model}");
            }
        }
    }
}

#[tokio::test]
async fn attempts_end_when_the_route_says_so() {
    let world = World::playing(
        "routes:
  - {model: once, targets: [up-chat/fails, up-gemini/x], retry: {attempts: 1}}
  - {model: twice, targets: [up-chat/fails, up-messages/fails, up-gemini/x], fallbacks: [up-gemini/x], retry: {attempts: 2}}
  - {model: late, targets: [up-chat/fails-slowly, up-gemini/x], retry: {deadline: 2s}}
  - {model: in-time, targets: [up-chat/fails-slowly, up-gemini/ok], retry: {deadline: 2m}}
  - {model: slow, targets: [up-chat/fails-slowly, up-gemini/x], retry: {only_within: 2s}}
  - {model: quick, targets: [up-chat/fails, up-gemini/ok], retry: {only_within: 2s}}
",
        fail,
    )
    .await;
    let world = std::sync::Arc::new(world);
    let cases = Dialect::ALL.into_iter().flat_map(|caller| {
        [
            ("once", 1, false),
            ("twice", 2, false),
            ("late", 1, false),
            ("in-time", 2, true),
            ("slow", 1, false),
            ("quick", 2, true),
        ]
        .map(|case| (caller, case))
    });
    at_once(cases, |(caller, (model, attempts, answered))| {
        let world = std::sync::Arc::clone(&world);
        async move {
            let answer = world.ask(caller, model, true).await;
            assert_eq!(answer.attempts(), attempts, "{model}: {}", answer.text());
            if answered {
                assert_eq!(caller.listen(&answer).text, TEXT);
            } else {
                assert!(caller.refusal(&answer).contains("out of order"));
                assert!(answer.status >= 500);
            }
        }
    })
    .await;
}

/// A pool of dead keys does not use up all attempts.
#[tokio::test]
async fn the_last_attempt_is_another_targets() {
    at_once(Dialect::ALL, |dialect| async move {
        let world = World::configured(
            |upstream| {
                let keys: Vec<String> = (0..20)
                    .map(|key| format!("sk-canary-dead-{key}-k"))
                    .collect();
                let rest = format!("keys: [{}], breaker: false", keys.join(", "));
                let dead = provider("dead", dialect, upstream, &rest);
                let good = provider("good", dialect, upstream, "keys: [sk-canary-good]");
                format!(
                    "providers:\n{dead}{good}routes:
  - {{model: targets, targets: [dead/m, good/m]}}
  - {{model: fallback, targets: [dead/m], fallbacks: [good/m], retry: {{attempts: 3}}}}
  - {{model: alone, targets: [dead/m], retry: {{attempts: 3}}}}
"
                )
            },
            |asked| {
                if key(asked.received) == "good" {
                    asked.good()
                } else {
                    Script::json(401, asked.dialect.error(401, "Incorrect API key provided"))
                }
            },
        )
        .await;
        for (model, attempts) in [("targets", 8), ("fallback", 3)] {
            let answer = world.ask(dialect, model, true).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(dialect.listen(&answer).text, TEXT);
            assert_eq!(answer.attempts(), attempts, "{model}");
        }
        let answer = world.ask(dialect, "alone", false).await;
        dialect.refusal(&answer);
        assert_eq!(answer.attempts(), 3);
        let keys: Vec<String> = world.upstream.received().iter().map(key).collect();
        let distinct: BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len() - 1, "{keys:?}");
    })
    .await;
}

#[tokio::test]
async fn when_all_rests_the_route_says_what_is_done() {
    at_once(Dialect::ALL, |dialect| async move {
        let times = AtomicUsize::new(0);
        let world = World::configured(
            |upstream| {
                let provider = |name: &str, keys: &str| {
                    provider(
                        name,
                        dialect,
                        upstream,
                        &format!("keys: [{keys}], breaker: false"),
                    )
                };
                let providers: String = [
                    provider("refuse", "sk-canary-refuse"),
                    provider("least-bad", "sk-canary-late, sk-canary-soon"),
                    provider("queue", "sk-canary-queue"),
                    provider("queue-long", "sk-canary-long"),
                    provider("fallback", "sk-canary-fallback"),
                    provider("good", "sk-canary-good"),
                ]
                .concat();
                format!(
                    "providers:\n{providers}routes:
  - {{model: refuse, targets: [refuse/m], last_resort: refuse}}
  - {{model: least-bad, targets: [least-bad/m], last_resort: least_bad}}
  - {{model: queue, targets: [queue/m], last_resort: {{queue: 19s}}}}
  - {{model: queue-long, targets: [queue-long/m], last_resort: {{queue: 5s}}}}
  - {{model: fallback, targets: [fallback/m], last_resort: {{fallback: good/m}}}}
"
                )
            },
            move |asked| {
                let limited = |wait: &str| {
                    Script::json(429, asked.dialect.error(429, "slow down"))
                        .header("retry-after-ms", wait)
                };
                match key(asked.received).as_str() {
                    "refuse" | "fallback" | "long" | "late" => limited("300000"),
                    "soon" => limited("200000"),
                    "queue" if times.fetch_add(1, Ordering::SeqCst) == 0 => limited("800"),
                    _ => asked.good(),
                }
            },
        )
        .await;
        let used = || {
            world
                .upstream
                .received()
                .iter()
                .map(key)
                .collect::<Vec<_>>()
        };
        for caller in [dialect, Dialect::ALL[(dialect as usize + 1) % 4]] {
            let first = caller == dialect;
            for (model, wait) in [("refuse", 300), ("queue-long", 300)] {
                for turn in 0..2 {
                    let before = used().len();
                    let answer = world.ask(caller, model, true).await;
                    caller.refusal(&answer);
                    let asked = usize::from(first && turn == 0);
                    assert_eq!(
                        (answer.status, used().len() - before),
                        (429, asked),
                        "{model}"
                    );
                    let told: u64 = answer.header("retry-after").parse().unwrap();
                    assert!((wait - 100..=wait).contains(&told), "{model}: {told}");
                }
            }
            // Nothing is tried twice with one key: who was turned away does not queue, but the next does.
            if first {
                let answer = world.ask(caller, "queue", true).await;
                caller.refusal(&answer);
                assert_eq!((answer.status, answer.attempts()), (429, 1));
            }
            let answer = world.ask(caller, "queue", true).await;
            assert_eq!(caller.listen(&answer).text, TEXT);
            assert_eq!(answer.attempts(), 1);
            let answer = world.ask(caller, "fallback", true).await;
            assert_eq!(caller.listen(&answer).text, TEXT);
            assert!(
                answer
                    .header("x-lingate-attempts")
                    .contains("why=last_resort")
            );
        }
        let received = world.upstream.received();
        let queued: Vec<_> = received
            .iter()
            .filter(|it| key(it) == "queue")
            .map(|it| it.at)
            .collect();
        assert!(queued[1] - queued[0] >= Duration::from_millis(800));
        // Each request tries both, and then the one that is ready first: though it rests, as nothing better is there.
        let answer = world.ask(dialect, "least-bad", false).await;
        assert_eq!((answer.status, answer.attempts()), (429, 2));
        let before = used().len();
        let answer = world.ask(dialect, "least-bad", false).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(used()[before..].first().map(String::as_str), Some("soon"));
        let trail = answer.header("x-lingate-attempts");
        assert!(trail.contains("why=last_resort"), "{trail}");
    })
    .await;
}

#[tokio::test]
async fn experiments_are_sticky_by_what_they_say_and_the_log_names_the_arm() {
    let world = World::playing(
        "routes:
  - {model: drawn, split: {name: every-time, arms: [{weight: 75, model: a}, {weight: 25, model: b}]}}
  - {model: kept, split: {name: by-user, sticky: user, arms: [{weight: 50, model: a}, {weight: 50, model: b}]}}
  - {model: drained, split: {arms: [{weight: 1, model: a}, {weight: 0, model: b}]}}
  - {model: a, targets: [up-chat/fails, up-messages/ok-a]}
  - {model: b, targets: [up-gemini/ok-b]}
",
        fail,
    )
    .await;
    let ask = async |caller: Dialect, model: &str, user: &str| {
        let headers = [("x-openwebui-user-id", user)];
        let body = caller.request(model, false).to_string();
        let answer = world
            .post(&caller.path(model, false), &headers, body.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-lingate-model").to_owned()
    };
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..200 {
        *shares
            .entry(ask(Dialect::ALL[number % 4], "drawn", "u").await)
            .or_default() += 1;
    }
    // Five standard deviations of 200 draws.
    assert!((20..=80).contains(&shares["ok-b"]), "{shares:?}");
    let mut arms = BTreeSet::new();
    for user in 0..20 {
        let user = format!("user-{user}");
        let mut found = BTreeSet::new();
        for caller in Dialect::ALL {
            found.insert(ask(caller, "kept", &user).await);
        }
        assert_eq!(found.len(), 1, "{user}");
        arms.extend(found);
    }
    assert_eq!(arms.len(), 2);
    for caller in Dialect::ALL {
        assert_eq!(ask(caller, "drained", "u").await, "ok-a");
    }
    let logged = || {
        let said = |arm: &str| world.said(&format!("arm=\"{arm}\""));
        (
            said("every-time=a") + said("every-time=b"),
            said("every-time=b"),
            said("by-user=a") + said("by-user=b"),
        )
    };
    let expect = (200, shares["ok-b"], 80);
    assert!(
        eventually(|| logged() == expect).await,
        "{:?} {expect:?}",
        logged()
    );
}

/// A caller's key is good at one vendor, and nobody else's business.
#[tokio::test]
async fn a_callers_own_key_never_goes_to_another_vendor() {
    at_once(Dialect::ALL, |dialect| async move {
        let other = Dialect::ALL[(dialect as usize + 1) % 4];
        let world = World::configured(
            |upstream| {
                let mine = provider("mine", dialect, upstream, "breaker: false");
                let theirs = provider("theirs", other, upstream, "keys: [sk-canary-theirs]");
                format!("auth: passthrough\nproviders:\n{mine}{theirs}routes:
  - {{model: m, targets: [mine/fails, theirs/x], fallbacks: [theirs/x, mine/ok-mine], fallbacks_on: {{timeout: [theirs/x], refusal: [theirs/x]}}, last_resort: {{fallback: theirs/x}}}}
  - {{model: refuses, targets: [mine/refuses], fallbacks_on: {{refusal: [theirs/x]}}}}
  - {{model: times-out, targets: [mine/times-out], fallbacks_on: {{timeout: [theirs/x]}}}}
  - {{model: broken, targets: [mine/fails, theirs/x], last_resort: {{fallback: theirs/x}}}}
")
            },
            fail,
        )
        .await;
        let ask = async |model: &str| {
            let body = dialect.request(model, true).to_string();
            let own = [("authorization", "Bearer sk-canary-mine-1,sk-canary-mine-2")];
            world.post(&dialect.path(model, true), &own, body.as_bytes()).await
        };
        let answer = ask("m").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-lingate-model"), "ok-mine");
        for model in ["refuses", "times-out", "broken"] {
            let answer = ask(model).await;
            dialect.refusal(&answer);
        }
        for received in world.upstream.received() {
            let asked = crate::world::asked(&received).unwrap();
            assert_eq!(asked.dialect, dialect);
            assert!(key(&received).starts_with("mine-"), "{:?}", received.headers);
        }
    })
    .await;
}

/// A stream that has begun is the answer, whatever chains there are.
#[tokio::test]
async fn no_chain_is_followed_after_the_first_content() {
    let world = World::playing(
        "routes:
  - {model: m, targets: [up-chat/breaks, up-gemini/x], fallbacks: [up-gemini/x], fallbacks_on: {timeout: [up-gemini/x], refusal: [up-gemini/x]}, last_resort: {fallback: up-gemini/x}}
",
        |asked| match asked.model.as_str() {
            "breaks" => {
                let begun = asked.dialect.events().into_iter().take(asked.dialect.opening() + 1);
                Script::events(begun).then(Step::Reset)
            }
            other => panic!("{other} is asked"),
        },
    )
    .await;
    for caller in Dialect::ALL {
        let answer = world.ask(caller, "m", true).await;
        let heard = caller.listen(&answer);
        heard.failed();
        assert_eq!((heard.text.as_str(), answer.attempts()), ("Hello ", 1));
    }
}
