//! What is stored is read as it was; what contradicts is refused, and why is said.

use lingate_metering::tenant::{ApiKey, Organization, Project, User, UserKind};
use lingate_store::{Filter, StoreError, mint};

use crate::bed::{Bed, key, on_both, organization, project, user};

on_both!(
    all_is_read_as_it_was_written,
    names_are_unique_where_they_stand
);

async fn all_is_read_as_it_was_written(bed: Bed) {
    let store = bed.open().await;
    let acme = organization("acme");
    let mut web = project(&acme, "web");
    web.rules.allow_models = vec!["gpt-*".into()];
    web.rules.blocked = true;
    let mut alice = user(&acme, "alice");
    alice.kind = UserKind::ServiceAccount;
    let mut laptop = key(&web, "laptop");
    laptop.user = Some(alice.id);
    laptop.expires_at = Some(1_900_000_000_000);
    laptop.addresses = vec!["10.0.0.0/8".parse().unwrap()];
    laptop.model_map = vec![("fast".into(), "gpt-4o-mini".into())];
    laptop.secrets.push(mint().unwrap().secret(None));
    laptop.secrets[1].expires_at = Some(1_800_000_000_000);
    store.create(&acme).await.unwrap();
    store.create(&web).await.unwrap();
    store.create(&alice).await.unwrap();
    let made = store.create(&laptop).await.unwrap();

    assert_eq!(store.get(laptop.id).await.unwrap(), made);
    assert_eq!(made.value, laptop);
    assert_eq!(store.get::<Project>(web.id).await.unwrap().value, web);
    assert_eq!(store.get::<User>(alice.id).await.unwrap().value, alice);
    let found = store.find::<Organization>(None, "acme").await.unwrap();
    assert_eq!(found.unwrap().value, acme);
    let shown = store.key_showing(&laptop.secrets[1].sha256).await.unwrap();
    assert_eq!(shown.unwrap().value, laptop);
    assert_eq!(store.key_showing(&[0; 32]).await.unwrap(), None);
    let page = store.list::<ApiKey>(&Filter::default()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![made], None));

    // The same from another process.
    let declared = bed.open().await.declared().await.unwrap();
    assert_eq!(declared.keys, [laptop]);
    assert_eq!(declared.projects, [web]);
    assert_eq!(declared.users, [alice]);
    assert_eq!(declared.organizations, [acme]);
}

async fn names_are_unique_where_they_stand(bed: Bed) {
    let store = bed.open().await;
    let (acme, other) = (organization("acme"), organization("other"));
    store
        .create_all(&[acme.clone(), other.clone()])
        .await
        .unwrap();
    let web = project(&acme, "web");
    store.create(&web).await.unwrap();
    store.create(&project(&other, "web")).await.unwrap();
    let again = store.create(&project(&acme, "web")).await.unwrap_err();
    assert_eq!(
        again.to_string(),
        "there is a project called \"web\" already"
    );
    let twice = [key(&web, "a"), key(&web, "a")];
    let twice = store.create_all(&twice).await.unwrap_err();
    assert!(matches!(twice, StoreError::Taken { .. }), "{twice}");
    let copied = key(&web, "a");
    store.create(&copied).await.unwrap();
    let mut copy = key(&web, "b");
    copy.secrets = copied.secrets.clone();
    let copy = store.create(&copy).await.unwrap_err();
    assert!(matches!(copy, StoreError::SecretTaken), "{copy}");
}
