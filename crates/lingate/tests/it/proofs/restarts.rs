//! Counters in memory are gone when the gateway ends; what was used is not.

use std::time::Instant;

use lingate_testkit::Gateway;

use super::marked::Mark;
use super::together::{MANAGER, PRICES, ask, used};
use crate::wire::Dialect;
use crate::world::{PATIENCE, program, providers, upstream};

const LIMITED: &str = "
organizations:
  acme: {projects: {web: {}}}
api_keys:
  - {name: one, key: sk-canary-one, limits: [{requests: 20, per: year}]}
  - {name: two, key: sk-canary-two, project: acme/web, limits: [{requests: 20, per: year}]}
  - {name: zone, key: sk-canary-zone, project: acme/web, limits: [{tokens: 2500, per: year, zone: Asia/Shanghai}]}
  - {name: money, key: sk-canary-money, limits: [{cost: 0.0025, per: year}]}
  - {name: ever, key: sk-canary-ever, limits: [{output_tokens: 2500, per: total}]}
";

const NAMES: [&str; 5] = ["one", "two", "zone", "money", "ever"];

async fn all_used(gateway: &Gateway) -> Vec<String> {
    let mut all = Vec::new();
    for name in NAMES {
        all.push(used(gateway, name).await);
    }
    all
}

async fn is_known_again(gateway: &Gateway, before: &[String], how: &str) {
    let started = Instant::now();
    loop {
        let now = all_used(gateway).await;
        if now == before {
            break;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{how}: {now:?} and not {before:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn limits_go_on_where_they_were() {
    let upstream = upstream(|asked| Mark::of(asked.received).unwrap().good(asked)).await;
    let text = format!(
        "auth: keys\n{}{PRICES}{LIMITED}  - {{name: manager, key: {MANAGER}, kind: management}}\n",
        providers(&upstream)
    );
    let mut gateway = Gateway::start(program(), &text, &[]).await.unwrap();
    let mut next = 0;
    let mut ask_all = async |gateway: &Gateway, times: usize| {
        for turn in 0..times {
            for name in NAMES {
                next += 1;
                let key = format!("sk-canary-{name}");
                let dialect = Dialect::ALL[(turn + next) % 4];
                let answer = ask(gateway, &key, dialect, Mark(next)).await;
                assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            }
        }
    };
    ask_all(&gateway, 6).await;
    let before = all_used(&gateway).await;
    assert_eq!(before[..2], ["6", "6"]);
    assert_eq!(gateway.terminate(PATIENCE).await.unwrap(), Some(0));
    gateway.start_again(program()).await.unwrap();
    is_known_again(&gateway, &before, "after a soft end").await;

    ask_all(&gateway, 6).await;
    let before = all_used(&gateway).await;
    assert_eq!(before[..2], ["12", "12"]);
    gateway.kill_and_start(program()).await.unwrap();
    is_known_again(&gateway, &before, "after a kill").await;
    eprintln!("used before and after a kill: {before:?}");

    // And not a request more than was allowed.
    for name in ["one", "two"] {
        let mut passed = 0;
        for turn in 0..12 {
            let key = format!("sk-canary-{name}");
            let answer = ask(&gateway, &key, Dialect::Chat, Mark(1000 + turn)).await;
            passed += usize::from(answer.status == 200);
        }
        assert_eq!(passed, 8, "{name}");
    }
}
