//! What clients ask before their first question: catalogues, probes, telemetry.

use lingate_testkit::Script;
use lingate_testkit::client::Connection;
use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::World;

/// A gateway with models of several vendors, known and unknown.
async fn world() -> World {
    World::configured(
        |upstream| {
            let url = upstream.url();
            format!(
                "providers:
  anthropic: {{base_url: \"{url}\", keys: [sk-canary-up-messages]}}
  openai: {{base_url: \"{url}/v1\", keys: [sk-canary-up-chat]}}
  gemini: {{base_url: \"{url}\", keys: [sk-canary-up-gemini], models: ['gemini-3*']}}
  own: {{base_url: \"{url}/v1\", dialects: [chat], keys: [sk-canary-own], models: [private-1]}}
  empty: {{base_url: \"{url}/v1\", dialects: [chat], models: [never-1]}}
routes: [{{model: claude-alias, targets: [{{provider: openai, model: gpt-5.1}}]}}, {{model: claude-dead, targets: [{{provider: empty}}]}}]"
            )
        },
        crate::world::good_answer,
    )
    .await
}

fn find<'a>(list: &'a Value, key: &str, id: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|model| model[key] == id)
}

#[tokio::test]
async fn codex_gets_every_key_that_it_demands() {
    let world = world().await;
    let path = "/v1/models?client_version=0.169.0";
    let answer = world.send("GET", path, &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    let models = list["models"].as_array().unwrap();
    assert!(models.len() > 20, "{}", models.len());
    for model in models {
        let text = |key: &str| {
            model[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key}: {model}"))
        };
        let flag = |key: &str| {
            model[key]
                .as_bool()
                .unwrap_or_else(|| panic!("{key}: {model}"))
        };
        assert!(!text("slug").is_empty() && !text("display_name").is_empty());
        assert!(!text("base_instructions").is_empty());
        assert!(
            [
                "default",
                "local",
                "unified_exec",
                "disabled",
                "shell_command"
            ]
            .contains(&text("shell_type"))
        );
        assert!(["list", "hide", "none"].contains(&text("visibility")));
        assert!(["freeform", "function"].contains(&text("apply_patch_tool_type")));
        for key in [
            "supported_in_api",
            "supports_reasoning_summaries",
            "support_verbosity",
            "supports_parallel_tool_calls",
        ] {
            flag(key);
        }
        assert!(model["priority"].is_i64());
        assert!(model["experimental_supported_tools"].is_array());
        assert!(
            ["bytes", "tokens"].contains(&model["truncation_policy"]["mode"].as_str().unwrap())
        );
        assert!(model["truncation_policy"]["limit"].is_i64());
        let levels = model["supported_reasoning_levels"].as_array().unwrap();
        for level in levels {
            let known = ["none", "minimal", "low", "medium", "high", "xhigh"];
            assert!(
                known.contains(&level["effort"].as_str().unwrap()),
                "{level}"
            );
            assert!(level["description"].is_string());
        }
        let default = &model["default_reasoning_level"];
        assert!(
            default.is_null() && levels.is_empty()
                || levels.iter().any(|level| level["effort"] == *default),
            "{model}"
        );
    }
    let opus = find(&list["models"], "slug", "claude-opus-5-5").unwrap();
    assert_eq!(opus["display_name"], "Claude Opus 5.5");
    assert_eq!(opus["context_window"], 1_000_000);
    assert_eq!(opus["input_modalities"], json!(["text", "image"]));
    let alias = find(&list["models"], "slug", "claude-alias").unwrap();
    assert_eq!(alias["context_window"], 272_000);
    assert!(find(&list["models"], "slug", "gemini-3.8-flash").is_some());
    for absent in ["gemini-2.5-pro", "claude-dead", "never-1"] {
        assert_eq!(find(&list["models"], "slug", absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_catalogue_that_did_not_change_is_not_sent_again() {
    let world = world().await;
    let path = "/v1/models?client_version=0.169.0";
    let first = world.send("GET", path, &[], b"").await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
    for (known, status) in [
        (tag.to_owned(), 304),
        (format!("\"other\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let again = world
            .send("GET", path, &[("if-none-match", &known)], b"")
            .await;
        assert_eq!(
            (again.status, again.body.is_empty()),
            (status, status == 304),
            "{known}"
        );
        assert_eq!(again.header("etag"), tag);
    }
    // Every answer to a client of Responses tells which catalogue is the current one, also one that is an error.
    let answer = world.post("/v1/responses", &[], b"{}").await;
    assert_eq!(answer.header("x-models-etag"), tag);
    let other = world.post("/v1/chat/completions", &[], b"{}").await;
    assert_eq!(other.header("x-models-etag"), "");
}

#[tokio::test]
async fn lists_say_what_is_known() {
    let world = world().await;
    let get = async |path: &str, headers: &[(&str, &str)]| {
        world.send("GET", path, headers, b"").await.json()
    };
    let anthropic = [("anthropic-version", "2023-06-01")];
    let list = get("/v1/models?limit=1000", &anthropic).await;
    let opus = find(&list["data"], "id", "claude-opus-5").unwrap();
    assert_eq!(opus["display_name"], "Claude Opus 5");
    assert_eq!(opus["created_at"], "2026-07-24T00:00:00Z");
    let capabilities = &opus["capabilities"];
    assert_eq!(capabilities["effort"]["max"]["supported"], true);
    assert_eq!(
        capabilities["thinking"]["types"]["enabled"]["supported"],
        false
    );
    assert_eq!(capabilities["pdf_input"]["supported"], true);
    let private = find(&list["data"], "id", "private-1").unwrap();
    assert_eq!(private["capabilities"], Value::Null);

    let list = get("/v1beta/models?pageSize=1000", &[]).await;
    let flash = find(&list["models"], "name", "models/gemini-3.8-flash").unwrap();
    assert_eq!(flash["inputTokenLimit"], 1_048_576);
    assert_eq!(flash["thinking"], true);
    assert!(
        flash["supportedGenerationMethods"]
            .as_array()
            .unwrap()
            .contains(&json!("countTokens"))
    );

    let list = get("/v1/models", &[]).await;
    let opus = find(&list["data"], "id", "claude-opus-5").unwrap();
    assert_eq!(opus["created"], 1_784_851_200);
    assert_eq!(opus["supported_endpoint_types"][0], "anthropic");
}

#[tokio::test]
async fn without_conversion_a_list_holds_what_its_client_can_ask() {
    let world = World::configured(
        |upstream| {
            let url = upstream.url();
            format!(
                "mode: direct
providers:
  a: {{base_url: \"{url}\", dialects: [messages], keys: [sk-canary-a], models: [m-a]}}
  c: {{base_url: \"{url}/v1\", dialects: [chat], keys: [sk-canary-c], models: [m-c]}}"
            )
        },
        crate::world::good_answer,
    )
    .await;
    for (path, headers, expect) in [
        ("/v1/models", &[][..], "m-c"),
        ("/v1/models", &[("anthropic-version", "x")][..], "m-a"),
        ("/v1beta/models", &[][..], ""),
        ("/v1/models?client_version=1", &[][..], ""),
    ] {
        let answer = world.send("GET", path, headers, b"").await;
        let list = answer.json();
        let models = [&list["data"], &list["models"]]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|model| model["id"].as_str())
            .collect::<String>();
        assert_eq!(
            (answer.status, models.as_str()),
            (200, expect),
            "{path} {headers:?}"
        );
    }
}

#[tokio::test]
async fn probes_are_answered_at_once_and_never_with_a_failure() {
    let world = World::good("").await;
    let small = |model: &str| json!({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]});
    let verify = json!({"model": "up-messages/m", "messages": [{"role": "user", "content": "Say this is a test"}], "temperature": 0, "max_tokens": 10});
    // An answer to HEAD says a length and has no body.
    let mut connection = Connection::open(world.gateway.address()).await.unwrap();
    connection.send("HEAD", "/", &[], b"").await.unwrap();
    let head = connection.read_until(b"\r\n\r\n").await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"));
    let claude = [
        ("anthropic-version", "2023-06-01"),
        ("x-api-key", "sk-canary-caller"),
    ];
    let google = [("x-goog-api-key", "sk-canary-caller")];
    for (method, path, headers, body, status, dialect) in [
        ("GET", "/", &claude[..], Value::Null, 200, None),
        ("GET", "/api/hello", &claude[..], Value::Null, 200, None),
        (
            "POST",
            "/api/event_logging/batch",
            &claude[..],
            json!({"events": []}),
            200,
            None,
        ),
        (
            "POST",
            "/api/event_logging/v2/batch",
            &[][..],
            json!({}),
            200,
            None,
        ),
        (
            "POST",
            "/api/claude_cli/profile",
            &claude[..],
            json!({}),
            200,
            None,
        ),
        (
            "POST",
            "/v1/messages?beta=true",
            &claude[..],
            small("up-chat/m"),
            200,
            None,
        ),
        (
            "GET",
            "/api/oauth/profile",
            &claude[..],
            Value::Null,
            404,
            Some(Dialect::Messages),
        ),
        (
            "GET",
            "/v1/mcp_servers?limit=1000",
            &claude[..],
            Value::Null,
            404,
            Some(Dialect::Messages),
        ),
        (
            "POST",
            "/v1internal:loadCodeAssist",
            &google[..],
            json!({}),
            404,
            Some(Dialect::Gemini),
        ),
        (
            "POST",
            "/v1internal:onboardUser",
            &[][..],
            json!({}),
            404,
            Some(Dialect::Gemini),
        ),
        ("GET", "/v1/v1/models", &[][..], Value::Null, 200, None),
        ("POST", "/v1/chat/completions", &[][..], verify, 200, None),
        (
            "GET",
            "/api/tags",
            &[][..],
            Value::Null,
            404,
            Some(Dialect::Chat),
        ),
    ] {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = world.send(method, path, headers, text.as_bytes()).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        if let Some(dialect) = dialect {
            let message = dialect.refusal(&answer);
            assert!(message.contains("there is nothing at"), "{path}: {message}");
        }
    }
}

#[tokio::test]
async fn the_prompt_has_tokens_from_the_first_event_on() {
    let world = World::good("").await;
    let mut body = Dialect::Messages.request("up-chat/m", true);
    body["system"] = json!("Say what is asked. ".repeat(500));
    let usage = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}});
    let mut events = Dialect::Chat.events();
    events.insert(events.len() - 1, format!("data: {usage}\n\n"));
    // What the upstream tells at last holds; where it tells nothing, the estimate does.
    for (events, expect) in [(events, 9..10), (Dialect::Chat.events(), 2_000..4_000)] {
        world.upstream.queue(Script::events(events));
        let answer = world
            .post("/v1/messages?beta=true", &[], body.to_string().as_bytes())
            .await;
        let text = answer.text();
        let tokens = |event: &str, pointer: &str| {
            let line = text.lines().find_map(|line| {
                line.strip_prefix("data:")
                    .filter(|data| data.contains(event))
            });
            let event: Value = serde_json::from_str(line.unwrap()).unwrap();
            event.pointer(pointer).and_then(Value::as_u64).unwrap()
        };
        let early = tokens("message_start", "/message/usage/input_tokens");
        assert!((2_000..4_000).contains(&early), "{early}: {text}");
        let told = tokens("message_delta", "/usage/input_tokens");
        assert!(expect.contains(&told), "{told}: {text}");
    }
}
