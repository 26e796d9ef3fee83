//! Tenants from outside: every refusal at every door, models by lists and maps, rotation, and what is left out for a key.

use std::time::Instant;

use lingate_testkit::client::Answer;

use crate::reload::write;
use crate::wire::Dialect;
use crate::world::{PATIENCE, World, providers};

/// Every door that asks who comes: method, path, and the dialect in which it refuses.
fn doors(model: &str) -> Vec<(&'static str, String, Dialect)> {
    let mut doors = Vec::new();
    for dialect in Dialect::ALL {
        doors.push(("POST", dialect.path(model, false), dialect));
        doors.push(("POST", dialect.path(model, true), dialect));
    }
    let gemini = format!("/v1beta/models/{}:countTokens", model.replace('/', "%2F"));
    doors.extend([
        (
            "POST",
            "/v1/messages/count_tokens".to_owned(),
            Dialect::Messages,
        ),
        (
            "POST",
            "/v1/responses/input_tokens".to_owned(),
            Dialect::Responses,
        ),
        ("POST", gemini, Dialect::Gemini),
        ("GET", "/v1/responses/resp_1".to_owned(), Dialect::Responses),
        (
            "DELETE",
            "/v1/responses/resp_1".to_owned(),
            Dialect::Responses,
        ),
        (
            "GET",
            "/v1/responses/resp_1/input_items".to_owned(),
            Dialect::Responses,
        ),
        (
            "POST",
            "/v1/responses/resp_1/cancel".to_owned(),
            Dialect::Responses,
        ),
        ("GET", "/v1/models".to_owned(), Dialect::Chat),
        ("GET", "/v1beta/models".to_owned(), Dialect::Gemini),
        ("GET", "/v1/models/up-chat%2Fm".to_owned(), Dialect::Chat),
    ]);
    doors
}

async fn ask(
    world: &World,
    key: &str,
    door: &(&'static str, String, Dialect),
    model: &str,
) -> Answer {
    let (method, path, dialect) = door;
    let bearer = format!("Bearer {key}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*bearer),
    ];
    let body = if *method == "POST" {
        dialect.request(model, path.contains("stream")).to_string()
    } else {
        String::new()
    };
    world.send(method, path, &headers, body.as_bytes()).await
}

const REFUSED: &str = "
organizations:
  acme:
    users: {eve: {blocked: true}}
    projects: {closed: {blocked: true}}
  bankrupt: {blocked: true}
api_keys:
  - {name: blocked, key: sk-canary-blocked, blocked: true}
  - {name: over, key: sk-canary-over, expires: 2020-01-01}
  - {name: closed, key: sk-canary-closed, project: acme/closed}
  - {name: bankrupt, key: sk-canary-bankrupt, project: bankrupt/any}
  - {name: eve, key: sk-canary-eve, tenant: acme, user: eve}
  - {name: far, key: sk-canary-far, addresses: [192.0.2.0/24]}
  - {name: manager, key: sk-canary-manager, kind: management}
  - {name: rotated, key: sk-canary-rotated, old_key: sk-canary-older, old_key_until: 2020-01-01}
";

#[tokio::test]
async fn every_door_refuses_for_every_reason() {
    let world = World::good(REFUSED).await;
    let model = "up-chat/m";
    for door in doors(model) {
        for (key, status, words) in [
            ("sk-canary-unknown", 401, "not one of this gateway's"),
            ("sk-lg-4Bz", 401, "was cut"),
            ("sk-canary-blocked", 403, "this API key is blocked"),
            ("sk-canary-over", 401, "over since 2020-01-01"),
            ("sk-canary-older", 401, "replaced by a new one"),
            ("sk-canary-closed", 403, "the project `closed` is blocked"),
            (
                "sk-canary-bankrupt",
                403,
                "the organization `bankrupt` is blocked",
            ),
            ("sk-canary-eve", 403, "the user `eve` is blocked"),
            ("sk-canary-far", 403, "may not be used from 127.0.0.1"),
            ("sk-canary-manager", 403, "asks no models"),
        ] {
            let answer = ask(&world, key, &door, model).await;
            assert_eq!(answer.status, status, "{door:?} {key}: {}", answer.text());
            let told = door.2.refusal(&answer);
            assert!(told.contains(words), "{door:?} {key}: {told}");
        }
    }
    assert!(world.upstream.received().is_empty());
}

#[tokio::test]
async fn doors_of_other_dialects_are_shut() {
    let settings = "api_keys: [{name: chats, key: sk-canary-caller, doors: [chat, gemini]}]";
    let world = World::good(settings).await;
    for dialect in Dialect::ALL {
        let answer = world.ask(dialect, "up-chat/m", false).await;
        let open = matches!(dialect, Dialect::Chat | Dialect::Gemini);
        assert_eq!(answer.status, if open { 200 } else { 403 }, "{dialect:?}");
        if !open {
            assert!(dialect.refusal(&answer).contains("it is for chat, gemini"));
        }
    }
}

#[tokio::test]
async fn an_allow_list_is_not_passed_by_other_spellings() {
    let settings = "
routes:
  - {model: small, targets: [{provider: up-chat, model: tiny}]}
  - {model: large, targets: [{provider: up-chat, model: huge}]}
preferred_provider: up-chat
organizations: {acme: {deny_models: [\"*secret*\"]}}
api_keys: [{name: laptop, key: sk-canary-caller, tenant: acme, models: [small, 'open-*']}]
";
    let world = World::good(settings).await;
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            for (model, expect) in [
                ("small", 200),
                ("open-1", 200),
                ("large", 403),
                ("LARGE", 403),
                ("up-chat/huge", 403),
                ("up-chat/small", 403),
                ("models/large", 403),
                ("unheard-of", 403),
                ("open-secret", 403),
                ("open-SECRET", 403),
            ] {
                let answer = world.ask(dialect, model, stream).await;
                assert_eq!(
                    answer.status,
                    expect,
                    "{dialect:?} {model}: {}",
                    answer.text()
                );
            }
        }
    }
    let post = async |path: &str, body: &str| world.post(path, &[], body.as_bytes()).await;
    let messages = r#""messages":[{"role":"user","content":"Hi"}]"#;
    let tagged =
        r#""messages":[{"role":"user","content":"<lingate-model>large</lingate-model>Hi"}]"#;
    let chat = "/v1/chat/completions";
    let cases = [
        (chat, format!(r#"{{"model":"small",{messages}}}"#), 200),
        (chat, format!(r#"{{"model":"small",{tagged}}}"#), 403),
        (
            chat,
            format!(r#"{{"model":"small","model":"large",{messages}}}"#),
            403,
        ),
        (
            chat,
            format!(r#"{{"model":"large","model":"small",{messages}}}"#),
            400,
        ),
        (
            chat,
            format!(r#"{{"model":"small","Model":"large",{messages}}}"#),
            400,
        ),
        (chat, format!(r#"{{"mod\u0065l":"large",{messages}}}"#), 403),
        (
            chat,
            format!(r#"{{"model":"small","models":["large"],{messages}}}"#),
            403,
        ),
        (
            chat,
            format!(r#"{{"model":"small","models":["open-2"],{messages}}}"#),
            200,
        ),
        (
            chat,
            format!(r#"{{"model":"small","fallbacks":[{{"model":"large"}}],{messages}}}"#),
            403,
        ),
        (
            "/openai/deployments/large/chat/completions",
            format!(r#"{{"model":"small",{messages}}}"#),
            403,
        ),
        (
            "/v1/messages/count_tokens",
            format!(r#"{{"model":"large",{messages}}}"#),
            403,
        ),
        (
            "/v1/responses/input_tokens",
            r#"{"model":"large","input":"Hi"}"#.to_owned(),
            403,
        ),
        (
            "/v1beta/models/large:countTokens",
            r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#.to_owned(),
            403,
        ),
        (
            "/v1beta/models/up-chat%2Fhuge:generateContent",
            r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#.to_owned(),
            403,
        ),
        (
            "/v1beta/models/models%2Flarge:generateContent",
            r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#.to_owned(),
            403,
        ),
    ];
    for (path, body, expect) in cases {
        let answer = post(path, &body).await;
        assert_eq!(answer.status, expect, "{path} {body}: {}", answer.text());
    }
    for spelled in ["large%20", "%6Carge", "up-chat%252Fhuge", "%E2%80%8Blarge"] {
        let path = format!("/v1beta/models/{spelled}:generateContent");
        let body = Dialect::Gemini.request("", false).to_string();
        let answer = post(&path, &body).await;
        assert_eq!(answer.status, 403, "{spelled}: {}", answer.text());
    }
    for spelled in ["large ", " large", "large\\n", "\\u200blarge"] {
        let answer = post(chat, &format!(r#"{{"model":"{spelled}",{messages}}}"#)).await;
        assert_eq!(answer.status, 403, "{spelled}: {}", answer.text());
    }
    // What the path names is what the upstream is asked for, whatever the body says.
    let body = format!(r#"{{"model":"huge",{messages}}}"#);
    let answer = post("/openai/deployments/open-1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for received in world.upstream.received() {
        let model = received.json()["model"].clone();
        assert!(
            model == "tiny" || model == "open-1" || model == "open-2",
            "{model}"
        );
    }
}

#[tokio::test]
async fn lists_of_models_hold_what_the_key_may_ask_for() {
    let settings = "
routes:
  - {model: small, targets: [{provider: up-chat, model: tiny}]}
  - {model: large, targets: [{provider: up-chat, model: huge}]}
api_keys:
  - {name: all, key: sk-canary-all}
  - {name: some, key: sk-canary-some, models: [small], model_map: {quick: small, slow: large}}
";
    let world = World::good(settings).await;
    for (key, expect) in [
        ("sk-canary-all", &["small", "large"][..]),
        ("sk-canary-some", &["small", "quick"]),
    ] {
        let bearer = format!("Bearer {key}");
        for (path, list, name, before) in [
            ("/v1/models", "data", "id", ""),
            ("/v1beta/models", "models", "name", "models/"),
            ("/v1/models?client_version=1", "models", "slug", ""),
        ] {
            let headers = [("authorization", &*bearer)];
            let answer = world.send("GET", path, &headers, b"").await.json();
            let names = answer[list].as_array().unwrap().iter();
            let names: Vec<&str> = names
                .map(|model| model[name].as_str().unwrap().trim_start_matches(before))
                .collect();
            assert_eq!(names, expect, "{key} {path}");
        }
        for model in ["small", "large", "quick"] {
            let path = format!("/v1/models/{model}");
            let answer = world
                .send("GET", &path, &[("authorization", &bearer)], b"")
                .await;
            let there = expect.contains(&model);
            assert_eq!(
                answer.status,
                if there { 200 } else { 404 },
                "{key} {model}"
            );
        }
    }
}

#[tokio::test]
async fn a_map_leads_elsewhere_and_answers_name_what_was_asked_for() {
    let settings = "
api_keys:
  - {name: mapped, key: sk-canary-caller, model_map: {fast: up-chat/tiny, 'gpt-*': up-messages/other}, lingate_headers: false}
  - {name: plain, key: sk-canary-plain}
";
    let world = World::good(settings).await;
    let answer = world.ask(Dialect::Messages, "fast", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["model"], "fast");
    let answer = world.ask(Dialect::Chat, "gpt-4o", false).await;
    assert_eq!(answer.json()["model"], "gpt-4o");
    let asked: Vec<String> = world
        .upstream
        .received()
        .iter()
        .map(|received| received.json()["model"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(asked, ["tiny", "other"]);
    // How it came about is not told, and what clients need of headers is.
    for model in ["fast", "nobody/x"] {
        let answer = world.ask(Dialect::Chat, model, false).await;
        let own = format!("{:?}", answer.headers).contains("x-lingate-");
        assert!(!own && !answer.header("x-request-id").is_empty(), "{model}");
    }
    let door = (
        "POST",
        Dialect::Chat.path("up-chat/m", false),
        Dialect::Chat,
    );
    let answer = ask(&world, "sk-canary-plain", &door, "up-chat/m").await;
    assert_eq!(answer.header("x-lingate-provider"), "up-chat");
}

#[tokio::test]
async fn only_trusted_proxies_say_where_a_request_comes_from() {
    let key = "api_keys: [{name: near, key: sk-canary-caller, addresses: [203.0.113.0/24]}]";
    for (proxies, expect) in [("", 403), ("trusted_proxies: [127.0.0.0/8]", 200)] {
        let world = World::good(&format!("{key}\n{proxies}")).await;
        let body = Dialect::Chat.request("up-chat/m", false).to_string();
        let path = Dialect::Chat.path("up-chat/m", false);
        let headers = [("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
        let answer = world.post(&path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, expect, "{proxies}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_key_that_is_replaced_keeps_its_answers_and_one_that_goes_is_refused() {
    let key = |rest: &str| {
        format!("api_keys: [{{name: laptop, {rest}}}, {{name: b, key: sk-canary-b}}]\n")
    };
    let world = World::good(&key("key: sk-canary-caller")).await;
    let stored = world.ask(Dialect::Responses, "up-chat/m", false).await;
    let path = format!("/v1/responses/{}", stored.json()["id"].as_str().unwrap());
    let get = async |key: &str| {
        let bearer = format!("Bearer {key}");
        world
            .send("GET", &path, &[("authorization", &bearer)], b"")
            .await
            .status
    };
    assert_eq!(
        (get("sk-canary-caller").await, get("sk-canary-b").await),
        (200, 404)
    );
    let rest = "key: sk-canary-new, old_key: sk-canary-caller, old_key_until: 2099-01-01";
    let configuration = |key: String| format!("{key}{}", providers(&world.upstream));
    write(&world, &configuration(key(rest)));
    let until = async |key: &str, expect: u16| {
        let begun = Instant::now();
        while get(key).await != expect {
            assert!(begun.elapsed() < PATIENCE, "{key}");
            tokio::task::yield_now().await;
        }
    };
    until("sk-canary-new", 200).await;
    assert_eq!(get("sk-canary-caller").await, 200);
    write(&world, &configuration(key("key: sk-canary-new")));
    until("sk-canary-caller", 401).await;
    assert_eq!(get("sk-canary-new").await, 200);
    // The last key goes, and the gateway does not open.
    write(&world, &providers(&world.upstream));
    until("sk-canary-new", 401).await;
    assert_eq!(get("nothing").await, 401);
}
