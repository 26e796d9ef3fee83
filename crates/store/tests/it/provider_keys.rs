//! Keys of providers: doubles, pages, what is sealed anew, and jobs that nobody tells of any more.

use lingate_store::{
    AuditFilter, JobState, KeptSecret, NewProviderKey, ProviderKeyChange, Resealed, SEALED,
    StoreError, new_id,
};
use serde_json::json;

use crate::bed::{Bed, on_both};

on_both!(
    doubles_are_left_out_and_pages_hold_every_key_once,
    a_key_is_changed_by_whoever_has_seen_it,
    envelopes_are_found_by_their_key_and_replaced_where_they_have_not_changed,
    a_job_is_told_of_until_it_ends_or_its_gateway_does,
);

fn key(number: u32) -> NewProviderKey {
    NewProviderKey {
        id: new_id(),
        secret: KeptSecret::Sealed(format!("v1.0000000a.{number}")),
        fingerprint: format!("f{number}"),
        old_fingerprint: Some(format!("old{number}")),
        hint: format!("…{number}"),
        name: String::new(),
        spec: json!({}),
        enabled: true,
    }
}

async fn doubles_are_left_out_and_pages_hold_every_key_once(bed: Bed) {
    let store = bed.open().await;
    let mut keys: Vec<_> = (0..1300).map(key).collect();
    keys.push(key(7));
    let before = store.documents().await.unwrap().provider_keys;
    let added = store.add_provider_keys("up", &keys, None).await.unwrap();
    assert_eq!(added.len(), 1300);
    assert!(store.documents().await.unwrap().provider_keys > before);
    assert!(
        store
            .add_provider_keys("up", &keys, None)
            .await
            .unwrap()
            .is_empty()
    );
    // What was added under the key before.
    let older = NewProviderKey {
        fingerprint: "new".into(),
        old_fingerprint: Some("f7".into()),
        ..key(0)
    };
    assert!(
        store
            .add_provider_keys("up", &[older], None)
            .await
            .unwrap()
            .is_empty()
    );
    // Another provider may have the same.
    assert_eq!(
        store
            .add_provider_keys("other", &[key(1)], None)
            .await
            .unwrap()
            .len(),
        1
    );

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.provider_keys(Some("up"), after, 500).await.unwrap();
        found.extend(page.into_iter().map(|key| key.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, added);
    let gone = store
        .delete_provider_keys("up", &added[..600], &["f1299".into()], "test")
        .await
        .unwrap();
    assert_eq!(gone, 601);
    assert_eq!(store.count_provider_keys("up").await.unwrap(), 699);
    assert_eq!(store.count_provider_keys("other").await.unwrap(), 1);
}

async fn a_key_is_changed_by_whoever_has_seen_it(bed: Bed) {
    let store = bed.open().await;
    let id = store
        .add_provider_keys("up", &[key(1)], None)
        .await
        .unwrap()[0];
    let first = store.provider_key(id).await.unwrap();
    let off = ProviderKeyChange {
        enabled: Some(false),
        ..ProviderKeyChange::default()
    };
    let second = store
        .update_provider_key(id, &off, Some(first.revision))
        .await
        .unwrap();
    assert!(!second.enabled && second.secret == first.secret);
    let stale = store.delete_provider_key(id, Some(first.revision)).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    assert!(store.enabled_provider_keys().await.unwrap().is_empty());
    store
        .delete_provider_key(id, Some(second.revision))
        .await
        .unwrap();
    let gone = store.provider_key(id).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    assert_eq!(store.check_audit().await.unwrap().unwrap().events, 3);
}

async fn envelopes_are_found_by_their_key_and_replaced_where_they_have_not_changed(bed: Bed) {
    let store = bed.open().await;
    let keys: Vec<_> = (0..5).map(key).collect();
    store.add_provider_keys("up", &keys, None).await.unwrap();
    // Every column can be asked.
    for column in SEALED {
        let rows = store.sealed_with(column, "0000000c", "", 2).await.unwrap();
        assert!(rows.is_empty());
        let none = Resealed {
            id: "x".into(),
            before: "v1.0000000c.x".into(),
            after: "v1.0000000d.x".into(),
            fingerprint: None,
        };
        store.reseal(column, &[none]).await.unwrap();
    }
    let column = SEALED
        .iter()
        .find(|it| it.table == "provider_keys")
        .unwrap();
    assert_eq!(store.count_sealed_with("0000000a").await.unwrap(), 5);
    assert_eq!(store.count_sealed_with("0000000b").await.unwrap(), 0);
    let rows = store.sealed_with(column, "0000000a", "", 2).await.unwrap();
    let [(first, before), (second, _)] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let anew = |id: &str, before: &str| Resealed {
        id: id.to_owned(),
        before: before.to_owned(),
        after: "v1.0000000b.x".into(),
        fingerprint: Some("fresh".into()),
    };
    store
        .reseal(
            column,
            &[anew(first, before), anew(second, "changed meanwhile")],
        )
        .await
        .unwrap();
    assert_eq!(store.count_sealed_with("0000000b").await.unwrap(), 1);
    let rest = store
        .sealed_with(column, "0000000a", first, 10)
        .await
        .unwrap();
    assert_eq!(rest.len(), 4);
    let double = NewProviderKey {
        fingerprint: "fresh".into(),
        ..key(9)
    };
    assert!(
        store
            .add_provider_keys("up", &[double], None)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_job_is_told_of_until_it_ends_or_its_gateway_does(bed: Bed) {
    let store = bed.open().await;
    let (first, second) = (new_id(), new_id());
    let job = store.create_job(first, "import", "up").await.unwrap();
    assert_eq!((job.state, job.total), (JobState::Running, None));
    store.create_job(second, "import", "up").await.unwrap();
    let told = store
        .tell_job(first, JobState::Running, Some(9), 3, &json!({"added": 3}))
        .await;
    assert!(!told.unwrap());
    for _ in 0..2 {
        assert!(store.end_job(first).await.unwrap().wanted_end);
    }
    assert!(
        store
            .tell_job(first, JobState::Cancelled, Some(9), 4, &json!({}))
            .await
            .unwrap()
    );
    bed.sql("UPDATE jobs SET beat_at = beat_at - 60000").await;
    let (jobs, next) = store.jobs(None, 1).await.unwrap();
    assert_eq!((jobs[0].id, jobs[0].state), (second, JobState::Lost));
    let (jobs, next) = store.jobs(next, 1).await.unwrap();
    assert_eq!(
        (jobs[0].id, jobs[0].state, jobs[0].done),
        (first, JobState::Cancelled, 4)
    );
    assert!(jobs[0].ended_at.is_some() && next.is_none());
    let log = store.audit_log(&AuditFilter::default()).await.unwrap();
    let told: Vec<_> = log.items.iter().map(|event| &*event.action).collect();
    assert_eq!(told, ["job.cancel", "job.create", "job.create"]);
}
