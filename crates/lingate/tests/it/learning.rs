//! An upstream refuses a parameter: it is left out, told of, and remembered, and nobody is asked twice in vain.

use std::fs;

use lingate_testkit::Script;
use serde_json::{Value, json};

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, World, providers};

/// Refuses the fields that the model's name lists (`without-seed-top_p`), one after the other, in its vendor's words.
fn picky(asked: &Asked<'_>) -> Script {
    let body = asked.received.json();
    for field in asked.model.split('-').skip(1) {
        let message = match asked.dialect {
            Dialect::Chat | Dialect::Responses if body.get(field).is_some() => {
                json!({"error": {"message": format!("Unsupported parameter: '{field}' is not supported with this model."), "type": "invalid_request_error", "param": field, "code": "unsupported_parameter"}})
            }
            Dialect::Messages if body.get(field).is_some() => {
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": format!("{field}: Extra inputs are not permitted")}})
            }
            Dialect::Gemini if body["generationConfig"].get(field).is_some() => {
                json!({"error": {"code": 400, "message": format!("Invalid JSON payload received. Unknown name \"{field}\" at 'generation_config': Cannot find field."), "status": "INVALID_ARGUMENT"}})
            }
            Dialect::Chat | Dialect::Messages | Dialect::Gemini | Dialect::Responses => continue,
        };
        return Script::json(400, message.to_string());
    }
    if asked.model.starts_with("stubborn") {
        let message = json!({"error": {"message": "Unsupported parameter: 'temperature'", "param": "temperature", "code": "unsupported_parameter"}});
        return Script::json(400, message.to_string());
    }
    asked.good()
}

fn request(model: &str) -> Value {
    json!({"model": model, "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "messages": [{"role": "user", "content": "Hi"}]})
}

async fn ask(world: &World, path: &str, body: &Value) -> (u16, String, String, usize) {
    let before = world.upstream.received().len();
    let answer = world.post(path, &[], body.to_string().as_bytes()).await;
    let asked = world.upstream.received().len() - before;
    let losses = answer.header("x-lingate-losses").to_owned();
    (answer.status, answer.text(), losses, asked)
}

#[tokio::test]
async fn a_refused_parameter_is_left_out_at_once_and_from_then_on() {
    let world = World::playing("", picky).await;
    for (provider, door, field) in [
        ("up-chat", "/v1/messages", "temperature"),
        ("up-messages", "/v1/chat/completions", "temperature"),
        ("up-gemini", "/v1/messages", "temperature"),
        ("up-gemini", "/v1/chat/completions", "topP"),
        ("up-responses", "/v1/messages", "temperature"),
        ("up-responses", "/v1/chat/completions", "top_p"),
    ] {
        let body = request(&format!("{provider}/without-{field}"));
        for (turn, expect) in [2, 1, 1].into_iter().enumerate() {
            let (status, text, losses, asked) = ask(&world, door, &body).await;
            assert_eq!(status, 200, "{provider} {turn}: {text}");
            assert!(text.contains(TEXT));
            assert_eq!(asked, expect, "{provider} {turn}");
            let told = if field == "topP" { "top_p" } else { field };
            assert!(losses.contains(told), "{provider} {turn}: {losses:?}");
        }
        // Another model of the same provider knows nothing of it.
        let (_, _, losses, asked) = ask(&world, door, &request(&format!("{provider}/other"))).await;
        assert_eq!((losses.as_str(), asked), ("", 1), "{provider}");
    }
    world.logged("attempt failed").await;
}

#[tokio::test]
async fn what_is_learned_outlives_a_change_of_the_configuration() {
    let world = World::playing("", picky).await;
    let body = request("up-chat/without-temperature");
    assert_eq!(ask(&world, "/v1/messages", &body).await.3, 2);
    let folder = world.gateway.folder();
    let changed = format!("mode: transform\n{}", providers(&world.upstream));
    fs::write(folder.join("new.yml"), changed).unwrap();
    fs::rename(folder.join("new.yml"), folder.join("lingate.yml")).unwrap();
    world.logged("configuration taken").await;
    assert_eq!(ask(&world, "/v1/messages", &body).await.3, 1);
}

#[tokio::test]
async fn a_parameter_that_is_refused_under_one_name_is_sent_under_the_other() {
    let world = World::playing("", |asked| {
        let body = asked.received.json();
        if body.get("max_tokens").is_some() {
            let message = json!({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}});
            return Script::json(400, message.to_string());
        }
        assert_eq!(body["max_completion_tokens"], 50);
        asked.good()
    })
    .await;
    for expect in [2, 1] {
        let (status, _, losses, asked) = ask(&world, "/v1/messages", &request("up-chat/m")).await;
        assert_eq!((status, losses.as_str(), asked), (200, "", expect));
    }
}

#[tokio::test]
async fn what_does_not_help_gives_the_first_error_and_is_forgotten() {
    let world = World::playing("", picky).await;
    for _ in 0..2 {
        let (status, text, _, asked) =
            ask(&world, "/v1/messages", &request("up-chat/stubborn")).await;
        assert_eq!((status, asked), (400, 2));
        assert!(text.contains("'temperature'"), "{text}");
    }
    // What a request cannot be without is never left out.
    for (model, door) in [
        ("up-chat/without-messages", "/v1/messages"),
        ("up-messages/without-max_tokens", "/v1/chat/completions"),
        ("up-chat/without-model", "/v1/messages"),
    ] {
        let (status, _, _, asked) = ask(&world, door, &request(model)).await;
        assert_eq!((status, asked), (400, 1), "{model}");
    }
    // Within one dialect the caller sees its own field refused.
    let body = request("up-chat/without-temperature");
    let (status, text, _, asked) = ask(&world, "/v1/chat/completions", &body).await;
    assert_eq!((status, asked), (400, 1));
    assert!(text.contains("unsupported_parameter"), "{text}");
}

#[tokio::test]
async fn several_fields_are_left_out_one_after_the_other() {
    let world = World::playing("", picky).await;
    let body = request("up-chat/without-temperature-top_p");
    for expect in [3, 1] {
        let (status, text, losses, asked) = ask(&world, "/v1/messages", &body).await;
        assert_eq!((status, asked), (200, expect), "{text}");
        assert_eq!(losses, "temperature; top_p");
    }
}

#[tokio::test]
async fn losses_that_are_rejected_are_not_learned() {
    let world = World::playing("defaults: {losses: reject}", picky).await;
    let body = request("up-chat/without-temperature");
    for _ in 0..2 {
        let (status, text, _, asked) = ask(&world, "/v1/messages", &body).await;
        assert_eq!((status, asked), (400, 1), "{text}");
        assert!(text.contains("'temperature' is not supported"), "{text}");
    }
}

#[tokio::test]
async fn the_wish_for_usage_is_taken_back_where_it_is_refused() {
    let world = World::playing("defaults: {usage: require}", picky).await;
    let mut body = request("up-chat/without-stream_options");
    body["stream"] = json!(true);
    for expect in [2, 1] {
        let (status, text, _, asked) = ask(&world, "/v1/chat/completions", &body).await;
        assert_eq!((status, asked), (200, expect), "{text}");
        let words: String = text
            .split("\"content\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(words, TEXT);
    }
}

#[tokio::test]
async fn what_the_configuration_says_is_obeyed_without_asking() {
    let world = World::configured(
        |upstream| {
            let quirks =
                "quirks: {refuses: [top_p]}, model_quirks: {\"without-*\": {sampling: false}}";
            providers(upstream).replace("dialects: [chat]", &format!("dialects: [chat], {quirks}"))
        },
        picky,
    )
    .await;
    let body = request("up-chat/without-temperature");
    let (status, text, losses, asked) = ask(&world, "/v1/messages", &body).await;
    assert_eq!((status, asked), (200, 1), "{text}");
    assert_eq!(losses, "temperature; top_p");
    let (_, _, losses, _) = ask(&world, "/v1/messages", &request("up-chat/other")).await;
    assert_eq!(losses, "top_p");
    // Within one dialect nothing is left out.
    let body = request("up-chat/other");
    let before = world.upstream.received().len();
    assert_eq!(ask(&world, "/v1/chat/completions", &body).await.0, 200);
    assert_eq!(world.upstream.received()[before].json()["top_p"], 0.9);
}
