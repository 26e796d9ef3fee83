//! Conditions of routes, met and unmet, by requests in each of the dialects.

use std::time::{SystemTime, UNIX_EPOCH};

use lingate_testkit::client::Answer;
use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::{World, asked};

/// Who meets the condition of `model` gets `met` of one provider, and everybody else `unmet` of another.
fn route(model: &str, when: &str) -> String {
    format!(
        "  - {{model: {model}, when: {when}, targets: [up-messages/met]}}\n  - {{model: {model}, targets: [up-chat/unmet]}}\n"
    )
}

/// What makes a request another one.
#[derive(Debug, Clone, Copy)]
enum But {
    Not,
    Says(&'static str),
    Long,
    Offers(&'static str),
    Searches,
    Thinks,
    ThinksNot,
    Shows,
    IsOf(&'static str),
    Allows(u64),
    IsTagged(&'static str),
}

fn request(dialect: Dialect, model: &str, but: But) -> Value {
    let mut body = dialect.request(model, false);
    match but {
        But::Not => {}
        But::Says(text) => say(dialect, &mut body, text),
        But::Long => say(dialect, &mut body, &"word ".repeat(8000)),
        But::Offers(name) => {
            let schema = json!({"type": "object", "properties": {}});
            body["tools"] = match dialect {
                Dialect::Chat => {
                    json!([{"type": "function", "function": {"name": name, "parameters": schema}}])
                }
                Dialect::Messages => json!([{"name": name, "input_schema": schema}]),
                Dialect::Gemini => json!([{"functionDeclarations": [{"name": name}]}]),
                Dialect::Responses => {
                    json!([{"type": "function", "name": name, "parameters": schema}])
                }
            };
        }
        But::Searches => match dialect {
            Dialect::Chat => body["web_search_options"] = json!({}),
            Dialect::Messages => {
                body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
            }
            Dialect::Gemini => body["tools"] = json!([{"googleSearch": {}}]),
            Dialect::Responses => body["tools"] = json!([{"type": "web_search"}]),
        },
        But::Thinks => match dialect {
            Dialect::Chat => body["reasoning_effort"] = json!("high"),
            Dialect::Messages => {
                body["thinking"] = json!({"type": "enabled", "budget_tokens": 2048});
                body["max_tokens"] = json!(4096);
            }
            Dialect::Gemini => {
                body["generationConfig"] = json!({"thinkingConfig": {"thinkingBudget": 2048}});
            }
            Dialect::Responses => body["reasoning"] = json!({"effort": "high"}),
        },
        But::ThinksNot => match dialect {
            Dialect::Chat => body["reasoning_effort"] = json!("none"),
            Dialect::Messages => body["thinking"] = json!({"type": "disabled"}),
            Dialect::Gemini => {
                body["generationConfig"] = json!({"thinkingConfig": {"thinkingBudget": 0}});
            }
            Dialect::Responses => body["reasoning"] = json!({"effort": "none"}),
        },
        But::Shows => {
            let url = "data:image/png;base64,AAAA";
            match dialect {
                Dialect::Chat => {
                    body["messages"][0]["content"] =
                        json!([{"type": "image_url", "image_url": {"url": url}}]);
                }
                Dialect::Messages => {
                    let source =
                        json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
                    body["messages"][0]["content"] = json!([{"type": "image", "source": source}]);
                }
                Dialect::Gemini => {
                    body["contents"][0]["parts"] =
                        json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]);
                }
                Dialect::Responses => {
                    let content = json!([{"type": "input_image", "image_url": url}]);
                    body["input"] = json!([{"role": "user", "content": content}]);
                }
            }
        }
        But::IsOf(user) => match dialect {
            Dialect::Chat => body["user"] = json!(user),
            Dialect::Messages => body["metadata"] = json!({"user_id": user}),
            // Gemini has no field for it.
            Dialect::Gemini => {}
            Dialect::Responses => body["safety_identifier"] = json!(user),
        },
        But::Allows(tokens) => match dialect {
            Dialect::Chat => body["max_completion_tokens"] = json!(tokens),
            Dialect::Messages => body["max_tokens"] = json!(tokens),
            Dialect::Gemini => body["generationConfig"] = json!({"maxOutputTokens": tokens}),
            Dialect::Responses => body["max_output_tokens"] = json!(tokens),
        },
        But::IsTagged(tag) => match dialect {
            Dialect::Chat | Dialect::Responses | Dialect::Messages => {
                body["metadata"] = json!({"tags": [tag]});
            }
            Dialect::Gemini => body["labels"] = json!({"tags": tag}),
        },
    }
    body
}

/// The user's words.
fn say(dialect: Dialect, body: &mut Value, text: &str) {
    match dialect {
        Dialect::Chat | Dialect::Messages => body["messages"][0]["content"] = json!(text),
        Dialect::Gemini => body["contents"][0]["parts"][0]["text"] = json!(text),
        Dialect::Responses => body["input"] = json!(text),
    }
}

/// The model that an upstream was asked for.
fn served(world: &World, answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = world.upstream.received().pop().unwrap();
    asked(&received).unwrap().model
}

#[tokio::test]
async fn what_the_body_says_decides() {
    let cases: &[(&str, &str, &[But], &[But])] = &[
        (
            "tokens-over",
            r#"{tokens: ">1000"}"#,
            &[But::Long],
            &[But::Not],
        ),
        (
            "tokens-under",
            r#"{tokens: "<=1000"}"#,
            &[But::Not],
            &[But::Long],
        ),
        (
            "output",
            r#"{max_output: "<=4000"}"#,
            &[But::Allows(4000)],
            &[But::Allows(4001)],
        ),
        (
            "search",
            "{tools: web_search}",
            &[But::Searches],
            &[But::Not, But::Offers("read")],
        ),
        (
            "tools",
            r#"{tools: ["mcp__*", /^db_/]}"#,
            &[But::Offers("mcp__jira"), But::Offers("db_read")],
            &[But::Not, But::Offers("read"), But::Searches],
        ),
        (
            "think",
            "{thinking: true}",
            &[But::Thinks],
            &[But::Not, But::ThinksNot],
        ),
        (
            "think-not",
            "{thinking: false}",
            &[But::Not, But::ThinksNot],
            &[But::Thinks],
        ),
        ("image", "{images: true}", &[But::Shows], &[But::Not]),
        (
            "keyword",
            r#"{keyword: ["翻译", "translat*"]}"#,
            &[
                But::Says("请翻译这句话"),
                But::Says("Please TRANSLATE this."),
            ],
            &[But::Not, But::Says("mistranslated")],
        ),
        (
            "language",
            "{language: chinese}",
            &[But::Says("今天天气怎么样？")],
            &[But::Says("How is the weather?")],
        ),
        (
            "all",
            r#"{thinking: false, tools: "read", max_output: ">=1"}"#,
            &[But::Offers("read")],
            &[But::Not, But::Thinks],
        ),
    ];
    let routes: String = cases
        .iter()
        .map(|(model, when, ..)| route(model, when))
        .collect();
    let world = World::good(&format!("routes:\n{routes}")).await;
    for caller in Dialect::ALL {
        for (model, when, met, unmet) in cases {
            let met = met.iter().map(|but| (but, "met"));
            let unmet = unmet.iter().map(|but| (but, "unmet"));
            for (but, expect) in met.chain(unmet) {
                let body = request(caller, model, *but).to_string();
                let path = caller.path(model, false);
                let answer = world.post(&path, &[], body.as_bytes()).await;
                let found = served(&world, &answer);
                assert_eq!(found, expect, "{caller:?} {when} {but:?}");
            }
        }
    }
}

#[tokio::test]
async fn who_asks_and_how_decides() {
    let routes: String = [
        route("tenant", "{tenant: acme}"),
        route("key", "{key: [build, alice]}"),
        route("tag", "{tag: [gold, eu]}"),
        route("header", r#"{header.x-tier: [gold, "plat*"]}"#),
        route("user", r#"{user: "team-a-*"}"#),
        route("stream", "{stream: true}"),
        route("dialect", "{dialect: [gemini, responses]}"),
    ]
    .concat();
    let world = World::good(&format!(
        "api_keys:
  - {{name: alice, key: sk-canary-alice, tenant: acme, tags: [gold]}}
  - {{name: bob, key: sk-canary-bob, tenant: beta}}
routes:
{routes}"
    ))
    .await;
    let alice = ("authorization", "Bearer sk-canary-alice");
    let bob = ("authorization", "Bearer sk-canary-bob");
    for caller in Dialect::ALL {
        let check = async |model: &str, headers: &[(&str, &str)], but: But, expect: &str| {
            let body = request(caller, model, but).to_string();
            let path = caller.path(model, false);
            let answer = world.post(&path, headers, body.as_bytes()).await;
            let found = served(&world, &answer);
            assert_eq!(found, expect, "{caller:?} {model} {headers:?} {but:?}");
        };
        check("tenant", &[alice], But::Not, "met").await;
        check("tenant", &[bob], But::Not, "unmet").await;
        check("key", &[alice], But::Not, "met").await;
        check("key", &[bob], But::Not, "unmet").await;

        check("tag", &[alice], But::Not, "unmet").await;
        check("tag", &[alice, ("x-lingate-tags", "eu")], But::Not, "met").await;
        check(
            "tag",
            &[bob, ("x-lingate-tags", "a, gold,eu")],
            But::Not,
            "met",
        )
        .await;
        check("tag", &[alice], But::IsTagged("eu"), "met").await;
        check("tag", &[bob], But::IsTagged("eu"), "unmet").await;
        // The header is the gateway's own.
        let received = world.upstream.received();
        assert!(
            received
                .iter()
                .all(|sent| sent.header("x-lingate-tags").is_empty())
        );

        check("header", &[bob, ("x-tier", "platinum")], But::Not, "met").await;
        check("header", &[bob, ("x-tier", "silver")], But::Not, "unmet").await;
        check("header", &[bob], But::Not, "unmet").await;

        if caller == Dialect::Gemini {
            let named = ("x-openwebui-user-id", "team-a-7");
            check("user", &[bob, named], But::Not, "met").await;
        } else {
            check("user", &[bob], But::IsOf("team-a-7"), "met").await;
        }
        check("user", &[bob], But::IsOf("team-b-7"), "unmet").await;

        let speaks = matches!(caller, Dialect::Gemini | Dialect::Responses);
        let expect = if speaks { "met" } else { "unmet" };
        check("dialect", &[bob], But::Not, expect).await;

        for (stream, expect) in [(true, "met"), (false, "unmet")] {
            let body = caller.request("stream", stream).to_string();
            let path = caller.path("stream", stream);
            let answer = world.post(&path, &[bob], body.as_bytes()).await;
            assert_eq!(served(&world, &answer), expect, "{caller:?}");
        }
    }
}

/// The time is that of the machine: spans of two hours about now, and of one that is over.
#[tokio::test]
async fn the_time_of_the_day_decides() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = since.as_secs() / 60 % (24 * 60);
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let span = |from: u64, to: u64| format!("\"{}-{}\"", clock(now + from), clock(now + to));
    let day = 24 * 60;
    let (about, before) = (span(day - 60, 60), span(day - 300, day - 180));
    // Eight hours ahead, in all seasons.
    let there = span(day + 8 * 60 - 60, day + 9 * 60);
    let routes = [
        route("now", &format!("{{time: {{between: {about}}}}}")),
        route("over", &format!("{{time: {{between: {before}}}}}")),
        route(
            "there",
            &format!("{{time: {{between: {there}, zone: Asia/Shanghai}}}}"),
        ),
        route(
            "here",
            &format!("{{time: {{between: {about}, zone: Asia/Shanghai}}}}"),
        ),
        route(
            "either",
            &format!("{{time: [{{between: {before}}}, {{between: {about}}}]}}"),
        ),
    ]
    .concat();
    let world = World::good(&format!("routes:\n{routes}")).await;
    for caller in Dialect::ALL {
        for (model, expect) in [
            ("now", "met"),
            ("over", "unmet"),
            ("there", "met"),
            ("here", "unmet"),
            ("either", "met"),
        ] {
            let answer = world.ask(caller, model, false).await;
            assert_eq!(
                served(&world, &answer),
                expect,
                "{caller:?} {model} {routes}"
            );
        }
    }
}

/// What claude-code-router calls slots, and a sub-agent that names its own model.
#[tokio::test]
async fn slots_of_coding_agents_are_routes() {
    let world = World::good(
        r#"
routes:
  - {model: "claude-*", when: {tokens: ">5000"}, targets: [up-gemini/long]}
  - {model: "claude-*haiku*", targets: [up-chat/background]}
  - {model: "claude-*", when: {tools: web_search}, targets: [up-responses/search]}
  - {model: "claude-*", when: {images: true}, targets: [up-gemini/image]}
  - {model: "claude-*", when: {thinking: true}, targets: [up-messages/think]}
  - {model: "claude-*", targets: [up-chat/default]}
  - {model: reviewer, when: {thinking: true}, targets: [up-responses/careful]}
  - {model: reviewer, targets: [up-responses/quick]}
"#,
    )
    .await;
    for caller in Dialect::ALL {
        for (model, but, expect) in [
            ("claude-sonnet-4-5", But::Not, "default"),
            ("claude-sonnet-4-5", But::Long, "long"),
            ("claude-haiku-4-5", But::Thinks, "background"),
            ("claude-sonnet-4-5", But::Searches, "search"),
            ("claude-sonnet-4-5", But::Shows, "image"),
            ("claude-sonnet-4-5", But::Thinks, "think"),
        ] {
            let body = request(caller, model, but).to_string();
            let path = caller.path(model, false);
            let answer = world.post(&path, &[], body.as_bytes()).await;
            assert_eq!(
                served(&world, &answer),
                expect,
                "{caller:?} {model} {but:?}"
            );
        }
        for (but, expect) in [(But::Not, "quick"), (But::Thinks, "careful")] {
            let mut body = request(caller, "claude-sonnet-4-5", but);
            let text = "<lingate-model>reviewer</lingate-model>Read the change.";
            say(caller, &mut body, text);
            let path = caller.path("claude-sonnet-4-5", false);
            let answer = world.post(&path, &[], body.to_string().as_bytes()).await;
            assert_eq!(served(&world, &answer), expect, "{caller:?} {but:?}");
        }
        // Who sent it may know nothing of the tag.
        let mut body = request(caller, "claude-sonnet-4-5", But::Not);
        say(
            caller,
            &mut body,
            "<lingate-model>nobodys</lingate-model>Read.",
        );
        let path = caller.path("claude-sonnet-4-5", false);
        let answer = world.post(&path, &[], body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 404, "{caller:?}");
        let why = "'nobodys', which a tag in the text names";
        assert!(answer.text().contains(why), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_meets_nothing_of_it_and_goes_through() {
    let world = World::good(&format!(
        "routes:\n{}",
        route("odd", r#"{tokens: ">0", thinking: false}"#)
    ))
    .await;
    let body = r#"{"model":"odd","messages":"not a list"}"#;
    let answer = world
        .post("/v1/chat/completions", &[], body.as_bytes())
        .await;
    assert_eq!(served(&world, &answer), "unmet");
    let received = world.upstream.received().pop().unwrap();
    assert_eq!(received.body, body.replace("odd", "unmet").as_bytes());
}

#[tokio::test]
async fn tokens_are_counted_where_the_request_would_go() {
    let world = World::good(
        r#"
routes:
  - {model: any, when: {tokens: ">1000"}, targets: [up-gemini/long]}
  - {model: any, targets: [up-messages/short]}
"#,
    )
    .await;
    for (but, expect) in [
        (But::Not, "/v1/messages/count_tokens"),
        (But::Long, "/v1beta/models/long:countTokens"),
    ] {
        let body = request(Dialect::Messages, "any", but).to_string();
        let answer = world
            .post("/v1/messages/count_tokens", &[], body.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.upstream.received().pop().unwrap().path, expect);
    }
}
