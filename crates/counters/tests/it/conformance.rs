//! What holds for every kind of counters.

use lingate_counters::{Counters, OnOutage};
use lingate_metering::counter::{KEPT_AFTER_END, MOST, Reserved, SETTLED_KEPT, Seed, Span};
use lingate_testkit::Redis;

use crate::world::{
    DAY, MINUTE, NOW, charge, connected, id, refused, reservation, settlement, taken,
};

/// Each law, on fresh counters in memory and on an empty Redis.
async fn check<F: Future<Output = ()>>(law: impl Fn(Counters) -> F) {
    law(Counters::memory()).await;
    let redis = Redis::start().await.expect("redis-server runs");
    law(connected(&redis, OnOutage::Deny).await).await;
}

#[tokio::test]
async fn all_is_taken_or_nothing() {
    check(|counters| async move {
        let both = [charge(1, MINUTE, 10, 4), charge(2, DAY, 5, 3)];
        let first = counters.reserve(&reservation(1, NOW, &both)).await;
        assert_eq!(first, Ok(taken(&[4, 3])));
        let second = counters.reserve(&reservation(2, NOW, &both)).await;
        assert_eq!(second, Ok(refused(&[(1, 3, Some(NOW + 86_400_000))])));
        assert_eq!(counters.used(&both, NOW).await, Ok(vec![4, 3]));
        let third = [charge(1, MINUTE, 10, 7), charge(2, DAY, 5, 6)];
        assert_eq!(
            counters.reserve(&reservation(3, NOW, &third)).await,
            Ok(refused(&[(0, 4, Some(NOW + 60_000)), (1, 3, None)]))
        );
        assert_eq!(counters.used(&both, NOW).await, Ok(vec![4, 3]));
    })
    .await;
}

#[tokio::test]
async fn the_same_id_is_the_same_reservation() {
    check(|counters| async move {
        let charges = [charge(1, DAY, 10, 4)];
        let once = reservation(1, NOW, &charges);
        for _ in 0..3 {
            assert_eq!(counters.reserve(&once).await, Ok(taken(&[4])));
        }
        let truth = settlement(1, NOW, NOW, &[charge(1, DAY, 10, 9)]);
        counters.settle(truth.clone()).await;
        counters.settle(truth.clone()).await;
        assert_eq!(counters.used(&charges, NOW).await, Ok(vec![9]));
        assert_eq!(counters.reserve(&once).await, Ok(taken(&[9])));
        counters.settle(truth).await;
        assert_eq!(counters.used(&charges, NOW).await, Ok(vec![9]));
    })
    .await;
}

#[tokio::test]
async fn settlements_correct_where_it_was_taken() {
    check(|counters| async move {
        let five = [charge(1, MINUTE, 100, 5)];
        counters.reserve(&reservation(1, NOW, &five)).await.unwrap();
        counters
            .reserve(&reservation(2, NOW + 30_000, &five))
            .await
            .unwrap();
        // More than was asked, and more than the capacity.
        let much = [charge(1, MINUTE, 100, 200)];
        counters
            .settle(settlement(1, NOW, NOW + 31_000, &much))
            .await;
        assert_eq!(counters.used(&five, NOW + 31_000).await, Ok(vec![205]));
        assert_eq!(
            counters
                .reserve(&reservation(3, NOW + 31_000, &[charge(1, MINUTE, 100, 0)]))
                .await,
            Ok(refused(&[(0, 205, Some(NOW + 60_000))]))
        );
        assert_eq!(counters.used(&five, NOW + 59_999).await, Ok(vec![205]));
        assert_eq!(counters.used(&five, NOW + 60_000).await, Ok(vec![5]));
        // Settled when its window has passed: it counts nowhere.
        counters
            .settle(settlement(2, NOW + 30_000, NOW + 90_000, &much))
            .await;
        assert_eq!(counters.used(&five, NOW + 90_000).await, Ok(vec![0]));
    })
    .await;
}

#[tokio::test]
async fn free_at_is_when_enough_has_left() {
    check(|counters| async move {
        for (number, after) in [(1, 0), (2, 10_000), (3, 20_500)] {
            let ten = [charge(1, MINUTE, 30, 10)];
            counters
                .reserve(&reservation(number, NOW + after, &ten))
                .await
                .unwrap();
            // Settled: what is looked at here is not the end of the lease.
            counters
                .settle(settlement(number, NOW + after, NOW + after, &ten))
                .await;
        }
        for (ask, free_after) in [(1, 60_000), (10, 60_000), (11, 70_000), (30, 80_000)] {
            let asked = reservation(9, NOW + 21_000, &[charge(1, MINUTE, 30, ask)]);
            let expected = refused(&[(0, 30, Some(NOW + free_after))]);
            assert_eq!(counters.would_take(&asked).await, Ok(expected.clone()));
            assert_eq!(counters.reserve(&asked).await, Ok(expected), "{ask}");
            let then = reservation(9, NOW + free_after, &asked.charges);
            let before = reservation(9, NOW + free_after - 1, &asked.charges);
            assert!(matches!(
                counters.would_take(&before).await,
                Ok(Reserved::Refused(_))
            ));
            assert!(matches!(
                counters.would_take(&then).await,
                Ok(Reserved::Taken(_))
            ));
        }
        let never = [charge(1, MINUTE, 30, 31), charge(2, Span::Held, 0, 1)];
        assert_eq!(
            counters.reserve(&reservation(9, NOW, &never)).await,
            Ok(refused(&[(0, 30, None), (1, 0, None)]))
        );
    })
    .await;
}

#[tokio::test]
async fn asking_takes_nothing() {
    check(|counters| async move {
        let charges = [charge(1, DAY, 10, 4), charge(2, Span::Held, None, 1)];
        let asked = reservation(1, NOW, &charges);
        assert_eq!(counters.would_take(&asked).await, Ok(taken(&[4, 1])));
        assert_eq!(counters.used(&charges, NOW).await, Ok(vec![0, 0]));
        counters.reserve(&asked).await.unwrap();
        assert_eq!(counters.would_take(&asked).await, Ok(taken(&[4, 1])));
    })
    .await;
}

#[tokio::test]
async fn what_has_no_capacity_is_counted() {
    check(|counters| async move {
        let charges = [charge(1, DAY, None, 7)];
        for number in 1..=3 {
            let used = 7 * u64::try_from(number).unwrap();
            let answer = counters.reserve(&reservation(number, NOW, &charges)).await;
            assert_eq!(answer, Ok(taken(&[used])));
        }
    })
    .await;
}

#[tokio::test]
async fn a_counter_twice_in_a_reservation_is_asked_for_the_sum() {
    check(|counters| async move {
        let twice = [charge(1, DAY, 10, 6), charge(1, DAY, 10, 5)];
        assert_eq!(
            counters.reserve(&reservation(1, NOW, &twice)).await,
            Ok(refused(&[(1, 0, None)]))
        );
        let twice = [charge(1, DAY, 10, 5), charge(1, DAY, 10, 5)];
        let asked = reservation(2, NOW, &twice);
        assert_eq!(counters.would_take(&asked).await, Ok(taken(&[10, 10])));
        assert_eq!(counters.reserve(&asked).await, Ok(taken(&[10, 10])));
        counters.settle(settlement(2, NOW, NOW, &[])).await;
        assert_eq!(counters.used(&twice, NOW).await, Ok(vec![0, 0]));
    })
    .await;
}

#[tokio::test]
async fn leases_end_unless_they_are_renewed() {
    check(|counters| async move {
        let charges = [charge(1, Span::Held, 2, 1), charge(2, DAY, 100, 10)];
        for number in [1, 2] {
            counters
                .reserve(&reservation(number, NOW, &charges))
                .await
                .unwrap();
        }
        assert_eq!(
            counters
                .reserve(&reservation(3, NOW + 59_999, &charges))
                .await,
            Ok(refused(&[(0, 2, None)]))
        );
        counters
            .renew(&[id(1), id(7)], NOW + 59_000, NOW + 100_000)
            .await;
        // A renewal never shortens a lease.
        counters.renew(&[id(1)], NOW + 59_000, NOW + 61_000).await;
        assert_eq!(
            counters
                .reserve(&reservation(3, NOW + 60_000, &charges))
                .await,
            Ok(taken(&[2, 20]))
        );
        assert_eq!(counters.used(&charges, NOW + 99_999).await, Ok(vec![2, 20]));
        assert_eq!(
            counters.used(&charges, NOW + 100_000).await,
            Ok(vec![1, 10])
        );
        // A lease that is over cannot be renewed, but what it was for can be settled.
        counters.renew(&[id(1)], NOW + 100_000, NOW + 900_000).await;
        counters
            .settle(settlement(
                1,
                NOW,
                NOW + 110_000,
                &[charge(2, DAY, 100, 15), charge(1, Span::Held, 2, 1)],
            ))
            .await;
        assert_eq!(
            counters.used(&charges, NOW + 110_000).await,
            Ok(vec![1, 25])
        );
    })
    .await;
}

#[tokio::test]
async fn many_leases_that_end_at_once_refuse_nobody() {
    check(|counters| async move {
        let charges = [charge(1, Span::Held, 300, 1)];
        for number in 0..300 {
            counters
                .reserve(&reservation(number, NOW, &charges))
                .await
                .unwrap();
        }
        let all = [charge(1, Span::Held, 300, 300)];
        assert_eq!(
            counters
                .reserve(&reservation(900, NOW + 60_000, &all))
                .await,
            Ok(taken(&[300]))
        );
    })
    .await;
}

#[tokio::test]
async fn fixed_times_are_counters_of_their_own() {
    check(|counters| async move {
        let today = Span::Fixed {
            begins: NOW,
            ends: NOW + 1000,
        };
        let tomorrow = Span::Fixed {
            begins: NOW + 1000,
            ends: NOW + 2000,
        };
        let charges = [charge(1, today, 10, 4)];
        counters
            .reserve(&reservation(1, NOW, &charges))
            .await
            .unwrap();
        let next = [charge(1, tomorrow, 10, 5)];
        assert_eq!(
            counters.reserve(&reservation(2, NOW + 1000, &next)).await,
            Ok(taken(&[5]))
        );
        // The request of yesterday is settled after midnight, where it was admitted.
        let truth = [charge(1, today, 10, 9)];
        counters
            .settle(settlement(1, NOW, NOW + 1500, &truth))
            .await;
        assert_eq!(counters.used(&charges, NOW + 1500).await, Ok(vec![9]));
        assert_eq!(counters.used(&next, NOW + 1500).await, Ok(vec![5]));
        // Too late.
        let late = NOW + 1000 + KEPT_AFTER_END;
        counters.settle(settlement(8, NOW, late, &truth)).await;
        assert!(counters.used(&charges, late).await.unwrap() <= vec![9]);
    })
    .await;
}

#[tokio::test]
async fn clocks_may_be_set() {
    check(|counters| async move {
        let charges = [charge(1, MINUTE, 10, 4)];
        counters
            .reserve(&reservation(1, NOW, &charges))
            .await
            .unwrap();
        // Set back by less than the window: the future is counted.
        let back = NOW - 30_000;
        assert_eq!(
            counters.reserve(&reservation(2, back, &charges)).await,
            Ok(taken(&[8]))
        );
        assert_eq!(
            counters.reserve(&reservation(3, back, &charges)).await,
            Ok(refused(&[(0, 8, Some(back + 60_000))]))
        );
        // Set back by more: it is not, and what comes then is not mixed up with what was there.
        let far = NOW - 600_000;
        assert_eq!(
            counters.reserve(&reservation(4, far, &charges)).await,
            Ok(taken(&[4]))
        );
        counters.settle(settlement(4, far, far, &charges)).await;
        assert_eq!(
            counters.reserve(&reservation(5, NOW, &charges)).await,
            Ok(taken(&[4]))
        );
        counters.settle(settlement(1, NOW, NOW, &[])).await;
        counters.settle(settlement(2, back, NOW, &[])).await;
        assert_eq!(counters.used(&charges, NOW).await, Ok(vec![4]));
    })
    .await;
}

#[tokio::test]
async fn amounts_beyond_what_floating_point_holds_are_exact() {
    check(|counters| async move {
        let big = (1 << 53) + 1;
        for (number, amount) in [(1, big), (2, 1), (3, 999_999_999), (4, 1_000_000_000)] {
            let charges = [charge(1, DAY, MOST, amount)];
            counters
                .reserve(&reservation(number, NOW, &charges))
                .await
                .unwrap();
        }
        let all = big + 2_000_000_000;
        let asked = |ask| [charge(1, DAY, all + 10, ask)];
        assert_eq!(counters.used(&asked(0), NOW).await, Ok(vec![all]));
        assert_eq!(
            counters.reserve(&reservation(5, NOW, &asked(11))).await,
            Ok(refused(&[(0, all, Some(NOW + 86_400_000))]))
        );
        assert_eq!(
            counters.reserve(&reservation(6, NOW, &asked(10))).await,
            Ok(taken(&[all + 10]))
        );
        counters
            .settle(settlement(1, NOW, NOW, &[charge(1, DAY, None, big - 3)]))
            .await;
        assert_eq!(counters.used(&asked(0), NOW).await, Ok(vec![all + 7]));

        // What is more than the most is the most.
        let most = [charge(2, DAY, MOST, u64::MAX)];
        assert_eq!(
            counters.reserve(&reservation(7, NOW, &most)).await,
            Ok(taken(&[MOST]))
        );
        assert!(matches!(
            counters
                .reserve(&reservation(8, NOW, &[charge(2, DAY, u64::MAX, 1)]))
                .await,
            Ok(Reserved::Refused(_))
        ));
        counters.settle(settlement(7, NOW, NOW, &[])).await;
        assert_eq!(counters.used(&most, NOW).await, Ok(vec![0]));
    })
    .await;
}

#[tokio::test]
async fn seeds_raise_and_never_lower() {
    check(|counters| async move {
        let charges = [charge(1, DAY, 100, 10), charge(2, MINUTE, 100, 10)];
        counters
            .reserve(&reservation(1, NOW, &charges))
            .await
            .unwrap();
        let seed = |counter: usize, span, at, used| Seed {
            counter: charges[counter].counter,
            span,
            at,
            used,
        };
        let seeds = [
            // Two hours of a day.
            seed(0, DAY, NOW, 20),
            seed(0, DAY, NOW + 1, 40),
            seed(1, MINUTE, NOW, 5),
            seed(1, MINUTE, NOW - 30_000, 7),
            seed(1, MINUTE, NOW - 60_000, 1000),
            seed(1, Span::Held, NOW, 1000),
        ];
        for _ in 0..2 {
            counters.seed(&seeds, NOW).await.unwrap();
            assert_eq!(counters.used(&charges, NOW).await, Ok(vec![60, 12]));
        }
        // What the ledger knows of half a minute ago leaves; what was counted since then stays.
        assert_eq!(
            counters.used(&charges, NOW + 30_000).await,
            Ok(vec![60, 10])
        );
        let held = [charge(2, Span::Held, None, 0)];
        assert_eq!(counters.used(&held, NOW).await, Ok(vec![0]));
    })
    .await;
}

#[tokio::test]
async fn what_was_never_reserved_can_be_settled() {
    check(|counters| async move {
        let charges = [charge(1, DAY, 10, 4), charge(2, Span::Held, 5, 1)];
        counters.settle(settlement(1, NOW, NOW + 1, &charges)).await;
        counters
            .settle(settlement(1, NOW, NOW + SETTLED_KEPT - 1000, &charges))
            .await;
        assert_eq!(counters.used(&charges, NOW + 2).await, Ok(vec![4, 0]));
    })
    .await;
}
