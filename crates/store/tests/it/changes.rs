//! Every change is seen, in order, by everybody.

use lingate_metering::tenant::Organization;
use lingate_store::Replica;

use crate::bed::{Bed, on_both, organization};

on_both!(another_store_is_told_of_changes);

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
    let changes = watch.next().await;
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
    replica.apply(watch.next().await);
    assert!(replica.declared().organizations.is_empty());
}
