//! The audit log: one chain, whoever writes to it, and what is done to it afterwards shows.

use lingate_metering::tenant::Organization;
use lingate_store::{
    Act, ActorKind, AuditFilter, AuditNote, AuditOutcome, Broken, Chain, Deed, Kind, Store,
    StoreError, new_id,
};

use crate::bed::{Bed, key, on_both, organization, project};

on_both!(
    every_change_is_told_in_its_transaction,
    whatever_is_changed_in_an_event_shows,
    whatever_is_taken_away_or_put_in_shows,
    an_end_that_was_cut_off_shows_whatever_is_written_after_it,
    the_database_itself_refuses_to_change_or_delete_events,
    writers_of_several_stores_make_one_chain,
    events_are_found_by_what_is_known_of_them,
);

const WORK: &str = "req_1";

fn somebody() -> Act {
    Act {
        kind: ActorKind::Account,
        id: "the-account".into(),
        name: "ada@example.com".into(),
        address: Some("192.0.2.1".into()),
        request_id: Some(WORK.into()),
    }
}

/// Five events, each with every column filled.
async fn five(store: &Store) {
    let store = store.by(somebody());
    for number in 1..=5 {
        let note = AuditNote {
            organization: Some(new_id()),
            project: Some(new_id()),
            detail: Some("why".into()),
            before: Some(serde_json::json!({ "number": number })),
            after: Some(serde_json::json!({ "number": number + 1 })),
            ..AuditNote::of(Deed::Update, Kind::Wallet, &number, "a wallet")
        };
        store.audit(note).await.unwrap();
    }
}

impl Bed {
    /// As whoever owns the database could: what refuses changes is taken away first.
    async fn tamper(&self, sql: &'static str) {
        if self.is_postgres() {
            self.sql("DROP TRIGGER IF EXISTS audit_log_only_grows ON audit_log")
                .await;
        } else {
            self.sql("DROP TRIGGER IF EXISTS audit_log_no_update; DROP TRIGGER IF EXISTS audit_log_no_delete")
                .await;
        }
        self.sql(sql).await;
    }
}

async fn holds(store: &Store) -> Chain {
    store.check_audit().await.unwrap().unwrap()
}

async fn breaks_at(store: &Store) -> i64 {
    let Broken { number, .. } = store.check_audit().await.unwrap().unwrap_err();
    number
}

async fn every_change_is_told_in_its_transaction(bed: Bed) {
    let store = bed.open().await;
    assert_eq!(holds(&store).await.events, 0);
    let mine = store.by(somebody());
    let mut acme = organization("acme");
    let made = mine.create(&acme).await.unwrap();
    acme.name = "acme & co".into();
    mine.update(&acme, Some(made.revision)).await.unwrap();
    let web = project(&acme, "web");
    store.create(&web).await.unwrap();
    let first = key(&web, "first");
    mine.create(&first).await.unwrap();
    // A change that fails is not told.
    let stale = mine.update(&acme, Some(made.revision)).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })));

    let events = store
        .audit_log(&AuditFilter::default())
        .await
        .unwrap()
        .items;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.number, &*event.action, &*event.actor_name))
        .collect();
    assert_eq!(
        told,
        [
            (4, "api_key.create", "ada@example.com"),
            (3, "project.create", "lingate"),
            (2, "organization.update", "ada@example.com"),
            (1, "organization.create", "ada@example.com"),
        ]
    );
    let [made_key, _, changed, _] = &*events else {
        panic!("{events:?}")
    };
    assert_eq!(changed.before.as_ref().unwrap()["name"], "acme");
    assert_eq!(changed.after.as_ref().unwrap()["name"], "acme & co");
    assert_eq!(changed.address.as_deref(), Some("192.0.2.1"));
    assert_eq!(changed.request_id.as_deref(), Some(WORK));
    assert_eq!(made_key.organization, Some(acme.id.to_string()));
    assert_eq!(made_key.project, Some(web.id.to_string()));
    // Of a secret, its hash included, there is nothing.
    let hash = serde_json::to_value(&first).unwrap()["secrets"][0]["sha256"].to_string();
    let all = serde_json::to_string(&events).unwrap();
    assert!(!all.contains(hash.trim_matches('"')), "{all}");
    let chain = holds(&store).await;
    assert_eq!(chain.events, 4);
    assert_eq!(chain.hash, made_key.hash);
    assert_eq!(store.audit_event(2).await.unwrap().as_ref(), Some(changed));
    assert_eq!(store.audit_event(5).await.unwrap(), None);
}

async fn whatever_is_changed_in_an_event_shows(bed: Bed) {
    let store = bed.open().await;
    five(&store).await;
    assert_eq!(holds(&store).await.events, 5);
    bed.tamper("CREATE TABLE kept AS SELECT * FROM audit_log")
        .await;
    // Each column, in an event that others follow.
    for sql in [
        "UPDATE audit_log SET at = at + 1 WHERE number = 3",
        "UPDATE audit_log SET actor_kind = 'system' WHERE number = 3",
        "UPDATE audit_log SET actor_id = 'another' WHERE number = 3",
        "UPDATE audit_log SET actor_name = 'another' WHERE number = 3",
        "UPDATE audit_log SET action = 'wallet.create' WHERE number = 3",
        "UPDATE audit_log SET outcome = 'refused' WHERE number = 3",
        "UPDATE audit_log SET object_kind = 'code' WHERE number = 3",
        "UPDATE audit_log SET object_id = '4' WHERE number = 3",
        "UPDATE audit_log SET object_name = '' WHERE number = 3",
        "UPDATE audit_log SET organization_id = NULL WHERE number = 3",
        "UPDATE audit_log SET project_id = organization_id, organization_id = project_id WHERE number = 3",
        "UPDATE audit_log SET address = '' WHERE number = 3",
        "UPDATE audit_log SET request_id = NULL WHERE number = 3",
        "UPDATE audit_log SET detail = detail || ' not' WHERE number = 3",
        "UPDATE audit_log SET before = '{\"number\": 3}' WHERE number = 3",
        "UPDATE audit_log SET after = NULL WHERE number = 3",
        "UPDATE audit_log SET hash = '' WHERE number = 3",
        // What stood at the end of one column stands at the beginning of the next.
        "UPDATE audit_log SET actor_id = 'the-', actor_name = 'account' || actor_name WHERE number = 3",
    ] {
        bed.sql(sql).await;
        assert_eq!(breaks_at(&store).await, 3, "{sql}");
        bed.sql("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept")
            .await;
        assert_eq!(holds(&store).await.events, 5, "put back after {sql}");
    }
    // The last one, which nothing follows, and numbers.
    for (sql, expect) in [
        ("UPDATE audit_log SET detail = '' WHERE number = 5", 5),
        ("UPDATE audit_log SET number = 6 WHERE number = 5", 5),
        ("UPDATE audit_log SET number = 0 WHERE number = 1", 0),
        (
            "UPDATE audit_log SET number = 9 WHERE number = 2; UPDATE audit_log SET number = 2 WHERE number = 3; UPDATE audit_log SET number = 3 WHERE number = 9",
            2,
        ),
    ] {
        bed.sql(sql).await;
        assert_eq!(breaks_at(&store).await, expect, "{sql}");
        bed.sql("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept")
            .await;
    }
}

async fn whatever_is_taken_away_or_put_in_shows(bed: Bed) {
    let store = bed.open().await;
    five(&store).await;
    bed.tamper("CREATE TABLE kept AS SELECT * FROM audit_log")
        .await;
    for (sql, expect) in [
        ("DELETE FROM audit_log WHERE number = 1", 1),
        ("DELETE FROM audit_log WHERE number < 4", 1),
        ("DELETE FROM audit_log WHERE number = 3", 3),
        ("DELETE FROM audit_log WHERE number = 5", 5),
        ("DELETE FROM audit_log WHERE number > 2", 3),
        ("DELETE FROM audit_log", 1),
        // Behind the end.
        (
            "INSERT INTO audit_log SELECT number + 1, at, actor_kind, actor_id, actor_name, action, outcome, object_kind, object_id, object_name, organization_id, project_id, address, request_id, detail, before, after, hash FROM kept WHERE number = 5",
            6,
        ),
        // Before the first, and in the place of another.
        (
            "INSERT INTO audit_log SELECT 0, at, actor_kind, actor_id, actor_name, action, outcome, object_kind, object_id, object_name, organization_id, project_id, address, request_id, detail, before, after, hash FROM kept WHERE number = 1",
            0,
        ),
        (
            "DELETE FROM audit_log WHERE number = 2; INSERT INTO audit_log SELECT 2, at, actor_kind, actor_id, actor_name, action, outcome, object_kind, object_id, object_name, organization_id, project_id, address, request_id, detail, before, after, hash FROM kept WHERE number = 3",
            2,
        ),
    ] {
        bed.sql(sql).await;
        assert_eq!(breaks_at(&store).await, expect, "{sql}");
        bed.sql("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept")
            .await;
        assert_eq!(holds(&store).await.events, 5, "put back after {sql}");
    }
}

async fn an_end_that_was_cut_off_shows_whatever_is_written_after_it(bed: Bed) {
    let store = bed.open().await;
    five(&store).await;
    bed.tamper("DELETE FROM audit_log WHERE number = 5").await;
    let another = bed.open().await;
    let note = || AuditNote::of(Deed::Export, Kind::AuditEvent, &"", "");
    another.audit(note()).await.unwrap();
    let newest = another
        .audit_log(&AuditFilter::default())
        .await
        .unwrap()
        .items
        .remove(0);
    assert_eq!(newest.number, 6, "its number is not given again");
    assert_eq!(breaks_at(&store).await, 5);
    // A foreign event behind the end holds nobody up, and shows.
    bed.sql("INSERT INTO audit_log SELECT 7, at, actor_kind, actor_id, actor_name, action, outcome, object_kind, object_id, object_name, organization_id, project_id, address, request_id, detail, before, after, hash FROM audit_log WHERE number = 6").await;
    another.audit(note()).await.unwrap();
    bed.sql("DELETE FROM audit_log WHERE number < 6").await;
    assert_eq!(breaks_at(&store).await, 1);
}

async fn the_database_itself_refuses_to_change_or_delete_events(bed: Bed) {
    let store = bed.open().await;
    five(&store).await;
    for sql in [
        "UPDATE audit_log SET detail = '' WHERE number = 3",
        "DELETE FROM audit_log WHERE number = 5",
        "DELETE FROM audit_log",
    ] {
        let refused = bed.try_sql(sql).await.unwrap_err();
        assert!(refused.contains("only ever added"), "{sql}: {refused}");
    }
    if bed.is_postgres() {
        let refused = bed.try_sql("TRUNCATE audit_log").await.unwrap_err();
        assert!(refused.contains("only ever added"), "{refused}");
    }
    assert_eq!(holds(&store).await.events, 5);
}

async fn writers_of_several_stores_make_one_chain(bed: Bed) {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 10;
    let stores = [bed.open().await, bed.open().await];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = stores[writer % stores.len()].clone();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let new = organization(&format!("{writer}-{round}"));
                    store.create(&new).await.unwrap();
                    store.delete::<Organization>(new.id, None).await.unwrap();
                }
            })
        })
        .collect();
    // It holds at every moment, not only in the end.
    for _ in 0..5 {
        holds(&stores[0]).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let events = i64::try_from(WRITERS * ROUNDS * 2).unwrap();
    assert_eq!(holds(&stores[1]).await.events, events);
}

async fn events_are_found_by_what_is_known_of_them(bed: Bed) {
    let store = bed.open().await;
    let (acme, other) = (organization("acme"), organization("other"));
    let web = project(&acme, "web");
    let ada = store.by(somebody());
    ada.create(&acme).await.unwrap();
    ada.create(&other).await.unwrap();
    store.create(&web).await.unwrap();
    ada.audit(AuditNote {
        outcome: AuditOutcome::Refused,
        ..AuditNote::of(Deed::SignIn, Kind::Session, &"", "ada@example.com")
    })
    .await
    .unwrap();

    let found = async |filter: AuditFilter| -> Vec<i64> {
        let page = store.audit_log(&filter).await.unwrap();
        page.items.iter().map(|event| event.number).collect()
    };
    let all = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    for (filter, expect) in [
        (all(), vec![4, 3, 2, 1]),
        (AuditFilter { limit: 2, ..all() }, vec![4, 3]),
        (
            AuditFilter {
                limit: 2,
                before: Some(3),
                ..all()
            },
            vec![2, 1],
        ),
        (
            AuditFilter {
                organizations: Some(vec![]),
                ..all()
            },
            vec![],
        ),
        (
            AuditFilter {
                organizations: Some(vec![acme.id]),
                ..all()
            },
            vec![3, 1],
        ),
        (
            AuditFilter {
                organizations: Some(vec![]),
                projects: vec![web.id],
                ..all()
            },
            vec![3],
        ),
        (
            AuditFilter {
                organizations: Some(vec![acme.id]),
                organization: Some(other.id),
                ..all()
            },
            vec![],
        ),
        (
            AuditFilter {
                organization: Some(other.id),
                ..all()
            },
            vec![2],
        ),
        (
            AuditFilter {
                project: Some(web.id),
                ..all()
            },
            vec![3],
        ),
        (
            AuditFilter {
                actor: text("the-account"),
                ..all()
            },
            vec![4, 2, 1],
        ),
        (
            AuditFilter {
                actor: text("lingate"),
                ..all()
            },
            vec![3],
        ),
        (
            AuditFilter {
                action: text("organization"),
                ..all()
            },
            vec![2, 1],
        ),
        (
            AuditFilter {
                action: text("session.sign_in"),
                ..all()
            },
            vec![4],
        ),
        (
            AuditFilter {
                object: Some(web.id.to_string()),
                ..all()
            },
            vec![3],
        ),
        (
            AuditFilter {
                object: text("acme"),
                ..all()
            },
            vec![1],
        ),
        (
            AuditFilter {
                outcome: Some(AuditOutcome::Refused),
                ..all()
            },
            vec![4],
        ),
        (
            AuditFilter {
                request_id: text(WORK),
                ..all()
            },
            vec![4, 2, 1],
        ),
        (
            AuditFilter {
                since: Some(i64::MAX),
                ..all()
            },
            vec![],
        ),
        (
            AuditFilter {
                until: Some(0),
                ..all()
            },
            vec![],
        ),
        // No text is more than a text.
        (
            AuditFilter {
                actor: text("' OR 1 = 1 --"),
                ..all()
            },
            vec![],
        ),
        (
            AuditFilter {
                object: text("a\0b"),
                ..all()
            },
            vec![],
        ),
    ] {
        let asked = format!("{filter:?}");
        assert_eq!(found(filter).await, expect, "{asked}");
    }
    let page = AuditFilter { limit: 2, ..all() };
    assert_eq!(store.audit_log(&page).await.unwrap().next, Some(3));
}
