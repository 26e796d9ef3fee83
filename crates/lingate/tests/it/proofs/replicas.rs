//! Two replicas count together, and both know at once what has changed of a key.

use std::time::Instant;

use lingate_testkit::Script;
use lingate_testkit::client::Connection;

use super::marked::Mark;
use super::together::Together;
use crate::wire::Dialect;
use crate::world::{Asked, PATIENCE};

/// Redis answers in 50 ms or counts as away, which happens on a busy machine. Whoever is told so asks again.
const LIMITED: &str = "
on_counter_outage: deny
api_keys:
  - {name: requests, key: sk-canary-requests, limits: [{requests: 50, per: hour}]}
  - {name: tokens, key: sk-canary-tokens, limits: [{tokens: 4000, per: year}]}
  - {name: budget, key: sk-canary-budget, limits: [{cost: 0.005, per: year}]}
  - {name: slots, key: sk-canary-slots, limits: [{concurrency: 7}]}
";

/// Streams stay open; whole answers are good.
fn play(asked: &Asked<'_>, mark: Mark) -> Script {
    if asked.stream {
        return mark.beginning(asked, 1);
    }
    mark.good(asked)
}

/// Asks through both at the same time until nothing more passes; what was answered, by status.
async fn flood(together: &Together, key: &str, times: usize) -> Vec<u16> {
    let ask = async |at: usize| {
        let mut statuses = Vec::new();
        // Twenty callers, each one after the other.
        for turn in 0..times / 20 {
            let dialect = Dialect::ALL[(at + turn) % 4];
            let answer = together.ask((at + turn) % 2, key, dialect).await;
            if answer.status != 200 {
                dialect.refusal(&answer);
            }
            statuses.push(answer.status);
        }
        statuses
    };
    let all = (0..20).map(ask);
    futures_util::future::join_all(all).await.concat()
}

#[tokio::test]
async fn a_limit_holds_over_two_replicas() {
    let together = Together::start(LIMITED, play).await;
    let mut statuses = flood(&together, "sk-canary-requests", 400).await;
    // What was taken of Redis by a question whose answer came too late is given back.
    let started = Instant::now();
    while statuses.iter().filter(|status| **status == 200).count() < 50 {
        let answer = together.ask(1, "sk-canary-requests", Dialect::Chat).await;
        statuses.push(answer.status);
        assert!(
            started.elapsed() < PATIENCE,
            "what nobody has is not given back"
        );
    }
    let passed = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((passed, refused), (50, statuses.len() - 50), "{statuses:?}");
    assert_eq!(together.upstream.received().len(), 50);
    for replica in 0..2 {
        assert_eq!(together.used(replica, "requests").await, "50");
    }

    // Of these, nobody knows what a request takes until it is over; never more than was reserved.
    let mut total = 50;
    for (key, name, limit, refusal) in [
        ("sk-canary-tokens", "tokens", 4000, 429),
        ("sk-canary-budget", "budget", 5000, 402),
    ] {
        let mut statuses = flood(&together, key, 100).await;
        let mut tries = 0;
        while tries < 2 || *statuses.last().unwrap() == 200 {
            tries += 1;
            let answer = together.ask(tries % 2, key, Dialect::Chat).await;
            statuses.push(answer.status);
        }
        let passed = statuses.iter().filter(|status| **status == 200).count();
        let refused = statuses.iter().filter(|status| **status == refusal).count();
        assert_eq!(passed + refused, statuses.len(), "{statuses:?}");
        let received = together.upstream.received();
        let of_key = received[total..].iter().filter_map(Mark::of);
        let used: u64 = of_key.map(|mark| mark.input() + mark.output()).sum();
        assert_eq!(received.len() - total, passed);
        total += passed;
        eprintln!("{name}: {passed} passed with {used} of {limit}, {refused} were refused");
        assert!(used <= limit);
        // What a request is taken for: its prompt, and as much as it lets the model say.
        assert!(used > limit - 400);
        let told = if name == "budget" {
            // Millionths of a dollar.
            format!("0.{used:06}").trim_end_matches('0').to_owned()
        } else {
            used.to_string()
        };
        for replica in 0..2 {
            assert_eq!(together.used(replica, name).await, told, "{name}");
        }
    }
    let ledger = together.ledger().await;
    let records = ledger.marked(total).await;
    assert_eq!(records.len(), total);
    ledger.adds_up(records.values().flatten()).await;
}

/// Opens a stream, if the key has a slot left.
async fn slot(together: &Together, replica: usize) -> Option<Connection> {
    loop {
        let mut connection = together.call(replica, "sk-canary-slots").await;
        let head = connection.read_until(b"\r\n\r\n").await.unwrap();
        match &head[..12] {
            b"HTTP/1.1 200" => return Some(connection),
            b"HTTP/1.1 429" => return None,
            other => assert_eq!(other, b"HTTP/1.1 503"),
        }
    }
}

/// Asks for streams through both; those that are open.
async fn fill(together: &Together, tries: usize) -> Vec<Connection> {
    let calls = (0..tries).map(|at| slot(together, at % 2));
    let open = futures_util::future::join_all(calls).await;
    open.into_iter().flatten().collect()
}

#[tokio::test]
async fn slots_are_shared_and_come_back_when_their_replica_is_killed() {
    let mut together = Together::start(LIMITED, play).await;
    let mut open = fill(&together, 40).await;
    while together.used(0, "slots").await != "7" {
        open.extend(slot(&together, 0).await);
    }
    assert_eq!(open.len(), 7);
    assert_eq!(together.upstream.received().len(), 7);
    drop(open);
    free(&together, 0).await;

    // Those of a replica that is killed are held until their leases are over. A minute is not waited for here: the clock is told.
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(slot(&together, 1).await.unwrap());
    }
    together.replicas[1].kill().unwrap();
    assert_eq!(fill_at(&together, 0).await, 429);
    let redis = together.redis.lock().await;
    let leases = redis
        .command(&["ZRANGE", "{lingate}:leases", "0", "-1", "WITHSCORES"])
        .await
        .unwrap();
    assert_eq!(leases.len(), 14, "{leases:?}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    for pair in leases.chunks(2) {
        let end: f64 = pair[1].parse().unwrap();
        assert!(
            end <= now.as_secs_f64() * 1000.0 + 61_000.0,
            "held for longer than a minute"
        );
        let over = ["ZADD", "{lingate}:leases", "1", &*pair[0]];
        redis.command(&over).await.unwrap();
    }
    drop(redis);
    free(&together, 0).await;
    assert_eq!(fill_at(&together, 0).await, 200);
}

/// Waits until nothing is held of the key's slots.
async fn free(together: &Together, replica: usize) {
    let started = Instant::now();
    while together.used(replica, "slots").await != "0" {
        assert!(started.elapsed() < PATIENCE, "slots leak");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What a request for a slot is answered.
async fn fill_at(together: &Together, replica: usize) -> u16 {
    let answer = together
        .ask(replica, "sk-canary-slots", Dialect::Chat)
        .await;
    answer.status
}

/// Asks both until they answer so; how long it took them.
async fn until(together: &Together, key: &str, status: u16) -> u128 {
    let started = Instant::now();
    let mut slowest = 0;
    for replica in 0..2 {
        loop {
            let answer = together.ask(replica, key, Dialect::Messages).await;
            if answer.status == status {
                break;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "still {} and not {status}: {}",
                answer.status,
                answer.text()
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        slowest = started.elapsed().as_millis();
    }
    slowest
}

#[tokio::test]
async fn both_replicas_know_a_changed_key_at_once() {
    let together = Together::start("api_keys:", play).await;
    let mut times = Vec::new();
    let made = together.command(&["keys", "create", "laptop"]).await;
    let first = made["secret"].as_str().unwrap().to_owned();
    times.push(("created", until(&together, &first, 200).await));
    together.command(&["keys", "block", "laptop"]).await;
    times.push(("blocked", until(&together, &first, 403).await));
    together.command(&["keys", "unblock", "laptop"]).await;
    times.push(("unblocked", until(&together, &first, 200).await));
    let rotated = together.command(&["keys", "rotate", "laptop"]).await;
    let second = rotated["secret"].as_str().unwrap().to_owned();
    times.push(("rotated", until(&together, &second, 200).await));
    times.push(("the old one", until(&together, &first, 401).await));
    let narrowed = ["keys", "update", "laptop", "--doors", "chat"];
    together.command(&narrowed).await;
    times.push(("another door's", until(&together, &second, 403).await));
    together
        .command(&["keys", "delete", "laptop", "--yes"])
        .await;
    times.push(("deleted", until(&together, &second, 401).await));
    eprintln!("milliseconds after the command until both replicas knew: {times:?}");
}
