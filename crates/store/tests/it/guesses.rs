//! Guesses at codes, counted for all replicas together.

use lingate_store::{Guesses, Store};

use crate::bed::{Bed, on_both};

on_both!(
    who_guesses_too_often_waits_on_every_replica_and_after_a_restart,
    however_many_guess_at_once_no_more_are_looked_at,
);

const GUESSES: Guesses = Guesses {
    most: 3,
    window: 1000,
};

async fn guess(store: &Store, who: &[&str], now: i64) -> Option<i64> {
    let who: Vec<String> = who.iter().map(ToString::to_string).collect();
    store.guess(&who, GUESSES, now).await.unwrap()
}

async fn who_guesses_too_often_waits_on_every_replica_and_after_a_restart(bed: Bed) {
    let (store, other) = (bed.open().await, bed.open().await);
    let who = ["account a", "address 1"];
    assert_eq!(guess(&store, &who, 100).await, None);
    assert_eq!(guess(&other, &who, 200).await, None);
    // What was none is not counted.
    assert_eq!(guess(&other, &who, 250).await, None);
    let good: Vec<String> = who.iter().map(ToString::to_string).collect();
    store.guess_was_good(&good).await.unwrap();
    assert_eq!(guess(&store, &who, 300).await, None);
    assert_eq!(guess(&other, &who, 400).await, Some(1100));
    store.close().await;
    other.close().await;
    let store = bed.open().await;
    for (who, now, expect) in [
        (&["account a", "address 2"][..], 500, Some(1100)),
        (&["account b", "address 1"], 600, Some(1100)),
        (&["account b", "address 3"], 700, None),
        // The window of the first is over, that of those who came later is not.
        (&["account a", "address 1"], 1100, None),
        (&["account b", "address 3"], 1200, None),
        (&["account b", "address 3"], 1300, Some(1600)),
        (&["account b"], 1600, None),
    ] {
        assert_eq!(guess(&store, who, now).await, expect, "{who:?} at {now}");
    }
    store.close().await;
}

async fn however_many_guess_at_once_no_more_are_looked_at(bed: Bed) {
    let store = bed.open().await;
    let guesses: Vec<_> = (0..12)
        .map(|number| {
            let store = store.clone();
            // In whichever order they are named.
            let mut who = ["account a", "organization o", "address 1"];
            who.rotate_left(number % 3);
            tokio::spawn(async move { guess(&store, &who, 100).await })
        })
        .collect();
    let mut looked_at = 0;
    for guessed in guesses {
        looked_at += i32::from(guessed.await.unwrap().is_none());
    }
    assert_eq!(looked_at, 3);
    store.close().await;
}
