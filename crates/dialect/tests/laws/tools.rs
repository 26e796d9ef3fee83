//! Tools that other dialects do not have come back, on the answer, as what their caller declared.

use lingate_dialect::framing::Framing;
use lingate_dialect::hub::{Choice, FinishReason, Part, PartBody, Response, ToolCall};
use lingate_dialect::stream::{End, Outcome, Transcoder, replay};
use lingate_dialect::{
    At, DialectId, Encoded, Losses, Mint, Quirks, Reply, Target, ToolChanges, hub,
};
use serde_json::{Value, json};

const MINT: Mint = Mint { now: 5, id: 7 };

/// What was declared, by whom, and what is called: the name and arguments that the upstream's model says, and what the caller is given of
/// it, as JSON pointers into its item or call.
struct Case {
    caller: DialectId,
    tool: Value,
    called: (&'static str, &'static str),
    expect: Vec<(&'static str, Value)>,
}

fn request(case: &Case) -> hub::Request {
    let body = match case.caller {
        DialectId::Responses => json!({"model": "m", "input": "Hi", "tools": [case.tool]}),
        _ => {
            json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [case.tool]})
        }
    };
    let body = body.to_string();
    case.caller
        .dialect()
        .decode_request(body.as_bytes())
        .unwrap()
}

fn sent(request: &hub::Request, upstream: DialectId) -> Encoded {
    let target = Target {
        model: "up",
        quirks: &Quirks::default(),
        max_output: None,
        default_max_tokens: 100,
    };
    let mut losses = Losses::default();
    let encoded = upstream
        .dialect()
        .encode_request(request, &target, &mut losses)
        .unwrap();
    assert!(!losses.is_empty(), "told");
    encoded
}

/// The upstream's answer, whole and streamed.
fn answer(upstream: DialectId, (name, arguments): (&str, &str)) -> (Vec<u8>, Vec<u8>) {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        proof: None,
    };
    let response = Response {
        model: "up".to_owned(),
        choices: vec![Choice {
            index: 0,
            parts: vec![Part::new(PartBody::ToolCall(call), At::Request)],
            finish: FinishReason::ToolCalls.into(),
            logprobs: Vec::new(),
        }],
        ..Response::default()
    };
    let reply = Reply::to(&hub::Request::default(), MINT);
    let dialect = upstream.dialect();
    let whole = dialect.encode_response(&response, &reply, &mut Losses::default());
    let mut encoder = dialect.encoder(&reply, Framing::Sse);
    let mut events = Vec::new();
    replay(&response, &mut events);
    let mut stream = Vec::new();
    for event in &events {
        encoder.event(event, &mut stream);
    }
    encoder.finish(&mut stream);
    (whole, stream)
}

/// The call in a whole answer of the caller's dialect.
fn call_of(caller: DialectId, body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).unwrap();
    let place = if caller == DialectId::Responses {
        "/output/0"
    } else {
        "/choices/0/message/tool_calls/0"
    };
    body.pointer(place)
        .unwrap_or_else(|| panic!("{body:#}"))
        .clone()
}

/// The same out of a stream: the item when it is done, or the pieces put together.
fn streamed_call(caller: DialectId, text: &str) -> Value {
    let frames = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str::<Value>(data).ok());
    if caller == DialectId::Responses {
        let mut pieces = String::new();
        let mut done = Value::Null;
        for frame in frames {
            let kind = frame["type"].as_str().unwrap_or_default();
            if kind.rsplit_once('.').is_some_and(|(_, end)| end == "delta") {
                pieces.push_str(frame["delta"].as_str().unwrap());
            }
            if kind == "response.output_item.done" {
                done = frame["item"].clone();
            }
        }
        for field in ["input", "arguments"] {
            if let Some(text) = done[field].as_str() {
                assert_eq!(pieces, text, "what was streamed is what is done");
            }
        }
        return done;
    }
    let mut call = Value::Null;
    let mut pieces = String::new();
    for frame in frames {
        let piece = &frame["choices"][0]["delta"]["tool_calls"][0];
        if call.is_null() {
            call = piece.clone();
        }
        for text in [&piece["custom"]["input"], &piece["function"]["arguments"]] {
            pieces.push_str(text.as_str().unwrap_or_default());
        }
    }
    for (outer, inner) in [("custom", "input"), ("function", "arguments")] {
        if let Some(text) = call[outer].get_mut(inner) {
            *text = json!(pieces);
        }
    }
    call
}

fn check(case: &Case) {
    let request = request(case);
    let reply = Reply::to(&request, MINT);
    for upstream in [DialectId::Chat, DialectId::Messages, DialectId::Gemini] {
        if upstream == case.caller {
            continue;
        }
        let tools = sent(&request, upstream).tools;
        let (whole, stream) = answer(upstream, case.called);
        let holds = |call: &Value| {
            for (pointer, wanted) in &case.expect {
                let found = call.pointer(pointer).unwrap_or(&Value::Null);
                assert_eq!(found, wanted, "{pointer} by {upstream}: {call:#}");
            }
        };
        let mut response = upstream.dialect().decode_response(&whole).unwrap();
        response.restore_tools(&tools);
        let told = case
            .caller
            .dialect()
            .encode_response(&response, &reply, &mut Losses::default());
        holds(&call_of(case.caller, &told));
        let whole_stream = transcode(case, upstream, &reply, &tools, &stream, stream.len());
        holds(&streamed_call(case.caller, &whole_stream));
        for size in [1, 7, 40] {
            let cut = transcode(case, upstream, &reply, &tools, &stream, size);
            assert_eq!(
                streamed_call(case.caller, &cut),
                streamed_call(case.caller, &whole_stream)
            );
        }
    }
}

fn transcode(
    case: &Case,
    upstream: DialectId,
    reply: &Reply,
    tools: &ToolChanges,
    stream: &[u8],
    size: usize,
) -> String {
    let mut transcoder = Transcoder::new(
        upstream.dialect(),
        case.caller.dialect(),
        reply,
        Framing::Sse,
        Framing::Sse,
        tools.clone(),
    );
    let mut out = Vec::new();
    for chunk in stream.chunks(size) {
        transcoder.push(chunk, &mut out).unwrap();
    }
    let summary = transcoder.end(End::Eof, &mut out);
    assert_eq!(summary.outcome, Outcome::ToolUse);
    String::from_utf8(out).unwrap()
}

#[test]
fn calls_come_back_as_their_tools_were_declared() {
    let patch = "*** Begin Patch\n+\"é\" \\ 😀\n*** End Patch";
    let wrapped = r#"{"input":"*** Begin Patch\n+\"\u00e9\" \\ \ud83d\ude00\n*** End Patch"}"#;
    let custom = json!({"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}});
    check(&Case {
        caller: DialectId::Responses,
        tool: custom.clone(),
        called: ("apply_patch", wrapped),
        expect: vec![
            ("/type", json!("custom_tool_call")),
            ("/name", json!("apply_patch")),
            ("/call_id", json!("call_1")),
            ("/input", json!(patch)),
        ],
    });
    check(&Case {
        caller: DialectId::Chat,
        tool: json!({"type": "custom", "custom": {"name": "apply_patch"}}),
        called: ("apply_patch", wrapped),
        expect: vec![
            ("/type", json!("custom")),
            ("/custom", json!({"name": "apply_patch", "input": patch})),
            ("/function", Value::Null),
        ],
    });
    // A model that did not do as it was told: nothing is lost.
    check(&Case {
        caller: DialectId::Responses,
        tool: custom,
        called: ("apply_patch", r#"{"patch":"x"}"#),
        expect: vec![
            ("/type", json!("custom_tool_call")),
            ("/input", json!(r#"{"patch":"x"}"#)),
        ],
    });
    let function = json!({"type": "function", "name": "send", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}, "strict": false});
    let space = json!({"type": "namespace", "name": "mcp__mail", "description": "Mail.", "tools": [function, {"type": "custom", "name": "raw"}]});
    check(&Case {
        caller: DialectId::Responses,
        tool: space.clone(),
        called: ("mcp__mail__send", r#"{"to":"Bo"}"#),
        expect: vec![
            ("/type", json!("function_call")),
            ("/namespace", json!("mcp__mail")),
            ("/name", json!("send")),
            ("/arguments", json!(r#"{"to":"Bo"}"#)),
        ],
    });
    check(&Case {
        caller: DialectId::Responses,
        tool: space,
        called: ("mcp__mail__raw", r#"{"input":"x"}"#),
        expect: vec![
            ("/type", json!("custom_tool_call")),
            ("/namespace", json!("mcp__mail")),
            ("/name", json!("raw")),
            ("/input", json!("x")),
        ],
    });
}

#[test]
fn tools_with_a_type_come_back_as_items_of_their_own() {
    check(&Case {
        caller: DialectId::Responses,
        tool: json!({"type": "local_shell"}),
        called: (
            "local_shell",
            r#"{"command":["ls","-l"],"workdir":"/w","timeout_ms":1000}"#,
        ),
        expect: vec![
            ("/type", json!("local_shell_call")),
            ("/call_id", json!("call_1")),
            (
                "/action",
                json!({"type": "exec", "command": ["ls", "-l"], "env": {}, "working_directory": "/w", "timeout_ms": 1000}),
            ),
        ],
    });
    check(&Case {
        caller: DialectId::Responses,
        tool: json!({"type": "shell"}),
        called: ("shell", r#"{"commands":["ls"]}"#),
        expect: vec![
            ("/type", json!("shell_call")),
            ("/action/commands", json!(["ls"])),
        ],
    });
    check(&Case {
        caller: DialectId::Responses,
        tool: json!({"type": "apply_patch"}),
        called: ("apply_patch", r#"{"type":"delete_file","path":"a"}"#),
        expect: vec![
            ("/type", json!("apply_patch_call")),
            ("/operation", json!({"type": "delete_file", "path": "a"})),
        ],
    });
}
