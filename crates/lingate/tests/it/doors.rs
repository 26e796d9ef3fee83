//! Every path that leads to an answer, lists of models, counts of tokens, and what browsers and probes ask.

use std::time::{Duration, Instant};

use lingate_testkit::Script;
use lingate_testkit::client::Connection;
use serde_json::json;

use crate::wire::{Dialect, TEXT};
use crate::world::{PATIENCE, World, eventually};

#[tokio::test]
async fn every_alias_leads_to_an_answer() {
    let world = World::good("").await;
    let chat = Dialect::Chat.request("up-messages/m", false);
    let messages = Dialect::Messages.request("up-chat/m", false);
    let gemini = Dialect::Gemini.request("", false);
    let responses = Dialect::Responses.request("up-messages/m", false);
    let mut named = gemini.clone();
    named["model"] = json!("up-chat/m");
    let cases = [
        (Dialect::Chat, "/v1/chat/completions", &chat),
        (Dialect::Chat, "/chat/completions", &chat),
        (Dialect::Chat, "/v1/v1/chat/completions", &chat),
        (Dialect::Chat, "/v1/chat/completions/", &chat),
        (Dialect::Chat, "//v1///chat/completions", &chat),
        (Dialect::Chat, "/openai/v1/chat/completions", &chat),
        (
            Dialect::Chat,
            "/v1/chat/completions?api-version=1&x=y",
            &chat,
        ),
        (
            Dialect::Chat,
            "/openai/deployments/up-messages%2Fm/chat/completions?api-version=2024-10-21",
            &chat,
        ),
        (
            Dialect::Chat,
            "/openai/deployments/up-messages/m/chat/completions",
            &chat,
        ),
        (Dialect::Messages, "/v1/messages", &messages),
        (Dialect::Messages, "/messages", &messages),
        (Dialect::Messages, "/v1/v1/messages", &messages),
        (Dialect::Messages, "/v1/messages/?beta=true", &messages),
        (Dialect::Messages, "/anthropic/v1/messages", &messages),
        (Dialect::Messages, "/v1/anthropic/completions", &messages),
        (
            Dialect::Gemini,
            "/v1beta/models/up-chat/m:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/v1/models/up-chat/m:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/v1alpha/models/up-chat/m:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/models/up-chat/m:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/v1/v1beta/models/up-chat%2Fm:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/v1beta/models/up-chat%2Fm%3AgenerateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/v1beta1/publishers/google/models/up-chat/m:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/v1/projects/p/locations/eu/publishers/google/models/up-chat/m:generateContent",
            &gemini,
        ),
        (
            Dialect::Gemini,
            "/gemini/v1beta/models/up-chat/m:generateContent/",
            &gemini,
        ),
        (Dialect::Gemini, "/v1/gemini/completions", &named),
        (Dialect::Responses, "/v1/responses", &responses),
        (Dialect::Responses, "/responses", &responses),
        (Dialect::Responses, "/v1/v1/responses", &responses),
        (Dialect::Responses, "/v1/responses/", &responses),
        (
            Dialect::Responses,
            "/openai/v1/responses?api-version=preview",
            &responses,
        ),
    ];
    for (dialect, path, body) in cases {
        let answer = world.post(path, &[], body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(dialect.said(&answer), TEXT, "{path}");
        let sent = world.upstream.received().pop().unwrap();
        assert_eq!(sent.json()["model"], "m", "{path}");
    }
}

/// Cursor sends the body of Responses to Chat's path, and reads Chat's answers.
#[tokio::test]
async fn a_body_of_responses_on_chat_s_path_is_answered_as_chat() {
    let world = World::good("").await;
    for upstream in ["chat", "messages", "gemini", "responses"] {
        for stream in [false, true] {
            let body = json!({
                "model": format!("up-{upstream}/m"), "stream": stream, "max_tool_calls": 3,
                "input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
                "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]
            });
            let path = "/v1/chat/completions";
            let answer = world.post(path, &[], body.to_string().as_bytes()).await;
            assert_eq!(answer.status, 200, "{upstream}: {}", answer.text());
            if stream {
                assert!(answer.text().contains("chat.completion.chunk"));
                assert!(answer.text().ends_with("data: [DONE]\n\n"));
            } else {
                assert_eq!(Dialect::Chat.said(&answer), TEXT, "{upstream}");
            }
            let meant = upstream == "responses";
            let losses = if meant { "" } else { "max_tool_calls" };
            assert_eq!(answer.header("x-lingate-losses"), losses, "{upstream}");
            let sent = world.upstream.received().pop().unwrap();
            assert_eq!(sent.json().get("input").is_some(), meant, "{upstream}");
        }
    }
    let broken = json!({"model": "up-chat/m", "input": [{"role": "user", "content": 7}]});
    let answer = world
        .post("/v1/chat/completions", &[], broken.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "input.0.content");
}

#[tokio::test]
async fn lists_of_models_in_three_shapes() {
    let names = ["a", "b/c:d~1", "claude-sonnet-4-5", "e", "f"];
    let world = World::configured(
        |upstream| {
            format!(
                "providers: {{one: {{base_url: \"{}\", dialects: [chat], keys: [none], models: [{}, 'g-*']}}}}\nroutes: [{{model: routed, targets: [{{provider: one, model: a}}]}}, {{model: 'x-*', targets: [{{provider: one}}]}}]",
                upstream.url(),
                names.map(|name| format!("'{name}'")).join(", ")
            )
        },
        crate::world::good_answer,
    )
    .await;
    let all = ["routed", "a", "b/c:d~1", "claude-sonnet-4-5", "e", "f"];
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let answer = world.send("GET", path, headers, b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    let texts = |list: &serde_json::Value, key: &str| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items
            .map(|item| item[key].as_str().unwrap().to_owned())
            .collect()
    };
    let list = get("/v1/models", &[]).await;
    assert_eq!(
        (list["object"].as_str(), texts(&list["data"], "id")),
        (Some("list"), all.map(str::to_owned).to_vec())
    );
    assert_eq!(list["data"][0]["object"], "model");
    assert_eq!(get("/models/", &[]).await["object"], "list");

    let anthropic = [("anthropic-version", "2023-06-01")];
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("/v1/models?limit=4{after}"), &anthropic).await;
        let ids = texts(&page["data"], "id");
        assert_eq!(
            (page["first_id"].as_str(), page["last_id"].as_str()),
            (
                ids.first().map(String::as_str),
                ids.last().map(String::as_str)
            )
        );
        after = format!("&after_id={}", ids.last().unwrap().replace('/', "%2F"));
        pages.push(ids);
        if page["has_more"] != true {
            break;
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(pages.concat(), all);

    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("/v1beta/models?pageSize=4{token}"), &[]).await;
        found.extend(texts(&page["models"], "name"));
        let Some(next) = page["nextPageToken"].as_str() else {
            break;
        };
        token = format!("&pageToken={next}");
    }
    assert_eq!(found, all.map(|name| format!("models/{name}")));

    assert_eq!(get("/v1/models/b/c:d~1", &[]).await["id"], "b/c:d~1");
    assert_eq!(
        get("/v1/models/b%2Fc%3Ad~1", &anthropic).await["type"],
        "model"
    );
    assert_eq!(get("/v1beta/models/a", &[]).await["name"], "models/a");
    assert_eq!(get("/v1/models/a?key=k", &[]).await["name"], "models/a");
    for (path, dialect) in [
        ("/v1/models/none", Dialect::Chat),
        ("/v1beta/models/none", Dialect::Gemini),
        ("/v1beta/models?pageSize=x", Dialect::Gemini),
    ] {
        let answer = world.send("GET", path, &[], b"").await;
        let expect = if path.contains('?') { 400 } else { 404 };
        assert_eq!(answer.status, expect, "{path}: {}", answer.text());
        dialect.refusal(&answer);
    }
    let head = world
        .send("HEAD", "/health", &[("connection", "close")], b"")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

/// The vendor is asked where it can count; otherwise the tokens are estimated, and it is never a 404.
#[tokio::test]
async fn tokens_are_counted_or_estimated() {
    // Answers other than an answer are played by a rule on the path.
    let world = World::good("").await;
    let path = |model: &str| format!("/v1beta/models/{model}:countTokens");
    let messages = |model: &str| {
        json!({"model": model, "messages": [{"role": "user", "content": "Count these few words, please."}]}).to_string()
    };
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "Count these few words, please."}]}]}).to_string();
    let wrapped = |model: &str| {
        json!({"generateContentRequest": {"model": format!("models/{model}"), "contents": [{"role": "user", "parts": [{"text": "Count these few words, please."}]}]}}).to_string()
    };

    // The queue is played first, whatever the path is.
    world
        .upstream
        .queue(Script::json(200, r#"{"input_tokens": 77, "zz": 1.50}"#));
    let answer = world
        .post(
            "/v1/messages/count_tokens?beta=true",
            &[],
            messages("up-messages/m").as_bytes(),
        )
        .await;
    assert_eq!(answer.text(), r#"{"input_tokens": 77, "zz": 1.50}"#);
    let sent = world.upstream.received().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.json()["model"].as_str()),
        ("/v1/messages/count_tokens", Some("m"))
    );
    assert_eq!(sent.header("x-api-key"), "sk-canary-up-messages");

    world
        .upstream
        .queue(Script::json(200, r#"{"totalTokens": 78}"#));
    let answer = world
        .post(&path("up-gemini/m"), &[], wrapped("up-gemini/m").as_bytes())
        .await;
    assert_eq!(answer.json()["totalTokens"], 78);
    let sent = world.upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1beta/models/m:countTokens");
    assert_eq!(sent.json()["generateContentRequest"]["model"], "models/m");

    world
        .upstream
        .queue(Script::json(200, r#"{"totalTokens": 79}"#));
    let answer = world
        .post(
            "/v1/messages/count_tokens",
            &[],
            messages("up-gemini/m").as_bytes(),
        )
        .await;
    assert_eq!(answer.json()["input_tokens"], 79);
    world
        .upstream
        .queue(Script::json(200, r#"{"input_tokens": 80}"#));
    let answer = world
        .post(&path("up-messages/m"), &[], gemini.as_bytes())
        .await;
    assert_eq!(answer.json()["totalTokens"], 80);

    // Another client, the same count.
    let responses = |model: &str| {
        json!({"model": model, "input": "Count these few words, please."}).to_string()
    };
    world
        .upstream
        .queue(Script::json(200, r#"{"input_tokens": 81}"#));
    let door = "/v1/responses/input_tokens";
    let answer = world
        .post(door, &[], responses("up-messages/m").as_bytes())
        .await;
    assert_eq!(
        answer.json(),
        json!({"object": "response.input_tokens", "input_tokens": 81})
    );

    // Nobody to ask, nobody who knows, nobody who answers.
    let failures = [
        Script::json(404, "{}"),
        Script::html(200),
        Script::empty(500),
        Script::json(200, "{}"),
        Script::json(401, "{}"),
    ];
    for failure in failures {
        world.upstream.queue(failure.clone());
        let answer = world
            .post(
                "/v1/messages/count_tokens",
                &[],
                messages("up-messages/m").as_bytes(),
            )
            .await;
        assert_eq!(answer.status, 200, "{failure:?}: {}", answer.text());
        assert!(
            (3..30).contains(&answer.json()["input_tokens"].as_u64().unwrap()),
            "{}",
            answer.text()
        );
    }
    for (door, body, key) in [
        (
            "/v1/messages/count_tokens".to_owned(),
            messages("up-chat/m"),
            "input_tokens",
        ),
        (
            "/v1/messages/count_tokens".to_owned(),
            messages("nobody-has-this"),
            "input_tokens",
        ),
        (door.to_owned(), responses("up-chat/m"), "input_tokens"),
        (path("up-chat/m"), gemini.clone(), "totalTokens"),
        (
            path("nobody-has-this"),
            wrapped("nobody-has-this"),
            "totalTokens",
        ),
    ] {
        let answer = world.post(&door, &[], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{door}: {}", answer.text());
        assert!(
            (3..30).contains(&answer.json()[key].as_u64().unwrap()),
            "{}",
            answer.text()
        );
    }
    for (door, dialect) in [
        ("/v1/messages/count_tokens".to_owned(), Dialect::Messages),
        (path("m"), Dialect::Gemini),
    ] {
        let answer = world.post(&door, &[], b"{").await;
        assert_eq!(answer.status, 400);
        dialect.refusal(&answer);
    }
}

#[tokio::test]
async fn a_vendor_that_never_counts_is_not_waited_for_long() {
    let world = World::good("").await;
    world.upstream.queue(Script::silent());
    let asked = Instant::now();
    let body =
        json!({"model": "up-messages/m", "messages": [{"role": "user", "content": "Count"}]})
            .to_string();
    let answer = world
        .post("/v1/messages/count_tokens", &[], body.as_bytes())
        .await;
    assert_eq!(answer.status, 200);
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn browsers_and_probes() {
    let world = World::good("").await;
    for path in [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1beta/models/m:generateContent",
        "/anything",
    ] {
        let asked = [
            ("origin", "https://app.example"),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "x-api-key, x-stainless-os",
            ),
        ];
        let answer = world.send("OPTIONS", path, &asked, b"").await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "https://app.example"
        );
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "x-api-key, x-stainless-os"
        );
        assert!(
            answer
                .header("access-control-allow-methods")
                .contains("POST")
        );
    }
    for (dialect, stream, model) in [
        (Dialect::Chat, true, "up-chat/m"),
        (Dialect::Messages, false, "up-chat/m"),
        (Dialect::Gemini, false, "nobody/m"),
        (Dialect::Responses, true, "up-chat/m"),
    ] {
        let body = dialect.request(model, stream).to_string();
        let answer = world
            .post(
                &dialect.path(model, stream),
                &[("origin", "https://app.example")],
                body.as_bytes(),
            )
            .await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "https://app.example",
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("access-control-expose-headers"), "*");
        assert!(!answer.header("x-lingate-request-id").is_empty());
        let own = if dialect == Dialect::Messages {
            "request-id"
        } else {
            "x-request-id"
        };
        assert!(!answer.header(own).is_empty());
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = world.send("GET", path, &[], b"").await;
        assert_eq!(
            (answer.status, answer.json()["status"].as_str()),
            (200, Some("ok"))
        );
    }
    let page = world
        .send("GET", "/", &[("accept", "text/html,*/*")], b"")
        .await;
    assert!(page.text().contains("<html"), "{}", page.text());
    assert!(
        page.header("content-security-policy")
            .contains("default-src")
    );
    assert_eq!(
        world.send("GET", "/", &[], b"").await.json()["name"],
        "Lingate"
    );
}

#[tokio::test]
async fn compressed_requests() {
    let world = World::good("").await;
    for dialect in Dialect::ALL {
        let body = dialect.request("up-chat/m", false).to_string();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut zlib, body.as_bytes()).unwrap();
        let forms = [
            ("gzip", crate::bad_upstreams::gzip(body.as_bytes())),
            ("br", crate::bad_upstreams::brotli(body.as_bytes())),
            ("zstd", zstd::encode_all(body.as_bytes(), 3).unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("identity", body.clone().into_bytes()),
        ];
        for (name, bytes) in forms {
            let answer = world
                .post(
                    &dialect.path("up-chat/m", false),
                    &[("content-encoding", name)],
                    &bytes,
                )
                .await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            assert_eq!(dialect.said(&answer), TEXT);
            let sent = world.upstream.received().pop().unwrap();
            assert_eq!(sent.header("content-encoding"), "");
            assert_eq!(sent.json()["model"], "m");
        }
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let world = World::good("").await;
    let mut connection = Connection::open(world.gateway.address()).await.unwrap();
    for turn in 0..20 {
        let dialect = Dialect::ALL[turn % Dialect::ALL.len()];
        let stream = turn % 2 == 0;
        let model = if turn % 5 == 0 {
            "nobody/m"
        } else {
            "up-gemini/m"
        };
        let body = dialect.request(model, stream).to_string();
        connection
            .send("POST", &dialect.path(model, stream), &[], body.as_bytes())
            .await
            .unwrap();
        let answer = connection.answer().await.unwrap();
        assert!(answer.complete);
        if stream && answer.status == 200 {
            assert_eq!(dialect.listen(&answer).text, TEXT);
        }
    }
    // All at once, one behind the other: the answers come in order.
    let mut bytes = Vec::new();
    for (place, path) in ["/health", "/v1/models", "/nothing", "/v1/messages"]
        .into_iter()
        .enumerate()
    {
        let (method, body) = if place == 3 {
            (
                "POST",
                Dialect::Messages.request("up-chat/m", true).to_string(),
            )
        } else {
            ("GET", String::new())
        };
        bytes.extend(
            format!(
                "{method} {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        );
    }
    connection.send_raw(&bytes).await.unwrap();
    assert_eq!(connection.answer().await.unwrap().json()["status"], "ok");
    assert_eq!(connection.answer().await.unwrap().json()["object"], "list");
    assert_eq!(connection.answer().await.unwrap().status, 404);
    assert_eq!(
        Dialect::Messages
            .listen(&connection.answer().await.unwrap())
            .text,
        TEXT
    );
    assert_eq!(
        world.upstream.connections(),
        1,
        "connections to the upstream are kept"
    );

    // What is no HTTP at all is answered or dropped, and the next caller is served.
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
    ] {
        let mut connection = Connection::open(world.gateway.address()).await.unwrap();
        connection.send_raw(nonsense).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, connection.answer())
            .await
            .unwrap();
        assert!(answer.is_err() || answer.unwrap().status == 400);
    }
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200 << 10));
    let mut connection = Connection::open(world.gateway.address()).await.unwrap();
    let _cut = connection.send_raw(head.as_bytes()).await;
    let answer = tokio::time::timeout(PATIENCE, connection.answer())
        .await
        .unwrap();
    assert!(answer.is_err() || answer.unwrap().status == 431);
    assert_eq!(world.send("GET", "/health", &[], b"").await.status, 200);
}

/// A caller that announces a body and leaves before all of it is there.
#[tokio::test]
async fn half_a_request_costs_nothing() {
    let world = World::good("").await;
    let before = crate::world::sockets(&world.gateway);
    for _ in 0..20 {
        let mut connection = Connection::open(world.gateway.address()).await.unwrap();
        let half =
            b"POST /v1/messages HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n{\"model\"";
        connection.send_raw(half).await.unwrap();
        drop(connection);
    }
    let closed = eventually(|| crate::world::sockets(&world.gateway) <= before).await;
    assert!(
        closed,
        "{} sockets after {before}",
        crate::world::sockets(&world.gateway)
    );
    assert_eq!(world.upstream.received().len(), 0);
}

/// HTTP/2 without TLS, with prior knowledge.
#[tokio::test]
async fn http_2_in_clear_text() {
    let world = World::good("").await;
    let stream = tokio::net::TcpStream::connect(world.gateway.address())
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    let driver = tokio::spawn(connection);
    let ask = |dialect: Dialect, stream: bool| {
        let uri = format!("http://gateway{}", dialect.path("up-messages/m", stream));
        let body = dialect.request("up-messages/m", stream).to_string();
        hyper::Request::post(uri)
            .body(http_body_util::Full::new(bytes::Bytes::from(body)))
            .unwrap()
    };
    let mut answers = Vec::new();
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            answers.push((dialect, stream, sender.send_request(ask(dialect, stream))));
        }
    }
    for (dialect, stream, answer) in answers {
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, hyper::Version::HTTP_2)
        );
        let body = http_body_util::BodyExt::collect(answer.into_body())
            .await
            .unwrap()
            .to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        if stream {
            assert_eq!(dialect.hear(&body).text, TEXT);
        } else {
            assert!(body.contains(TEXT), "{body}");
        }
    }
    // Leaving one stream of a connection leaves the upstream, too.
    world.upstream.queue(Script::silent());
    let number = world.upstream.received().len();
    let pending = sender.send_request(ask(Dialect::Chat, true));
    let asked = tokio::spawn(pending);
    world.upstream.request(number, PATIENCE).await.unwrap();
    asked.abort();
    let ended = world.upstream.ending(number, Duration::from_secs(5)).await;
    assert!(ended.is_some(), "the upstream still works for nobody");
    driver.abort();
}
