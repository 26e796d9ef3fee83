//! Names are text: whatever they look like, they are stored as they are, found as they are, or refused.

use lingate_metering::tenant::Organization;
use lingate_store::{Filter, StoreError};

use crate::bed::{Bed, on_both, organization};

on_both!(
    names_are_stored_and_found_as_they_are,
    what_begins_so_is_found_and_nothing_else,
    what_is_no_name_is_refused,
);

async fn names_are_stored_and_found_as_they_are(bed: Bed) {
    let store = bed.open().await;
    let names = [
        "'; DROP TABLE organizations; --",
        "\" OR 1=1",
        "$1",
        "?1",
        ":name",
        "100%",
        "a_b",
        "back\\slash",
        "北京",
        "Ünïcödé",
        // Another text, though it looks the same.
        "U\u{308}ni\u{308}co\u{308}de\u{301}",
        "🦀🦀",
        "\u{202e}right to left",
        "NULL",
        "acme",
        "Acme",
        "ACME",
        "{\"json\": []}",
    ];
    for name in names {
        let mut made = organization(name);
        made.rules.allow_models = vec![name.to_owned(), "nul\0".into()];
        store.create(&made).await.unwrap();
        let found = store.find::<Organization>(None, name).await.unwrap();
        assert_eq!(found.unwrap().value, made);
        let filter = Filter {
            name_prefix: Some(name.to_owned()),
            ..Filter::default()
        };
        let page = store.list::<Organization>(&filter).await.unwrap();
        assert_eq!(page.items.len(), 1, "{name}");
    }
    let all = store
        .list::<Organization>(&Filter::default())
        .await
        .unwrap();
    let listed: Vec<_> = all
        .items
        .iter()
        .map(|item| item.value.name.as_str())
        .collect();
    assert_eq!(listed, names);
}

async fn what_begins_so_is_found_and_nothing_else(bed: Bed) {
    let store = bed.open().await;
    for name in ["a%b", "a_b", "a\\b", "axb", "a", "ä", "b", "a\u{10ffff}z"] {
        store.create(&organization(name)).await.unwrap();
    }
    let check = async |prefix: &str, expect: &[&str]| {
        let filter = Filter {
            name_prefix: Some(prefix.to_owned()),
            ..Filter::default()
        };
        let page = store.list::<Organization>(&filter).await.unwrap();
        let names: Vec<_> = page
            .items
            .iter()
            .map(|item| item.value.name.as_str())
            .collect();
        assert_eq!(names, expect, "{prefix}");
    };
    check("a%", &["a%b"]).await;
    check("a_", &["a_b"]).await;
    check("a\\", &["a\\b"]).await;
    check("%", &[]).await;
    check("a", &["a%b", "a_b", "a\\b", "axb", "a", "a\u{10ffff}z"]).await;
    check("ä", &["ä"]).await;
    check(
        "",
        &["a%b", "a_b", "a\\b", "axb", "a", "ä", "b", "a\u{10ffff}z"],
    )
    .await;
}

async fn what_is_no_name_is_refused(bed: Bed) {
    let store = bed.open().await;
    let check = async |name: &str| {
        let refused = store.create(&organization(name)).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Invalid { field: "name", .. }),
            "{refused}"
        );
        assert!(refused.to_string().len() < 200);
        assert_eq!(store.find::<Organization>(None, name).await.unwrap(), None);
    };
    check("").await;
    check(" ").await;
    check(" acme").await;
    check("acme\u{a0}").await;
    check("a\0b").await;
    check("a\nb").await;
    check("acme/web").await;
    check(&"x".repeat(201)).await;
    check(&"x".repeat(1 << 20)).await;
    store.create(&organization(&"ü".repeat(200))).await.unwrap();

    let prefix = Filter {
        name_prefix: Some("\0".into()),
        ..Filter::default()
    };
    assert!(store.list::<Organization>(&prefix).await.is_err());
    let mut great = organization("great");
    great.rules.allow_models = vec!["x".repeat(1 << 20)];
    let refused = store.create(&great).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Invalid { field: "rules", .. }),
        "{refused}"
    );
}
