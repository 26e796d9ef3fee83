//! What Redis sees of it: one command for each operation, keys of one place that end by themselves, and no secrets anywhere.

use lingate_counters::{BadSettings, Counters, Health, OnOutage, RedisSettings};
use lingate_metering::counter::{Charge, Seed, Span};
use lingate_testkit::Redis;

use crate::world::{
    DAY, MINUTE, NOW, charge, connected, id, open, reservation, settings, settlement, taken, wait,
    wait_until_up,
};

fn twelve() -> Vec<Charge> {
    (0..12)
        .map(|counter| match counter % 3 {
            0 => charge(counter, MINUTE, 1000, 1),
            1 => charge(counter, DAY, 1000, 1),
            _ => charge(counter, Span::Held, 1000, 1),
        })
        .collect()
}

#[tokio::test]
async fn each_operation_is_one_command() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Deny).await;
    let charges = twelve();
    let once = async |number| {
        counters
            .reserve(&reservation(number, NOW, &charges))
            .await
            .unwrap();
        counters
            .settle(settlement(number, NOW, NOW, &charges))
            .await;
    };
    redis.command(&["CONFIG", "RESETSTAT"]).await.unwrap();
    for number in 1..=100 {
        once(number).await;
    }
    let stats = redis.command(&["INFO", "commandstats"]).await.unwrap();
    let sent: Vec<&str> = stats[0]
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split(",usec=").next())
        .filter(|line| line.contains("eval") || line.contains("script"))
        .collect();
    // At most one announcement falls into that time.
    assert!(
        sent == ["evalsha:calls=200"] || sent == ["evalsha:calls=201"],
        "{sent:?}"
    );
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_told_again() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Deny).await;
    for number in 1..=3 {
        redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        let charges = [charge(1, DAY, 10, 1)];
        let used = u64::try_from(number).unwrap();
        assert_eq!(
            counters.reserve(&reservation(number, NOW, &charges)).await,
            Ok(taken(&[used]))
        );
    }
}

#[tokio::test]
async fn every_key_ends_by_itself_and_has_the_prefix() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Deny).await;
    let mut charges = twelve();
    charges.push(charge(
        20,
        Span::Fixed {
            begins: 0,
            ends: i64::MAX,
        },
        None,
        1,
    ));
    for number in 1..=6 {
        counters
            .reserve(&reservation(number, NOW, &charges))
            .await
            .unwrap();
    }
    counters.settle(settlement(1, NOW, NOW, &charges)).await;
    counters.settle(settlement(9, NOW, NOW, &charges)).await;
    counters.renew(&[id(2)], NOW, NOW + 90_000).await;
    let seed = Seed {
        counter: charges[0].counter,
        span: DAY,
        at: NOW,
        used: 5,
    };
    counters.seed(&[seed], NOW).await.unwrap();
    // Some leases end.
    counters.used(&charges, NOW + 60_000).await.unwrap();
    let keys = redis.command(&["KEYS", "*"]).await.unwrap();
    assert!(keys.len() > 13 + 6, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("{test}:"), "{key}");
        let ttl: i64 = redis.command(&["PTTL", &key]).await.unwrap()[0]
            .parse()
            .unwrap();
        assert!(ttl > 0, "{key}: {ttl}");
    }
}

#[tokio::test]
async fn passwords_and_databases_are_in_the_address() {
    let redis = Redis::start_with_password("hunter2").await.unwrap();
    let mut with = settings(&redis, OnOutage::Deny);
    with.url = format!("redis://:hunter2@{}/3", redis.address());
    let counters = open(&with).await;
    wait_until_up(&counters).await;
    let keys = redis.command(&["INFO", "keyspace"]).await.unwrap();
    assert!(keys[0].contains("db3:"), "{keys:?}");
    assert!(!format!("{counters:?}{with:?}{:?}", counters.health()).contains("hunter2"));

    with.url = format!("redis://:wrong-password@{}/3", redis.address());
    let counters = open(&with).await;
    wait(
        &counters,
        |health| matches!(health, Health::Away { reason, .. } if reason != "not connected yet"),
    )
    .await;
    let health = format!("{:?}", counters.health());
    assert!(!health.contains("wrong-password"), "{health}");
}

#[tokio::test]
async fn a_redis_without_tls_is_not_reached_by_tls() {
    let redis = Redis::start().await.unwrap();
    let mut with = settings(&redis, OnOutage::Deny);
    with.url = redis.url().replace("redis://", "rediss://");
    let counters = open(&with).await;
    wait(
        &counters,
        |health| matches!(health, Health::Away { reason, .. } if reason != "not connected yet"),
    )
    .await;
}

#[tokio::test]
async fn bad_settings_are_refused_without_repeating_them() {
    let of = |url: &str, prefix: &str| RedisSettings {
        url: url.to_owned(),
        prefix: prefix.to_owned(),
        on_outage: OnOutage::Deny,
    };
    for (settings, expected) in [
        (of("http://:secret@host", "a"), BadSettings::Url),
        (of("secret", "a"), BadSettings::Url),
        (of("redis://:secret@host/x", "a"), BadSettings::Url),
        (of("redis://:secret@host", ""), BadSettings::Prefix),
        (of("redis://:secret@host", "a b"), BadSettings::Prefix),
        (of("redis://:secret@host", "a{b}"), BadSettings::Prefix),
    ] {
        let error = Counters::redis(&settings).await.unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?} {settings:?}").contains("secret"));
    }
}
