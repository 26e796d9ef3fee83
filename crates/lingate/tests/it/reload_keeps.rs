//! What was learned of keys and upstreams survives a reload of the file; what the file changes begins anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lingate_testkit::{Script, Step, Upstream};

use crate::reload::write;
use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, PATIENCE, World, at_once, key, provider};

/// The configuration of version `version`: there is a provider of that name, which tells when it is taken.
fn configuration(
    dialect: Dialect,
    upstream: &Upstream,
    version: u32,
    changes: &[(&str, &str)],
) -> String {
    let provider = |name: &str, rest: &str| provider(name, dialect, upstream, rest);
    let mut text = [
        "providers:\n",
        &provider("cooling", "keys: [sk-canary-limited, sk-canary-ok-1]"),
        &provider("dead", "keys: [sk-canary-dead, sk-canary-ok-2]"),
        &provider("late", "keys: [sk-canary-late, sk-canary-ok-3]"),
        &provider("busy", "keys: [{key: sk-canary-one, concurrency: 1}, sk-canary-ok-4]"),
        &provider("broken", "keys: [sk-canary-broken], breaker: {requests: 4, window: 1m, ratio: 50%, cooldown: 5m}"),
        &provider("slow", "keys: [sk-canary-slow]"),
        &provider("quick", "keys: [sk-canary-quick]"),
        &provider(&format!("version-{version}"), "keys: [sk-canary-ok-5]"),
        "routes:\n  - {model: safe, targets: [broken/m, quick/m]}\n  - {model: latency, strategy: latency, targets: [slow/m, quick/m]}\n",
    ]
    .concat();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

fn play(asked: &Asked<'_>) -> Script {
    let error = |status: u16| Script::json(status, asked.dialect.error(status, "no"));
    match key(asked.received).as_str() {
        "limited" => error(429).header("retry-after", "300"),
        "dead" => error(401),
        // Long enough for a reload in between, most of the time.
        "late" => error(402).after(Duration::from_secs(3)),
        "broken" => error(500),
        "slow" => asked.good().after(Duration::from_millis(1500)),
        "one" if asked.stream => {
            let begun = asked.dialect.events().into_iter();
            Script::events(begun.take(asked.dialect.opening() + 1)).then(Step::Stall)
        }
        _ => asked.good(),
    }
}

async fn reload(world: &World, dialect: Dialect, version: u32, changes: &[(&str, &str)]) {
    write(
        world,
        &configuration(dialect, &world.upstream, version, changes),
    );
    let began = Instant::now();
    let model = format!("version-{version}/m");
    while world.ask(dialect, &model, false).await.status != 200 {
        assert!(
            began.elapsed() < PATIENCE,
            "never taken: {}",
            world.gateway.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The keys that so many requests are made with, each of which is answered.
async fn keys(world: &World, dialect: Dialect, model: &str, requests: usize) -> Vec<String> {
    let used = || {
        let received = world.upstream.received();
        received
            .iter()
            .map(key)
            .filter(|key| key != "late")
            .collect::<Vec<_>>()
    };
    let before = used().len();
    for _ in 0..requests {
        let answer = world.ask(dialect, model, model == "latency").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    used().split_off(before)
}

#[tokio::test]
async fn what_was_learned_is_kept_and_what_is_new_is_fresh() {
    at_once(Dialect::ALL, |dialect| async move {
        let world =
            World::configured(|upstream| configuration(dialect, upstream, 1, &[]), play).await;
        let world = Arc::new(world);
        assert_eq!(
            keys(&world, dialect, "cooling/m", 1).await,
            ["limited", "ok-1"]
        );
        assert_eq!(keys(&world, dialect, "dead/m", 1).await, ["dead", "ok-2"]);
        let opened = keys(&world, dialect, "safe", 4).await;
        assert_eq!(opened, ["broken", "quick"].repeat(4));
        keys(&world, dialect, "latency", 6).await;
        let mut open = world.call(dialect, "busy/m", true).await;
        open.read_until(b"Hello ").await.unwrap();
        let late = Arc::clone(&world);
        let late = tokio::spawn(async move { late.ask(dialect, "late/m", false).await });

        for version in [2, 3] {
            let weight = [(
                "[sk-canary-limited,",
                "[{key: sk-canary-limited, weight: 5, tags: [a]},",
            )];
            let changes = if version == 2 { &[][..] } else { &weight };
            reload(&world, dialect, version, changes).await;
            assert_eq!(
                keys(&world, dialect, "latency", 3).await,
                ["quick"; 3],
                "{dialect:?}"
            );
            assert_eq!(keys(&world, dialect, "cooling/m", 3).await, ["ok-1"; 3]);
            assert_eq!(keys(&world, dialect, "dead/m", 3).await, ["ok-2"; 3]);
            assert_eq!(keys(&world, dialect, "safe", 3).await, ["quick"; 3]);
            assert_eq!(keys(&world, dialect, "busy/m", 3).await, ["ok-4"; 3]);
        }
        // What a request that was under way has learned is known, too.
        let answer = late.await.unwrap();
        assert_eq!(
            (dialect.said(&answer).as_str(), answer.attempts()),
            (TEXT, 2)
        );
        assert_eq!(keys(&world, dialect, "late/m", 3).await, ["ok-3"; 3]);
        let asked = world.upstream.received();
        assert_eq!(asked.iter().filter(|it| key(it) == "late").count(), 1);

        // Its stream ends, and the key is free.
        drop(open);
        let began = Instant::now();
        while !keys(&world, dialect, "busy/m", 2)
            .await
            .contains(&"one".to_owned())
        {
            assert!(began.elapsed() < PATIENCE, "{dialect:?}: never free again");
        }

        let changes = [
            ("sk-canary-limited", "sk-canary-ok-6"),
            ("sk-canary-dead", "sk-canary-ok-7"),
        ];
        reload(&world, dialect, 4, &changes).await;
        for (model, new) in [("cooling/m", "ok-6"), ("dead/m", "ok-7")] {
            let keys = keys(&world, dialect, model, 4).await;
            assert_eq!(keys.iter().filter(|key| *key == new).count(), 2, "{keys:?}");
        }
        // One that comes back is what it was.
        reload(&world, dialect, 5, &[]).await;
        keys(&world, dialect, "dead/m", 3).await;
    })
    .await;
}

#[tokio::test]
async fn keys_are_switched_off_and_on_by_the_file() {
    at_once(Dialect::ALL, |dialect| async move {
        let world =
            World::configured(|upstream| configuration(dialect, upstream, 1, &[]), play).await;
        let off = [(
            "sk-canary-ok-2]",
            "{key: sk-canary-ok-2, disabled: on Monday}, sk-canary-ok-8]",
        )];
        assert_eq!(
            keys(&world, dialect, "dead/m", 2).await,
            ["dead", "ok-2", "ok-2"]
        );
        reload(&world, dialect, 2, &off).await;
        assert_eq!(keys(&world, dialect, "dead/m", 3).await, ["ok-8"; 3]);
        let drained = [(
            "sk-canary-ok-2]",
            "sk-canary-ok-2, {key: sk-canary-ok-8, weight: 0}]",
        )];
        reload(&world, dialect, 3, &drained).await;
        assert_eq!(keys(&world, dialect, "dead/m", 3).await, ["ok-2"; 3]);
    })
    .await;
}
