//! Answers that are nothing but a refusal: a reason to ask the models that the route has for them, and given when these say no more.

use std::collections::BTreeMap;

use lingate_testkit::Script;

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, World, eventually, providers};

/// The vendor's refusal, in its dialect.
fn refuse(asked: &Asked<'_>) -> Script {
    let (from, to) = match asked.dialect {
        Dialect::Chat => ("\"stop\"", "\"content_filter\""),
        Dialect::Messages => ("\"end_turn\"", "\"refusal\""),
        Dialect::Gemini => ("\"STOP\"", "\"SAFETY\""),
        Dialect::Responses => ("completed", "incomplete"),
    };
    let refused = |text: &str| {
        let reason = "\"incomplete_details\":{\"reason\":\"content_filter\"}";
        let text = text.replace(from, to);
        if text.contains("\"status\":\"incomplete\"") {
            return text.replace("\"incomplete_details\":null", reason);
        }
        text
    };
    if asked.stream {
        let events = asked.dialect.empty_events();
        Script::events(events.iter().map(|event| refused(event)))
    } else {
        Script::json(200, refused(&asked.dialect.empty_whole().to_string()))
    }
}

#[tokio::test]
async fn a_refusal_leads_to_the_models_that_are_there_for_it() {
    let world = World::configured(
        |upstream| {
            let cases = [
                (
                    "answered",
                    ", fallbacks: [up-chat/never], fallbacks_on: {refusal: [up-messages/m]}",
                ),
                ("refused", ", fallbacks_on: {refusal: [up-gemini/refuse-too]}"),
                ("failed", ", fallbacks_on: {refusal: [up-gemini/broken]}"),
                ("plain", ", fallbacks: [up-chat/never]"),
                ("nobody", ", fallbacks_on: {refusal: []}"),
            ];
            let routes = Dialect::ALL.map(|dialect| {
                let name = dialect.provider();
                cases.map(|(model, on)| {
                    format!("  - {{model: {model}-{name}, targets: [{{provider: {name}, model: refuse}}]{on}}}\n")
                })
            });
            let routes = routes.as_flattened().concat();
            format!("{}routes:\n{routes}", providers(upstream))
        },
        |asked| match asked.model.as_str() {
            "refuse" | "refuse-too" => refuse(asked),
            "broken" => Script::json(400, r#"{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}"#),
            _ => asked.good(),
        },
    )
    .await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            for stream in [false, true] {
                let name = upstream.provider();
                let mut bodies = BTreeMap::new();
                for (model, attempts, provider) in [
                    ("answered", 2, "up-messages"),
                    // The first word of the one who was asked.
                    ("refused", 2, name),
                    ("failed", 2, name),
                    ("plain", 1, name),
                    ("nobody", 1, name),
                ] {
                    let case = format!("{caller:?} to {upstream:?}, {stream}, {model}");
                    let answer = world.ask(caller, &format!("{model}-{name}"), stream).await;
                    assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                    assert_eq!(answer.attempts(), attempts, "{case}");
                    assert_eq!(answer.header("x-lingate-provider"), provider, "{case}");
                    let said = if stream && model == "answered" {
                        caller.listen(&answer).text
                    } else {
                        answer.text()
                    };
                    assert_eq!(
                        said.contains(&TEXT[..5]),
                        model == "answered",
                        "{case}: {said}"
                    );
                    if model != "answered" && caller == upstream && caller != Dialect::Responses {
                        bodies.insert(model, answer.text());
                    }
                }
                // However it came to be given, it is the vendor's own.
                let mut bodies = bodies.into_values().map(|body| {
                    body.replace("refused-", "")
                        .replace("failed-", "")
                        .replace("plain-", "")
                        .replace("nobody-", "")
                });
                if let Some(first) = bodies.next() {
                    assert!(bodies.all(|body| body == first), "{caller:?} {stream}");
                }
            }
        }
    }
    let told = || world.said("outcome=\"refusal\"");
    assert!(eventually(|| told() == 4 * 4 * 2 * 4).await, "{}", told());
}
