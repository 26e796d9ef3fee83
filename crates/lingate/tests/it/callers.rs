//! Who may call, whose keys go upstream, and what the upstream never learns.

use lingate_testkit::client::Answer;
use lingate_testkit::{Received, Script, Upstream};

use crate::wire::Dialect;
use crate::world::{Asked, World, program};

/// Every place where a client may put its credential.
fn places(secret: &str) -> Vec<(Option<(&'static str, String)>, String)> {
    let header = |name, value| (Some((name, value)), String::new());
    vec![
        header("authorization", format!("Bearer {secret}")),
        header("authorization", format!("bearer {secret}")),
        header("x-api-key", secret.to_owned()),
        header("api-key", secret.to_owned()),
        header("x-goog-api-key", secret.to_owned()),
        (
            None,
            format!("key={}", secret.replace(',', "%2C").replace(' ', "%20")),
        ),
    ]
}

async fn ask_with(
    world: &World,
    dialect: Dialect,
    model: &str,
    stream: bool,
    place: &(Option<(&'static str, String)>, String),
) -> Answer {
    let (header, query) = place;
    let mut path = dialect.path(model, stream);
    if !query.is_empty() {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(query);
    }
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(header.iter().map(|(name, value)| (*name, value.as_str())));
    let body = dialect.request(model, stream).to_string();
    world.send("POST", &path, &headers, body.as_bytes()).await
}

#[tokio::test]
async fn keys_of_the_gateway() {
    let settings = "auth: keys\napi_keys: [{name: alice, key: sk-canary-caller}, sk-canary-second]";
    let world = World::good(settings).await;
    for dialect in Dialect::ALL {
        let model = format!("{}/m", dialect.provider());
        for secret in ["sk-canary-caller", "sk-canary-second"] {
            for place in places(secret) {
                let answer = ask_with(&world, dialect, &model, false, &place).await;
                assert_eq!(answer.status, 200, "{place:?}: {}", answer.text());
            }
        }
        let sent = world.upstream.received().len();
        for secret in [
            "sk-canary-wrong",
            "sk-canary-caller ,sk-canary-second",
            "sk-canary-calle",
            "SK-CANARY-CALLER",
        ] {
            for place in places(secret) {
                for stream in [false, true] {
                    let answer = ask_with(&world, dialect, &model, stream, &place).await;
                    assert_eq!(answer.status, 401, "{place:?}: {}", answer.text());
                    assert!(
                        dialect.refusal(&answer).contains("key"),
                        "{}",
                        answer.text()
                    );
                }
            }
        }
        for place in [
            (None, String::new()),
            (Some(("authorization", "Bearer ".to_owned())), String::new()),
            (None, "key=".to_owned()),
        ] {
            let answer = ask_with(&world, dialect, &model, true, &place).await;
            assert_eq!(answer.status, 401, "{}", answer.text());
            dialect.refusal(&answer);
        }
        for path in [
            "/v1/models",
            "/v1/models/m",
            "/v1/messages/count_tokens",
            "/v1beta/models/m:countTokens",
            "/v1/responses/input_tokens",
        ] {
            let counts = path.contains("ount") || path.ends_with("_tokens");
            let method = if counts { "POST" } else { "GET" };
            let answer = world
                .send(method, path, &[("x-api-key", "sk-canary-wrong")], b"{}")
                .await;
            assert_eq!(answer.status, 401, "{path}");
        }
        assert_eq!(
            world.upstream.received().len(),
            sent,
            "without a key nothing goes upstream"
        );
    }
    world.logged("caller=\"alice\"").await;
    for open in ["/health", "/"] {
        assert_eq!(world.send("GET", open, &[], b"").await.status, 200);
    }
}

#[test]
fn an_open_gateway_listens_on_loopback_only() {
    let folder = std::env::temp_dir().join(format!("lingate-open-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let check = |yaml: &str, listen: &str, words: &str| {
        std::fs::write(folder.join("lingate.yml"), yaml).unwrap();
        let done = std::process::Command::new(program())
            .args(["serve", "--config", "lingate.yml", "--listen", listen])
            .current_dir(&folder)
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(1));
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(told.contains(words), "{told}");
    };
    check("auth: open", "0.0.0.0:0", "this machine only");
    check("auth: open", "[::]:0", "this machine only");
    check("", "0.0.0.0:0", "needs `api_keys`");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Answers by the key that came: `bad-401` is turned away with that status.
fn by_key(asked: &Asked<'_>) -> Script {
    let key = credential(asked.received);
    match key
        .split_once("bad-")
        .map(|(_, rest)| rest.get(..3).unwrap_or_default())
    {
        Some(status) => {
            let status = status.parse().unwrap();
            Script::json(
                status,
                asked.dialect.error(status, &format!("{key} is not good")),
            )
        }
        None => asked.good(),
    }
}

/// The credential as the vendor of the path reads it.
fn credential(received: &Received) -> String {
    let name = if received.path.contains("chat") || received.path.contains("responses") {
        "authorization"
    } else if received.path.contains("messages") {
        "x-api-key"
    } else {
        "x-goog-api-key"
    };
    let others = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
    for other in others.into_iter().filter(|other| *other != name) {
        assert_eq!(received.header(other), "", "{other} on {}", received.path);
    }
    received
        .header(name)
        .trim_start_matches("Bearer ")
        .to_owned()
}

fn passthrough(upstream: &Upstream) -> String {
    let url = upstream.url();
    let provider = |name: &str, dialect: &str| {
        format!("  {name}: {{base_url: \"{url}\", dialects: [{dialect}]}}\n")
    };
    format!(
        "auth: passthrough\nproviders:\n{}{}{}{}",
        provider("up-chat", "chat"),
        provider("up-messages", "messages"),
        provider("up-gemini", "gemini"),
        provider("up-responses", "responses")
    )
}

#[tokio::test]
async fn callers_keys_take_turns_wherever_they_are_put() {
    let world = World::configured(passthrough, by_key).await;
    for (number, place) in places("k1-canary,k2-canary, k3-canary").iter().enumerate() {
        for caller in Dialect::ALL {
            for upstream in Dialect::ALL {
                let before = world.upstream.received().len();
                for turn in 0..6 {
                    let answer = ask_with(
                        &world,
                        caller,
                        &format!("{}/m", upstream.provider()),
                        turn % 2 == 0,
                        place,
                    )
                    .await;
                    assert_eq!(answer.status, 200, "{place:?}: {}", answer.text());
                }
                let mut keys: Vec<String> = world.upstream.received()[before..]
                    .iter()
                    .map(credential)
                    .collect();
                let first: Vec<String> = keys[..3].to_vec();
                assert_eq!(keys[3..], first, "{number} {caller:?} to {upstream:?}");
                keys.sort();
                keys.dedup();
                assert_eq!(keys, ["k1-canary", "k2-canary", "k3-canary"]);
            }
        }
    }
    let answer = ask_with(
        &world,
        Dialect::Chat,
        "up-chat/m",
        false,
        &(None, String::new()),
    )
    .await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    let answer = ask_with(
        &world,
        Dialect::Chat,
        "up-chat/m",
        false,
        &(Some(("x-api-key", " , ,".to_owned())), String::new()),
    )
    .await;
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[tokio::test]
async fn a_callers_bad_key_rests_for_everybody_who_brings_it() {
    for status in [401, 403, 429] {
        let world = World::configured(passthrough, by_key).await;
        for dialect in Dialect::ALL {
            let model = format!("{}/m", dialect.provider());
            let keys = format!("bad-{status}-canary,good-canary");
            let place = (
                Some(("authorization", format!("Bearer {keys}"))),
                String::new(),
            );
            let answer = ask_with(&world, dialect, &model, true, &place).await;
            assert_eq!(
                (answer.status, answer.attempts()),
                (200, 2),
                "{}",
                answer.text()
            );
            for turn in 0..4 {
                let answer = ask_with(&world, dialect, &model, turn % 2 == 0, &place).await;
                assert_eq!((answer.status, answer.attempts()), (200, 1), "{status}");
            }
            // Another list with the same bad key: its health is shared.
            let place = (
                Some(("x-api-key", format!("bad-{status}-canary,other-canary"))),
                String::new(),
            );
            let answer = ask_with(&world, dialect, &model, false, &place).await;
            assert_eq!((answer.status, answer.attempts()), (200, 1), "{status}");
            // Alone it is tried all the same, and the vendor's own answer tells why.
            let place = (
                Some(("x-api-key", format!("bad-{status}-canary"))),
                String::new(),
            );
            let answer = ask_with(&world, dialect, &model, false, &place).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(
                dialect.refusal(&answer).contains("is not good"),
                "{}",
                answer.text()
            );
        }
    }
}

/// A vendor that repeats the key in every way: none of it reaches the caller, the headers or the log.
#[tokio::test]
async fn a_key_that_the_vendor_repeats_is_masked() {
    let world = World::playing("", |asked| {
        let message = format!("bad key {} given", credential(asked.received));
        let error = |status| asked.dialect.error(status, &message);
        match asked.model.as_str() {
            "in-200" => Script::json(200, error(500)),
            "in-event" => Script::events([asked.dialect.error_event(&message)]),
            "html" => Script::whole(401, "text/html", format!("<h1>{message}</h1>")),
            "header" => Script::json(500, error(500)).header("x-debug", &message),
            status => Script::json(status.parse().unwrap(), error(status.parse().unwrap())),
        }
    })
    .await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            for how in [
                "400", "401", "403", "429", "500", "in-200", "in-event", "html", "header",
            ] {
                for stream in [false, true] {
                    // `send` looks for secrets in the answer, and the world's end in the log.
                    let answer = world
                        .ask(caller, &format!("{}/{how}", upstream.provider()), stream)
                        .await;
                    assert!(answer.status != 200, "{how}: {}", answer.text());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_the_vendor_repeats_in_the_middle_of_a_stream_is_masked() {
    let world = World::playing("", |asked| {
        let message = format!("bad key {} given", credential(asked.received));
        let begun = asked.dialect.events();
        let begun = begun.into_iter().take(asked.dialect.opening() + 2);
        Script::events(begun.chain([asked.dialect.error_event(&message)]))
    })
    .await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            // `ask` looks for secrets in the answer, and the world's end in the log.
            let model = format!("{}/later", upstream.provider());
            let answer = world.ask(caller, &model, true).await;
            assert_eq!(answer.status, 200);
            assert!(answer.text().contains("bad key ***"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn the_upstream_does_not_learn_who_asks() {
    let world = World::good("auth: keys\napi_keys: [sk-canary-caller]").await;
    let telling = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "secret.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
        ("via", "1.1 secret.example"),
        ("cookie", "session=1"),
        ("origin", "https://secret.example"),
        ("referer", "https://secret.example/page"),
        ("proxy-authorization", "Basic sk-canary-caller"),
        ("sec-fetch-mode", "cors"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "secret.example"),
        ("x-lingate-anything", "secret.example"),
        ("accept-encoding", "gzip, br"),
    ];
    let kept = [
        ("x-vendor-beta", "on"),
        ("user-agent", "client/1.0"),
        ("anthropic-beta", "b1"),
    ];
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            for place in places("sk-canary-caller") {
                let (header, query) = &place;
                let mut path = caller.path(&format!("{}/m", upstream.provider()), false);
                if !query.is_empty() {
                    path = format!("{path}?{query}&beta=true");
                }
                let mut headers = vec![("content-type", "application/json")];
                headers.extend(telling);
                headers.extend(kept);
                headers.extend(header.iter().map(|(name, value)| (*name, value.as_str())));
                let body = caller
                    .request(&format!("{}/m", upstream.provider()), false)
                    .to_string();
                let answer = world.send("POST", &path, &headers, body.as_bytes()).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                let received = world.upstream.received().pop().unwrap();
                let shown = format!("{received:?}");
                for secret in [
                    "203.0.113.7",
                    "secret.example",
                    "session=1",
                    "canary-caller",
                ] {
                    assert!(
                        !shown.contains(secret),
                        "{caller:?} to {upstream:?}: {secret} in {shown}"
                    );
                }
                for (name, _) in telling
                    .into_iter()
                    .filter(|(name, _)| !["connection", "accept-encoding"].contains(name))
                {
                    assert_eq!(received.header(name), "", "{name}");
                }
                assert_eq!(
                    credential(&received),
                    format!("sk-canary-{}", upstream.provider())
                );
                assert_eq!(received.header("accept-encoding"), "identity");
                if caller == upstream {
                    for (name, value) in kept {
                        assert_eq!(received.header(name), value);
                    }
                    assert_eq!(
                        received.query,
                        if query.is_empty() { "" } else { "beta=true" }
                    );
                } else {
                    assert_eq!(received.query, "");
                }
            }
        }
    }
}

/// A caller's own key belongs to one vendor: a fallback of another never sees it.
#[tokio::test]
async fn callers_keys_do_not_cross_vendors() {
    let world = World::configured(
        |upstream| format!("{}routes: [{{model: m, targets: [{{provider: up-chat, model: x}}, {{provider: up-messages, model: y}}]}}]", passthrough(upstream)),
        by_key,
    )
    .await;
    let place = (
        Some(("authorization", "Bearer bad-500-canary".to_owned())),
        String::new(),
    );
    let answer = ask_with(&world, Dialect::Chat, "m", false, &place).await;
    assert_eq!(
        (answer.status, answer.attempts()),
        (500, 1),
        "{}",
        answer.text()
    );
    assert_eq!(world.upstream.received().len(), 1);
}
