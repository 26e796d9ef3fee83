//! Signing in by another service's word: what is remembered on the way there, who somebody is, and what they hold by it.

use lingate_store::{
    AccountChange, NewAccount, NewMembership, PendingSignIn, Place, SignInProvider, Store,
    StoreError, new_id,
};
use serde_json::json;

use crate::bed::{Bed, on_both};

on_both!(
    a_sign_in_under_way_is_good_once_in_its_browser_and_for_a_time,
    whoever_is_put_out_has_begun_nothing,
    one_address_does_not_fill_the_memory,
    who_signs_in_for_the_first_time_many_times_at_once_is_one,
    an_identity_is_of_one_account,
    what_an_issuer_says_replaces_what_it_said,
);

const ISSUER: &str = "https://id.test";

async fn provider(store: &Store) -> SignInProvider {
    let new = SignInProvider {
        id: new_id(),
        name: "corp".to_owned(),
        issuer: ISSUER.to_owned(),
        client_id: "lingate".to_owned(),
        client_secret: None,
        enabled: true,
        spec: json!({}),
    };
    store.create_sign_in_provider(&new).await.unwrap().value
}

fn account(email: &str) -> NewAccount {
    NewAccount {
        id: new_id(),
        login: None,
        email: Some(email.to_owned()),
        name: email.to_owned(),
        password: None,
        temporary_until: None,
    }
}

fn pending(provider: &SignInProvider, state: &str) -> PendingSignIn {
    PendingSignIn {
        state_sha256: state.to_owned(),
        cookie_sha256: "cookie".to_owned(),
        provider: provider.id,
        account: None,
        redirect_uri: "https://gateway.test/callback".to_owned(),
        return_to: "/".to_owned(),
        address: "192.0.2.1".to_owned(),
        expires_at: 1000,
    }
}

async fn a_sign_in_under_way_is_good_once_in_its_browser_and_for_a_time(bed: Bed) {
    let store = bed.open().await;
    let provider = provider(&store).await;
    for state in ["a", "b", "c"] {
        let pending = pending(&provider, state);
        let begun = store.begin_pending_sign_in(&pending, 1);
        assert!(begun.await.unwrap());
    }
    let take = async |state: &str, cookie: &str, now| {
        let taken = store.take_pending_sign_in(state, cookie, now).await;
        taken.unwrap().is_some()
    };
    assert!(!take("a", "another", 2).await);
    assert!(!take("x", "cookie", 2).await);
    assert!(take("a", "cookie", 2).await);
    assert!(!take("a", "cookie", 2).await);
    assert!(take("b", "cookie", 999).await);
    assert!(!take("c", "cookie", 1000).await);
    // Whoever deletes the provider ends what is under way.
    let pending = pending(&provider, "d");
    let begun = store.begin_pending_sign_in(&pending, 1);
    assert!(begun.await.unwrap());
    let deleted = store.delete_sign_in_provider(provider.id, None);
    deleted.await.unwrap();
    assert!(!take("d", "cookie", 2).await);
}

async fn whoever_is_put_out_has_begun_nothing(bed: Bed) {
    let store = bed.open().await;
    let provider = provider(&store).await;
    let made = store.create_account(&account("ada@example.com"), &[]).await;
    let ada = made.unwrap().value.id;
    let left = async |state: &str| {
        let taken = store.take_pending_sign_in(state, "cookie", 2).await;
        taken.unwrap().is_some()
    };
    let begin = async |state: &str, account| {
        let pending = PendingSignIn {
            account,
            ..pending(&provider, state)
        };
        assert!(store.begin_pending_sign_in(&pending, 1).await.unwrap());
    };
    begin("kept", None).await;
    for way in 0..4 {
        begin("theirs", Some(ada)).await;
        match way {
            0 => drop(store.set_password(ada, "hash", None, None).await.unwrap()),
            1 => store.reset_totp(ada, None).await.unwrap(),
            2 => drop(store.end_other_sessions(ada, None).await.unwrap()),
            _ => {
                let block = AccountChange {
                    blocked: Some(true),
                    ..AccountChange::default()
                };
                drop(store.update_account(ada, &block, None).await.unwrap());
            }
        }
        assert!(!left("theirs").await, "{way}");
    }
    assert!(left("kept").await);
}

async fn one_address_does_not_fill_the_memory(bed: Bed) {
    let store = bed.open().await;
    let provider = provider(&store).await;
    let mut let_in = 0;
    for number in 0..1010 {
        let one = pending(&provider, &number.to_string());
        let_in += i32::from(store.begin_pending_sign_in(&one, 1).await.unwrap());
    }
    assert_eq!(let_in, 1000);
    let elsewhere = PendingSignIn {
        address: "192.0.2.2".to_owned(),
        ..pending(&provider, "elsewhere")
    };
    assert!(store.begin_pending_sign_in(&elsewhere, 1).await.unwrap());
    // What is over is forgotten.
    let later = pending(&provider, "later");
    assert!(store.begin_pending_sign_in(&later, 1000).await.unwrap());
}

async fn who_signs_in_for_the_first_time_many_times_at_once_is_one(bed: Bed) {
    let store = bed.open().await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        all.spawn(async move {
            let new = account("ada@example.com");
            store.create_account_of_subject(ISSUER, "1", &new).await
        });
    }
    let mut ids: Vec<_> = all.join_all().await;
    let first = ids.remove(0).unwrap();
    assert!(ids.into_iter().all(|id| id.unwrap() == first));
    let known = store.account_of_subject(ISSUER, "1").await.unwrap();
    assert_eq!(known, Some(first));
    assert_eq!(
        store
            .account_of_subject("https://b.test", "1")
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.identities(first).await.unwrap().len(), 1);
}

async fn an_identity_is_of_one_account(bed: Bed) {
    let store = bed.open().await;
    let new = account("ada@example.com");
    let ada = store.create_account_of_subject(ISSUER, "1", &new);
    let ada = ada.await.unwrap();
    let temporary = NewAccount {
        password: Some("hash".to_owned()),
        temporary_until: Some(1000),
        ..account("eve@example.com")
    };
    let eve = store
        .create_account(&temporary, &[])
        .await
        .unwrap()
        .value
        .id;
    // Whose it was before it stays.
    assert_eq!(store.link_subject(ISSUER, "1", eve).await.unwrap(), ada);
    assert!(store.identities(eve).await.unwrap().is_empty());
    let its = store.account(eve).await.unwrap().value;
    assert!(its.has_password && its.must_change_password);
    assert_eq!(its.password_expires_at, Some(1000));
    assert_eq!(store.link_subject(ISSUER, "2", eve).await.unwrap(), eve);
    let its = store.account(eve).await.unwrap().value;
    assert!(!its.has_password && !its.must_change_password);
    assert_eq!(its.password_expires_at, None);

    let identity = store.identities(eve).await.unwrap().remove(0).id;
    let foreign = store.unlink_subject(ada, identity).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })));
    let last = store.unlink_subject(eve, identity).await;
    assert!(matches!(last, Err(StoreError::LastOne { .. })));
    let given = store.set_password(eve, "hash", Some(2000), None).await;
    assert_eq!(given.unwrap().value.password_expires_at, Some(2000));
    let chosen = store.set_password(eve, "hash", None, None).await;
    assert_eq!(chosen.unwrap().value.password_expires_at, None);
    store.unlink_subject(eve, identity).await.unwrap();
    assert_eq!(store.account_of_subject(ISSUER, "2").await.unwrap(), None);
    // Identities go with their account.
    store.delete_account(ada, None).await.unwrap();
    assert_eq!(store.account_of_subject(ISSUER, "1").await.unwrap(), None);
}

async fn what_an_issuer_says_replaces_what_it_said(bed: Bed) {
    let store = bed.open().await;
    let organization = crate::bed::organization("acme");
    let place = Place::Organization(organization.id);
    store.create(&organization).await.unwrap();
    let new = account("ada@example.com");
    let ada = store
        .create_account_of_subject(ISSUER, "1", &new)
        .await
        .unwrap();
    let by_hand = NewMembership {
        place,
        role: "viewer".to_owned(),
        source: String::new(),
    };
    store.create_membership(ada, &by_hand).await.unwrap();
    let roles = async || {
        let held = store.memberships_of(ada).await.unwrap();
        let mut held: Vec<_> = held.into_iter().map(|one| one.role).collect();
        held.sort();
        held
    };
    let says = async |wanted: &[(Place, &str)]| {
        let wanted = wanted
            .iter()
            .map(|(place, role)| (*place, (*role).to_owned()));
        let wanted: Vec<_> = wanted.collect();
        store.replace_memberships(ada, ISSUER, &wanted).await
    };
    let gone = Place::Organization(new_id());
    says(&[
        (place, "owner"),
        (place, "viewer"),
        (Place::Platform, "operator"),
        (gone, "admin"),
    ])
    .await
    .unwrap();
    assert_eq!(roles().await, ["operator", "owner", "viewer"]);
    // Nothing is written where nothing changes.
    let before = store.revision().await.unwrap();
    says(&[
        (place, "owner"),
        (place, "viewer"),
        (Place::Platform, "operator"),
        (gone, "admin"),
    ])
    .await
    .unwrap();
    assert_eq!(store.revision().await.unwrap(), before);
    // The last operator and the last owner stay what they are; what was given by hand does, too.
    says(&[]).await.unwrap();
    assert_eq!(roles().await, ["operator", "owner", "viewer"]);
    let other = store.create_account(&account("eve@example.com"), &[]).await;
    let other = other.unwrap().value.id;
    for (place, role) in [(place, "owner"), (Place::Platform, "operator")] {
        let new = NewMembership {
            place,
            role: role.to_owned(),
            source: String::new(),
        };
        store.create_membership(other, &new).await.unwrap();
    }
    says(&[(place, "admin")]).await.unwrap();
    assert_eq!(roles().await, ["admin", "viewer"]);
    assert_eq!(store.accounts_by(ISSUER).await.unwrap(), [ada]);
}
