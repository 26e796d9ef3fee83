//! Redis is away: what `on_counter_outage` says is what happens, and nobody is taken for somebody with a bad key.

use std::time::Instant;

use lingate_testkit::client::Answer;
use lingate_testkit::{Gateway, Redis, Upstream};

use super::marked::Mark;
use super::together::{ask, configuration, get, used};
use crate::wire::Dialect;
use crate::world::{PATIENCE, program, upstream};

struct Single {
    gateway: Gateway,
    upstream: Upstream,
    redis: Redis,
    next: usize,
}

const KEYS: &str = "
api_keys:
  - {name: limited, key: sk-canary-limited, limits: [{requests: 5, per: year}]}
  - {name: free, key: sk-canary-free}";

impl Single {
    async fn start(rule: &str) -> Self {
        let upstream = upstream(|asked| Mark::of(asked.received).unwrap().good(asked)).await;
        let redis = Redis::start().await.unwrap();
        let settings = format!("on_counter_outage: {rule}{KEYS}");
        let text = configuration(&upstream, &redis, "sqlite", &settings);
        let gateway = Gateway::start(program(), &text, &[]).await.unwrap();
        Self {
            gateway,
            upstream,
            redis,
            next: 0,
        }
    }

    async fn ask(&mut self, key: &str, dialect: Dialect) -> Answer {
        self.next += 1;
        ask(&self.gateway, key, dialect, Mark(self.next)).await
    }

    /// How many of so many requests pass; the others are refused for a limit.
    async fn pass(&mut self, times: usize) -> usize {
        let mut passed = 0;
        for turn in 0..times {
            let dialect = Dialect::ALL[turn % 4];
            let mut answer = self.ask("sk-canary-limited", dialect).await;
            // On a busy machine Redis counts as away for a moment.
            let started = Instant::now();
            while answer.status >= 500 && started.elapsed() < PATIENCE {
                answer = self.ask("sk-canary-limited", dialect).await;
            }
            if answer.status == 200 {
                passed += 1;
            } else {
                assert_eq!(answer.status, 429, "{}", answer.text());
                dialect.refusal(&answer);
            }
        }
        passed
    }

    async fn fares(&self, status: &str) {
        let started = Instant::now();
        loop {
            let health = get(&self.gateway, "/health").await;
            if health["counters"]["status"] == status {
                assert!(status == "ok" || health["status"] == status, "{health}");
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{health}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn comes_back(&mut self, expect: &str) {
        self.redis.start_again().await.unwrap();
        self.fares("ok").await;
        let started = Instant::now();
        while used(&self.gateway, "limited").await != expect {
            let used = used(&self.gateway, "limited").await;
            assert!(started.elapsed() < PATIENCE, "{used} and not {expect}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_share_of_what_was_left() {
    let mut single = Single::start("local_lease").await;
    assert_eq!(single.pass(2).await, 2);
    single.redis.stop().unwrap();
    // It is alone: all that was left is its share.
    assert_eq!(single.pass(10).await, 3);
    single.fares("degraded").await;
    assert_eq!(
        single.ask("sk-canary-free", Dialect::Chat).await.status,
        200
    );
    single.comes_back("5").await;
    assert_eq!(single.pass(3).await, 0);
    assert_eq!(single.upstream.received().len(), 6);
}

#[tokio::test]
async fn everything_passes_and_is_counted() {
    let mut single = Single::start("allow").await;
    assert_eq!(single.pass(2).await, 2);
    single.redis.stop().unwrap();
    assert_eq!(single.pass(10).await, 10);
    single.fares("degraded").await;
    single.comes_back("12").await;
    assert_eq!(single.pass(3).await, 0);
}

#[tokio::test]
async fn what_is_limited_is_refused_as_nobodys_fault() {
    let mut single = Single::start("deny").await;
    assert_eq!(single.pass(2).await, 2);
    single.redis.stop().unwrap();
    for dialect in Dialect::ALL {
        let answer = single.ask("sk-canary-limited", dialect).await;
        // Clients of Messages know this by a number of its own.
        let expect = if dialect == Dialect::Messages {
            529
        } else {
            503
        };
        assert_eq!(answer.status, expect, "{dialect:?}: {}", answer.text());
        assert!(!answer.header("retry-after").is_empty(), "{dialect:?}");
        let told = dialect.refusal(&answer);
        assert!(told.contains("counters"), "{told}");
        let answer = single.ask("sk-canary-free", dialect).await;
        assert_eq!(answer.status, 200, "{dialect:?}: {}", answer.text());
    }
    single.fares("degraded").await;
    single.comes_back("2").await;
    assert_eq!(single.pass(5).await, 3);
}
