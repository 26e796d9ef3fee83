//! Keys come with secrets: replaced with an overlap, blocked, expired, many at once.

use lingate_metering::tenant::{ApiKey, Project};
use lingate_store::{Filter, Store, StoreError, mint};

use crate::bed::{Bed, key, on_both, organization, project};

on_both!(
    a_secret_is_replaced_with_an_overlap,
    keys_are_blocked_and_expire,
    ten_thousand_are_made_at_once_or_none,
);

async fn web(store: &Store) -> Project {
    let acme = organization("acme");
    let web = project(&acme, "web");
    store.create(&acme).await.unwrap();
    store.create(&web).await.unwrap();
    web
}

const FAR: i64 = 4_000_000_000_000;

async fn a_secret_is_replaced_with_an_overlap(bed: Bed) {
    let store = bed.open().await;
    let laptop = key(&web(&store).await, "laptop");
    let first = store.create(&laptop).await.unwrap();
    let (second, third) = (mint().unwrap().secret(None), mint().unwrap().secret(None));

    let rotated = store
        .rotate(laptop.id, &second, FAR, Some(first.revision))
        .await
        .unwrap();
    let hashes = |key: &ApiKey| -> Vec<_> {
        key.secrets
            .iter()
            .map(|secret| (secret.sha256, secret.expires_at))
            .collect()
    };
    let old = laptop.secrets[0].sha256;
    assert_eq!(
        hashes(&rotated.value),
        [(second.sha256, None), (old, Some(FAR))]
    );
    for sha256 in [&old, &second.sha256] {
        let found = store.key_showing(sha256).await.unwrap().unwrap();
        assert_eq!(found, rotated);
    }
    let stale = store
        .rotate(laptop.id, &third, FAR, Some(first.revision))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let known = store.rotate(laptop.id, &second, FAR, None).await;
    assert!(matches!(known, Err(StoreError::SecretTaken)), "{known:?}");

    // Without an overlap nothing old is left.
    let rotated = store.rotate(laptop.id, &third, 0, None).await.unwrap();
    assert_eq!(hashes(&rotated.value), [(third.sha256, None)]);
    assert_eq!(store.key_showing(&old).await.unwrap(), None);
}

async fn keys_are_blocked_and_expire(bed: Bed) {
    let store = bed.open().await;
    let laptop = key(&web(&store).await, "laptop");
    let first = store.create(&laptop).await.unwrap();
    let blocked = store
        .set_blocked::<ApiKey>(laptop.id, true, Some(first.revision))
        .await
        .unwrap();
    assert!(blocked.value.rules.blocked);
    assert!(blocked.revision > first.revision);
    let filter = |blocked| Filter {
        blocked: Some(blocked),
        ..Filter::default()
    };
    assert_eq!(
        store
            .list::<ApiKey>(&filter(true))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(
        store
            .list::<ApiKey>(&filter(false))
            .await
            .unwrap()
            .items
            .len(),
        0
    );
    let good = store
        .set_blocked::<ApiKey>(laptop.id, false, None)
        .await
        .unwrap();
    assert_eq!(good.value, laptop);

    let expiring = store.set_expiry(laptop.id, Some(FAR), None).await.unwrap();
    assert_eq!(expiring.value.expires_at, Some(FAR));
    let mut changed = expiring.value.clone();
    changed.expires_at = None;
    changed.tags = vec!["fast".into()];
    let changed_now = store
        .update(&changed, Some(expiring.revision))
        .await
        .unwrap();
    assert_eq!(changed_now.value, changed);
    // Secrets are not changed so.
    let mut other = changed.clone();
    other.secrets = vec![mint().unwrap().secret(None)];
    assert_eq!(store.update(&other, None).await.unwrap().value, changed);
}

async fn ten_thousand_are_made_at_once_or_none(bed: Bed) {
    let store = bed.open().await;
    let web = web(&store).await;
    let mut keys: Vec<ApiKey> = (0..10_000).map(|n| key(&web, &format!("k{n}"))).collect();
    let last = keys.last_mut().unwrap();
    last.name = "k0".into();
    let refused = store.create_all(&keys).await.unwrap_err();
    assert!(matches!(refused, StoreError::Taken { .. }), "{refused}");
    assert!(store.declared().await.unwrap().keys.is_empty());

    keys.last_mut().unwrap().name = "k9999".into();
    let made = store.create_all(&keys).await.unwrap();
    let mut declared = store.declared().await.unwrap();
    assert_eq!(made.len(), 10_000);
    keys.sort_by_key(|key| key.id);
    declared.keys.sort_by_key(|key| key.id);
    assert_eq!(declared.keys, keys);
}
