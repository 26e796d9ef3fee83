//! Requests that cannot be served: the right status in the caller's dialect, the field at fault named, and a line in the log.

use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::World;

/// Sends a body to a door and looks at the refusal: its status, its form, and the words that it must hold.
async fn check(world: &World, dialect: Dialect, path: &str, body: &[u8], status: u16, words: &str) {
    let (before, asked) = (lines(world), world.upstream.received().len());
    let answer = world.post(path, &[], body).await;
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    assert_eq!(
        answer.status,
        status,
        "{dialect:?} {path} {shown}: {}",
        answer.text()
    );
    let message = dialect.refusal(&answer);
    assert!(
        message.contains(words),
        "{dialect:?} {path} {shown}: {words:?} is not in {message:?}"
    );
    assert!(!answer.header("x-lingate-request-id").is_empty());
    let logged = crate::world::eventually(|| lines(world) > before).await;
    assert!(logged, "no line in the log for {path} {shown}");
    assert_eq!(
        world.upstream.received().len(),
        asked,
        "{shown} went upstream"
    );
}

fn lines(world: &World) -> usize {
    world.gateway.log().lines().count()
}

/// A request of `dialect` to a provider that speaks another.
fn converted(dialect: Dialect) -> (String, Dialect) {
    let other = match dialect {
        Dialect::Chat | Dialect::Gemini | Dialect::Responses => Dialect::Messages,
        Dialect::Messages => Dialect::Chat,
    };
    (format!("{}/m", other.provider()), other)
}

#[tokio::test]
async fn bodies_that_are_no_requests() {
    let world = World::good("").await;
    let deep = format!("{{\"model\": \"m\", \"messages\": {}", "[".repeat(200_000));
    let bodies: &[&[u8]] = &[
        b"",
        b" ",
        b"{",
        b"{\"model\": \"m\",}",
        b"{\"model\" \"m\"}",
        b"{\"model\": \"m\"} x",
        b"hello",
        b"[]",
        b"[1]",
        b"null",
        b"\"text\"",
        b"17",
        b"{\"model\": \"\xff\xfe\"}",
        b"{\"model\": \"\\ud800\"",
        b"{\"model\": \"m\", \"stream\": tru}",
        b"\x00\x01\x02",
        deep.as_bytes(),
    ];
    for dialect in Dialect::ALL {
        let (model, _) = converted(dialect);
        for body in bodies {
            for stream in [false, true] {
                check(
                    &world,
                    dialect,
                    &dialect.path(&model, stream),
                    body,
                    400,
                    "",
                )
                .await;
            }
        }
    }
}

#[tokio::test]
async fn fields_of_the_wrong_kind_are_named() {
    let world = World::good("").await;
    let with = |dialect: Dialect, change: &Value| {
        let (model, _) = converted(dialect);
        let mut body = dialect.request(&model, false);
        for (key, value) in change.as_object().unwrap() {
            if value == "(none)" {
                body.as_object_mut().unwrap().remove(key);
            } else {
                body[key] = value.clone();
            }
        }
        body
    };
    let cases = [
        (Dialect::Chat, json!({"model": "(none)"}), "model"),
        (Dialect::Chat, json!({"model": null}), "model"),
        (Dialect::Chat, json!({"model": 5}), "model"),
        (Dialect::Chat, json!({"model": ""}), "model"),
        (Dialect::Chat, json!({"stream": "yes"}), "stream"),
        (Dialect::Chat, json!({"messages": "(none)"}), "messages"),
        (Dialect::Chat, json!({"messages": "hi"}), "messages"),
        (Dialect::Chat, json!({"messages": [5]}), "messages.0"),
        (
            Dialect::Chat,
            json!({"messages": [{"content": "x"}]}),
            "messages.0.role",
        ),
        (
            Dialect::Chat,
            json!({"messages": [{"role": "owner", "content": "x"}]}),
            "messages.0.role",
        ),
        (
            Dialect::Chat,
            json!({"messages": [{"role": "user", "content": 5}]}),
            "messages.0.content",
        ),
        (
            Dialect::Chat,
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages.0.content.0",
        ),
        (
            Dialect::Chat,
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]}),
            "messages.0.content.0",
        ),
        (
            Dialect::Chat,
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages.0",
        ),
        (Dialect::Chat, json!({"tools": {}}), "tools"),
        (
            Dialect::Chat,
            json!({"tools": [{"type": "function"}]}),
            "tools.0",
        ),
        (Dialect::Chat, json!({"temperature": "hot"}), "temperature"),
        (Dialect::Chat, json!({"max_tokens": "many"}), "max_tokens"),
        (Dialect::Messages, json!({"model": "(none)"}), "model"),
        (Dialect::Messages, json!({"messages": "(none)"}), "messages"),
        (Dialect::Messages, json!({"messages": {}}), "messages"),
        (
            Dialect::Messages,
            json!({"max_tokens": "(none)"}),
            "max_tokens",
        ),
        (
            Dialect::Messages,
            json!({"max_tokens": "100"}),
            "max_tokens",
        ),
        (Dialect::Messages, json!({"system": 5}), "system"),
        (Dialect::Messages, json!({"stream": 1}), "stream"),
        (
            Dialect::Messages,
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}),
            "messages.0.content.0",
        ),
        (
            Dialect::Messages,
            json!({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
            "messages.0.content.0",
        ),
        (
            Dialect::Messages,
            json!({"tools": [{"description": "no name"}]}),
            "tools.0",
        ),
        (Dialect::Gemini, json!({"contents": "(none)"}), "contents"),
        (Dialect::Gemini, json!({"contents": 5}), "contents"),
        (
            Dialect::Gemini,
            json!({"contents": [{"role": "user", "parts": 5}]}),
            "contents.0.parts",
        ),
        (
            Dialect::Gemini,
            json!({"contents": [{"role": "user", "parts": [{"text": 5}]}]}),
            "contents.0.parts.0",
        ),
        (
            Dialect::Gemini,
            json!({"generationConfig": []}),
            "generationConfig",
        ),
        (
            Dialect::Gemini,
            json!({"generationConfig": {"temperature": "hot"}}),
            "temperature",
        ),
        (Dialect::Responses, json!({"model": "(none)"}), "model"),
        (Dialect::Responses, json!({"model": 5}), "model"),
        (Dialect::Responses, json!({"stream": "yes"}), "stream"),
        (Dialect::Responses, json!({"input": 5}), "input"),
        (Dialect::Responses, json!({"input": [5]}), "input.0"),
        (
            Dialect::Responses,
            json!({"input": [{"role": "user", "content": 5}]}),
            "input.0.content",
        ),
        (
            Dialect::Responses,
            json!({"input": [{"role": "owner", "content": "x"}]}),
            "input.0.role",
        ),
        (
            Dialect::Responses,
            json!({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}),
            "input.0.content.0",
        ),
        (
            Dialect::Responses,
            json!({"input": [{"type": "function_call_output", "output": "x"}]}),
            "input.0",
        ),
        (Dialect::Responses, json!({"tools": {}}), "tools"),
        (
            Dialect::Responses,
            json!({"tools": [{"type": "function"}]}),
            "tools.0",
        ),
        (
            Dialect::Responses,
            json!({"temperature": "hot"}),
            "temperature",
        ),
        (
            Dialect::Responses,
            json!({"max_output_tokens": "many"}),
            "max_output_tokens",
        ),
        (
            Dialect::Responses,
            json!({"previous_response_id": "resp_unknown"}),
            "resp_unknown",
        ),
    ];
    for (dialect, change, field) in cases {
        let (model, _) = converted(dialect);
        let body = with(dialect, &change);
        let path = dialect.path(&model, false);
        check(
            &world,
            dialect,
            &path,
            body.to_string().as_bytes(),
            400,
            field,
        )
        .await;
    }
}

/// What an upstream's dialect has no word for is refused before anything is sent, with its place in the caller's terms.
#[tokio::test]
async fn content_that_the_upstream_cannot_take() {
    let world = World::good("").await;
    let audio = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]});
    let mut chat = Dialect::Chat.request("up-messages/m", false);
    chat["messages"] = audio["messages"].clone();
    check(
        &world,
        Dialect::Chat,
        "/v1/chat/completions",
        chat.to_string().as_bytes(),
        400,
        "messages.0.content.1",
    )
    .await;
    let answer = world
        .post("/v1/chat/completions", &[], chat.to_string().as_bytes())
        .await;
    assert_eq!(answer.json()["error"]["param"], "messages.0.content.1");
    assert_eq!(answer.json()["error"]["code"], "unsupported_by_upstream");
    let gemini = json!({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]}]});
    let path = Dialect::Gemini.path("up-messages/m", false);
    check(
        &world,
        Dialect::Gemini,
        &path,
        gemini.to_string().as_bytes(),
        400,
        "contents.0.parts.0",
    )
    .await;
}

/// Conversations that strict vendors refuse (a call without a result, a result without a call, one identifier twice) are put in
/// order or refused, and never sent as they are.
#[tokio::test]
async fn conversations_out_of_order() {
    let world = World::good("").await;
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let conversations = [
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call("c1")]}, {"role": "user", "content": "b"}]),
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call("c1")]}]),
        json!([{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "c9", "content": "x"}, {"role": "user", "content": "b"}]),
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call("c1"), call("c1")]},
            {"role": "tool", "tool_call_id": "c1", "content": "x"}, {"role": "tool", "tool_call_id": "c1", "content": "y"}]),
        json!([{"role": "assistant", "content": "first"}]),
        json!([{"role": "system", "content": "only"}]),
    ];
    for messages in conversations {
        for upstream in [Dialect::Messages, Dialect::Gemini, Dialect::Responses] {
            let mut body = Dialect::Chat.request(&format!("{}/m", upstream.provider()), false);
            body["messages"] = messages.clone();
            let answer = world
                .post("/v1/chat/completions", &[], body.to_string().as_bytes())
                .await;
            if answer.status != 200 {
                assert_eq!(answer.status, 400, "{messages}: {}", answer.text());
                Dialect::Chat.refusal(&answer);
                continue;
            }
            if upstream == Dialect::Messages {
                let sent = world.upstream.received().last().unwrap().json();
                in_order(&sent["messages"]);
            }
        }
    }
}

/// As Anthropic demands it: the caller begins, roles alternate, each call has one result in the next message, identifiers are unique.
fn in_order(messages: &Value) {
    let messages = messages.as_array().unwrap();
    let blocks = |message: &Value, kind: &str, key: &str| -> Vec<String> {
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        let of_kind = blocks.iter().filter(|block| block["type"] == kind);
        of_kind
            .map(|block| block[key].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(!messages.is_empty());
    let mut known = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let role = if place % 2 == 0 { "user" } else { "assistant" };
        assert_eq!(message["role"], role, "{messages:?}");
        let calls = blocks(message, "tool_use", "id");
        for id in &calls {
            assert!(!known.contains(id), "{id} twice: {messages:?}");
            known.push(id.clone());
        }
        let results = messages.get(place + 1).map_or(Vec::new(), |next| {
            blocks(next, "tool_result", "tool_use_id")
        });
        assert_eq!(calls, results, "{messages:?}");
    }
    assert!(
        blocks(&messages[0], "tool_result", "tool_use_id").is_empty(),
        "{messages:?}"
    );
}

#[tokio::test]
async fn unknown_models_name_close_matches() {
    let world = World::configured(
        |upstream| {
            let url = upstream.url();
            format!(
                "providers:
  one: {{base_url: \"{url}/v1\", dialects: [chat], keys: [k-canary], models: [qwen3-32b, llama-70b]}}
  two: {{base_url: \"{url}/v1\", dialects: [chat], keys: [k-canary], models: [mistral-large]}}
"
            )
        },
        crate::world::good_answer,
    )
    .await;
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            let body = dialect.request("qwen3-32", stream).to_string();
            check(
                &world,
                dialect,
                &dialect.path("qwen3-32", stream),
                body.as_bytes(),
                404,
                "'qwen3-32b'",
            )
            .await;
            let body = dialect.request("nothing-alike", stream).to_string();
            check(
                &world,
                dialect,
                &dialect.path("nothing-alike", stream),
                body.as_bytes(),
                404,
                "/v1/models",
            )
            .await;
        }
    }
    for (length, status, told) in [
        (300, 404, "no provider serves"),
        (5000, 400, "a model's name has at most 512"),
    ] {
        let body = Dialect::Chat
            .request(&"x".repeat(length), false)
            .to_string();
        check(
            &world,
            Dialect::Chat,
            "/v1/chat/completions",
            body.as_bytes(),
            status,
            told,
        )
        .await;
    }
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let world = World::good("").await;
    let cases = [
        (Dialect::Chat, "POST", "/v1/nothing", 404),
        (Dialect::Chat, "POST", "/nothing/at/all", 404),
        (Dialect::Chat, "GET", "/v1/chat/completions", 405),
        (Dialect::Chat, "PUT", "/v1/chat/completions", 405),
        (Dialect::Chat, "DELETE", "/v1/models", 405),
        (Dialect::Chat, "POST", "/v1/embeddings", 501),
        (Dialect::Chat, "POST", "/v1/embeddings", 501),
        (Dialect::Messages, "GET", "/v1/messages", 405),
        (Dialect::Messages, "POST", "/v1/messages/nothing", 404),
        (Dialect::Messages, "POST", "/anthropic/v1/nothing", 404),
        (
            Dialect::Gemini,
            "GET",
            "/v1beta/models/m:generateContent",
            405,
        ),
        (Dialect::Gemini, "POST", "/v1beta/nothing", 404),
        (
            Dialect::Gemini,
            "POST",
            "/v1beta/models/m:embedContent",
            501,
        ),
        (
            Dialect::Gemini,
            "POST",
            "/v1beta/models/m:inventContent",
            501,
        ),
    ];
    for (dialect, method, path, status) in cases {
        let answer = world
            .send(method, path, &[("authorization", "Bearer k")], b"{}")
            .await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        dialect.refusal(&answer);
    }
    // What a client says about itself decides where the path says nothing.
    let answer = world
        .send(
            "POST",
            "/v1/nothing",
            &[("anthropic-version", "2023-06-01")],
            b"{}",
        )
        .await;
    Dialect::Messages.refusal(&answer);
    let answer = world.send("POST", "/v1/nothing?key=k", &[], b"{}").await;
    Dialect::Gemini.refusal(&answer);
    world.logged("/nothing/at/all").await;
}

#[tokio::test]
async fn bodies_over_the_limit() {
    let world = World::good("defaults: {body_limit: 64KiB}").await;
    let zeros = vec![b' '; 4 << 20];
    let gzip = crate::bad_upstreams::gzip(&zeros);
    assert!(gzip.len() < 64 << 10);
    let br = crate::bad_upstreams::brotli(&zeros);
    let zstd = zstd::encode_all(&zeros[..], 3).unwrap();
    for dialect in Dialect::ALL {
        let path = dialect.path("up-chat/m", false);
        check(&world, dialect, &path, &zeros[..=64 << 10], 413, "65536").await;
        for (name, bomb) in [("gzip", &gzip), ("br", &br), ("zstd", &zstd)] {
            let answer = world.post(&path, &[("content-encoding", name)], bomb).await;
            assert_eq!(answer.status, 413, "{name}: {}", answer.text());
            assert!(dialect.refusal(&answer).contains("65536"));
        }
        for (name, body) in [
            ("gzip", "not gzip"),
            ("br", "\u{1}not brotli"),
            ("zstd", "not zstd"),
            ("compress", "x"),
        ] {
            let answer = world
                .post(&path, &[("content-encoding", name)], body.as_bytes())
                .await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
            assert!(dialect.refusal(&answer).contains(name));
        }
    }
}

/// A bomb of a gigabyte costs neither memory nor much time.
#[tokio::test]
async fn a_bomb_within_the_usual_limit_is_defused() {
    let world = World::good("").await;
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b' '), 1 << 30), 1).unwrap();
    let before = crate::world::memory(&world.gateway, "VmHWM");
    let answer = world
        .post(
            "/v1/chat/completions",
            &[("content-encoding", "zstd")],
            &bomb,
        )
        .await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    let grown = crate::world::memory(&world.gateway, "VmHWM") - before;
    assert!(
        grown < 256,
        "{grown} MiB for a bomb of {} bytes",
        bomb.len()
    );
}
