//! Redis is paused, stopped, emptied, or swallows its answers: requests go on by the rule, and everything is told once.

use std::future::Future as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use lingate_counters::{Counters, Health, OnOutage, Outage};
use lingate_metering::counter::{Charge, Reserved, Seed, Span};
use lingate_testkit::Redis;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{
    DAY, MINUTE, NOW, charge, connected, open, refused, reservation, settings, settlement, taken,
    wait, wait_until_up,
};

async fn used(counters: &Counters, charges: &[Charge]) -> Vec<u64> {
    counters.used(charges, NOW).await.expect("Redis is there")
}

#[tokio::test]
async fn a_replica_alone_goes_on_with_what_was_left() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::LocalLease).await;
    let charges = [charge(1, DAY, 10, 4), charge(2, Span::Held, 3, 1)];
    counters
        .reserve(&reservation(1, NOW, &charges))
        .await
        .unwrap();

    redis.pause().unwrap();
    let one = [charge(1, DAY, 10, 3), charge(2, Span::Held, 3, 1)];
    assert_eq!(
        counters.reserve(&reservation(2, NOW, &one)).await,
        Ok(taken(&[7, 2]))
    );
    assert!(
        matches!(counters.health(), Health::Away { reason, .. } if reason == "no answer in time")
    );
    assert_eq!(
        counters.reserve(&reservation(3, NOW, &one)).await,
        Ok(taken(&[10, 3]))
    );
    assert_eq!(
        counters.reserve(&reservation(4, NOW, &one)).await,
        Ok(refused(&[(0, 10, Some(NOW + 86_400_000)), (1, 3, None)]))
    );
    // What was held in Redis is over, and its place is free.
    counters
        .settle(settlement(1, NOW, NOW, &[charge(1, DAY, 10, 4)]))
        .await;
    let held = [charge(2, Span::Held, 3, 1)];
    assert_eq!(
        counters.reserve(&reservation(5, NOW, &held)).await,
        Ok(taken(&[3]))
    );
    // Less than was asked.
    counters
        .settle(settlement(2, NOW, NOW, &[charge(1, DAY, 10, 1)]))
        .await;
    assert_eq!(
        counters
            .reserve(&reservation(6, NOW, &[charge(1, DAY, 10, 2)]))
            .await,
        Ok(taken(&[10]))
    );
    // Nobody has seen this one.
    for (number, answer) in [
        (7, taken(&[1])),
        (8, refused(&[(0, 1, Some(NOW + 60_000))])),
    ] {
        let unseen = [charge(3, MINUTE, 1, 1)];
        let asked = reservation(number, NOW, &unseen);
        assert_eq!(counters.reserve(&asked).await, Ok(answer));
    }

    redis.resume().unwrap();
    wait_until_up(&counters).await;
    // 4 and 1 are settled, 3 and 2 are reserved; the numbers 3 and 5 are held.
    let all = [charge(1, DAY, 10, 0), held[0], charge(3, MINUTE, 1, 0)];
    wait_for(&counters, &all, &[10, 2, 1]).await;
    for number in [3, 5, 6, 7] {
        counters.settle(settlement(number, NOW, NOW, &[])).await;
    }
    wait_for(&counters, &all, &[5, 0, 0]).await;
}

/// What was reserved here alone is told right after everybody may ask again.
async fn wait_for(counters: &Counters, charges: &[Charge], expected: &[u64]) {
    while used(counters, charges).await != expected {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn replicas_share_what_was_left() {
    let redis = Redis::start().await.unwrap();
    let one = connected(&redis, OnOutage::LocalLease).await;
    let other = connected(&redis, OnOutage::LocalLease).await;
    for counters in [&one, &other] {
        wait(counters, |health| {
            matches!(health, Health::Up { replicas: 2, .. })
        })
        .await;
    }
    let charges = [charge(1, DAY, 10, 4)];
    one.reserve(&reservation(1, NOW, &charges)).await.unwrap();
    other.reserve(&reservation(1, NOW, &charges)).await.unwrap();

    redis.pause().unwrap();
    let mut taken = 0;
    for number in 10..30 {
        for (counters, number) in [(&one, number), (&other, number + 100)] {
            let asked = reservation(number, NOW, &[charge(1, DAY, 10, 1), charge(2, DAY, 9, 0)]);
            let answer = counters.reserve(&asked).await.unwrap();
            taken += i32::from(matches!(answer, Reserved::Taken(_)));
        }
    }
    assert_eq!(taken, 6);
    for counters in [&one, &other] {
        let unseen = |ask| reservation(99, NOW, &[charge(3, DAY, 9, ask)]);
        assert!(matches!(
            counters.would_take(&unseen(5)).await,
            Ok(Reserved::Refused(_))
        ));
        assert!(matches!(
            counters.would_take(&unseen(4)).await,
            Ok(Reserved::Taken(_))
        ));
    }
    redis.resume().unwrap();
    for counters in [&one, &other] {
        wait_until_up(counters).await;
    }
    wait_for(&one, &charges, &[10]).await;
}

#[tokio::test]
async fn a_share_grows_again_when_the_window_has_passed() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::LocalLease).await;
    let all = [charge(1, MINUTE, 10, 10)];
    counters.reserve(&reservation(1, NOW, &all)).await.unwrap();
    redis.pause().unwrap();
    assert_eq!(
        counters.reserve(&reservation(2, NOW + 59_999, &all)).await,
        Ok(refused(&[(0, 10, Some(NOW + 119_000))]))
    );
    assert_eq!(
        counters.reserve(&reservation(3, NOW + 60_000, &all)).await,
        Ok(taken(&[10]))
    );
}

#[tokio::test]
async fn everything_is_allowed_and_counted_later() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Allow).await;
    redis.pause().unwrap();
    let charges = [charge(1, DAY, 10, 8)];
    for number in 1..=3 {
        let answer = counters.reserve(&reservation(number, NOW, &charges)).await;
        assert!(matches!(answer, Ok(Reserved::Taken(_))), "{answer:?}");
        counters
            .settle(settlement(number, NOW, NOW, &charges))
            .await;
    }
    assert!(matches!(counters.health(), Health::Away { waiting: 3, .. }));
    redis.resume().unwrap();
    wait_until_up(&counters).await;
    assert_eq!(used(&counters, &charges).await, [24]);
}

#[tokio::test]
async fn nothing_is_allowed_but_settlements_are_kept() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Deny).await;
    let charges = [charge(1, DAY, 10, 8)];
    counters
        .reserve(&reservation(1, NOW, &charges))
        .await
        .unwrap();
    redis.pause().unwrap();
    let next = reservation(2, NOW, &charges);
    assert_eq!(counters.reserve(&next).await, Err(Outage));
    assert_eq!(counters.would_take(&next).await, Err(Outage));
    assert_eq!(counters.used(&charges, NOW).await, Err(Outage));
    assert_eq!(counters.seed(&[], NOW).await, Ok(()));
    counters
        .settle(settlement(1, NOW, NOW, &[charge(1, DAY, 10, 5)]))
        .await;
    redis.resume().unwrap();
    wait_until_up(&counters).await;
    assert_eq!(used(&counters, &charges).await, [5]);
}

#[tokio::test]
async fn redis_may_come_after_us() {
    let mut redis = Redis::start().await.unwrap();
    redis.stop().unwrap();
    let counters = open(&settings(&redis, OnOutage::Allow)).await;
    assert!(
        matches!(counters.health(), Health::Away { reason, .. } if reason == "connection refused" || reason == "not connected yet")
    );
    let charges = [charge(1, DAY, 10, 8)];
    counters
        .reserve(&reservation(1, NOW, &charges))
        .await
        .unwrap();
    redis.start_again().await.unwrap();
    wait_until_up(&counters).await;
    counters.lost().await;
    wait_for(&counters, &charges, &[8]).await;
}

#[tokio::test]
async fn an_emptied_redis_is_noticed_and_seeded() {
    let mut redis = Redis::start().await.unwrap();
    let one = connected(&redis, OnOutage::LocalLease).await;
    let other = connected(&redis, OnOutage::LocalLease).await;
    one.lost().await;
    let charges = [charge(1, DAY, 10, 8)];
    one.reserve(&reservation(1, NOW, &charges)).await.unwrap();
    redis.start_again().await.unwrap();
    // Each is told, whoever comes first.
    for counters in [&one, &other] {
        counters.lost().await;
        wait_until_up(counters).await;
        let seed = Seed {
            counter: charges[0].counter,
            span: DAY,
            at: NOW,
            used: 7,
        };
        counters.seed(&[seed], NOW).await.unwrap();
        assert_eq!(used(counters, &charges).await, [7]);
    }
    // Emptied without a break of the connection.
    redis.command(&["FLUSHALL"]).await.unwrap();
    assert_eq!(used(&one, &charges).await, [0]);
    one.reserve(&reservation(2, NOW, &charges)).await.unwrap();
    one.lost().await;
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_added_up() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Deny).await;
    redis.pause().unwrap();
    let charges = [charge(1, DAY, None, 3), charge(2, MINUTE, None, 1)];
    for number in 0..12_000 {
        counters
            .settle(settlement(number, NOW, NOW, &charges))
            .await;
    }
    let Health::Away { waiting, .. } = counters.health() else {
        panic!("it is paused");
    };
    assert!(waiting <= 10_003, "{waiting}");
    redis.resume().unwrap();
    wait_until_up(&counters).await;
    assert_eq!(used(&counters, &charges).await, [36_000, 12_000]);
}

#[tokio::test]
async fn whoever_hangs_up_while_redis_is_asked_holds_nothing() {
    let redis = Redis::start().await.unwrap();
    let counters = connected(&redis, OnOutage::Allow).await;
    let charges = [charge(1, DAY, 10, 8)];
    {
        let asked = reservation(1, NOW, &charges);
        let mut asking = Box::pin(counters.reserve(&asked));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(asking.as_mut().poll(&mut context), Poll::Pending));
    }
    wait_until_up(&counters).await;
    wait_for(&counters, &charges, &[0]).await;
    let after = counters.reserve(&reservation(2, NOW, &charges)).await;
    assert_eq!(after, Ok(taken(&[8])));
    // The same while it is told what was used.
    {
        let truth = settlement(2, NOW, NOW, &[charge(1, DAY, 10, 5)]);
        let mut telling = Box::pin(counters.settle(truth));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(telling.as_mut().poll(&mut context), Poll::Pending));
    }
    wait_for(&counters, &charges, &[5]).await;
}

#[tokio::test]
async fn what_was_told_and_not_answered_counts_once() {
    let redis = Redis::start().await.unwrap();
    let mute = Arc::new(AtomicBool::new(false));
    let mut settings = settings(&redis, OnOutage::LocalLease);
    settings.url = format!("redis://{}", between(&redis, &mute).await);
    let counters = open(&settings).await;
    wait_until_up(&counters).await;
    let direct = connected(&redis, OnOutage::Deny).await;
    let charges = [charge(1, DAY, 100, 10), charge(2, Span::Held, 9, 1)];
    counters
        .reserve(&reservation(1, NOW, &charges))
        .await
        .unwrap();

    mute.store(true, Ordering::SeqCst);
    let truth = [charge(1, DAY, 100, 7)];
    counters.settle(settlement(1, NOW, NOW, &truth)).await;
    wait_for(&direct, &charges, &[7, 0]).await;
    mute.store(false, Ordering::SeqCst);
    wait_until_up(&counters).await;
    assert_eq!(used(&direct, &charges).await, [7, 0]);

    // A reservation that was taken there and, because nobody heard of it, here.
    mute.store(true, Ordering::SeqCst);
    counters
        .reserve(&reservation(2, NOW, &charges))
        .await
        .unwrap();
    wait_for(&direct, &charges, &[17, 1]).await;
    mute.store(false, Ordering::SeqCst);
    wait_until_up(&counters).await;
    assert_eq!(used(&direct, &charges).await, [17, 1]);
    counters.settle(settlement(2, NOW, NOW, &truth)).await;
    assert_eq!(used(&direct, &charges).await, [14, 0]);
}

/// Stands between a client and Redis, and swallows the answers while it is to be mute.
async fn between(redis: &Redis, mute: &Arc<AtomicBool>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (server, mute) = (redis.address(), Arc::clone(mute));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mute = Arc::clone(&mute);
            tokio::spawn(async move {
                let server = TcpStream::connect(server).await.expect("Redis");
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let forth = tokio::io::copy(&mut from_client, &mut to_server);
                let back = async {
                    let mut buffer = vec![0; 65_536];
                    while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                        if mute.load(Ordering::SeqCst) {
                            continue;
                        }
                        if to_client.write_all(&buffer[..length]).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! { _ = forth => {}, () = back => {} }
            });
        }
    });
    address
}
