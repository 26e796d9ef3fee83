//! Requests: read into the hub, and written for an upstream.

use serde_json::Value;

use super::fixtures;
use crate::chat::Chat;
use crate::hub::{
    CacheMark, Effort, Extra, Media, MediaKind, Opaque, Output, Part, PartBody, Reasoning, Request,
    Role, Source, Text, Thought, Tool, ToolBody, ToolCall, ToolChoice, ToolResult, Turn, WebSearch,
};
use crate::quirks::{MaxTokensField, Quirks, SearchForm};
use crate::{At, Dialect, DialectId, Losses, Target};

fn decode(body: &str) -> Request {
    Chat.decode_request(body.as_bytes()).unwrap()
}

/// The body written for `request`, or the refusal; then the places of the losses.
fn encode(request: &Request, quirks: &Quirks) -> (String, Vec<String>) {
    let target = Target {
        model: "m",
        quirks,
        max_output: None,
        default_max_tokens: 4096,
    };
    let mut losses = Losses::default();
    let body = match Chat.encode_request(request, &target, &mut losses) {
        Ok(encoded) => String::from_utf8(encoded.body).unwrap(),
        Err(refusal) => format!("{}: {}", Chat.locate(&refusal.at), refusal.message),
    };
    (body, losses.paths(&Chat))
}

#[test]
fn a_request_written_and_read_again_is_the_same() {
    for (name, text) in fixtures("requests") {
        let (first, losses) = encode(&decode(&text), &Quirks::default());
        if !first.starts_with('{') {
            assert!(
                ["file_id.json", "video_of_a_vendor.json"].contains(&name.as_str()),
                "{name}: {first}"
            );
            continue;
        }
        let (second, again) = encode(&decode(&first), &Quirks::default());
        if losses.is_empty() {
            assert_eq!((&second, again), (&first, losses), "{name}");
        }
    }
}

#[test]
fn a_request_is_read_into_the_hub() {
    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "settings.json")
        .unwrap();
    let request = decode(&text);
    assert_eq!(request.max_output, Some(500));
    assert_eq!(request.sampling.seed, Some(-7));
    assert_eq!(request.stop, ["END", "STOP"]);
    assert_eq!((request.candidates, request.logprobs), (Some(2), Some(3)));
    assert_eq!(request.reasoning.effort, Some(Effort::High));
    assert_eq!(
        request.metadata,
        [
            ("team".to_owned(), "a".to_owned()),
            ("run".to_owned(), "7".to_owned())
        ]
    );
    assert!(request.stream && request.include_usage && request.extra.is_empty());

    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "instructions.json")
        .unwrap();
    let request = decode(&text);
    assert_eq!(request.system.len(), 3);
    assert_eq!(request.system[2].cache, Some(CacheMark::Short));
    assert_eq!(Chat.locate(&request.system[2].at), "messages.1.content.1");
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(
        roles,
        [Role::User, Role::Assistant, Role::System, Role::User]
    );

    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "tool_loop.json")
        .unwrap();
    let request = decode(&text);
    let places: Vec<String> = request
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .map(|part| Chat.locate(&part.at))
        .collect();
    assert_eq!(
        places,
        [
            "messages.1.content.0",
            "messages.1.content.1",
            "messages.2.reasoning_content",
            "messages.2.tool_calls.0",
            "messages.2.tool_calls.1",
            "messages.3",
            "messages.4",
            "messages.5.content.0"
        ]
    );
    let PartBody::ToolResult(result) = &request.turns[3].parts[0].body else {
        panic!("no result");
    };
    assert!(result.is_error && result.call == "call_b");

    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "functions_of_old.json")
        .unwrap();
    let request = decode(&text);
    assert!(request.legacy_functions);
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    let PartBody::ToolResult(result) = &request.turns[2].parts[0].body else {
        panic!("no result");
    };
    assert_eq!(
        (result.call.as_str(), result.name.as_deref()),
        ("fc_0", Some("get_weather"))
    );
}

#[test]
fn media_are_known_by_their_bytes() {
    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "images.json")
        .unwrap();
    let media: Vec<_> = decode(&text).turns[0]
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::Media(media) => Some((media.mime.clone(), media.detail.is_some())),
            _ => None,
        })
        .collect();
    let png = Some("image/png".to_owned());
    assert_eq!(media, [(png.clone(), true), (None, true), (png, false)]);
    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "files.json")
        .unwrap();
    let PartBody::Media(file) = &decode(&text).turns[0].parts[2].body else {
        panic!("no file");
    };
    assert_eq!(file.source, Source::Text("hello".to_owned()));
}

#[test]
fn what_nobody_knows_is_kept_at_its_place() {
    let (_, text) = fixtures("requests")
        .into_iter()
        .find(|(name, _)| name == "names_and_extras.json")
        .unwrap();
    let request = decode(&text);
    let mut losses = Losses::default();
    losses.extra(&request.extra, &At::Request, DialectId::Gemini);
    losses.extra(
        &request.system[0].extra,
        &request.system[0].at,
        DialectId::Gemini,
    );
    losses.extra(
        &request.turns[0].extra,
        &At::Turn { turn: 1 },
        DialectId::Gemini,
    );
    let part = &request.turns[0].parts[0];
    losses.extra(&part.extra, &part.at, DialectId::Gemini);
    assert_eq!(
        losses.paths(&Chat),
        [
            "logit_bias",
            "prediction",
            "prompt_cache_key",
            "moderation",
            "x_vendor",
            "messages.0.content.0.name",
            "messages.1.name",
            "messages.1.content.0.x_mark"
        ]
    );
    let (body, losses) = encode(&request, &Quirks::default());
    assert_eq!(losses, [] as [&str; 0]);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["x_vendor"].to_string(), r#"{"a":[1,2.5]}"#);
    assert_eq!(
        body["messages"][1].to_string(),
        r#"{"role":"user","content":[{"type":"text","text":"a","x_mark":1}],"name":"alice"}"#
    );
}

#[test]
fn faults_name_the_field() {
    for (body, expect) in [
        ("[]", "expected an object, got an array"),
        ("{}", "messages: is required"),
        (
            r#"{"messages":[]}"#,
            "messages: is empty; at least one message is expected",
        ),
        (
            r#"{"messages":{}}"#,
            "messages: expected an array, got an object",
        ),
        (
            r#"{"messages":["x"]}"#,
            "messages.0: expected an object, got a string",
        ),
        (
            r#"{"messages":[{"content":"x"}]}"#,
            "messages.0.role: is required",
        ),
        (
            r#"{"messages":[{"role":"bot","content":"x"}]}"#,
            "messages.0.role: expected system, developer, user, assistant, tool or function, got 'bot'",
        ),
        (
            r#"{"messages":[{"role":"user","content":7}]}"#,
            "messages.0.content: expected a string or an array of parts, got a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":["a",{"type":"image_url","image_url":{"url":7}}]}]}"#,
            "messages.1.content.1.image_url.url: expected a string, got a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,x"}}]}]}"#,
            "messages.0.content.0.image_url.url: expected an address, or data:<type>;base64,<data>",
        ),
        (
            r#"{"messages":[{"role":"system","content":[{"type":"image_url","image_url":"https://a"}]}]}"#,
            "messages.0.content.0: instructions hold text only",
        ),
        (
            r#"{"messages":[{"role":"tool","content":"x"}]}"#,
            "messages.0.tool_call_id: is required",
        ),
        (
            r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}]}"#,
            "messages.0.tool_calls.0.function.name: is required",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}"#,
            "tools.0.function.parameters: expected an object, got an array",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"tool_choice":"maybe"}"#,
            "tool_choice: expected none, auto, required or a tool, got 'maybe'",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#,
            "max_tokens: expected a whole number of 0 or more, got a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"stop":["a",1]}"#,
            "stop.1: expected a string, got a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"a"}}}"#,
            "response_format.json_schema.schema: is required",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"tool_use_id":"b"}]}]}]}"#,
            "messages.0.content.0.content.0: a tool result cannot hold another one",
        ),
    ] {
        let fault = Chat.decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), expect);
    }
}

fn user(body: PartBody) -> Request {
    let at = At::Part { turn: 0, part: 0 };
    let turn = Turn {
        role: Role::User,
        parts: vec![Part::new(body, at)],
        extra: Extra::default(),
    };
    Request {
        turns: vec![turn],
        ..Request::default()
    }
}

fn media(kind: MediaKind, source: Source, mime: &str) -> Media {
    Media {
        kind,
        source,
        mime: Some(mime.to_owned()).filter(|mime| !mime.is_empty()),
        name: None,
        detail: None,
        context: None,
        citations: false,
    }
}

#[test]
fn media_are_sent_or_refused() {
    let bytes = |data: &str| Source::Base64(data.to_owned());
    let named = |media: Media| Media {
        name: Some("n\"1".to_owned()),
        ..media
    };
    for (media, expect) in [
        (
            media(MediaKind::Image, bytes("AAAA"), "image/jpg"),
            r#"[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,AAAA"}}]"#,
        ),
        (
            media(MediaKind::Image, bytes("iVBORw0KGgo="), "image/heic"),
            r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]"#,
        ),
        (
            media(MediaKind::Image, Source::Url("https://a/b".into()), ""),
            r#"[{"type":"image_url","image_url":{"url":"https://a/b"}}]"#,
        ),
        (
            media(MediaKind::Audio, bytes("AAAA"), "audio/mpeg"),
            r#"[{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}]"#,
        ),
        (
            media(MediaKind::Document, bytes("JVBERi0x"), ""),
            r#"[{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,JVBERi0x"}}]"#,
        ),
        (
            named(media(
                MediaKind::Document,
                Source::Text("a\nb".into()),
                "text/plain",
            )),
            r#"[{"type":"text","text":"<document title=\"n'1\">\na\nb\n</document>"}]"#,
        ),
        (
            media(MediaKind::Document, bytes("aGVsbG8="), "text/csv"),
            r#"[{"type":"text","text":"<document>\nhello\n</document>"}]"#,
        ),
        (
            media(
                MediaKind::Document,
                Source::Parts(vec![
                    media(MediaKind::Document, Source::Text("a".into()), ""),
                    media(MediaKind::Image, Source::Url("https://a".into()), ""),
                ]),
                "",
            ),
            r#"[{"type":"text","text":"<document>"},{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a"}},{"type":"text","text":"</document>"}]"#,
        ),
        (
            media(MediaKind::Image, bytes("AAAA"), "image/heic"),
            "messages.0.content.0: chat upstreams take png, jpeg, gif and webp images, not 'image/heic'",
        ),
        (
            media(MediaKind::Image, Source::Url("gs://a/b".into()), ""),
            "messages.0.content.0: chat upstreams fetch no 'gs://a/b'; send the bytes, or an https address",
        ),
        (
            media(MediaKind::Image, Source::File("f1".into()), ""),
            "messages.0.content.0: the file 'f1' lies in another vendor's store; send its bytes instead",
        ),
        (
            media(MediaKind::Audio, bytes("AAAA"), "audio/ogg"),
            "messages.0.content.0: chat upstreams take wav and mp3 sound, not 'audio/ogg'",
        ),
        (
            media(MediaKind::Video, bytes("AAAA"), "video/mp4"),
            "messages.0.content.0: chat upstreams take no video",
        ),
        (
            media(
                MediaKind::Document,
                Source::Url("https://a/b.pdf".into()),
                "",
            ),
            "messages.0.content.0: chat upstreams fetch no documents; send the bytes instead of an address",
        ),
    ] {
        let (body, losses) = encode(&user(PartBody::Media(media)), &Quirks::default());
        let content = match serde_json::from_str::<Value>(&body) {
            Ok(body) => body["messages"][0]["content"].to_string(),
            Err(_) => body,
        };
        assert_eq!((content.as_str(), losses), (expect, vec![]));
    }
}

#[test]
fn tool_results_hold_text_and_their_media_follow() {
    let at = |part| At::Part { turn: 2, part };
    let mut request = decode(
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f"}}]}]}"#,
    );
    let result = ToolResult {
        call: "x".into(),
        name: None,
        parts: vec![
            Part::text("t", at(0)),
            Part::new(
                PartBody::Media(media(MediaKind::Image, Source::Url("https://a".into()), "")),
                at(1),
            ),
        ],
        is_error: true,
    };
    request.turns.push(Turn {
        role: Role::User,
        parts: vec![
            Part::text("after", at(3)),
            Part::new(PartBody::ToolResult(result), at(4)),
        ],
        extra: Extra::default(),
    });
    let (body, losses) = encode(&request, &Quirks::default());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body["messages"][1].to_string(),
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}"#
    );
    assert_eq!(
        body["messages"][2].to_string(),
        r#"{"role":"tool","tool_call_id":"x","content":"[tool error] t\n[image attached below]"}"#
    );
    assert_eq!(
        body["messages"][3].to_string(),
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a"}},{"type":"text","text":"after"}]}"#
    );
    assert_eq!(losses, ["messages.2.content.1"]);
}

#[test]
fn an_assistants_turn_becomes_one_message() {
    let mut request = user(PartBody::Text(Text {
        text: "a".into(),
        citations: vec![],
    }));
    let call = |id: &str| {
        PartBody::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "mcp.tool".into(),
            arguments: String::new(),
            custom: false,
            proof: None,
        })
    };
    let bodies = vec![
        PartBody::Reasoning(Thought {
            text: "hm".into(),
            ..Thought::default()
        }),
        Part::text("b", At::Request).body,
        Part::text("c", At::Request).body,
        call(&"long-".repeat(20)),
        Part::text("d", At::Request).body,
        PartBody::Opaque(Opaque {
            of: DialectId::Messages,
            kind: "server_tool_use".into(),
            json: crate::json::raw("{}").unwrap(),
        }),
    ];
    let parts = bodies
        .into_iter()
        .zip(0..)
        .map(|(body, part)| Part::new(body, At::Part { turn: 1, part }));
    request.turns.push(Turn {
        role: Role::Assistant,
        parts: parts.collect(),
        extra: Extra::default(),
    });
    let result = PartBody::ToolResult(ToolResult {
        call: "long-".repeat(20),
        name: None,
        parts: vec![],
        is_error: false,
    });
    request.turns.push(user(result).turns.remove(0));
    let (body, losses) = encode(&request, &Quirks::default());
    let body: Value = serde_json::from_str(&body).unwrap();
    let call = &body["messages"][1]["tool_calls"][0];
    assert_eq!(body["messages"][1]["content"], "bc\n\nd");
    assert_eq!(call["function"]["name"], "mcp_tool");
    assert_eq!(call["id"], body["messages"][2]["tool_call_id"]);
    assert_eq!(call["id"].as_str().unwrap().len(), 60);
    assert_eq!(losses, ["messages.1.content.4", "messages.1.content.5"]);
}

/// `settings` is put beside one message; what is written beside the model and the message must be `expect`.
fn check_settings(change: impl FnOnce(&mut Request, &mut Quirks), expect: &str, lost: &[&str]) {
    let mut request = user(Part::text("a", At::Request).body);
    let mut quirks = Quirks::default();
    change(&mut request, &mut quirks);
    let (body, losses) = encode(&request, &quirks);
    let head = r#"{"model":"m","messages":[{"role":"user","content":"a"}]"#;
    assert_eq!(body.strip_prefix(head).unwrap_or(&body), expect);
    assert_eq!(losses, lost);
}

#[test]
fn settings_obey_the_target() {
    check_settings(|_, _| {}, "}", &[]);
    check_settings(
        |request, _| request.max_output = Some(7),
        r#","max_completion_tokens":7}"#,
        &[],
    );
    check_settings(
        |request, quirks| {
            request.max_output = Some(7);
            quirks.max_tokens_field = MaxTokensField::MaxTokens;
        },
        r#","max_tokens":7}"#,
        &[],
    );
    check_settings(
        |request, _| request.max_output = Some(0),
        "max_tokens: a limit of 0 tokens only warms a cache, which this upstream has no request for; ask for 1 or more",
        &[],
    );
    check_settings(
        |request, _| {
            request.sampling.temperature = Some(1.0);
            request.sampling.top_k = Some(40.0);
            request.sampling.presence_penalty = Some(3.0);
        },
        r#","temperature":1,"presence_penalty":2}"#,
        &["top_k", "presence_penalty"],
    );
    check_settings(
        |request, quirks| {
            request.sampling.top_k = Some(40.0);
            quirks.top_k = true;
        },
        r#","top_k":40}"#,
        &[],
    );
    check_settings(
        |request, quirks| {
            request.sampling.temperature = Some(0.5);
            request.stop = vec!["a".into()];
            quirks.sampling = false;
            quirks.stop = false;
        },
        "}",
        &["stop", "temperature"],
    );
    check_settings(
        |request, _| request.stop = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        r#","stop":["a","b","c","d"]}"#,
        &["stop"],
    );
    check_settings(
        |request, _| {
            request.candidates = Some(2);
            request.logprobs = Some(0);
            request.user = Some("u".into());
            request.service_tier = Some("flex".into());
            request.store = Some(true);
        },
        r#","n":2,"logprobs":true,"user":"u","service_tier":"flex","store":true}"#,
        &[],
    );
    check_settings(
        |request, _| {
            request.logprobs = Some(30);
            request.user = Some("u".repeat(129));
        },
        r#","logprobs":true,"top_logprobs":20,"user":"b39d5112496a75f40f27441b6883c5a8"}"#,
        &["logprobs", "user"],
    );
    check_settings(
        |request, _| request.stream = true,
        r#","stream":true,"stream_options":{"include_usage":true}}"#,
        &[],
    );
    check_settings(
        |request, _| {
            request.tool_choice = Some(ToolChoice::Required);
            request.parallel_tool_calls = Some(false);
        },
        "}",
        &["tool_choice"],
    );
}

#[test]
fn effort_is_said_in_levels() {
    let effort = |change: fn(&mut Reasoning), known: &[&str], expect: &str, lost: &[&str]| {
        check_settings(
            |request, quirks| {
                change(&mut request.reasoning);
                quirks.efforts = known.iter().map(|&name| name.to_owned()).collect();
            },
            expect,
            lost,
        );
    };
    effort(|reasoning| reasoning.enabled = Some(true), &[], "}", &[]);
    effort(
        |reasoning| reasoning.enabled = Some(false),
        &[],
        r#","reasoning_effort":"none"}"#,
        &[],
    );
    effort(
        |reasoning| reasoning.budget = Some(4096),
        &[],
        r#","reasoning_effort":"medium"}"#,
        &[],
    );
    effort(
        |reasoning| reasoning.effort = Some(Effort::Max),
        &["low", "high"],
        r#","reasoning_effort":"high"}"#,
        &["reasoning_effort"],
    );
    effort(
        |reasoning| reasoning.enabled = Some(false),
        &["low", "high"],
        r#","reasoning_effort":"low"}"#,
        &["reasoning_effort"],
    );
    check_settings(
        |request, quirks| {
            request.reasoning.effort = Some(Effort::Low);
            quirks.reasoning_effort = false;
        },
        "}",
        &["reasoning_effort"],
    );
}

#[test]
fn some_models_take_sampling_settings_while_they_do_not_reason() {
    let check = |enabled: Option<bool>, default: Option<&str>, expect: &str, lost: &[&str]| {
        check_settings(
            |request, quirks| {
                request.sampling.temperature = Some(0.5);
                request.reasoning.enabled = enabled;
                quirks.sampling = false;
                quirks.sampling_at_effort_none = true;
                quirks.default_effort = default.map(str::to_owned);
            },
            expect,
            lost,
        );
    };
    check(None, None, "}", &["temperature"]);
    check(None, Some("medium"), "}", &["temperature"]);
    check(None, Some("none"), r#","temperature":0.5}"#, &[]);
    check(
        Some(false),
        Some("medium"),
        r#","temperature":0.5,"reasoning_effort":"none"}"#,
        &[],
    );
}

#[test]
fn output_forms() {
    let schema = |json: &str| crate::json::raw(json).unwrap();
    check_settings(
        |request, _| request.output = Output::Json,
        r#","response_format":{"type":"json_object"}}"#,
        &[],
    );
    check_settings(
        |request, _| {
            request.output = Output::Schema {
                name: None,
                description: None,
                schema: schema(r#"{"type":"object","properties":{}}"#),
                strict: Some(true),
            };
        },
        r#","response_format":{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object","properties":{}},"strict":false}}}"#,
        &["response_format.strict"],
    );
    check_settings(
        |request, _| {
            request.output = Output::Enum {
                schema: schema(r#"{"type":"string","enum":["a","b"]}"#),
            }
        },
        r#","response_format":{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object","properties":{"value":{"type":"string","enum":["a","b"]}},"required":["value"],"additionalProperties":false},"strict":true}}}"#,
        &[],
    );
}

#[test]
fn searches_are_asked_for_as_the_server_is_asked() {
    let search = || Tool {
        body: ToolBody::WebSearch(WebSearch {
            max_uses: Some(8),
            context_size: Some("low".into()),
            user_location: crate::json::raw(r#"{"country":"NO"}"#),
            ..WebSearch::default()
        }),
        cache: None,
        at: At::Tool { tool: 0 },
        extra: Extra::default(),
    };
    let check = |form: SearchForm, expect: &str| {
        check_settings(
            |request, quirks| {
                quirks.web_search = form;
                request.tools = vec![search()];
            },
            expect,
            &["tools.0"],
        );
    };
    check(SearchForm::None, "}");
    check(
        SearchForm::Options,
        r#","web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"country":"NO"}}}}"#,
    );
    check(SearchForm::Plugin, r#","plugins":[{"id":"web"}]}"#);
}

#[test]
fn tools_of_other_vendors_are_left_out() {
    let tool = |body: ToolBody, tool: u32| Tool {
        body,
        cache: None,
        at: At::Tool { tool },
        extra: Extra::default(),
    };
    check_settings(
        |request, _| {
            request.tools = vec![
                tool(ToolBody::WebSearch(WebSearch::default()), 0),
                tool(ToolBody::WebFetch, 1),
                tool(ToolBody::CodeExecution, 2),
                tool(
                    ToolBody::Opaque(Opaque {
                        of: DialectId::Messages,
                        kind: "bash_20250124".into(),
                        json: crate::json::raw("{}").unwrap(),
                    }),
                    3,
                ),
                tool(
                    ToolBody::Function {
                        name: "f".into(),
                        description: None,
                        parameters: Some(crate::json::raw("{}").unwrap()),
                        strict: None,
                    },
                    4,
                ),
            ];
            request.tool_choice = Some(ToolChoice::Tool("web_search".into()));
            request.parallel_tool_calls = Some(false);
        },
        r#","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"parallel_tool_calls":false}"#,
        &["tools.0", "tools.1", "tools.2", "tools.3", "tool_choice"],
    );
}
