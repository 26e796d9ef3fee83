//! Circuit breakers: a target that fails is left alone but for its probes, and all that fails is told honestly.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use lingate_testkit::{Received, Script};

use crate::wire::{Dialect, TEXT};
use crate::world::{PATIENCE, World, at_once, eventually, key, provider};

/// What the target `bad` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Well,
    Fails,
    /// Reads requests and never answers.
    Silent,
}

/// A gateway with a target that is moody and one that is well.
struct Moody {
    world: World,
    mood: Arc<AtomicU8>,
    dialect: Dialect,
}

impl Moody {
    async fn new(dialect: Dialect, breaker: &str) -> Self {
        let mood = Arc::new(AtomicU8::new(Mood::Fails as u8));
        let felt = Arc::clone(&mood);
        let other = Dialect::ALL[(dialect as usize + 1) % 4];
        let world = World::configured(
            |upstream| {
                let rest = format!("keys: [sk-canary-bad], breaker: {{{breaker}}}");
                let bad = provider("bad", dialect, upstream, &rest);
                let good = provider("good", other, upstream, "keys: [sk-canary-good]");
                format!(
                    "providers:\n{bad}{good}routes:\n  - {{model: both, targets: [bad/m, good/m]}}\n  - {{model: alone, targets: [bad/m]}}\n"
                )
            },
            move |asked| {
                let felt = felt.load(Ordering::SeqCst);
                if key(asked.received) == "good" || felt == Mood::Well as u8 {
                    asked.good()
                } else if felt == Mood::Silent as u8 {
                    Script::silent()
                } else {
                    Script::json(500, asked.dialect.error(500, "out of order"))
                }
            },
        )
        .await;
        Self {
            world,
            mood,
            dialect,
        }
    }

    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// The requests that the moody target has received.
    fn bad(&self) -> Vec<Received> {
        let mut received = self.world.upstream.received();
        received.retain(|received| key(received) == "bad");
        received
    }

    /// A request that the other target makes good, where need be; what its header says of attempts.
    async fn ask(&self) -> (u32, String) {
        let answer = self.world.ask(self.dialect, "both", false).await;
        assert_eq!(self.dialect.said(&answer), TEXT);
        let trail = answer.header("x-lingate-attempts").to_owned();
        (answer.attempts(), trail)
    }

    /// Lets the breaker open.
    async fn open(&self) {
        for failure in 1..=4 {
            let (attempts, trail) = self.ask().await;
            assert_eq!(attempts, 2, "{trail}");
            assert_eq!(self.bad().len(), failure);
        }
    }
}

#[tokio::test]
async fn an_open_breaker_lets_one_probe_through_for_each_cooldown() {
    at_once(Dialect::ALL, |dialect| async move {
        let cooldown = Duration::from_millis(300);
        let rules = "requests: 4, window: 10s, ratio: 50%, cooldown: 300ms, longest: 2s";
        let moody = Moody::new(dialect, rules).await;
        moody.open().await;
        let began = Instant::now();
        let mut alone = 0;
        while moody.bad().len() < 7 {
            assert!(began.elapsed() < PATIENCE, "{dialect:?}: no probe");
            let before = moody.bad().len();
            let (attempts, trail) = moody.ask().await;
            let probed = moody.bad().len() - before;
            assert_eq!(attempts, 1 + u32::try_from(probed).unwrap(), "{trail}");
            assert_eq!(
                trail.contains("why=probe;failed=upstream_error"),
                probed == 1,
                "{trail}"
            );
            alone += 1 - probed;
        }
        assert!(alone > 0, "{dialect:?}");
        // Each wait is twice as long as the one before.
        let bad = moody.bad();
        for (probe, wait) in [(4, cooldown), (5, cooldown * 2), (6, cooldown * 4)] {
            let waited = bad[probe].at - bad[probe - 1].at;
            assert!(
                waited >= wait,
                "{dialect:?}: the probe {probe} after {waited:?}"
            );
        }
        // One success closes it, and the target has all requests again.
        moody.set(Mood::Well);
        while moody.bad().len() == 7 {
            assert!(
                began.elapsed() < 2 * PATIENCE,
                "{dialect:?}: never well again"
            );
            moody.ask().await;
        }
        for _ in 0..6 {
            let (attempts, trail) = moody.ask().await;
            assert!(
                trail.contains("\"bad/m\"") && trail.contains("why=priority"),
                "{trail}"
            );
            assert_eq!(attempts, 1);
        }
        // What failed before is forgotten: it takes as many failures as at first.
        moody.set(Mood::Fails);
        let before = moody.bad().len();
        for _ in 0..3 {
            assert_eq!(moody.ask().await.0, 2);
        }
        assert_eq!(moody.bad().len(), before + 3);
    })
    .await;
}

#[tokio::test]
async fn where_nothing_else_is_left_the_caller_is_told_when_to_come_again() {
    at_once(Dialect::ALL, |dialect| async move {
        let rules = "requests: 4, window: 1m, ratio: 50%, cooldown: 45s";
        let moody = Moody::new(dialect, rules).await;
        for caller in Dialect::ALL {
            let answer = moody.world.ask(caller, "alone", true).await;
            assert!(caller.refusal(&answer).contains("out of order"));
            assert_eq!(answer.attempts(), 1);
        }
        for caller in Dialect::ALL {
            for stream in [false, true] {
                let answer = moody.world.ask(caller, "alone", stream).await;
                let message = caller.refusal(&answer);
                assert!(message.contains("circuit breaker is open"), "{message}");
                assert!(message.contains("500"), "{message}");
                let body = answer.json();
                match caller {
                    Dialect::Messages => {
                        assert_eq!(answer.status, 529);
                        assert_eq!(body["error"]["type"], "overloaded_error");
                    }
                    Dialect::Gemini => {
                        assert_eq!(answer.status, 503);
                        assert_eq!(body["error"]["status"], "UNAVAILABLE");
                    }
                    Dialect::Chat | Dialect::Responses => assert_eq!(answer.status, 503),
                }
                let seconds: u64 = answer.header("retry-after").parse().unwrap();
                let exact: u64 = answer.header("retry-after-ms").parse().unwrap();
                assert!((1..=45).contains(&seconds), "{seconds}");
                assert_eq!(exact.div_ceil(1000), seconds);
                assert_eq!(answer.attempts(), 0);
            }
        }
        assert_eq!(moody.bad().len(), 4);
        // Counting tokens asks no model, but it is the same host: nobody is kept from it by a model that fails.
        assert_eq!(moody.ask().await.0, 1);
    })
    .await;
}

#[tokio::test]
async fn of_many_requests_at_the_same_time_one_is_the_probe() {
    at_once(Dialect::ALL, |dialect| async move {
        let rules = "requests: 4, window: 1m, ratio: 50%, cooldown: 300ms, longest: 1m";
        let moody = Arc::new(Moody::new(dialect, rules).await);
        moody.open().await;
        let opened = Instant::now();
        moody.set(Mood::Silent);
        // The breaker counts from the last failure, which was before.
        let over = opened + Duration::from_millis(300);
        tokio::time::sleep_until(over.into()).await;
        let mut callers = tokio::task::JoinSet::new();
        let answered = Arc::new(AtomicBool::new(false));
        for _ in 0..30 {
            let (moody, answered) = (Arc::clone(&moody), Arc::clone(&answered));
            callers.spawn(async move {
                let mut connection = moody.world.call(moody.dialect, "both", false).await;
                tokio::select! {
                    answer = connection.answer() => {
                        let answer = answer.unwrap();
                        assert_eq!(moody.dialect.said(&answer), TEXT);
                        None
                    }
                    // The others have been answered: this is the one that waits for the probe.
                    true = eventually(|| answered.load(Ordering::SeqCst)) => Some(connection),
                }
            });
        }
        let mut waiting = None;
        for _ in 0..29 {
            assert!(callers.join_next().await.unwrap().unwrap().is_none());
        }
        answered.store(true, Ordering::SeqCst);
        while let Some(connection) = callers.join_next().await {
            waiting = connection.unwrap();
        }
        let waiting = waiting.unwrap();
        assert_eq!(moody.bad().len(), 5, "{dialect:?}");
        // While it is under way nobody else probes.
        for _ in 0..5 {
            assert_eq!(moody.ask().await.0, 1);
        }
        assert_eq!(moody.bad().len(), 5, "{dialect:?}");
        // Its caller hangs up, which tells nothing: the next request is the probe, and well.
        moody.set(Mood::Well);
        drop(waiting);
        let began = Instant::now();
        while moody.bad().len() == 5 {
            assert!(
                began.elapsed() < PATIENCE,
                "{dialect:?}: nobody probes any more"
            );
            moody.ask().await;
        }
        let (_, trail) = moody.ask().await;
        assert!(trail.contains("\"bad/m\""), "{trail}");
    })
    .await;
}

/// When a vendor turns all keys away, it is not for the keys.
#[tokio::test]
async fn a_storm_opens_the_providers_breaker_and_no_key_stays_disabled() {
    const KEYS: usize = 60;
    at_once(
        Dialect::ALL.into_iter().flat_map(|dialect| [(dialect, 401), (dialect, 402)]),
        |(dialect, status)| async move {
            let out = Arc::new(AtomicBool::new(true));
            let outage = Arc::clone(&out);
            let world = World::configured(
                |upstream| {
                    let keys: Vec<String> = (0..KEYS).map(|key| format!("sk-canary-{key}-k")).collect();
                    let rest = format!(
                        "keys: [{}], breaker: {{cooldown: 300ms, longest: 600ms}}",
                        keys.join(", ")
                    );
                    let pool = provider("pool", dialect, upstream, &rest);
                    let good = provider("good", dialect, upstream, "keys: [sk-canary-good]");
                    format!("providers:\n{pool}{good}routes:\n  - {{model: both, targets: [pool/m, good/m]}}\n  - {{model: alone, targets: [pool/m]}}\n")
                },
                move |asked| {
                    if key(asked.received) != "good" && outage.load(Ordering::SeqCst) {
                        Script::json(status, asked.dialect.error(status, "no"))
                    } else {
                        asked.good()
                    }
                },
            )
            .await;
            let used = || {
                let received = world.upstream.received();
                let keys = received.iter().map(key).filter(|key| key != "good");
                keys.collect::<Vec<_>>()
            };
            // Ten keys in a row are a storm.
            let mut open = 0;
            for _ in 0..40 {
                let before = used().len();
                let answer = world.ask(dialect, "both", false).await;
                assert_eq!(dialect.said(&answer), TEXT);
                open += usize::from(used().len() == before);
            }
            assert!(open > 0, "{dialect:?}: {:?}", used());
            let burnt: HashSet<String> = used().into_iter().collect();
            assert!((10..KEYS).contains(&burnt.len()), "{dialect:?}: {}", burnt.len());
            let answer = world.ask(dialect, "alone", false).await;
            dialect.refusal(&answer);
            out.store(false, Ordering::SeqCst);
            let began = Instant::now();
            while world.ask(dialect, "alone", false).await.status != 200 {
                assert!(began.elapsed() < PATIENCE, "{dialect:?}: never well again");
            }
            let before = used().len();
            for _ in 0..KEYS {
                let answer = world.ask(dialect, "alone", false).await;
                assert_eq!((answer.status, answer.attempts()), (200, 1), "{}", answer.text());
            }
            let after: HashSet<String> = used().split_off(before).into_iter().collect();
            assert_eq!(after.len(), KEYS, "{dialect:?}: some keys stay away");
        },
    )
    .await;
}
