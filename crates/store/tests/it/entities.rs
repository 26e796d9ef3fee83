//! What is stored is read as it was; what contradicts is refused, and why is said.

use lingate_metering::tenant::{ApiKey, Organization, Project, User, UserKind};
use lingate_store::{Filter, StoreError, mint};

use crate::bed::{Bed, key, on_both, organization, project, user};

on_both!(
    all_is_read_as_it_was_written,
    names_are_unique_where_they_stand,
    one_of_many_gets_a_name,
    one_of_many_changes_a_revision,
    what_is_in_use_is_not_deleted,
    what_is_named_is_there,
    what_the_configuration_names_can_be_referred_to,
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

async fn one_of_many_gets_a_name(bed: Bed) {
    let stores = [bed.open().await, bed.open().await];
    let racing: Vec<_> = (0..16)
        .map(|number| {
            let store = stores[number % 2].clone();
            tokio::spawn(async move { store.create(&organization("acme")).await })
        })
        .collect();
    let mut made = 0;
    for attempt in racing {
        match attempt.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, StoreError::Taken { .. }), "{error}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(stores[0].declared().await.unwrap().organizations.len(), 1);
}

async fn one_of_many_changes_a_revision(bed: Bed) {
    let stores = [bed.open().await, bed.open().await];
    let acme = organization("acme");
    let first = stores[0].create(&acme).await.unwrap();
    let racing: Vec<_> = (0..16)
        .map(|number| {
            let (store, mut acme) = (stores[number % 2].clone(), acme.clone());
            acme.rules.plan = Some(number.to_string());
            tokio::spawn(async move { store.update(&acme, Some(first.revision)).await })
        })
        .collect();
    let mut changed = Vec::new();
    let mut stale = Vec::new();
    for attempt in racing {
        match attempt.await.unwrap() {
            Ok(now) => changed.push(now),
            Err(StoreError::Stale { current, .. }) => stale.push(current),
            Err(error) => panic!("{error}"),
        }
    }
    let [changed] = &changed[..] else {
        panic!("{changed:?}")
    };
    assert_eq!(stale, [changed.revision; 15]);
    assert!(changed.revision > first.revision);
    assert_eq!(changed.created_at, first.created_at);
    assert_eq!(
        &stores[1].get::<Organization>(acme.id).await.unwrap(),
        changed
    );
    let stale = stores[0]
        .delete::<Organization>(acme.id, Some(first.revision))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
}

async fn what_is_in_use_is_not_deleted(bed: Bed) {
    let store = bed.open().await;
    let acme = organization("acme");
    let web = project(&acme, "web");
    let alice = user(&acme, "alice");
    let mut keys = vec![key(&web, "a"), key(&web, "b")];
    keys[0].user = Some(alice.id);
    store.create(&acme).await.unwrap();
    store.create(&web).await.unwrap();
    store.create(&alice).await.unwrap();
    store.create_all(&keys).await.unwrap();

    let refused = store
        .delete::<Organization>(acme.id, None)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the organization is in use: 1 project, 1 user belong to it; delete or move them first"
    );
    let refused = store.delete::<Project>(web.id, None).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the project is in use: 2 keys belong to it; delete or move them first"
    );
    let refused = store.delete::<User>(alice.id, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");

    for key in &keys {
        store.delete::<ApiKey>(key.id, None).await.unwrap();
    }
    store.delete::<User>(alice.id, None).await.unwrap();
    store.delete::<Project>(web.id, None).await.unwrap();
    store.delete::<Organization>(acme.id, None).await.unwrap();
    let gone = store
        .delete::<Organization>(acme.id, None)
        .await
        .unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
    assert_eq!(
        store.key_showing(&keys[0].secrets[0].sha256).await.unwrap(),
        None
    );
}

async fn what_is_named_is_there(bed: Bed) {
    let store = bed.open().await;
    let (acme, other) = (organization("acme"), organization("other"));
    let missing = store.create(&project(&acme, "web")).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!("organization: there is no organization {}", acme.id)
    );
    store
        .create_all(&[acme.clone(), other.clone()])
        .await
        .unwrap();
    let web = project(&acme, "web");
    let missing = store.create(&key(&web, "a")).await.unwrap_err();
    assert!(
        matches!(
            missing,
            StoreError::Missing {
                field: "project",
                ..
            }
        ),
        "{missing}"
    );
    store.create(&web).await.unwrap();
    let mut laptop = key(&web, "laptop");
    laptop.user = Some(acme.id);
    let missing = store.create(&laptop).await.unwrap_err();
    assert!(
        matches!(missing, StoreError::Missing { field: "user", .. }),
        "{missing}"
    );
    let stranger = user(&other, "stranger");
    store.create(&stranger).await.unwrap();
    laptop.user = Some(stranger.id);
    let foreign = store.create(&laptop).await.unwrap_err();
    assert!(
        matches!(foreign, StoreError::Invalid { field: "user", .. }),
        "{foreign}"
    );

    let mut moved = web.clone();
    moved.organization = other.id;
    let refused = store.update(&moved, None).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "organization: a project stays in its organization"
    );
    let again = store.create(&web).await.unwrap_err();
    assert!(matches!(again, StoreError::Taken { .. }), "{again}");
    let mut same_id = web.clone();
    same_id.name = "another".into();
    let again = store.create(&same_id).await.unwrap_err();
    assert!(matches!(again, StoreError::Taken { .. }), "{again}");
    // None of what was refused has left a change behind.
    let declared = store.declared().await.unwrap();
    assert_eq!((declared.projects, declared.keys), (vec![web], vec![]));
}

async fn what_the_configuration_names_can_be_referred_to(bed: Bed) {
    let store = bed.open().await;
    // One of the same name was made in the store before.
    store.create(&organization("acme")).await.unwrap();
    let acme = Organization::named("acme");
    let web = Project::named(&acme, "web");
    for _ in 0..2 {
        store.stand_in(&acme).await.unwrap();
        store.stand_in(&web).await.unwrap();
    }
    let laptop = key(&web, "laptop");
    store.create(&laptop).await.unwrap();

    let declared = store.declared().await.unwrap();
    assert_eq!(declared.keys, [laptop]);
    assert!(declared.projects.is_empty());
    assert_eq!(declared.organizations.len(), 1);
    assert!(
        store
            .list::<Project>(&Filter::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(store.get::<Project>(web.id).await.is_err());
    assert!(store.update(&web, None).await.is_err());
    assert!(store.delete::<Project>(web.id, None).await.is_err());
}
