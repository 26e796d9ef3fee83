//! Pages: what was there all the time is listed exactly once, in order, and filters mean what they say.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, Organization, Project, User};
use lingate_store::{Filter, Order, Position, Reach, StoreError};

use crate::bed::{Bed, key, on_both, organization, project, user};

on_both!(
    what_stays_is_listed_once_while_others_come_and_go,
    filters_narrow_a_list,
);

async fn what_stays_is_listed_once_while_others_come_and_go(bed: Bed) {
    let store = bed.open().await;
    let acme = organization("acme");
    let web = project(&acme, "web");
    store.create(&acme).await.unwrap();
    store.create(&web).await.unwrap();
    let mut staying = Vec::new();
    let mut leaving = Vec::new();
    for n in 0..60 {
        let key = key(&web, &format!("k{n}"));
        if n % 3 == 0 {
            &mut leaving
        } else {
            &mut staying
        }
        .push(key.id);
        store.create(&key).await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let change = {
        let (done, store) = (Arc::clone(&done), bed.open().await);
        tokio::spawn(async move {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                store.create(&key(&web, &format!("new{n}"))).await.unwrap();
                if let Some(id) = leaving.pop() {
                    store.delete::<ApiKey>(id, None).await.unwrap();
                }
                n += 1;
            }
        })
    };
    for order in [
        Order::Id,
        Order::Name,
        Order::NameDown,
        Order::Created,
        Order::CreatedDown,
    ] {
        let mut listed: Vec<Id> = Vec::new();
        let mut filter = Filter {
            limit: 7,
            order,
            ..Filter::default()
        };
        // What is made meanwhile comes last, without end: what was there before is what is asked for.
        while staying.iter().any(|id| !listed.contains(id)) {
            let page = store.list::<ApiKey>(&filter).await.unwrap();
            assert!(page.items.len() <= 7);
            listed.extend(page.items.iter().map(|item| item.value.id));
            assert!(page.next.is_some() || staying.iter().all(|id| listed.contains(id)));
            filter.after = page.next;
        }
        assert!(order != Order::Id || listed.is_sorted());
        let once: HashSet<_> = listed.iter().collect();
        assert_eq!(once.len(), listed.len());
    }
    done.store(true, Ordering::Relaxed);
    change.await.unwrap();
}

async fn filters_narrow_a_list(bed: Bed) {
    let store = bed.open().await;
    let (acme, other) = (organization("acme"), organization("other"));
    let (web, shop) = (project(&acme, "web"), project(&other, "shop"));
    let alice = user(&acme, "alice");
    store
        .create_all(&[acme.clone(), other.clone()])
        .await
        .unwrap();
    store
        .create_all(&[web.clone(), shop.clone()])
        .await
        .unwrap();
    store.create(&alice).await.unwrap();
    let mut keys = vec![
        key(&web, "a1"),
        key(&web, "a2"),
        key(&shop, "a3"),
        key(&shop, "b"),
    ];
    keys[0].user = Some(alice.id);
    keys[3].rules.blocked = true;
    store.create_all(&keys).await.unwrap();

    let check = async |filter: Filter, expect: &[&str]| {
        let page = store.list::<ApiKey>(&filter).await.unwrap();
        let mut names: Vec<_> = page
            .items
            .iter()
            .map(|item| item.value.name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, expect, "{filter:?}");
    };
    let all = Filter::default;
    check(all(), &["a1", "a2", "a3", "b"]).await;
    check(
        Filter {
            organization: Some(acme.id),
            ..all()
        },
        &["a1", "a2"],
    )
    .await;
    check(
        Filter {
            project: Some(shop.id),
            ..all()
        },
        &["a3", "b"],
    )
    .await;
    check(
        Filter {
            user: Some(alice.id),
            ..all()
        },
        &["a1"],
    )
    .await;
    check(
        Filter {
            blocked: Some(true),
            ..all()
        },
        &["b"],
    )
    .await;
    check(
        Filter {
            name_prefix: Some("a".into()),
            ..all()
        },
        &["a1", "a2", "a3"],
    )
    .await;
    check(
        Filter {
            name_prefix: Some("a".into()),
            project: Some(shop.id),
            ..all()
        },
        &["a3"],
    )
    .await;
    check(
        Filter {
            name_prefix: Some("A".into()),
            ..all()
        },
        &[],
    )
    .await;
    check(
        Filter {
            after: Some(Position {
                name: String::new(),
                created_at: 0,
                id: keys[3].id,
            }),
            ..all()
        },
        &[],
    )
    .await;
    for (reach, expect) in [
        (Reach::default(), vec![]),
        (
            Reach {
                organizations: vec![acme.id],
                ..Reach::default()
            },
            vec!["a1", "a2"],
        ),
        (
            Reach {
                projects: vec![shop.id],
                users: vec![alice.id],
                ..Reach::default()
            },
            vec!["a1", "a3", "b"],
        ),
    ] {
        let filter = Filter {
            reach: Some(reach),
            ..all()
        };
        check(filter, &expect).await;
    }
    let within = Filter {
        reach: Some(Reach {
            organizations: vec![other.id],
            users: vec![alice.id],
            ..Reach::default()
        }),
        ..all()
    };
    let page = store.list::<User>(&within).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let page = store.list::<Organization>(&within).await.unwrap();
    assert_eq!(page.items[0].value.id, other.id);
    let names = store.called::<Project>(&[web.id, alice.id]).await.unwrap();
    assert_eq!((names.len(), names[&web.id].parent), (1, Some(acme.id)));
    let acmes = Filter {
        organization: Some(acme.id),
        ..all()
    };
    let refused = store.list::<Organization>(&acmes).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })));
    let webs = Filter {
        project: Some(web.id),
        ..all()
    };
    let refused = store.list::<User>(&webs).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })));
    let projects = store.list::<Project>(&acmes).await.unwrap();
    assert_eq!(projects.items.len(), 1);
}
