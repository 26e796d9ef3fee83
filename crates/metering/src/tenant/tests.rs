use std::net::IpAddr;
use std::sync::Arc;

use super::*;

fn secret(text: &str) -> KeySecret {
    KeySecret::of(text, None)
}

fn key(project: &Project, name: &str, shown: &[&str]) -> ApiKey {
    ApiKey {
        id: Id::declared(&["test key", name]),
        project: project.id,
        name: name.to_owned(),
        user: None,
        secrets: shown.iter().map(|text| secret(text)).collect(),
        expires_at: None,
        tags: Vec::new(),
        kind: None,
        doors: Vec::new(),
        addresses: Vec::new(),
        model_map: Vec::new(),
        hides_headers: false,
        rules: Rules::default(),
    }
}

fn project() -> Project {
    Project::named(&Organization::named(DEFAULT), DEFAULT)
}

fn sha256(text: &str) -> [u8; 32] {
    secret(text).sha256
}

/// The same name, and an id that the store gave.
fn stored(organization: &Organization, id: u128) -> Organization {
    Organization {
        id: Id::from_u128(id),
        ..organization.clone()
    }
}

#[test]
fn without_anything_declared_there_is_somebody_all_the_same() {
    let (directory, conflicts) = Directory::build(Vec::new());
    assert_eq!(conflicts, []);
    let anyone = directory.anyone();
    assert_eq!(
        (&*anyone.organization.name, &*anyone.project.name),
        (DEFAULT, DEFAULT)
    );
    assert!(directory.is_empty() && anyone.key.is_none());
    let levels: Vec<Level> = anyone.standings().map(|standing| standing.level).collect();
    assert_eq!(levels, [Level::Project, Level::Organization]);
}

#[test]
fn keys_are_found_by_what_they_show() {
    let organization = Organization::named("acme");
    let web = Project::named(&organization, "web");
    let alice = User::named(&organization, "alice");
    let with_user = ApiKey {
        user: Some(alice.id),
        ..key(&web, "laptop", &["new", "old"])
    };
    let declared = Declared {
        organizations: vec![organization],
        projects: vec![web],
        users: vec![alice],
        keys: vec![with_user, key(&project(), "plain", &["plain"])],
        ..Declared::default()
    };
    let (directory, conflicts) = Directory::build(vec![(Source::Configuration, declared)]);
    assert_eq!(conflicts, []);
    for (shown, expect) in [
        ("new", Some("acme/web/laptop alice")),
        ("old", Some("acme/web/laptop alice")),
        ("plain", Some("default/default/plain -")),
        ("Plain", None),
        ("", None),
    ] {
        let found = directory.showing(&sha256(shown)).map(|shown| {
            let principal = &shown.principal;
            let user = principal.user.as_ref();
            format!(
                "{}/{}/{} {}",
                principal.organization.name,
                principal.project.name,
                principal.name(),
                user.map_or("-", |user| &user.name)
            )
        });
        assert_eq!(found.as_deref(), expect, "{shown}");
    }
    for (name, expect) in [
        ("laptop", Ok("laptop")),
        ("acme/web/laptop", Ok("laptop")),
        ("web/laptop", Err(0)),
        ("nobody", Err(0)),
        ("", Err(0)),
    ] {
        let found = directory.called(name).map(|principal| principal.name());
        assert_eq!(found, expect, "{name}");
    }
    let id = directory.called("laptop").unwrap().key_id().unwrap();
    assert!(directory.called(&id.to_string()).is_ok());
}

#[test]
fn what_cannot_be_is_told_and_takes_nothing_else_along() {
    let acme = Organization::named("acme");
    let other = Organization::named("other");
    let web = Project::named(&acme, "web");
    let eve = User::named(&other, "eve");
    let lost = Id::from_u128(404);
    let configuration = Declared {
        organizations: vec![acme.clone(), other],
        projects: vec![web.clone()],
        users: vec![eve.clone()],
        keys: vec![key(&web, "one", &["one"])],
        ..Declared::default()
    };
    // The store has an organization of the same name under another id, and what belongs to it.
    let twin = stored(&acme, 7);
    let inner = Project {
        id: Id::from_u128(8),
        ..Project::named(&twin, "inner")
    };
    let store = Declared {
        organizations: vec![twin.clone(), twin.clone()],
        projects: vec![
            inner.clone(),
            Project {
                id: Id::from_u128(9),
                organization: lost,
                ..web.clone()
            },
        ],
        users: vec![User {
            id: Id::from_u128(10),
            organization: lost,
            ..eve.clone()
        }],
        keys: vec![
            key(&inner, "good", &["good"]),
            ApiKey {
                id: Id::from_u128(11),
                ..key(&web, "one", &["one again"])
            },
            ApiKey {
                project: lost,
                ..key(&web, "homeless", &["homeless"])
            },
            ApiKey {
                user: Some(lost),
                ..key(&web, "of nobody", &["of nobody"])
            },
            ApiKey {
                user: Some(eve.id),
                ..key(&web, "of eve", &["of eve"])
            },
            key(&inner, "thief", &["one", "own", "own"]),
            key(&inner, "good", &["good again"]),
        ],
        ..Declared::default()
    };
    // In whichever order the parts come.
    let (directory, conflicts) = Directory::build(vec![
        (Source::Store, store),
        (Source::Configuration, configuration),
    ]);
    let told: Vec<(Entity, &str, &Why)> = conflicts
        .iter()
        .map(|conflict| (conflict.entity, &*conflict.name, &conflict.why))
        .collect();
    let eves = Why::ForeignUser("eve".to_owned());
    let ones = Why::SameSecret("one".to_owned());
    assert_eq!(
        told,
        [
            (
                Entity::Organization,
                "acme",
                &Why::Replaced(Source::Configuration)
            ),
            (Entity::Organization, "acme", &Why::SameId),
            (
                Entity::Project,
                "web",
                &Why::Dangling(Entity::Organization, lost)
            ),
            (
                Entity::User,
                "eve",
                &Why::Dangling(Entity::Organization, lost)
            ),
            (Entity::Key, "one", &Why::SameName(Source::Configuration)),
            (
                Entity::Key,
                "homeless",
                &Why::Dangling(Entity::Project, lost)
            ),
            (Entity::Key, "of nobody", &Why::Dangling(Entity::User, lost)),
            (Entity::Key, "of eve", &eves),
            (Entity::Key, "thief", &ones),
            (Entity::Key, "good", &Why::SameId),
        ]
    );
    for (shown, expect) in [
        ("one", Some("one")),
        ("good", Some("good")),
        ("own", Some("thief")),
        ("one again", None),
        ("good again", None),
        ("homeless", None),
        ("of nobody", None),
        ("of eve", None),
    ] {
        let found = directory.showing(&sha256(shown));
        let found = found.map(|shown| shown.principal.name().to_owned());
        assert_eq!(found.as_deref(), expect, "{shown}");
    }
    // What belonged to the one belongs to the other, whose rules count.
    let good = &directory.showing(&sha256("good")).unwrap().principal;
    assert_eq!(good.organization.id, acme.id);
    assert_eq!(directory.organization(twin.id).unwrap().id, acme.id);
}

#[test]
fn what_is_mentioned_is_what_somebody_else_has_or_is_made() {
    let acme = Organization::named("acme");
    let web = Project::named(&acme, "web");
    let alice = User::named(&acme, "alice");
    let configuration = |keys| Declared {
        keys,
        mentioned: Mentioned {
            organizations: vec![acme.clone()],
            projects: vec![web.clone()],
            users: vec![alice.clone()],
        },
        ..Declared::default()
    };
    let mut known = stored(&acme, 7);
    known.rules.blocked = true;
    let stored_web = Project {
        id: Id::from_u128(8),
        ..Project::named(&known, "web")
    };
    let store = Declared {
        organizations: vec![known],
        projects: vec![stored_web],
        ..Declared::default()
    };
    for (store, organization, project) in [
        (Declared::default(), acme.id, web.id),
        (store, Id::from_u128(7), Id::from_u128(8)),
    ] {
        let laptop = ApiKey {
            user: Some(alice.id),
            ..key(&web, "laptop", &["laptop"])
        };
        let (directory, conflicts) = Directory::build(vec![
            (Source::Configuration, configuration(vec![laptop])),
            (Source::Store, store),
        ]);
        assert_eq!(conflicts, []);
        let found = &directory.showing(&sha256("laptop")).unwrap().principal;
        assert_eq!(
            (found.organization.id, found.project.id),
            (organization, project)
        );
        assert_eq!(found.user.as_ref().unwrap().name, "alice");
    }
}

#[test]
fn hashes_that_begin_alike_are_told_apart() {
    let mut keys = Vec::new();
    for last in 0..4 {
        let mut sha256 = [7; 32];
        sha256[31] = last;
        keys.push(ApiKey {
            secrets: vec![KeySecret {
                sha256,
                hint: String::new(),
                expires_at: None,
            }],
            ..key(&project(), &format!("key {last}"), &[])
        });
    }
    let declared = Declared {
        keys,
        ..Declared::default()
    };
    let (directory, conflicts) = Directory::build(vec![(Source::Store, declared)]);
    assert_eq!(conflicts, []);
    for last in 0..4 {
        let mut sha256 = [7; 32];
        sha256[31] = last;
        let found = directory.showing(&sha256).unwrap();
        assert_eq!(found.principal.name(), format!("key {last}"));
    }
    assert!(directory.showing(&[7; 32]).is_none());
}

const NOW: Millis = 1_800_000_000_000;

/// A principal whose key was changed.
fn principal(change: impl FnOnce(&mut ApiKey, &mut Project, &mut Organization)) -> Shown {
    let mut organization = Organization::named("acme");
    let mut web = Project::named(&organization, "web");
    let mut laptop = key(&web, "laptop", &["laptop"]);
    change(&mut laptop, &mut web, &mut organization);
    let declared = Declared {
        organizations: vec![organization],
        projects: vec![web],
        keys: vec![laptop],
        ..Declared::default()
    };
    let (directory, _) = Directory::build(vec![(Source::Configuration, declared)]);
    directory.showing(&sha256("laptop")).unwrap().clone()
}

#[test]
fn calls_that_are_not_admitted_say_whose_rule_it_is() {
    fn check(
        change: impl FnOnce(&mut ApiKey, &mut Project, &mut Organization),
        address: Option<&str>,
        expect: Result<(), (Level, &str)>,
    ) {
        let shown = principal(change);
        let call = Call {
            now: NOW,
            door: "chat",
            address: address.map(|address| address.parse::<IpAddr>().unwrap()),
        };
        let admitted = shown
            .is_good(NOW)
            .and_then(|()| shown.principal.admits(&call));
        match (admitted, expect) {
            (Ok(()), Ok(())) => {}
            (Err(denied), Err((level, words))) => {
                assert_eq!(denied.level, level);
                assert!(denied.to_string().contains(words), "{denied}");
            }
            (admitted, expect) => panic!("{admitted:?}, not {expect:?}"),
        }
    }
    let here = Some("127.0.0.1");
    check(|_, _, _| {}, here, Ok(()));
    check(
        |key, _, _| key.rules.blocked = true,
        here,
        Err((Level::Key, "this API key is blocked")),
    );
    check(
        |_, project, _| project.rules.blocked = true,
        here,
        Err((Level::Project, "the project `web` is blocked")),
    );
    check(
        |_, _, organization| organization.rules.blocked = true,
        here,
        Err((Level::Organization, "the organization `acme` is blocked")),
    );
    check(|key, _, _| key.expires_at = Some(NOW + 1), here, Ok(()));
    check(
        |key, _, _| key.expires_at = Some(NOW),
        here,
        Err((Level::Key, "is over since 2027-01-15T08:00:00Z")),
    );
    check(
        |key, _, _| key.secrets[0].expires_at = Some(NOW),
        here,
        Err((Level::Key, "replaced by a new one")),
    );
    check(
        |key, _, _| key.kind = Some(KeyKind::Inference),
        here,
        Ok(()),
    );
    for kind in [KeyKind::Management, KeyKind::ReadOnly] {
        check(
            |key, _, _| key.kind = Some(kind),
            here,
            Err((Level::Key, "asks no models")),
        );
    }
    check(|key, _, _| key.doors = vec!["chat".into()], here, Ok(()));
    check(
        |key, _, _| key.doors = vec!["messages".into(), "gemini".into()],
        here,
        Err((Level::Key, "it is for messages, gemini")),
    );
    for (address, expect) in [
        (Some("10.1.2.3"), true),
        (Some("::ffff:10.1.2.3"), true),
        (Some("11.1.2.3"), false),
        (Some("2001:db8::7"), true),
        (Some("2001:db9::7"), false),
        (Some("192.0.2.9"), true),
        (Some("192.0.2.10"), false),
        (None, false),
    ] {
        let lists = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.9/32"];
        let words = if address.is_some() {
            "may not be used from"
        } else {
            "not known"
        };
        check(
            |key, _, _| key.addresses = lists.map(|net| net.parse().unwrap()).to_vec(),
            address,
            if expect {
                Ok(())
            } else {
                Err((Level::Key, words))
            },
        );
    }
    // A list of addresses as IPv6 has them means IPv4's, too.
    check(
        |key, _, _| key.addresses = vec!["::ffff:10.0.0.0/104".parse().unwrap()],
        Some("::ffff:10.9.9.9"),
        Ok(()),
    );
}

/// Rules with these lists.
fn lists(allow: &[&str], deny: &[&str]) -> Rules {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Rules {
        allow_models: texts(allow),
        deny_models: texts(deny),
        ..Rules::default()
    }
}

#[test]
fn every_level_must_allow_a_model_and_none_deny_it() {
    let check = |key: Rules, project: Rules, organization: Rules, model: &str, expect| {
        let shown = principal(|k, p, o| {
            k.rules = key;
            p.rules = project;
            o.rules = organization;
        });
        let denied = shown.principal.may_ask_for(model).err();
        assert_eq!(denied.map(|denied| denied.level), expect, "{model}");
    };
    let all = Rules::default;
    check(all(), all(), all(), "m", None);
    check(lists(&["m"], &[]), all(), all(), "m", None);
    check(lists(&["m"], &[]), all(), all(), "n", Some(Level::Key));
    check(lists(&["m*"], &[]), lists(&["*1"], &[]), all(), "m1", None);
    check(
        lists(&["m*"], &[]),
        lists(&["*1"], &[]),
        all(),
        "m2",
        Some(Level::Project),
    );
    check(
        lists(&["m"], &[]),
        all(),
        lists(&[], &["m"]),
        "m",
        Some(Level::Organization),
    );
    check(
        lists(&["m*"], &["m2"]),
        all(),
        all(),
        "m2",
        Some(Level::Key),
    );
    check(lists(&["m*"], &["m2"]), all(), all(), "m1", None);
}

#[test]
fn no_other_spelling_passes() {
    let check = |rules: &Rules, model: &str, expect: bool| {
        let shown = principal(|key, _, _| key.rules = rules.clone());
        let may = shown.principal.may_ask_for(model);
        assert_eq!(may.is_ok(), expect, "{rules:?} {model:?}");
    };
    let spellings = [
        "gpt-5",
        "GPT-5",
        "Gpt-5",
        " gpt-5",
        "gpt-5 ",
        "gpt-5\n",
        "gpt-5\u{a0}",
        "gpt\u{200b}-5",
        "gpt-5\0",
        "openai/gpt-5",
        "OpenAI/GPT-5",
        "openrouter/openai/gpt-5",
        "models/gpt-5",
        "models/models/gpt-5",
        "/gpt-5",
        "gpt-5/",
        "//gpt-5//",
        "./gpt-5",
        "a/../gpt-5",
        "openai\\gpt-5",
        "openai%2Fgpt-5",
        "openai%2fgpt-5",
        "openai%252Fgpt-5",
        "gpt%2D5",
        "gpt%252D5",
        "%67pt-5",
        "gpt-5%20",
        "models%2Fgpt-5",
    ];
    for model in spellings {
        check(&lists(&[], &["gpt-5"]), model, false);
        check(&lists(&["*"], &["gpt-5*"]), model, false);
        check(&lists(&[], &["models/GPT-5"]), model, false);
        // Of what is allowed, none but the name itself is allowed.
        check(&lists(&["gpt-4o", "gpt-4o-*"], &[]), model, false);
        let same = matches!(model, "gpt-5" | "models/gpt-5");
        check(&lists(&["gpt-5"], &[]), model, same);
    }
    for (allow, deny, model, expect) in [
        (&["openai/*"][..], &[][..], "openai/gpt-5", true),
        (&["openai/*"], &[], "azure/gpt-5", false),
        (&["openai/*"], &[], "gpt-5", false),
        (&["gpt-*"], &[], "openai/gpt-5", false),
        (&["*"], &[], "openai/gpt-5", true),
        (&[], &["openai/*"], "openai/gpt-5", false),
        (&[], &["openai/*"], "gpt-5", true),
        (&[], &["gpt-5"], "gpt-5-mini", true),
        (&[], &["gpt-5"], "gpt-5:free", true),
        (&["gpt-4*"], &[], "gpt-5", false),
        (&["meta-llama/llama-4"], &[], "meta-llama/llama-4", true),
        (&["up-chat/replay-01~x"], &[], "up-chat/replay-01~x", true),
        (&["100%*"], &[], "100%-model", true),
        (&[], &["x"], "%", true),
        (&[], &["x"], "%x", true),
        (&[], &["x"], "", true),
    ] {
        check(&lists(allow, deny), model, expect);
    }
    // However long a name is, it is not looked at for long.
    check(&lists(&[], &["x"]), &"a/".repeat(256), true);
}

#[test]
fn a_map_leads_where_lists_allow() {
    let check = |map: &[(&str, &str)], rules: Rules, model: &str, expect: Result<&str, ()>| {
        let shown = principal(|key, _, _| {
            key.model_map = map
                .iter()
                .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
                .collect();
            key.rules = rules;
        });
        let may = shown.principal.may_ask_for(model);
        let routed = shown.principal.mapped(model).unwrap_or(model);
        assert_eq!(
            may.map(|()| routed).map_err(drop),
            expect,
            "{map:?} {model}"
        );
    };
    let fast = [("fast", "gpt-4o-mini")];
    check(&fast, lists(&["gpt-*"], &[]), "fast", Ok("gpt-4o-mini"));
    check(&fast, lists(&["gpt-*"], &[]), "slow", Err(()));
    check(&fast, lists(&["fast"], &[]), "fast", Err(()));
    check(&fast, lists(&[], &["gpt-*"]), "fast", Err(()));
    check(&fast, lists(&[], &["fast"]), "fast", Err(()));
    check(&fast, Rules::default(), "gpt-4o", Ok("gpt-4o"));
    // The first that matches, and once.
    let chain = [("a", "b"), ("b", "c"), ("*-big", "small"), ("x-*", "y")];
    check(&chain, Rules::default(), "a", Ok("b"));
    check(&chain, Rules::default(), "b", Ok("c"));
    check(&chain, Rules::default(), "x-big", Ok("small"));
}

#[test]
fn the_narrowest_plan_counts() {
    let plan = |own: Option<&str>, outer: Option<&str>| {
        let shown = principal(|key, _, organization| {
            key.rules.plan = own.map(str::to_owned);
            organization.rules.plan = outer.map(str::to_owned);
        });
        shown.principal.plan().map(str::to_owned)
    };
    assert_eq!(plan(None, None), None);
    assert_eq!(plan(None, Some("outer")).as_deref(), Some("outer"));
    assert_eq!(plan(Some("own"), Some("outer")).as_deref(), Some("own"));
}

#[test]
fn keys_are_known_by_their_form() {
    let minted = KeyText::mint([0xa5; 32]);
    let text = minted.expose();
    assert_eq!(text.len(), 55);
    assert_eq!(KeyText::mint([0xa5; 32]), minted);
    assert_ne!(KeyText::mint([0xa4; 32]), minted);
    assert_eq!(KeyText::mint([0; 32]).expose().len(), 55);
    assert_eq!(KeyText::mint([0xff; 32]).expose().len(), 55);
    assert_eq!(format!("{minted:?}"), "KeyText(…)");
    let secret = minted.secret(Some(7));
    assert_eq!(secret.hint, text[51..]);
    assert_eq!((secret.sha256, secret.expires_at), (sha256(text), Some(7)));
    assert_eq!(KeySecret::of("short", None).hint, "");

    let check = |text: &str, expect| assert_eq!(KeyText::likeness(text), expect, "{text}");
    check(text, Likeness::Whole);
    for length in 0..text.len() {
        let expect = if length < 6 {
            Likeness::Other
        } else {
            Likeness::Cut
        };
        check(&text[..length], expect);
    }
    check(&format!("{text}x"), Likeness::Mistyped);
    check(&format!("{text} "), Likeness::Mistyped);
    for place in 6..text.len() {
        let mut wrong = text.to_owned().into_bytes();
        wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
        check(std::str::from_utf8(&wrong).unwrap(), Likeness::Mistyped);
    }
    check("sk-lg-gegenüber", Likeness::Mistyped);
    check("sk-proj-abc", Likeness::Other);
}

#[test]
fn a_key_outlives_being_written_down() {
    let laptop = ApiKey {
        expires_at: Some(NOW),
        kind: Some(KeyKind::ReadOnly),
        addresses: vec!["10.0.0.0/8".parse().unwrap()],
        model_map: vec![("a".into(), "b".into())],
        rules: lists(&["a"], &["b"]),
        ..key(&project(), "laptop", &["laptop", "older"])
    };
    let written = serde_json::to_string(&laptop).unwrap();
    let read: ApiKey = serde_json::from_str(&written).unwrap();
    assert_eq!(read, laptop);
    let hash = &written.split("\"sha256\":\"").nth(1).unwrap()[..64];
    for bad in ["", "x", &hash[1..], &hash.replace(&hash[..1], "g")] {
        assert!(serde_json::from_str::<ApiKey>(&written.replace(hash, bad)).is_err());
    }
}

#[test]
fn what_a_plan_says_holds_for_everybody_who_has_it() {
    let limit = |amount: u64| -> crate::limit::Limit {
        serde_json::from_value(serde_json::json!({
            "id": Id::from_u128(7), "measure": "requests", "amount": amount, "window": {"sliding": 60},
        }))
        .unwrap()
    };
    let plan = PlanRules {
        plan: "basic".into(),
        rules: Rules {
            allow_models: vec!["gpt-*".into()],
            deny_models: vec!["gpt-5-pro".into()],
            limits: vec![limit(10)],
            ..Rules::default()
        },
    };
    let organization = |name: &str, plan: Option<&str>| {
        let mut organization = Organization::named(name);
        organization.rules.plan = plan.map(str::to_owned);
        organization
    };
    let all = [
        organization("a", Some("basic")),
        organization("b", Some("basic")),
        organization("c", None),
        organization("d", Some("gone")),
    ];
    let (projects, keys): (Vec<Project>, Vec<ApiKey>) = all
        .iter()
        .map(|organization| {
            let project = Project::named(organization, "p");
            let key = ApiKey {
                id: Id::declared(&["key", &organization.name]),
                project: project.id,
                name: organization.name.clone(),
                ..ApiKey::default()
            };
            (project, key)
        })
        .unzip();
    let terms = PlanTerms {
        organization: all[2].id,
        terms: vec![PlanTerm {
            plan: "basic".into(),
            begins: 100,
            ends: 200,
        }],
    };
    let declared = Declared {
        organizations: all.to_vec(),
        projects,
        keys,
        plans: vec![plan],
        terms: vec![terms],
        ..Declared::default()
    };
    let at = |now| Directory::build_at(vec![(Source::Configuration, declared.clone())], now).0;
    let directory = at(0);
    assert_eq!(directory.next_change(), Some(100));
    let of = |directory: &Directory, name: &str| Arc::clone(directory.called(name).unwrap());
    for (name, counters) in [("a", 1), ("b", 1), ("c", 0), ("d", 0)] {
        let principal = of(&directory, name);
        assert_eq!(principal.bounds.iter().count(), counters, "{name}");
        assert!(principal.may_ask_for("gpt-5").is_ok(), "{name}");
        assert_eq!(principal.may_ask_for("gpt-5-pro").is_ok(), counters == 0);
        assert_eq!(principal.may_ask_for("claude").is_ok(), counters == 0);
    }
    let counter = |name: &str| {
        of(&directory, name)
            .bounds
            .iter()
            .next()
            .unwrap()
            .whole(0)
            .0
    };
    assert_ne!(counter("a"), counter("b"), "each has all of it for itself");
    let refused = of(&directory, "a").may_ask_for("claude").unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("the plan `basic` of the organization `a` may not ask"),
        "{refused}"
    );
    let bounds = of(&directory, "a");
    let scope = bounds.bounds.iter().next().unwrap().scope();
    assert_eq!(scope.to_string(), "the plan `basic` of organization a");
    // For some time, exactly.
    for (now, holds) in [(99, false), (100, true), (199, true), (200, false)] {
        let directory = at(now);
        let principal = of(&directory, "c");
        assert_eq!(principal.plan(), holds.then_some("basic"), "{now}");
        assert_eq!(principal.may_ask_for("claude").is_err(), holds, "{now}");
        assert_eq!(principal.bounds.iter().count(), usize::from(holds), "{now}");
    }
}
