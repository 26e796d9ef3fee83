//! Requests that are made once.

use lingate_store::{Claim, KEPT};

use crate::bed::{Bed, on_both};

on_both!(one_of_many_makes_it, a_key_is_of_one_request_and_one_actor);

async fn one_of_many_makes_it(bed: Bed) {
    let store = bed.open().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        asking.spawn(async move { store.claim("ada", "k", "POST /x").await.unwrap() });
    }
    let claims = asking.join_all().await;
    let ours = claims.iter().filter(|claim| **claim == Claim::Ours).count();
    let under_way = claims.iter().filter(|claim| **claim == Claim::UnderWay);
    assert_eq!((ours, under_way.count()), (1, 49));
    store.settle("ada", "k", "sealed").await.unwrap();
    let again = store.claim("ada", "k", "POST /x").await.unwrap();
    assert_eq!(again, Claim::Settled("sealed".to_owned()));
    // What was answered is not forgotten by whoever thinks that it failed.
    store.release("ada", "k").await.unwrap();
    let again = store.claim("ada", "k", "POST /x").await.unwrap();
    assert_eq!(again, Claim::Settled("sealed".to_owned()));
}

async fn a_key_is_of_one_request_and_one_actor(bed: Bed) {
    let store = bed.open().await;
    assert_eq!(store.claim("ada", "k", "a").await.unwrap(), Claim::Ours);
    let other = store.claim("ada", "k", "b").await.unwrap();
    assert_eq!(other, Claim::OtherRequest);
    assert_eq!(store.claim("eve", "k", "b").await.unwrap(), Claim::Ours);
    store.release("ada", "k").await.unwrap();
    assert_eq!(store.claim("ada", "k", "b").await.unwrap(), Claim::Ours);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    assert_eq!(store.expire_claims(now).await.unwrap(), 0);
    assert_eq!(store.expire_claims(now + KEPT + 60_000).await.unwrap(), 2);
}
