//! Plans as tables: a snapshot, what is asked, who serves it.

use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::{
    AuthScheme, Class, Endpoint, Fault, KeyPool, Moment, Next, Pattern, Purse, Route, RouteTarget,
    Stated, StreamPolicy, Walk, Wanted,
};

fn provider(
    name: &str,
    catalog_id: Option<&str>,
    dialects: &[DialectId],
    keys: &[&str],
    models: &[&str],
) -> Arc<Provider> {
    Arc::new(Provider {
        name: name.to_owned(),
        catalog_id: catalog_id.map(str::to_owned),
        endpoints: dialects
            .iter()
            .map(|dialect| Endpoint {
                dialect: *dialect,
                base_url: format!("https://{name}.example/v1"),
                auth: AuthScheme {
                    header: "authorization".to_owned(),
                    format: "Bearer {key}".to_owned(),
                },
                headers: Vec::new(),
            })
            .collect(),
        keys: KeyPool::new(keys.iter().map(|key| SecretString::from(*key))),
        models: models.iter().map(|model| (*model).to_owned()).collect(),
        ..Provider::default()
    })
}

fn target(provider: usize, model: Option<&str>, priority: u32) -> RouteTarget {
    RouteTarget {
        priority,
        ..RouteTarget::at(provider, model)
    }
}

fn route(model: &str, targets: Vec<RouteTarget>, fallbacks: &[&str]) -> Route {
    Route {
        fallbacks: fallbacks.iter().map(|name| (*name).to_owned()).collect(),
        ..Route::to(Pattern::parse(model).unwrap(), targets)
    }
}

/// openai (0, chat), anthropic (1, messages), both (2, chat and messages, declares models), idle (3, gemini without a key).
fn snapshot() -> Snapshot {
    use DialectId::{Chat, Gemini, Messages};
    Snapshot {
        providers: vec![
            provider("openai", Some("openai"), &[Chat], &["key-openai"], &[]),
            provider(
                "anthropic",
                Some("anthropic"),
                &[Messages],
                &["key-anthropic"],
                &[],
            ),
            provider(
                "both",
                None,
                &[Chat, Messages],
                &["key-both"],
                &["qwen3-32b", "local-*"],
            ),
            provider("idle", Some("gemini"), &[Gemini], &[], &["local-gemini"]),
        ]
        .into(),
        routes: vec![
            route(
                "fast",
                vec![
                    target(1, Some("claude-haiku-4-5"), 1),
                    target(0, Some("gpt-5.4-nano"), 0),
                ],
                &["gpt-4o", "slow"],
            ),
            route("slow", vec![target(1, Some("claude-opus-5"), 0)], &["fast"]),
            route("house-*", vec![target(2, None, 0)], &[]),
            route(
                "/^o[0-9]x/",
                vec![target(0, None, 0), target(0, None, 0)],
                &[],
            ),
        ]
        .into(),
        ..Snapshot::default()
    }
}

fn describe(snapshot: &Snapshot, model: &str, dialect: DialectId) -> String {
    let ask = Ask {
        model,
        dialect,
        stream: false,
        facts: &Stated::default(),
    };
    match plan(snapshot, &ask, &mut || 0) {
        Ok(plan) => plan
            .targets()
            .map(|target| {
                let endpoint = &target.provider.endpoints[target.endpoint];
                format!(
                    "{}:{}:{}",
                    target.provider.name, endpoint.dialect, target.model
                )
            })
            .collect::<Vec<_>>()
            .join(" "),
        Err(none) => none.to_string(),
    }
}

#[test]
fn each_claim_in_its_turn() {
    let snapshot = snapshot();
    for (model, expect) in [
        // written out
        ("anthropic/gpt-4o", "anthropic:messages:gpt-4o"),
        ("both/meta/llama:3~x", "both:chat:meta/llama:3~x"),
        ("openai/fast", "openai:chat:fast"),
        // a slash that names no provider
        ("meta/llama", "no provider serves the model `meta/llama`"),
        ("anthropic/", "no provider serves the model `anthropic/`"),
        // routes: by priority, then fallbacks without their own fallbacks, each target once
        (
            "fast",
            "openai:chat:gpt-5.4-nano anthropic:messages:claude-haiku-4-5 openai:chat:gpt-4o anthropic:messages:claude-opus-5",
        ),
        ("house-1", "both:chat:house-1"),
        ("o9x-preview", "openai:chat:o9x-preview"),
        // the catalogue
        ("gpt-4o", "openai:chat:gpt-4o"),
        ("claude-sonnet-5", "anthropic:messages:claude-sonnet-5"),
        // the catalogue's provider has no key
        (
            "gemini-4-carbon",
            "no provider serves the model `gemini-4-carbon`",
        ),
        // declared, by name and by pattern
        ("qwen3-32b", "both:chat:qwen3-32b"),
        ("local-gemini", "both:chat:local-gemini"),
        // nobody
        (
            "claud-opus-5",
            "no provider serves the model `claud-opus-5`; close matches: claude-opus-5, claude-opus-5-5, claude-opus-4-5",
        ),
        ("", "no provider serves the model ``"),
    ] {
        assert_eq!(
            describe(&snapshot, model, DialectId::Chat),
            expect,
            "{model}"
        );
    }
}

#[test]
fn the_route_that_decided_is_named() {
    let snapshot = snapshot();
    for (model, expect) in [
        ("slow", Some(1)),
        ("gpt-4o", None),
        ("anthropic/fast", None),
    ] {
        let ask = Ask {
            model,
            dialect: DialectId::Chat,
            stream: true,
            facts: &Stated::default(),
        };
        assert_eq!(
            plan(&snapshot, &ask, &mut || 0).unwrap().route,
            expect,
            "{model}"
        );
    }
}

#[test]
fn the_callers_dialect_is_preferred() {
    let snapshot = snapshot();
    for (dialect, expect) in [
        (DialectId::Chat, "both:chat:m"),
        (DialectId::Messages, "both:messages:m"),
        (DialectId::Gemini, "both:chat:m"),
    ] {
        assert_eq!(describe(&snapshot, "both/m", dialect), expect);
    }
}

#[test]
fn direct_never_converts() {
    let snapshot = Snapshot {
        mode: Mode::Direct,
        ..snapshot()
    };
    for (model, dialect, expect) in [
        ("both/m", DialectId::Messages, "both:messages:m"),
        (
            "fast",
            DialectId::Messages,
            "anthropic:messages:claude-haiku-4-5 anthropic:messages:claude-opus-5",
        ),
        (
            "gpt-4o",
            DialectId::Messages,
            "the provider `openai` of the model `gpt-4o` does not speak the dialect messages, and mode `direct` does not convert",
        ),
    ] {
        assert_eq!(describe(&snapshot, model, dialect), expect);
    }
}

#[test]
fn what_nothing_claims() {
    let preferred = Snapshot {
        preferred_provider: Some(1),
        ..snapshot()
    };
    assert_eq!(
        describe(&preferred, "x/y", DialectId::Chat),
        "anthropic:messages:x/y"
    );
    assert_eq!(
        describe(&preferred, "gpt-4o", DialectId::Chat),
        "openai:chat:gpt-4o"
    );

    let alone = Snapshot {
        providers: vec![
            provider("here", None, &[DialectId::Chat], &["key-here"], &["a"]),
            provider("off", None, &[DialectId::Chat], &[], &[]),
        ]
        .into(),
        ..Snapshot::default()
    };
    assert_eq!(
        describe(&alone, "claude-opus-5", DialectId::Gemini),
        "here:chat:claude-opus-5"
    );
    assert_eq!(describe(&alone, "here/z", DialectId::Gemini), "here:chat:z");
    assert_eq!(
        describe(&Snapshot::default(), "a", DialectId::Chat),
        "no provider serves the model `a`"
    );
}

#[test]
fn callers_who_bring_keys_reach_providers_without() {
    let snapshot = Snapshot {
        auth: Auth::Passthrough,
        ..snapshot()
    };
    assert_eq!(
        describe(&snapshot, "gemini-4-carbon", DialectId::Chat),
        "idle:gemini:gemini-4-carbon"
    );
    assert_eq!(
        describe(&snapshot, "local-gemini", DialectId::Chat),
        "both:chat:local-gemini idle:gemini:local-gemini"
    );
}

/// Who is tried at first.
fn first(snapshot: &Snapshot, model: &str, now: Moment) -> String {
    let ask = Ask {
        model,
        dialect: DialectId::Chat,
        stream: false,
        facts: &Stated::default(),
    };
    let plan = plan(snapshot, &ask, &mut || 0).unwrap();
    match Walk::new(plan, Purse::Pool, now).next(now, &mut || 0) {
        Next::Try(attempt) => attempt.target.provider.name.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn targets_at_rest_are_passed_over_also_after_a_reload() {
    let snapshot = snapshot();
    let now = Moment::from_millis(10);
    let openai = &snapshot.providers[0].keys;
    let key = openai.take(&Wanted::of("gpt-4o"), now).unwrap();
    openai.report(&key, "gpt-4o", &Fault::new(Class::KeyDead), now);
    assert_eq!(first(&snapshot, "fast", now), "anthropic");
    let later = Moment::from_millis(60_010);
    assert_eq!(first(&snapshot, "fast", later), "openai");

    let reloaded = self::snapshot();
    reloaded.inherit(&snapshot);
    assert_eq!(first(&reloaded, "fast", now), "anthropic");
}

#[test]
fn nothing_shows_a_secret() {
    let mut with_proxy = provider("p", None, &[DialectId::Chat], &["sk-hidden-key-1"], &[]);
    let inner = Arc::get_mut(&mut with_proxy).unwrap();
    inner.proxy = Some("socks5://user:hidden@host".to_owned());
    inner.endpoints[0]
        .headers
        .push(("x-extra".to_owned(), "hidden".to_owned()));
    let shown = format!("{with_proxy:?}");
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(
        shown.contains("x-extra") && shown.contains("ey-1"),
        "{shown}"
    );
}

#[test]
fn targets_are_handled_as_their_route_says() {
    let mut snapshot = snapshot();
    snapshot.defaults.handling = Handling {
        stream: StreamPolicy::Never,
        continuations: 2,
    };
    let mut own = route("own", vec![target(0, None, 0)], &["plain"]);
    own.stream = Some(StreamPolicy::Always);
    let mut plain = route("plain", vec![target(1, None, 0)], &[]);
    plain.continuations = Some(0);
    snapshot.routes = vec![own, plain].into();
    let check = |model: &str, expect: &[(StreamPolicy, u32)]| {
        let ask = Ask {
            model,
            dialect: DialectId::Chat,
            stream: true,
            facts: &Stated::default(),
        };
        let planned = plan(&snapshot, &ask, &mut || 0).unwrap();
        let found: Vec<(StreamPolicy, u32)> = planned
            .targets()
            .map(|target| (target.handling.stream, target.handling.continuations))
            .collect();
        assert_eq!(found, expect, "{model}");
    };
    check("own", &[(StreamPolicy::Always, 2); 2]);
    check("plain", &[(StreamPolicy::Never, 0)]);
    check("openai/other", &[(StreamPolicy::Never, 2)]);
}

/// Endpoints in place of those that a provider has for each dialect.
fn placed(id: &str, places: &[(DialectId, &str)]) -> Provider {
    let dialects: Vec<DialectId> = places.iter().map(|(dialect, _)| *dialect).collect();
    let provider = provider(id, Some(id), &dialects, &["key"], &[]);
    let mut provider = Arc::into_inner(provider).unwrap();
    for (endpoint, (_, place)) in provider.endpoints.iter_mut().zip(places) {
        (*place).clone_into(&mut endpoint.base_url);
    }
    provider
}

/// Some models are served in one dialect only, or better in it; that is known of the provider's own places, and of no others.
#[test]
fn models_have_dialects_that_they_are_served_in() {
    use DialectId::{Chat, Gemini, Messages, Responses};
    const OWN: &str = "https://api.openai.com/v1";
    const AZURE: &str = "https://mine.openai.azure.com/openai/v1";
    let own = placed("openai", &[(Chat, OWN), (Responses, OWN)]);
    let region = "https://eu.api.openai.com/v1";
    let region = placed("openai", &[(Chat, region), (Responses, region)]);
    let azure = placed("azure-openai", &[(Chat, AZURE), (Responses, AZURE)]);
    let other = "http://localhost:4000/v1";
    let other = placed("openai", &[(Chat, other), (Responses, other)]);
    let chat = placed("openai", &[(Chat, OWN)]);
    let check = |provider: &Provider, model: &str, caller, expect| {
        let (_, endpoint) = provider.endpoint(caller, model).unwrap();
        assert_eq!(
            endpoint.dialect, expect,
            "{model} for {caller} at {provider:?}"
        );
    };
    for provider in [&own, &region, &azure] {
        for caller in DialectId::ALL {
            check(provider, "gpt-5.4-pro", caller, Responses);
            check(provider, "gpt-5.3-codex", caller, Responses);
        }
        for caller in [Messages, Gemini, Responses] {
            check(provider, "gpt-5.4", caller, Responses);
        }
        check(provider, "gpt-5.4", Chat, Chat);
        check(provider, "gpt-4.1", Messages, Chat);
        check(provider, "gpt-4.1", Responses, Responses);
        check(provider, "something-else", Gemini, Chat);
    }
    for caller in [Chat, Messages, Gemini] {
        check(&other, "gpt-5.4-pro", caller, Chat);
        check(&other, "gpt-5.4", caller, Chat);
        check(&chat, "gpt-5.4-pro", caller, Chat);
    }
    check(&other, "gpt-5.4", Responses, Responses);
}

#[test]
fn a_chain_for_timeouts_is_gone_through_whatever_fails_in_it() {
    use crate::FallbacksOn;
    let snapshot = Snapshot {
        routes: vec![Route {
            fallbacks_on: FallbacksOn {
                timeout: Some(vec!["anthropic/a".to_owned(), "both/b".to_owned()]),
                ..FallbacksOn::default()
            },
            ..route("m", vec![target(0, None, 0)], &["both/plain"])
        }]
        .into(),
        ..snapshot()
    };
    let ask = Ask {
        model: "m",
        dialect: DialectId::Chat,
        stream: false,
        facts: &Stated::default(),
    };
    let now = Moment::from_millis(10);
    for (classes, expect) in [
        ([Class::Timeout, Class::Upstream, Class::Upstream], "m a b"),
        (
            [Class::Upstream, Class::Timeout, Class::Upstream],
            "m plain a b",
        ),
    ] {
        let plan = plan(&snapshot, &ask, &mut || 0).unwrap();
        let mut walk = Walk::new(plan, Purse::Pool, now);
        let mut tried = Vec::new();
        let mut classes = classes.into_iter();
        while let Next::Try(attempt) = walk.next(now, &mut || 0) {
            tried.push(attempt.target.model.clone());
            let class = classes.next().unwrap_or(Class::Upstream);
            walk.failed(*attempt, &Fault::new(class), now);
        }
        assert_eq!(tried.join(" "), expect);
    }
}

#[test]
fn an_answer_tells_how_fast_it_was_written_streamed_or_not() {
    use crate::Measure;
    for (streamed, first, each) in [(true, 1_000, 20_000.0), (false, 3_000, 30_000.0)] {
        let snapshot = snapshot();
        let ask = Ask {
            model: "both/m",
            dialect: DialectId::Chat,
            stream: streamed,
            facts: &Stated::default(),
        };
        let at = Moment::from_millis;
        let plan = plan(&snapshot, &ask, &mut || 0).unwrap();
        let Next::Try(mut attempt) = Walk::new(plan, Purse::Pool, at(0)).next(at(0), &mut || 0)
        else {
            panic!("nothing to try");
        };
        // A stream begins after a second; a whole answer is there when it is complete.
        attempt.served(streamed, at(first));
        attempt.finished(100, at(3_000));
        let model = snapshot.providers[2].health.model("m", at(3_000));
        let mean = |measure, millis| model.gauge.mean(measure, at(millis));
        let micros = Duration::from_millis(first).as_secs_f64() * 1e6;
        assert_eq!(mean(Measure::FirstToken, first), Some(micros));
        assert_eq!(mean(Measure::PerToken, 3_000), Some(each), "{streamed}");
    }
}

#[test]
fn a_request_that_is_forbidden_to_all_keys_disables_one() {
    let forbidden = Fault {
        status: 403,
        ..Fault::new(Class::KeyDead)
    };
    let unauthorized = Fault {
        status: 401,
        ..Fault::new(Class::KeyDead)
    };
    // How many keys are put aside of four, when so many fail before one is served, if one is.
    for (fault, failing, expect) in [
        (&forbidden, 4, 1),
        (&forbidden, 3, 3),
        (&forbidden, 1, 1),
        (&unauthorized, 2, 2),
    ] {
        let keys = ["key-one-1", "key-two-2", "key-three-3", "key-four-4"];
        let many = provider("many", None, &[DialectId::Chat], &keys, &["m"]);
        let snapshot = Snapshot {
            providers: vec![Arc::clone(&many)].into(),
            ..Snapshot::default()
        };
        let ask = Ask {
            model: "m",
            dialect: DialectId::Chat,
            stream: false,
            facts: &Stated::default(),
        };
        let now = Moment::from_millis(10);
        let mut walk = Walk::new(plan(&snapshot, &ask, &mut || 0).unwrap(), Purse::Pool, now);
        for number in 0..4 {
            let Next::Try(mut attempt) = walk.next(now, &mut || 0) else {
                panic!("nothing to try");
            };
            if number < failing {
                walk.failed(*attempt, fault, now);
            } else {
                walk.served(&mut attempt, false, now);
                break;
            }
        }
        drop(walk);
        let states = many.keys.states(now);
        let disabled = states
            .iter()
            .filter(|standing| standing.state.name() == "disabled");
        assert_eq!(disabled.count(), expect, "{} {failing}", fault.status);
        // Whoever is to blame, the failures are counted.
        let failed: u64 = states.iter().map(|standing| standing.tally.failed).sum();
        assert_eq!(failed, failing);
        assert_eq!(first(&snapshot, "m", now), "many");
    }
}
