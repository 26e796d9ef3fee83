//! Pools of keys: which key a request goes with, why a key rests, for how long, and what is told when none is left.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lingate_testkit::{Script, Step};

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, PATIENCE, World, at_once, good_answer, key, provider};

/// A gateway with one provider `p` and these routes.
async fn pool(
    dialect: Dialect,
    keys: &str,
    routes: &str,
    play: impl Fn(&Asked<'_>) -> Script + Send + Sync + 'static,
) -> World {
    World::configured(
        |upstream| {
            let provider = provider("p", dialect, upstream, &format!("keys: [{keys}]"));
            format!("providers:\n{provider}{routes}")
        },
        play,
    )
    .await
}

/// The keys of all requests so far.
fn used(world: &World) -> Vec<String> {
    world.upstream.received().iter().map(key).collect()
}

/// The keys of so many requests for a model, which must all be answered well.
async fn use_of(world: &World, dialect: Dialect, model: &str, requests: usize) -> Vec<String> {
    let before = used(world).len();
    for _ in 0..requests {
        let answer = world.ask(dialect, model, false).await;
        assert_eq!(dialect.said(&answer), TEXT);
    }
    used(world).split_off(before)
}

fn set<'a>(keys: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    keys.into_iter().map(String::as_str).collect()
}

/// A limit that is over soon, as the vendor of this dialect says it, and for how long it holds.
fn limited(dialect: Dialect) -> (Script, Duration) {
    let error = |message: &str| Script::json(429, dialect.error(429, message));
    match dialect {
        Dialect::Chat => (
            error("Rate limit reached")
                .header("x-ratelimit-remaining-requests", "0")
                .header("x-ratelimit-reset-requests", "700ms")
                .header("x-ratelimit-remaining-tokens", "5000")
                .header("x-ratelimit-reset-tokens", "1h"),
            Duration::from_millis(700),
        ),
        Dialect::Messages => (
            error("This request would exceed your rate limit").header("retry-after", "1"),
            Duration::from_secs(1),
        ),
        Dialect::Gemini => (
            Script::json(
                429,
                r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0.6s"}]}}"#,
            ),
            Duration::from_millis(600),
        ),
        Dialect::Responses => (
            error("Rate limit reached").header("retry-after-ms", "500"),
            Duration::from_millis(500),
        ),
    }
}

#[tokio::test]
async fn a_key_that_is_limited_rests_for_as_long_as_the_vendor_says() {
    at_once(Dialect::ALL, |dialect| async move {
        let times = AtomicUsize::new(0);
        let world = pool(dialect, "sk-canary-one, sk-canary-two", "", move |asked| {
            let first = key(asked.received) == "one" && times.fetch_add(1, Ordering::SeqCst) == 0;
            if first {
                limited(dialect).0
            } else {
                asked.good()
            }
        })
        .await;
        assert_eq!(use_of(&world, dialect, "p/m", 1).await, ["one", "two"]);
        let began = Instant::now();
        while used(&world).iter().filter(|key| *key == "one").count() < 2 {
            assert!(began.elapsed() < PATIENCE, "{dialect:?}: it rests for good");
            use_of(&world, dialect, "p/m", 1).await;
        }
        let received = world.upstream.received();
        let times: Vec<Instant> = received
            .iter()
            .filter(|received| key(received) == "one")
            .map(|received| received.at)
            .collect();
        let rested = times[1] - times[0];
        assert!(rested >= limited(dialect).1, "{dialect:?}: {rested:?}");
        // Its own word needs no proof: from then on it is used as before.
        let keys = use_of(&world, dialect, "p/m", 4).await;
        assert_eq!(set(&keys), set(&["one".to_owned(), "two".to_owned()]));
    })
    .await;
}

/// What is told about keys that rest, by those who may use no others; and that nobody asks with them meanwhile.
#[tokio::test]
async fn why_a_key_rests_is_told() {
    const KEYS: &str = "{key: sk-canary-dead, tags: [dead]}, {key: sk-canary-poor, tags: [poor]}, {key: sk-canary-busy, tags: [busy]}, {key: sk-canary-off, tags: [off], disabled: leaked on Monday}, {key: sk-canary-drained, tags: [drained], weight: 0}, {key: sk-canary-good, tags: [good]}";
    at_once(Dialect::ALL, |dialect| async move {
        let tags = ["dead", "poor", "busy", "off", "drained", "good"];
        let routes = tags.map(|tag| {
            format!("  - {{model: {tag}, targets: [{{provider: p, model: m, keys: [{tag}]}}]}}\n")
        });
        let routes = format!("routes:\n{}", routes.concat());
        let world = pool(dialect, KEYS, &routes, move |asked| {
            let error = |status| Script::json(status, asked.dialect.error(status, "no"));
            match key(asked.received).as_str() {
                "dead" => error(401),
                "poor" => error(402),
                "busy" => error(429).header("retry-after", "40"),
                "good" => asked.good(),
                other => panic!("{other} is used"),
            }
        })
        .await;
        for caller in Dialect::ALL {
            for (model, limited, words, longest) in [
                ("dead", false, "disabled: 401", 60),
                ("poor", false, "exhausted: 402", 60),
                ("busy", true, "cooling", 40),
                ("off", false, "off by hand", 0),
                ("drained", false, "drained", 0),
            ] {
                // The upstream's own words, the first time.
                if caller == Dialect::Chat && longest > 0 {
                    let answer = world.ask(caller, model, false).await;
                    assert!(answer.status >= 400, "{}", answer.text());
                    assert_eq!(answer.attempts(), 1);
                }
                let before = used(&world).len();
                let answer = world.ask(caller, model, true).await;
                let message = caller.refusal(&answer);
                assert!(message.contains(words), "{caller:?} {model}: {message}");
                let expect = match caller {
                    _ if limited => 429,
                    Dialect::Messages => 529,
                    Dialect::Chat | Dialect::Gemini | Dialect::Responses => 503,
                };
                assert_eq!(answer.status, expect, "{caller:?} {model}: {message}");
                let wait = answer.header("retry-after");
                if longest == 0 {
                    assert_eq!(wait, "", "{model}");
                } else {
                    let wait: u64 = wait.parse().unwrap();
                    assert!((1..=longest).contains(&wait), "{model}: {wait}");
                }
                assert_eq!(used(&world).len(), before, "{model}");
            }
            assert_eq!(use_of(&world, caller, "good", 1).await, ["good"]);
            // Who may use all of them is served with the one that is well.
            assert_eq!(use_of(&world, caller, "p/m", 2).await, ["good", "good"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_limit_of_one_model_leaves_the_others_alone() {
    at_once(Dialect::ALL, |dialect| async move {
        let world = pool(dialect, "sk-canary-one, sk-canary-two", "", |asked| {
            if key(asked.received) == "one" && asked.model == "small" {
                return Script::json(
                    429,
                    r#"{"error":{"message":"You have reached the rate limit specific to this model.","type":"model_rate_limit","param":null,"code":null}}"#,
                )
                .header("retry-after", "50");
            }
            asked.good()
        })
        .await;
        assert_eq!(use_of(&world, dialect, "p/small", 1).await, ["one", "two"]);
        assert_eq!(use_of(&world, dialect, "p/small", 3).await, ["two"; 3]);
        let others = use_of(&world, dialect, "p/large", 4).await;
        assert_eq!(set(&others), BTreeSet::from(["one", "two"]), "{others:?}");
        assert_eq!(use_of(&world, dialect, "p/small", 3).await, ["two"; 3]);
    })
    .await;
}

const LIMIT_OF_ACCOUNT: &str = r#"{"error":{"message":"Rate limit reached for small in organization acme-labs on tokens per min (TPM): Limit 30000, Used 29937, Requested 385.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;

/// Keys of one account rest together, be it that the configuration names it or that the vendor has told it.
#[tokio::test]
async fn a_limit_of_an_account_is_one_of_all_its_keys() {
    let configured = "{key: sk-canary-one, account: acme-labs}, {key: sk-canary-two, account: acme-labs}, sk-canary-three";
    let learned = "sk-canary-one, sk-canary-two, sk-canary-three";
    let cases = Dialect::ALL
        .into_iter()
        .flat_map(|dialect| [(dialect, configured), (dialect, learned)]);
    at_once(cases, |(dialect, keys)| async move {
        let limit = AtomicUsize::new(0);
        let world = pool(dialect, keys, "", move |asked| {
            let key = key(asked.received);
            let account = if key == "three" { "beta" } else { "acme-labs" };
            // The fourth request of the model.
            if asked.model == "small" && limit.fetch_add(1, Ordering::SeqCst) == 3 {
                assert_ne!(key, "three");
                return Script::json(429, LIMIT_OF_ACCOUNT).header("retry-after", "50");
            }
            asked.good().header("openai-organization", account)
        })
        .await;
        let all = BTreeSet::from(["one", "two", "three"]);
        assert_eq!(set(&use_of(&world, dialect, "p/small", 3).await), all);
        // The sibling is passed over.
        assert_eq!(
            use_of(&world, dialect, "p/small", 1).await,
            ["one", "three"],
            "{dialect:?} {keys}"
        );
        assert_eq!(use_of(&world, dialect, "p/small", 3).await, ["three"; 3]);
        assert_eq!(set(&use_of(&world, dialect, "p/large", 6).await), all);
    })
    .await;
}

#[tokio::test]
async fn weights_and_tags_are_obeyed() {
    const KEYS: &str = "{key: sk-canary-one, weight: 3}, {key: sk-canary-two, tags: [eu]}, {key: sk-canary-drained, weight: 0}, {key: sk-canary-off, disabled: true, tags: [eu]}, {key: sk-canary-three, weight: 2, tags: [eu, us]}";
    at_once(Dialect::ALL, |dialect| async move {
        let routes = "routes:
  - {model: eu, targets: [{provider: p, model: m, keys: [eu]}]}
  - {model: us, targets: [{provider: p, model: m, keys: [us]}]}
  - {model: either, targets: [{provider: p, model: m, keys: [eu, us]}]}
";
        let world = pool(dialect, KEYS, routes, good_answer).await;
        for (model, shares) in [
            ("p/m", [30, 10, 20]),
            ("eu", [0, 20, 40]),
            ("us", [0, 0, 60]),
            ("either", [0, 20, 40]),
        ] {
            let keys = use_of(&world, dialect, model, 60).await;
            let share = |name: &str| keys.iter().filter(|key| *key == name).count();
            let found = ["one", "two", "three"].map(share);
            assert_eq!(found.iter().sum::<usize>(), 60, "{keys:?}");
            for (found, expect) in found.into_iter().zip(shares) {
                assert!(
                    usize::abs_diff(found, expect) <= 2,
                    "{model}: {found} of {expect}"
                );
            }
        }
    })
    .await;
}

/// The first of its content, and then nothing more.
fn held(asked: &Asked<'_>) -> Script {
    let events = asked.dialect.events();
    let begun = events.into_iter().take(asked.dialect.opening() + 1);
    Script::events(begun).then(Step::Stall)
}

#[tokio::test]
async fn a_key_with_enough_under_way_is_passed_over_until_one_ends() {
    at_once(Dialect::ALL, |dialect| async move {
        let keys = "{key: sk-canary-one, concurrency: 1, tags: [a]}, sk-canary-two";
        let routes = "routes: [{model: a, targets: [{provider: p, model: m, keys: [a]}]}]\n";
        let play = |asked: &Asked<'_>| {
            if asked.stream {
                held(asked)
            } else {
                asked.good()
            }
        };
        let world = pool(dialect, keys, routes, play).await;
        let mut open = world.call(dialect, "a", true).await;
        open.read_until(b"Hello ").await.unwrap();
        assert_eq!(use_of(&world, dialect, "p/m", 3).await, ["two"; 3]);
        for caller in Dialect::ALL {
            let answer = world.ask(caller, "a", false).await;
            let message = caller.refusal(&answer);
            assert_eq!(answer.status, 429, "{message}");
            assert!(message.contains("at their limits"), "{message}");
        }
        assert_eq!(used(&world).len(), 4);
        drop(open);
        let began = Instant::now();
        while world.ask(dialect, "a", false).await.status != 200 {
            assert!(began.elapsed() < PATIENCE, "{dialect:?}: never free again");
        }
        assert!(
            use_of(&world, dialect, "p/m", 2)
                .await
                .contains(&"one".to_owned())
        );
    })
    .await;
}

/// Whoever has but one key for all has limited it on purpose.
#[tokio::test]
async fn limits_of_the_only_key_hold() {
    at_once(Dialect::ALL, |dialect| async move {
        for limit in ["concurrency: 1", "requests_per_minute: 1"] {
            let keys = format!("{{key: sk-canary-one, {limit}}}");
            let world = pool(dialect, &keys, "", held).await;
            let mut open = world.call(dialect, "p/m", true).await;
            open.read_until(b"Hello ").await.unwrap();
            for caller in Dialect::ALL {
                let answer = world.ask(caller, "p/m", false).await;
                let message = caller.refusal(&answer);
                assert_eq!(answer.status, 429, "{limit}: {message}");
                assert_eq!(answer.attempts(), 0, "{limit}: {message}");
            }
            assert_eq!(used(&world), ["one"], "{limit}");
        }
    })
    .await;
}

#[tokio::test]
async fn requests_of_a_minute_are_counted() {
    at_once(Dialect::ALL, |dialect| async move {
        let keys = "{key: sk-canary-one, requests_per_minute: 3, tags: [a]}, sk-canary-two";
        let routes = "routes: [{model: a, targets: [{provider: p, model: m, keys: [a]}]}]\n";
        let began = Instant::now();
        let world = pool(dialect, keys, routes, good_answer).await;
        let keys = use_of(&world, dialect, "p/m", 20).await;
        let answer = world.ask(dialect, "a", true).await;
        let ones = used(&world).iter().filter(|key| *key == "one").count();
        // What is refilled meanwhile, one in twenty seconds.
        let refilled = usize::try_from(began.elapsed().as_secs() / 20).unwrap();
        assert!((3..=3 + refilled).contains(&ones), "{ones}: {keys:?}");
        if answer.status != 200 {
            let message = dialect.refusal(&answer);
            assert_eq!(answer.status, 429, "{message}");
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=20).contains(&wait), "{wait}");
        }
    })
    .await;
}

#[tokio::test]
async fn keys_go_in_any_header_and_form() {
    at_once(Dialect::ALL, |dialect| async move {
        let world = World::configured(
            |upstream| {
                let plain = provider("plain", dialect, upstream, "keys: [sk-canary-one]");
                let rest =
                    "keys: [sk-canary-two], auth: {header: X-Gateway-Key, format: \"Token {key}\"}";
                let own = provider("own", dialect, upstream, rest);
                format!("providers:\n{plain}{own}")
            },
            good_answer,
        )
        .await;
        for caller in Dialect::ALL {
            assert_eq!(caller.said(&world.ask(caller, "own/m", false).await), TEXT);
            let received = world.upstream.received().pop().unwrap();
            assert_eq!(received.header("x-gateway-key"), "Token sk-canary-two");
            for header in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
                assert_eq!(received.header(header), "", "{caller:?} to {dialect:?}");
            }
            assert_eq!(
                caller.said(&world.ask(caller, "plain/m", false).await),
                TEXT
            );
            let received = world.upstream.received().pop().unwrap();
            let (header, value) = match dialect {
                Dialect::Chat | Dialect::Responses => ("authorization", "Bearer sk-canary-one"),
                Dialect::Messages => ("x-api-key", "sk-canary-one"),
                Dialect::Gemini => ("x-goog-api-key", "sk-canary-one"),
            };
            assert_eq!(received.header(header), value);
        }
    })
    .await;
}
