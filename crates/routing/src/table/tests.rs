//! Routes as tables, and against a scan of them all: whatever the routes and the request, both find the same.

use lingate_dialect::DialectId;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::{Ask, Stated, When};

fn route(model: &str, when: When) -> Route {
    Route {
        when,
        ..Route::to(Pattern::parse(model).unwrap(), Vec::new())
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn find(routes: &Routes, model: &str, facts: &Stated) -> Option<usize> {
    let ask = Ask {
        model: "the name counts, not this",
        dialect: DialectId::Chat,
        stream: false,
        facts,
    };
    routes.find(model, &Asked::new(&ask))
}

#[test]
fn the_first_that_matches_claims() {
    let routes: Routes = [
        "gpt-4o",
        "gpt-4*",
        "*-mini",
        "gpt-*",
        "/^o[0-9]/",
        "/flash/",
        "*pro*",
        "名*",
        "/^claude-(opus|sonnet)-/",
        "/$^/",
        "gpt-4o",
        "/^[a-z]+$/",
        "*",
    ]
    .into_iter()
    .map(|model| route(model, When::default()))
    .collect();
    for (model, expect) in [
        ("gpt-4o", Some(0)),
        ("gpt-4.1", Some(1)),
        ("gpt-5-mini", Some(2)),
        ("gpt-5", Some(3)),
        ("o3", Some(4)),
        ("o3-mini", Some(2)),
        ("gemini-2.5-flash", Some(5)),
        ("gemini-2.5-pro", Some(6)),
        ("名前", Some(7)),
        ("claude-opus-5", Some(8)),
        ("claude-haiku-5", Some(12)),
        ("", Some(9)),
        ("abc", Some(11)),
        ("GPT-4o", Some(12)),
    ] {
        assert_eq!(find(&routes, model, &Stated::default()), expect, "{model}");
    }
    let longest = "a".repeat(Pattern::LONGEST);
    assert_eq!(find(&routes, &longest, &Stated::default()), Some(11));
    assert_eq!(
        find(&routes, &format!("{longest}a"), &Stated::default()),
        None
    );
    assert_eq!(find(&Routes::default(), "gpt-4o", &Stated::default()), None);
    assert_eq!(
        routes.named("gpt-4o").collect::<Vec<_>>(),
        [0, 1, 3, 10, 12]
    );
}

#[test]
fn callers_have_their_own_routes() {
    let for_tenants = |names: &[&str]| When {
        tenants: owned(names),
        ..When::default()
    };
    let routes: Routes = vec![
        route("m", for_tenants(&["acme", "beta"])),
        route(
            "m",
            When {
                keys: owned(&["ci"]),
                tenants: owned(&["acme"]),
                ..When::default()
            },
        ),
        route(
            "*",
            When {
                keys: owned(&["ci"]),
                ..When::default()
            },
        ),
        route(
            "m",
            When {
                tags: owned(&["batch", "night"]),
                ..When::default()
            },
        ),
        route("m", When::default()),
        route("*", for_tenants(&["gamma"])),
    ]
    .into();
    let caller = |key: &str, tenant: &str, tags: &[&str]| Stated {
        key: Some(key.to_owned()).filter(|name| !name.is_empty()),
        tenant: Some(tenant.to_owned()).filter(|name| !name.is_empty()),
        tags: owned(tags),
        ..Stated::default()
    };
    for (facts, model, expect) in [
        (caller("ci", "beta", &[]), "m", Some(0)),
        (caller("ci", "acme", &[]), "m", Some(0)),
        (caller("ci", "gamma", &[]), "m", Some(2)),
        (caller("ci", "", &[]), "x", Some(2)),
        (
            caller("dev", "gamma", &["night", "x", "batch"]),
            "m",
            Some(3),
        ),
        (caller("dev", "gamma", &["batch"]), "m", Some(4)),
        (caller("dev", "gamma", &[]), "x", Some(5)),
        (caller("", "", &["night"]), "m", Some(4)),
        (caller("", "", &[]), "x", None),
    ] {
        assert_eq!(find(&routes, model, &facts), expect, "{facts:?} {model}");
    }
}

/// What a scan of all routes finds.
fn scan(routes: &[Route], model: &str, asked: &Asked<'_>) -> Option<usize> {
    routes
        .iter()
        .position(|route| route.model.matches(model) && route.when.holds(&asked.ask))
}

const PATTERNS: &[&str] = &[
    "a",
    "b",
    "ab",
    "aba",
    "bb-1",
    "é",
    "a*",
    "ab*",
    "b*",
    "*a",
    "*ba",
    "*-1",
    "*b*",
    "*ab*",
    "*é*",
    "a*b",
    "a*a*",
    "*",
    "**",
    "/a/",
    "/^a/",
    "/^ab|^b/",
    "/a$/",
    "/(b|ab)$/",
    "/^a.*b$/",
    "/^(a|b)+$/",
    "/b.*a/",
    "/.*ab.*/",
    "/(?i)^A/",
    "/(?i)B$/",
    "/^/",
    "/$/",
    "/^a?b/",
    "/a{2,3}/",
    "/^[ab]-/",
    "/[^a]/",
    r"/\bab\b/",
    "/^(?:ab)*$/",
    "/(?m)^b$/",
    "/é/",
    "/^$/",
    "/(^a|b$)/",
    "/((ab))/",
    "/^a$|b/",
    "/(?s:.)a(?-u:b)/",
];

/// [`PATTERNS`], read once: that takes longer than everything else.
fn patterns() -> Vec<Pattern> {
    PATTERNS
        .iter()
        .map(|written| Pattern::parse(written).unwrap())
        .collect()
}

fn tags(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    subsequence(of, 0..=of.len()).prop_map(|words| owned(&words))
}

fn condition() -> impl Strategy<Value = When> {
    let none = Just(When::default());
    let some = (
        tags(&["k1", "k2"]),
        tags(&["t1", "t2"]),
        tags(&["x", "y"]),
        proptest::option::of(any::<bool>()),
        proptest::option::weighted(0.3, (0u64..3, 0u64..3)),
    )
        .prop_map(|(keys, tenants, tags, stream, tokens)| When {
            tenants,
            keys,
            tags,
            stream,
            tokens,
            ..When::default()
        });
    prop_oneof![none, some]
}

fn facts() -> impl Strategy<Value = Stated> {
    (
        proptest::option::of(select(vec!["k1", "k2", "k3"])),
        proptest::option::of(select(vec!["t1", "t2", "t3"])),
        tags(&["x", "y", "z"]),
        0u64..3,
    )
        .prop_map(|(key, tenant, tags, tokens)| Stated {
            key: key.map(str::to_owned),
            tenant: tenant.map(str::to_owned),
            tags,
            tokens,
            ..Stated::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_table_finds_what_a_scan_finds(
        written in prop::collection::vec((select(patterns()), condition()), 0..24),
        names in prop::collection::vec("[abABé1\n-]{0,6}", 1..6),
        facts in facts(),
        stream in any::<bool>(),
    ) {
        let list: Vec<Route> = written.into_iter().map(|(model, when)| Route { when, ..Route::to(model, Vec::new()) }).collect();
        let routes = Routes::from(list.clone());
        let ask = Ask { model: "", dialect: DialectId::Chat, stream, facts: &facts };
        let asked = Asked::new(&ask);
        for name in names {
            prop_assert_eq!(routes.find(&name, &asked), scan(&list, &name, &asked), "{}", name);
            let named: Vec<usize> = routes.named(&name).collect();
            let matching: Vec<usize> = (0..list.len()).filter(|index| list[*index].model.matches(&name)).collect();
            prop_assert_eq!(named, matching, "{}", name);
        }
    }
}
