//! Servers whose text stands for something else: reasoning between tags, and the arguments of a call that could not be forced.

use lingate_dialect::DialectId;
use lingate_dialect::framing::Framing;
use lingate_dialect::hub::{PartBody, Response};
use lingate_dialect::stream::{Collector, End};
use lingate_testkit::client::Answer;
use lingate_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::wire::{Dialect, data};
use crate::world::{Asked, World, providers};

/// Providers with these quirks.
fn with(quirks: &'static str) -> impl Fn(&Upstream) -> String {
    move |upstream| {
        providers(upstream)
            .replace("dialects: [chat]", &format!("dialects: [chat], {quirks}"))
            .replace(
                "dialects: [messages]",
                &format!("dialects: [messages], {quirks}"),
            )
    }
}

/// The upstream says these words, in these pieces where it streams.
fn saying(asked: &Asked<'_>, pieces: &[&str]) -> Script {
    let text = pieces.concat();
    if !asked.stream {
        let mut whole = asked.dialect.whole();
        let place = match asked.dialect {
            Dialect::Chat => "/choices/0/message/content",
            Dialect::Messages => "/content/0/text",
            Dialect::Gemini => "/candidates/0/content/parts/0/text",
            Dialect::Responses => panic!("nobody here asks it"),
        };
        *whole.pointer_mut(place).unwrap() = json!(text);
        return Script::json(200, whole.to_string());
    }
    let events = asked.dialect.events();
    let opening = asked.dialect.opening();
    let (before, rest) = events.split_at(opening);
    let model = &rest[0];
    let said = pieces.iter().map(|piece| {
        let line = model.lines().find_map(|line| line.strip_prefix("data: "));
        let mut event: Value = serde_json::from_str(line.unwrap()).unwrap();
        let place = match asked.dialect {
            Dialect::Chat => "/choices/0/delta/content",
            Dialect::Messages => "/delta/text",
            Dialect::Gemini => "/candidates/0/content/parts/0/text",
            Dialect::Responses => panic!("nobody here asks it"),
        };
        *event.pointer_mut(place).unwrap() = json!(piece);
        match event["type"].as_str() {
            Some(name) => format!("event: {name}\n{}", data(&event)),
            None => data(&event),
        }
    });
    // The words of the usual answer are three.
    let all = before.iter().cloned().chain(said);
    Script::events(all.chain(rest[3..].iter().cloned()))
}

/// A caller's request, with what is asked for in the words of its dialect.
async fn ask(world: &World, caller: DialectId, model: &str, more: Value, stream: bool) -> Answer {
    let said = json!([{"role": "user", "content": "Hi"}]);
    let (path, mut body) = match caller {
        DialectId::Chat => ("/v1/chat/completions".to_owned(), json!({"messages": said})),
        DialectId::Messages => (
            "/v1/messages".to_owned(),
            json!({"max_tokens": 4000, "messages": said}),
        ),
        DialectId::Responses => ("/v1/responses".to_owned(), json!({"input": said})),
        DialectId::Gemini => (
            Dialect::Gemini.path(model, stream),
            json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
        ),
    };
    if caller != DialectId::Gemini {
        body["model"] = json!(model);
        body["stream"] = json!(stream);
    }
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    world.post(&path, &[], body.to_string().as_bytes()).await
}

/// What a caller is told, as its own library reads it: one word for the kind of each part, with what it says.
fn told(caller: DialectId, answer: &Answer, stream: bool) -> Vec<String> {
    assert_eq!(answer.status, 200, "{caller}: {}", answer.text());
    let response: Response = if stream {
        let mut collector = Collector::new(caller.dialect(), Framing::Sse);
        collector.push(answer.text().as_bytes()).unwrap();
        collector.end(End::Eof).0.unwrap()
    } else {
        let text = answer.text();
        caller.dialect().decode_response(text.as_bytes()).unwrap()
    };
    let choice = &response.choices[0];
    let parts = choice.parts.iter().map(|part| match &part.body {
        PartBody::Text(text) => format!("text {}", text.text),
        PartBody::Reasoning(thought) => format!("thought {}", thought.text),
        PartBody::ToolCall(call) => format!("call {} {}", call.name, call.arguments),
        other => format!("{other:?}"),
    });
    let ending = format!("{:?}", choice.finish.reason);
    parts.chain([ending]).collect()
}

#[tokio::test]
async fn reasoning_between_tags_is_told_as_reasoning() {
    let play = |asked: &Asked<'_>| {
        let pieces = [
            "\n<th",
            "ink>\nIs it ",
            "<b>?",
            "\n</thi",
            "nk>\n",
            "\nHello ",
            "<think>",
        ];
        saying(asked, &pieces)
    };
    let world = World::configured(with("quirks: {think_tags: true}"), play).await;
    for (caller, more) in [
        (
            DialectId::Messages,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ),
        (
            DialectId::Responses,
            json!({"reasoning": {"summary": "auto"}}),
        ),
        (
            DialectId::Gemini,
            json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
        ),
    ] {
        for stream in [false, true] {
            let answer = ask(&world, caller, "up-chat/m", more.clone(), stream).await;
            assert_eq!(
                told(caller, &answer, stream),
                ["thought Is it <b>?", "text Hello <think>", "Stop"],
                "{caller}, stream {stream}: {}",
                answer.text()
            );
        }
    }
    // Other servers mean what they say.
    let world = World::configured(with("quirks: {}"), play).await;
    let answer = ask(&world, DialectId::Messages, "up-chat/m", json!({}), true).await;
    let told = told(DialectId::Messages, &answer, true);
    assert!(told[0].starts_with("text \n<think>"), "{told:?}");
}

#[tokio::test]
async fn a_call_that_cannot_be_forced_is_asked_for_as_output() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let play = |asked: &Asked<'_>| saying(asked, &["{\"ci", "ty\": \"Par", "is\"}"]);
    let quirks = "quirks: {forced_tool_choice: false}";
    let world = World::configured(with(quirks), play).await;
    let function = json!({"name": "weather", "parameters": schema});
    let mut own = function.clone();
    own["type"] = json!("function");
    let chat = json!([{"type": "function", "function": function}]);
    for (caller, more) in [
        (
            DialectId::Chat,
            json!({"tools": chat, "tool_choice": "required"}),
        ),
        (
            DialectId::Chat,
            json!({"tools": chat, "tool_choice": {"type": "function", "function": {"name": "weather"}}}),
        ),
        (
            DialectId::Responses,
            json!({"tools": [own], "tool_choice": {"type": "function", "name": "weather"}}),
        ),
        (
            DialectId::Gemini,
            json!({"tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        ),
    ] {
        for stream in [false, true] {
            let case = format!("{caller}, stream {stream}");
            let answer = ask(&world, caller, "up-messages/m", more.clone(), stream).await;
            let told = told(caller, &answer, stream);
            assert_eq!(told.len(), 2, "{case}: {}", answer.text());
            let arguments = told[0].strip_prefix("call weather ").unwrap_or_default();
            let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
            assert_eq!(arguments, json!({"city": "Paris"}), "{case}: {told:?}");
            assert_eq!(told[1], "ToolCalls", "{case}: {}", answer.text());
            let sent = world.upstream.received().last().unwrap().json();
            assert_eq!(
                sent["output_config"]["format"],
                json!({"type": "json_schema", "schema": schema}),
                "{case}: {sent}"
            );
            assert_eq!(sent["tool_choice"]["type"], "none", "{case}: {sent}");
            let losses = answer.header("x-lingate-losses");
            assert!(!losses.is_empty(), "{case}");
        }
    }
}
