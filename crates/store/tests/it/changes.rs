//! Every change is seen, in order, by everybody.

use std::time::Duration;

use lingate_metering::tenant::{ApiKey, Organization, Project};
use lingate_store::{Replica, StoreError};
use tokio::time::timeout;

use crate::bed::{Bed, key, on_both, organization, project};

on_both!(
    another_store_is_told_of_changes,
    nothing_is_lost_among_many_writers,
    who_was_away_for_long_reads_everything,
    a_row_that_cannot_be_read_takes_nothing_else_with_it,
);

/// A notice that has not come by then will not.
const NOTICE: Duration = Duration::from_secs(20);

async fn another_store_is_told_of_changes(bed: Bed) {
    let (here, there) = (bed.open().await, bed.open().await);
    let mut watch = there.watch(0);
    let mut replica = Replica::default();
    replica.apply(watch.next().await);
    assert_eq!(replica.declared(), here.declared().await.unwrap());

    let acme = organization("acme");
    let made = {
        let (here, acme) = (here.clone(), acme.clone());
        tokio::spawn(async move { here.create(&acme).await })
    };
    let changes = timeout(NOTICE, watch.next()).await.unwrap();
    assert!(!changes.complete);
    replica.apply(changes);
    assert_eq!(
        replica.declared().organizations,
        std::slice::from_ref(&acme)
    );

    let made = made.await.unwrap().unwrap();
    here.delete::<Organization>(acme.id, Some(made.revision))
        .await
        .unwrap();
    replica.apply(timeout(NOTICE, watch.next()).await.unwrap());
    assert!(replica.declared().organizations.is_empty());

    // One that was deleted is there again.
    let seen = replica.revision;
    here.create(&acme).await.unwrap();
    here.delete::<Organization>(acme.id, None).await.unwrap();
    here.create(&acme).await.unwrap();
    replica.apply(here.changes_since(seen).await.unwrap());
    assert_eq!(replica.declared().organizations, [acme]);
}

async fn nothing_is_lost_among_many_writers(bed: Bed) {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 15;
    let stores = [bed.open().await, bed.open().await, bed.open().await];
    let acme = organization("acme");
    let web = project(&acme, "web");
    stores[0].create(&acme).await.unwrap();
    stores[0].create(&web).await.unwrap();

    let mut replicas = Vec::new();
    for store in &stores {
        let store = store.clone();
        replicas.push(tokio::spawn(async move {
            let mut replica = Replica::default();
            let mut watch = store.watch(0);
            loop {
                let changes = timeout(NOTICE, watch.next()).await.unwrap();
                assert!(
                    changes.revision > replica.revision,
                    "each change comes once"
                );
                assert_eq!(changes.complete, replica.revision == 0);
                replica.apply(changes);
                if replica
                    .declared()
                    .organizations
                    .iter()
                    .any(|last| last.name == "the end")
                {
                    return replica;
                }
            }
        }));
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, web) = (stores[writer % stores.len()].clone(), web.clone());
            tokio::spawn(async move {
                let mut revisions = Vec::new();
                for round in 0..ROUNDS {
                    let mut made = key(&web, &format!("{writer}/{round}"));
                    revisions.push(store.create(&made).await.unwrap().revision);
                    made.tags = vec![round.to_string()];
                    revisions.push(store.update(&made, None).await.unwrap().revision);
                    match round % 3 {
                        0 => store.delete::<ApiKey>(made.id, None).await.unwrap(),
                        // A change that fails leaves nothing, and holds nobody up.
                        1 => {
                            let taken = store.create(&project(&organization("x"), "x")).await;
                            assert!(matches!(taken, Err(StoreError::Missing { .. })));
                        }
                        _ => {}
                    }
                }
                revisions
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for writer in writers {
        revisions.extend(writer.await.unwrap());
    }
    let count = revisions.len();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(
        revisions.len(),
        count,
        "every change has a revision of its own"
    );

    stores[0].create(&organization("the end")).await.unwrap();
    let truth = stores[1].declared().await.unwrap();
    assert_eq!(truth.keys.len(), WRITERS * ROUNDS * 2 / 3);
    for replica in replicas {
        assert_eq!(replica.await.unwrap().declared(), truth);
    }
}

async fn who_was_away_for_long_reads_everything(bed: Bed) {
    let store = bed.open().await;
    let (old, recent, stays) = (
        organization("old"),
        organization("recent"),
        organization("stays"),
    );
    store
        .create_all(&[old.clone(), recent.clone(), stays.clone()])
        .await
        .unwrap();
    let mut replica = Replica::default();
    replica.apply(store.changes_since(0).await.unwrap());
    let seen = replica.revision;
    store.delete::<Organization>(old.id, None).await.unwrap();
    assert!(!store.changes_since(seen).await.unwrap().complete);

    bed.sql("UPDATE deletions SET deleted_at = 0").await;
    store.delete::<Organization>(recent.id, None).await.unwrap();
    let changes = store.changes_since(seen).await.unwrap();
    assert!(changes.complete);
    replica.apply(changes);
    assert_eq!(
        replica.declared().organizations,
        std::slice::from_ref(&stays)
    );
    // And then no more.
    assert!(
        !store
            .changes_since(replica.revision)
            .await
            .unwrap()
            .complete
    );
    assert!(!store.changes_since(seen + 1).await.unwrap().complete);

    // The database was restored from a copy of an earlier day.
    let changes = store.changes_since(replica.revision + 100).await.unwrap();
    assert!(changes.complete);
    assert_eq!(changes.revision, replica.revision);
}

async fn a_row_that_cannot_be_read_takes_nothing_else_with_it(bed: Bed) {
    let store = bed.open().await;
    let (good, bad) = (organization("good"), organization("bad"));
    let web = project(&good, "web");
    store
        .create_all(&[good.clone(), bad.clone()])
        .await
        .unwrap();
    store.create(&web).await.unwrap();
    let mut replica = Replica::default();
    replica.apply(store.changes_since(0).await.unwrap());
    assert_eq!(replica.declared().organizations.len(), 2);

    bed.sql("UPDATE organizations SET spec = '{' WHERE name = 'bad'")
        .await;
    bed.sql("UPDATE organizations SET revision = (SELECT revision + 1 FROM lingate_head)")
        .await;
    bed.sql("UPDATE lingate_head SET revision = revision + 1")
        .await;
    assert!(store.get::<Organization>(bad.id).await.is_err());
    replica.apply(store.changes_since(replica.revision).await.unwrap());
    assert_eq!(
        replica.declared().organizations,
        std::slice::from_ref(&good)
    );
    assert_eq!(replica.declared(), store.declared().await.unwrap());
    // It can be deleted all the same, and everything else be changed.
    store
        .set_blocked::<Project>(web.id, true, None)
        .await
        .unwrap();
    store.delete::<Organization>(bad.id, None).await.unwrap();
}
