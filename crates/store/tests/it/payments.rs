//! Payments: however often a service tells of one, it is credited once, and given back once.

use lingate_metering::{Id, Money};
use lingate_store::{Payment, PaymentEffect, PaymentEvent, PaymentOutcome, Store, new_id};

use crate::bed::{Bed, on_both};

fn event(id: &str, effect: PaymentEffect) -> PaymentEvent {
    PaymentEvent {
        provider: "stripe",
        id: id.into(),
        kind: "checkout.session.completed".into(),
        created_at: 0,
        event: "{}".into(),
        effect,
    }
}

fn paid(id: &str, organization: Id, amount: Option<i64>) -> PaymentEffect {
    PaymentEffect::Paid(Payment {
        id: id.into(),
        organization: Some((organization, "acme".into())),
        currency: "USD".into(),
        minor: 1000,
        amount: amount.map(Money::from_nano),
    })
}

async fn take(store: &Store, id: &str, effect: PaymentEffect) -> PaymentOutcome {
    store.take_payment(event(id, effect)).await.unwrap()
}

async fn a_payment_counts_once(bed: Bed) {
    let store = bed.open().await;
    let organization = new_id();
    let early = take(&store, "evt_0", paid("pi_0", organization, Some(7))).await;
    assert!(matches!(early, PaymentOutcome::Kept(_)), "{early:?}");
    store
        .open_wallet(organization, "acme", Money::ZERO)
        .await
        .unwrap();
    let racers: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            // The same event, and others of the same payment.
            let id = format!("evt_{}", 1 + number % 4);
            tokio::spawn(
                async move { take(&store, &id, paid("pi_1", organization, Some(1000))).await },
            )
        })
        .collect();
    let mut credited = 0;
    for racer in racers {
        match racer.await.unwrap() {
            PaymentOutcome::Credited(entry) => {
                assert_eq!(entry.amount, Money::from_nano(1000));
                credited += 1;
            }
            other => assert_eq!(other, PaymentOutcome::Repeated),
        }
    }
    assert_eq!(credited, 1);
    let no_rate = take(&store, "evt_9", paid("pi_9", organization, None)).await;
    assert!(matches!(no_rate, PaymentOutcome::Kept(_)), "{no_rate:?}");
    let balance = async || {
        let wallet = store.wallet(organization).await.unwrap().unwrap();
        wallet.balance().nano()
    };
    assert_eq!(balance().await, 1000);
    // Given back in parts; what is told is the sum so far, perhaps twice, perhaps late.
    for (id, minor, left) in [
        ("evt_r1", 333, 667),
        ("evt_r1", 333, 667),
        ("evt_r2", 333, 667),
        ("evt_r3", 1000, 0),
        ("evt_r4", 500, 0),
    ] {
        let payment = "pi_1".to_owned();
        take(&store, id, PaymentEffect::Refunded { payment, minor }).await;
        assert_eq!(balance().await, left, "{id}");
    }
    let unknown = PaymentEffect::Refunded {
        payment: "pi_x".into(),
        minor: 5,
    };
    let kept = take(&store, "evt_r5", unknown).await;
    assert!(matches!(kept, PaymentOutcome::Kept(_)), "{kept:?}");
    let other = take(&store, "evt_n", PaymentEffect::Nothing).await;
    assert_eq!(other, PaymentOutcome::Noted);
    let kept = store.payment_events(Some("kept"), 100).await.unwrap();
    let ids: Vec<&str> = kept.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(store.payment_events(None, 100).await.unwrap().len(), 12);
}

on_both!(a_payment_counts_once);
