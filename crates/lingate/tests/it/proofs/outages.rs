//! Redis and PostgreSQL go and come back while two replicas serve: no request fails or waits for them, and in the end nothing is lost
//! and nothing billed twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lingate_testkit::Postgres;
use tokio::task::JoinSet;

use super::together::Together;
use crate::wire::Dialect;
use crate::world::{PATIENCE, eventually, program};

const LIMITED: &str = "
api_keys:
  - {name: requests, key: sk-canary-requests, limits: [{requests: 100000, per: year}]}
  - {name: budget, key: sk-canary-budget, limits: [{cost: 100, per: year}]}
";

/// Requests that are answered before anything else happens.
const SOME: usize = 40;

/// Callers that ask all the time, both replicas, with both keys.
struct Traffic {
    answered: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    callers: JoinSet<Duration>,
}

impl Traffic {
    fn begin(together: &Arc<Together>) -> Self {
        let (answered, over) = (Arc::default(), Arc::<AtomicBool>::default());
        let mut callers = JoinSet::new();
        for caller in 0..8 {
            let together = Arc::clone(together);
            let (answered, over) = (Arc::<AtomicUsize>::clone(&answered), Arc::clone(&over));
            callers.spawn(async move {
                let mut longest = Duration::ZERO;
                let mut turn = caller;
                while !over.load(Ordering::SeqCst) {
                    turn += 1;
                    let key = ["sk-canary-requests", "sk-canary-budget"][caller / 2 % 2];
                    let dialect = Dialect::ALL[turn % 4];
                    let asked = Instant::now();
                    let answer = together.ask(caller % 2, key, dialect).await;
                    longest = longest.max(asked.elapsed());
                    assert_eq!(answer.status, 200, "{dialect:?}: {}", answer.text());
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                longest
            });
        }
        Self {
            answered,
            over,
            callers,
        }
    }

    /// Waits until some more requests are answered, whatever is away.
    async fn goes_on(&self, what: &str) {
        let from = self.answered.load(Ordering::SeqCst);
        let goes_on = eventually(|| self.answered.load(Ordering::SeqCst) >= from + SOME).await;
        assert!(goes_on, "requests wait: {what}");
    }

    async fn end(mut self) -> Duration {
        self.over.store(true, Ordering::SeqCst);
        let mut longest = Duration::ZERO;
        while let Some(caller) = self.callers.join_next().await {
            longest = longest.max(caller.unwrap());
        }
        longest
    }
}

async fn drained(together: &Together) {
    for replica in 0..2 {
        let started = Instant::now();
        loop {
            let health = together.health(replica).await;
            if health["writer"]["waiting"] == 0 && health["status"] == "ok" {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{health}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The database, the upstream and Redis say the same.
async fn agree(together: &Together) -> usize {
    drained(together).await;
    let counted = together.counted();
    assert_eq!(together.upstream.received().len(), counted.len());
    let ledger = together.ledger().await;
    let records = ledger.marked(counted.len()).await;
    assert_eq!(
        records.keys().collect::<Vec<_>>(),
        counted.keys().collect::<Vec<_>>()
    );
    let (mut requests, mut money) = (0_u32, 0_u32);
    let budget = together.key_of("budget").await;
    for (mark, of) in &records {
        assert_eq!(of.len(), 1, "{of:?}");
        let usage = of[0].usage.unwrap();
        assert_eq!((usage.input, usage.output), counted[mark]);
        if of[0].key.map(|key| key.to_string()) == Some(budget.clone()) {
            money += u32::try_from(usage.input + usage.output).unwrap();
        } else {
            requests += 1;
        }
    }
    ledger.adds_up(records.values().flatten()).await;
    // Never less than the ledger. It may be more, and is not once Redis has not lost anything: what one replica tells it late, another
    // may have read in the ledger already.
    let expect = [f64::from(requests), f64::from(money) / 1e6];
    for replica in 0..2 {
        let started = Instant::now();
        loop {
            let used = [
                together.used(replica, "requests").await,
                together.used(replica, "budget").await,
            ];
            let found = used.map(|used| used.parse::<f64>().unwrap());
            if found[0] >= expect[0] && found[1] >= expect[1] - 1e-9 {
                eprintln!("Redis counts {found:?}, the ledger {expect:?}");
                break;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "Redis counts {found:?}, the ledger {expect:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    records.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_away_no_request_fails_and_nothing_is_lost() {
    let postgres = Postgres::start();
    let together = Together::at(&postgres, LIMITED, |asked, mark| mark.good(asked)).await;
    let made = together.command(&["keys", "create", "laptop"]).await;
    let laptop = made["secret"].as_str().unwrap().to_owned();
    let together = Arc::new(together);
    let traffic = Traffic::begin(&together);
    traffic.goes_on("nothing is away").await;

    together.redis.lock().await.pause().unwrap();
    traffic.goes_on("Redis hangs").await;
    together.fares("counters", "degraded").await;
    traffic.goes_on("Redis hangs").await;
    together.redis.lock().await.resume().unwrap();
    together.fares("counters", "ok").await;
    traffic.goes_on("Redis is back").await;

    postgres.kill();
    traffic.goes_on("PostgreSQL is away").await;
    together.fares("database", "degraded").await;
    traffic.goes_on("PostgreSQL is away").await;
    tokio::task::block_in_place(|| postgres.start_again());
    together.fares("database", "ok").await;
    traffic.goes_on("PostgreSQL is back").await;

    postgres.kill();
    together.redis.lock().await.stop().unwrap();
    together.fares("counters", "degraded").await;
    together.fares("database", "degraded").await;
    traffic.goes_on("both are away").await;
    tokio::task::block_in_place(|| postgres.start_again());
    together.redis.lock().await.start_again().await.unwrap();
    together.fares("counters", "ok").await;
    together.fares("database", "ok").await;
    traffic.goes_on("both are back").await;
    let longest = traffic.end().await;
    let count = agree(&together).await;

    // Who starts without the database knows everybody, and loses nothing either.
    let Ok(mut together) = Arc::try_unwrap(together) else {
        panic!("somebody still asks");
    };
    postgres.kill();
    together.fares("database", "degraded").await;
    together.replicas[0]
        .kill_and_start(program())
        .await
        .unwrap();
    for turn in 0..8 {
        let key = [&*laptop, "sk-canary-budget"][turn / 4];
        let answer = together.ask(0, key, Dialect::ALL[turn % 4]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    tokio::task::block_in_place(|| postgres.start_again());
    let ledger = together.ledger().await;
    let records = ledger.marked(count + 8).await;
    assert_eq!(records.len(), count + 8);
    assert!(records.values().all(|of| of.len() == 1));
    eprintln!("{count} requests through four outages, the slowest in {longest:?}");
}
