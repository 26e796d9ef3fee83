//! Answers that break off and are gone on with, and routes that ask for streams or whole answers whatever the caller wants.

use std::sync::Arc;

use lingate_testkit::{Script, Step, Upstream};
use serde_json::{Value, json};

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, World, at_once};

/// What the request holds of the assistant's own words; empty when it is no request for the rest.
fn said_so_far(asked: &Asked<'_>) -> String {
    let body = asked.received.json();
    let (turns, role, words) = match asked.dialect {
        Dialect::Chat => ("messages", "assistant", "/content"),
        Dialect::Messages => ("messages", "assistant", "/content/0/text"),
        Dialect::Gemini => ("contents", "model", "/parts/0/text"),
        Dialect::Responses => ("input", "assistant", "/content/0/text"),
    };
    let turns = body[turns].as_array().cloned().unwrap_or_default();
    let own = turns.iter().find(|turn| turn["role"] == role);
    let text = own.and_then(|turn| {
        let content = turn.pointer(words)?;
        content
            .as_str()
            .or_else(|| turn.pointer("/content/0/text")?.as_str())
            .or_else(|| turn["content"].as_str())
    });
    text.unwrap_or_default().to_owned()
}

/// Two words of three, and then nothing; the rest repeats the second word. A model's name says how it breaks off.
fn break_off(asked: &Asked<'_>) -> Script {
    let opening = asked.dialect.opening();
    let begun = || Script::events(asked.dialect.events().into_iter().take(opening + 2));
    let so_far = said_so_far(asked);
    let model = asked.model.as_str();
    if !so_far.is_empty() && !model.starts_with("for-ever") {
        assert_eq!(so_far, "Hello there, ");
        if model == "refused" {
            return Script::json(503, asked.dialect.error(503, "busy"));
        }
        let mut events = asked.dialect.events();
        events.remove(opening);
        return Script::events(events);
    }
    if !asked.stream {
        return asked.good();
    }
    match model {
        "close" => begun().then(Step::Close),
        "reset" => begun().then(Step::Reset),
        "error" => {
            let error = asked.dialect.error_event("busy");
            Script::events(
                asked
                    .dialect
                    .events()
                    .into_iter()
                    .take(opening + 2)
                    .chain([error]),
            )
        }
        _ => begun(),
    }
}

fn routes(upstream: &Upstream) -> String {
    let mut routes = String::new();
    for dialect in Dialect::ALL {
        let provider = dialect.provider();
        for model in ["end", "close", "reset", "error", "refused", "for-ever"] {
            routes.extend([format!(
                "  - {{model: {provider}-{model}, anti_truncation: true, targets: [{{provider: {provider}, model: {model}}}]}}\n"
            )]);
        }
        routes.extend([format!(
            "  - {{model: {provider}-once, anti_truncation: {{attempts: 1}}, targets: [{{provider: {provider}, model: for-ever-once}}]}}
  - {{model: {provider}-off, targets: [{{provider: {provider}, model: end}}]}}
  - {{model: {provider}-gathered, stream: always, anti_truncation: true, targets: [{{provider: {provider}, model: end}}]}}
  - {{model: {provider}-always, stream: always, targets: [{{provider: {provider}, model: good}}]}}
  - {{model: {provider}-never, stream: never, targets: [{{provider: {provider}, model: good}}]}}
"
        )]);
    }
    format!("{}routes:\n{routes}", crate::world::providers(upstream))
}

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let to_all = |from| Dialect::ALL.map(|to| (from, to));
    Dialect::ALL.into_iter().flat_map(to_all)
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_gone_on_with() {
    let world = Arc::new(World::configured(routes, break_off).await);
    let cases =
        pairs().flat_map(|pair| ["end", "close", "reset", "error"].map(|model| (pair, model)));
    at_once(cases, |((caller, upstream), model)| {
        let world = Arc::clone(&world);
        async move {
            let model = format!("{}-{model}", upstream.provider());
            let answer = world.ask(caller, &model, true).await;
            let heard = caller.listen(&answer);
            let case = format!("{caller:?} to {model}: {}", answer.text());
            assert_eq!((heard.text.as_str(), heard.clean), (TEXT, true), "{case}");
        }
    })
    .await;
    let all = pairs().count() * 4;
    world.logged("outcome=\"repaired\"").await;
    let told = crate::world::eventually(|| world.said("outcome=\"repaired\"") == all).await;
    assert!(told, "{}", world.gateway.log());
    assert_eq!(world.said("attempts=2"), all);
}

#[tokio::test]
async fn it_is_off_by_default_and_has_an_end() {
    let world = World::configured(routes, break_off).await;
    for (caller, upstream) in pairs() {
        // A name, and the requests that one of it costs.
        for (name, requests) in [("off", 1), ("for-ever", 4), ("once", 2), ("refused", 4)] {
            let before = world.upstream.received().len();
            let model = format!("{}-{name}", upstream.provider());
            let answer = world.ask(caller, &model, true).await;
            let heard = caller.listen(&answer);
            heard.failed();
            let case = format!("{caller:?} to {model}: {}", answer.text());
            assert!(heard.text.starts_with("Hello there, "), "{case}");
            assert_eq!(world.upstream.received().len() - before, requests, "{case}");
        }
    }
}

#[tokio::test]
async fn what_is_no_plain_text_is_left_as_it_is() {
    let world = World::configured(routes, break_off).await;
    let parameters = json!({"type": "object", "properties": {}});
    for caller in Dialect::ALL {
        let model = "up-chat-end";
        let mut body = caller.request(model, true);
        body["tools"] = match caller {
            Dialect::Chat => {
                json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}])
            }
            Dialect::Messages => json!([{"name": "f", "input_schema": parameters}]),
            Dialect::Responses => {
                json!([{"type": "function", "name": "f", "parameters": parameters, "strict": false}])
            }
            Dialect::Gemini => {
                json!([{"functionDeclarations": [{"name": "f", "parameters": parameters}]}])
            }
        };
        let answer = world
            .post(&caller.path(model, true), &[], body.to_string().as_bytes())
            .await;
        caller.listen(&answer).failed();
    }
}

#[tokio::test]
async fn a_whole_answer_is_gathered_from_streams() {
    let world = World::configured(routes, break_off).await;
    for (caller, upstream) in pairs() {
        let model = format!("{}-gathered", upstream.provider());
        let answer = world.ask(caller, &model, false).await;
        assert_eq!(caller.said(&answer), TEXT, "{model}");
        assert_eq!(answer.header("x-lingate-outcome"), "repaired");
        assert_eq!(answer.attempts(), 2);
    }
}

/// A thought and nothing else.
fn think() -> Script {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "v", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    Script::events([
        chunk(json!({"reasoning_content": "Hm."}), Value::Null),
        chunk(json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ])
}

#[tokio::test]
async fn a_thought_without_an_answer_is_asked_again() {
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let world = World::configured(
        |upstream| routes(upstream).replace("model: end}", "model: think}"),
        move |asked| {
            let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if turn.is_multiple_of(2) {
                think()
            } else {
                asked.good()
            }
        },
    )
    .await;
    for caller in Dialect::ALL {
        let answer = world.ask(caller, "up-chat-end", true).await;
        let heard = caller.listen(&answer);
        assert!(heard.clean, "{}", answer.text());
        assert!(answer.text().contains("friend"), "{}", answer.text());
    }
    world.logged("outcome=\"repaired\"").await;
}

#[tokio::test]
async fn a_route_says_whether_to_ask_for_a_stream() {
    let world = World::configured(routes, crate::world::good_answer).await;
    for (caller, upstream) in pairs() {
        for stream in [false, true] {
            for (name, asked_for) in [("always", true), ("never", false)] {
                let model = format!("{}-{name}", upstream.provider());
                let answer = world.ask(caller, &model, stream).await;
                let text = if stream {
                    caller.listen(&answer).text
                } else {
                    caller.said(&answer)
                };
                assert_eq!(text, TEXT, "{caller:?} to {model}: {}", answer.text());
                let received = world.upstream.received();
                let last = crate::world::asked(received.last().unwrap()).unwrap();
                assert_eq!(last.stream, asked_for, "{caller:?} to {model}");
            }
        }
    }
}

#[tokio::test]
async fn the_rest_is_asked_for_with_the_key_that_the_answer_began_with() {
    let world = World::configured(
        |upstream| {
            format!(
                "providers: {{up: {{base_url: \"{}/v1\", dialects: [chat], keys: [sk-canary-1, sk-canary-2, sk-canary-3]}}}}
routes:
  - {{model: streamed, anti_truncation: true, targets: [{{provider: up, model: end}}]}}
  - {{model: gathered, stream: always, anti_truncation: true, targets: [{{provider: up, model: end}}]}}
",
                upstream.url()
            )
        },
        break_off,
    )
    .await;
    for (model, stream) in [("streamed", true), ("gathered", false)] {
        for _ in 0..3 {
            let before = world.upstream.received().len();
            let answer = world.ask(Dialect::Chat, model, stream).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let received = world.upstream.received();
            let keys: Vec<&str> = received
                .iter()
                .skip(before)
                .map(|received| received.header("authorization"))
                .collect();
            assert!(keys.len() == 2 && keys[0] == keys[1], "{model}: {keys:?}");
        }
    }
}
