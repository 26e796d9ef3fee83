//! Answers: what comes back of those of this dialect, and the forms that others take.

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::hub::{
    Choice, Delta, Event, FinishReason, Opaque, Open, Part, PartBody, Response, Text, Thought,
    ToolCall,
};
use crate::stream::{End, Outcome, Transcoder, replay};
use crate::{ErrorKind, Mint, ToolChanges};

fn reply(show_reasoning: bool, calls: Vec<CallForm>) -> Reply {
    Reply {
        model: "alias".into(),
        mint: Mint { now: 1, id: 7 },
        include_usage: false,
        show_reasoning,
        legacy_function_call: false,
        enum_output: false,
        responses: Some(Arc::new(Echo {
            fields: Vec::new(),
            calls,
        })),
    }
}

/// Without the ids of items, which are given anew.
fn without_ids(output: &Value) -> Vec<Value> {
    let mut items = output.as_array().unwrap().clone();
    for item in &mut items {
        let kind = item["type"].as_str().unwrap_or_default().to_owned();
        let anew = [
            "message",
            "function_call",
            "custom_tool_call",
            "image_generation_call",
        ];
        if anew.contains(&kind.as_str()) {
            item["id"] = Value::Null;
        }
    }
    items
}

#[test]
fn answers_come_back_as_they_went() {
    let folder = format!(
        "{}/fixtures/responses/responses",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name.starts_with("odd") || name == "failed_in_200" || name == "in_the_background" {
            continue;
        }
        let body = std::fs::read_to_string(&path).unwrap();
        let response = response::decode(body.as_bytes()).unwrap();
        let mut losses = Losses::default();
        let written = response::encode(&response, &reply(false, Vec::new()), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        let told: Value = serde_json::from_str(&body).unwrap();
        let again: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(
            without_ids(&again["output"]),
            without_ids(&told["output"]),
            "{name}"
        );
        for key in [
            "id",
            "status",
            "incomplete_details",
            "usage",
            "service_tier",
            "created_at",
        ] {
            assert_eq!(again[key], told[key], "{name}: {key}");
        }
        count += 1;
    }
    assert!(count > 10);
}

fn call(name: &str, arguments: &str, custom: bool) -> PartBody {
    PartBody::ToolCall(ToolCall {
        id: "call_1".into(),
        name: name.into(),
        arguments: arguments.into(),
        custom,
        proof: None,
    })
}

fn answer(bodies: Vec<PartBody>, reason: FinishReason) -> Response {
    let parts = bodies.into_iter().map(|body| Part::new(body, At::Request));
    Response {
        choices: vec![Choice {
            index: 0,
            parts: parts.collect(),
            finish: reason.into(),
            logprobs: Vec::new(),
        }],
        ..Response::default()
    }
}

/// The `output` of an answer, told whole; told in a stream it is the same.
fn check(bodies: Vec<PartBody>, reason: FinishReason, reply: &Reply, expect: &str) {
    let response = answer(bodies, reason);
    let written = response::encode(&response, reply, &mut Losses::default());
    let whole: Value = serde_json::from_slice(&written).unwrap();
    let expect: Value = serde_json::from_str(expect).unwrap();
    assert_eq!(Value::Array(without_ids(&whole["output"])), expect);
    let mut encoder = encoder::ResponsesEncoder::new(reply);
    let (mut events, mut out) = (Vec::new(), Vec::new());
    replay(&response, &mut events);
    for event in &events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let last = text
        .lines()
        .rfind(|line| line.starts_with("data: "))
        .unwrap();
    let last: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        Value::Array(without_ids(&last["response"]["output"])),
        expect
    );
    assert_eq!(last["response"]["status"], whole["status"]);
}

#[test]
fn calls_take_the_form_that_their_tools_were_declared_in() {
    let form = |name: &str, form| CallForm {
        name: name.to_owned(),
        form,
    };
    let reply = reply(
        false,
        vec![
            form(
                "tracker__create",
                Form::Namespaced {
                    namespace: "tracker".into(),
                    name: "create".into(),
                },
            ),
            form(
                "patch",
                Form::Custom {
                    namespace: None,
                    name: "apply_patch".into(),
                },
            ),
            form("local_shell", Form::LocalShell),
            form("shell", Form::Shell),
            form("apply_patch", Form::ApplyPatch),
        ],
    );
    let check = |body: PartBody, expect: &str| {
        check(
            vec![body],
            FinishReason::ToolCalls,
            &reply,
            &format!("[{expect}]"),
        );
    };
    check(
        call("f", "", false),
        r#"{"id":null,"type":"function_call","status":"completed","arguments":"{}","call_id":"call_1","name":"f"}"#,
    );
    check(
        call("tracker__create", r#"{"a":1}"#, false),
        r#"{"id":null,"type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"call_1","name":"create","namespace":"tracker"}"#,
    );
    check(
        call("patch", "a \"b\"", true),
        r#"{"id":null,"type":"custom_tool_call","status":"completed","call_id":"call_1","input":"a \"b\"","name":"apply_patch"}"#,
    );
    check(
        call(
            "local_shell",
            r#"{"command":["ls"],"workdir":"/tmp","timeout_ms":9}"#,
            false,
        ),
        r#"{"id":"lsh_700000000000000000000000","type":"local_shell_call","status":"completed","call_id":"call_1","action":{"type":"exec","command":["ls"],"env":{},"working_directory":"/tmp","timeout_ms":9}}"#,
    );
    check(
        call("local_shell", r#"{"command":"ls -l"}"#, false),
        r#"{"id":"lsh_700000000000000000000000","type":"local_shell_call","status":"completed","call_id":"call_1","action":{"type":"exec","command":["ls -l"],"env":{}}}"#,
    );
    check(
        call("shell", r#"{"commands":["pwd"],"timeout_ms":null}"#, false),
        r#"{"id":"sh_700000000000000000000000","type":"shell_call","status":"completed","call_id":"call_1","action":{"commands":["pwd"],"timeout_ms":null},"environment":null}"#,
    );
    check(
        call("apply_patch", r#"{"type":"delete_file","path":"a"}"#, false),
        r#"{"id":"apc_700000000000000000000000","type":"apply_patch_call","status":"completed","call_id":"call_1","operation":{"type":"delete_file","path":"a"}}"#,
    );
}

#[test]
fn reasoning_is_shown_to_who_asked_and_sealed_for_everybody() {
    let proof = |of, kind: &str, json: &str| {
        Some(Opaque {
            of,
            kind: kind.into(),
            json: crate::json::raw(json).unwrap(),
        })
    };
    let thought = |text: &str, proof| {
        PartBody::Reasoning(Thought {
            text: text.into(),
            proof,
            redacted: false,
        })
    };
    let (shown, hidden) = (reply(true, Vec::new()), reply(false, Vec::new()));
    let foreign = || proof(DialectId::Messages, "signature", "\"SIG\"");
    // The vault's: it has no id of its own.
    let sealed = |summary: &str| {
        let item =
            format!(r#"{{"type":"reasoning","summary":[{summary}],"encrypted_content":"lg1.x"}}"#);
        proof(DialectId::Responses, "reasoning", &item)
    };
    let summary = r#"{"type":"summary_text","text":"Hm."}"#;
    let end = FinishReason::Stop;
    let id = "rs_700000000000000000000000";
    check(
        vec![thought("Hm.", foreign())],
        end,
        &shown,
        &format!(
            r#"[{{"id":"{id}","type":"reasoning","summary":[{{"type":"summary_text","text":"Hm."}}]}}]"#
        ),
    );
    check(vec![thought("Hm.", foreign())], end, &hidden, "[]");
    check(
        vec![thought("Hm.", sealed(summary))],
        end,
        &shown,
        &format!(
            r#"[{{"id":"{id}","type":"reasoning","summary":[{{"type":"summary_text","text":"Hm."}}],"encrypted_content":"lg1.x"}}]"#
        ),
    );
    check(
        vec![thought("Hm.", sealed(""))],
        end,
        &hidden,
        &format!(
            r#"[{{"id":"{id}","type":"reasoning","summary":[],"encrypted_content":"lg1.x"}}]"#
        ),
    );
    let own = r#"{"type":"reasoning","id":"rs_own","summary":[],"encrypted_content":"E"}"#;
    check(
        vec![thought("", proof(DialectId::Responses, "reasoning", own))],
        end,
        &hidden,
        &format!("[{own}]"),
    );
}

#[test]
fn endings_are_told_in_the_status_and_in_the_last_item() {
    let text = |text: &str| {
        PartBody::Text(Text {
            text: text.into(),
            citations: Vec::new(),
        })
    };
    let reply = reply(false, Vec::new());
    let message = |status: &str, parts: &str| {
        format!(
            r#"[{{"id":null,"type":"message","status":"{status}","role":"assistant","content":[{parts}]}}]"#
        )
    };
    let part = r#"{"type":"output_text","annotations":[],"logprobs":[],"text":"a"}"#;
    check(
        vec![text("a")],
        FinishReason::Stop,
        &reply,
        &message("completed", part),
    );
    check(
        vec![text("a")],
        FinishReason::Length,
        &reply,
        &message("incomplete", part),
    );
    check(
        vec![text("a")],
        FinishReason::Pause,
        &reply,
        &message("incomplete", part),
    );
    check(vec![text("")], FinishReason::Stop, &reply, "[]");
    check(
        vec![text("a"), PartBody::Refusal("No.".into())],
        FinishReason::Refusal,
        &reply,
        &message(
            "completed",
            &format!(r#"{part},{{"type":"refusal","refusal":"No."}}"#),
        ),
    );
    check(
        vec![call("f", r#"{"a":"#, false)],
        FinishReason::Length,
        &reply,
        r#"[{"id":null,"type":"function_call","status":"incomplete","arguments":"{\"a\":","call_id":"call_1","name":"f"}]"#,
    );
}

#[test]
fn a_vendor_s_explanation_of_a_refusal_is_a_refusal_in_words() {
    let mut response = answer(Vec::new(), FinishReason::Refusal);
    response.choices[0].finish.message = Some("E".into());
    let written = response::encode(&response, &reply(false, Vec::new()), &mut Losses::default());
    let whole: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(whole["output"][0]["content"][0]["refusal"], "E");
    assert_eq!(whole["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn what_the_request_said_is_repeated() {
    let field = |key: &str, json: &str| (key.to_owned(), crate::json::raw(json).unwrap());
    let mut reply = reply(false, Vec::new());
    reply.responses = Some(Arc::new(Echo {
        fields: vec![
            field("temperature", "0.20"),
            field("tools", "[{\"type\":\"function\",\n\"name\":\"f\"}]"),
            field("metadata", "null"),
            field("store", "false"),
            field("id", "\"mine\""),
        ],
        calls: Vec::new(),
    }));
    let response = answer(Vec::new(), FinishReason::Stop);
    let written = response::encode(&response, &reply, &mut Losses::default());
    let text = String::from_utf8(written).unwrap();
    for part in [
        r#""temperature":0.20,"#,
        r#""tools":[{"type":"function","name":"f"}],"#,
        r#""metadata":{},"#,
        r#""store":false"#,
        r#""model":"alias""#,
        r#"{"id":"resp_"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// The events of a stream, by type, with what they tell.
fn told(events: &[Event], finished: bool) -> Vec<String> {
    let mut encoder = encoder::ResponsesEncoder::new(&reply(true, Vec::new()));
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    if finished {
        encoder.finish(&mut out);
    }
    let text = String::from_utf8(out).unwrap();
    let datas = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let told = datas.map(|data| {
        let event: Value = serde_json::from_str(data).unwrap();
        let kind = event["type"].as_str().unwrap().replace("response.", "");
        let said = ["delta", "text", "arguments"]
            .iter()
            .find_map(|key| event[*key].as_str());
        match (event["output_index"].as_u64(), said) {
            (Some(index), Some(said)) => format!("{index} {kind} {said}"),
            (Some(index), None) => format!("{index} {kind}"),
            (None, _) => kind,
        }
    });
    told.collect()
}

#[test]
fn a_stream_is_told_in_this_order() {
    let open = |index, part| Event::Open {
        index,
        choice: 0,
        part,
    };
    let delta = |index, delta| Event::Delta { index, delta };
    let start = Event::Start {
        id: None,
        model: "m".into(),
        created: None,
    };
    let events = [
        start.clone(),
        open(0, Open::Reasoning { redacted: false }),
        delta(0, Delta::Reasoning("Hm.".into())),
        Event::Close { index: 0 },
        open(1, Open::Text),
        Event::Close { index: 1 },
        open(2, Open::Text),
        delta(2, Delta::Text("He".into())),
        delta(2, Delta::Text("y".into())),
        Event::Close { index: 2 },
        open(
            3,
            Open::ToolCall {
                id: "call_1".into(),
                name: "f".into(),
                custom: false,
            },
        ),
        Event::Close { index: 3 },
        Event::Finish {
            choice: 0,
            finish: FinishReason::ToolCalls.into(),
        },
        Event::Usage(hub::Usage::default()),
    ];
    assert_eq!(
        told(&events, true),
        [
            "created",
            "in_progress",
            "0 output_item.added",
            "0 reasoning_summary_part.added",
            "0 reasoning_summary_text.delta Hm.",
            "0 reasoning_summary_text.done Hm.",
            "0 reasoning_summary_part.done",
            "0 output_item.done",
            "1 output_item.added",
            "1 content_part.added",
            "1 output_text.delta He",
            "1 output_text.delta y",
            "1 output_text.done Hey",
            "1 content_part.done",
            "1 output_item.done",
            "2 output_item.added",
            "2 function_call_arguments.delta {}",
            "2 function_call_arguments.done {}",
            "2 output_item.done",
            "completed",
        ]
    );
    let failure = Event::Error(ApiError::new(ErrorKind::Overloaded, "busy"));
    let cut = [&events[..8], &[failure, events[8].clone()]].concat();
    let cut = told(&cut, true);
    assert_eq!(cut[cut.len() - 2..], ["1 output_text.delta He", "failed"]);
}

#[test]
fn an_item_without_an_end_is_given_up() {
    let calls = || Open::ToolCall {
        id: "call_1".into(),
        name: "f".into(),
        custom: false,
    };
    for (part, delta) in [
        (Open::Text, Delta::Text as fn(String) -> Delta),
        (
            Open::Reasoning { redacted: false },
            Delta::Reasoning as fn(String) -> Delta,
        ),
        (calls(), Delta::Arguments as fn(String) -> Delta),
    ] {
        let reply = reply(true, Vec::new());
        let mut encoder = encoder::ResponsesEncoder::new(&reply);
        let mut out = Vec::new();
        let open = Event::Open {
            index: 0,
            choice: 0,
            part,
        };
        encoder.event(&open, &mut out);
        let more = Event::Delta {
            index: 0,
            delta: delta("x".repeat(8 << 20)),
        };
        for _ in 0..8 {
            out.clear();
            encoder.event(&more, &mut out);
            assert!(!out.is_empty());
        }
        out.clear();
        encoder.event(&more, &mut out);
        assert!(memchr::memmem::find(&out, b"event: response.failed").is_some());
        out.clear();
        encoder.event(&more, &mut out);
        assert!(out.is_empty(), "nothing is told or held any more");
    }
}

#[test]
fn an_answer_that_is_given_up_is_not_complete() {
    let chat = DialectId::Chat.dialect();
    let mut transcoder = Transcoder::new(
        chat,
        &Responses,
        &reply(true, Vec::new()),
        Framing::Sse,
        Framing::Sse,
        ToolChanges::default(),
    );
    let long = "x".repeat(8 << 20);
    let chunk = |choice: &str| {
        format!(
            r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,{choice}}}]}}"#
        ) + "\n\n"
    };
    let more = chunk(&format!(
        r#""delta":{{"content":"{long}"}},"finish_reason":null"#
    ));
    let mut out = Vec::new();
    for _ in 0..9 {
        out.clear();
        transcoder.push(more.as_bytes(), &mut out).unwrap();
    }
    assert!(transcoder.error().is_some());
    out.clear();
    let last = chunk(r#""delta":{},"finish_reason":"stop""#) + "data: [DONE]\n\n";
    transcoder.push(last.as_bytes(), &mut out).unwrap();
    let summary = transcoder.end(End::Eof, &mut out);
    assert_eq!(summary.outcome, Outcome::UpstreamError);
    assert!(out.is_empty(), "it was told before");
}
