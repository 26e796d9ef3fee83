//! Calls of tools in namespaces, on the way back to a caller who declared them.

use serde_json::{Value, json};

use super::{A, C, G, R, encode};
use crate::framing::Framing;
use crate::json::Node;
use crate::stream::{End, Transcoder, replay};
use crate::{DialectId, Losses, Mint, Quirks, Reply};

/// What an upstream of this dialect calls, as `namespace/name`, and what its caller is told of it, whole and streamed. Declared are
/// `search` and `crm__list`, and in namespaces `mail/list`, `crm/list`, `crm/note`, `crm/search`, and `crm/free` as a free-form tool.
fn check(called: &str, expect: &str) {
    let function =
        |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object"}});
    let body = json!({
        "input": "Hi",
        "tools": [
            function("search"),
            function("crm__list"),
            {"type": "namespace", "name": "mail", "description": "Mail", "tools": [function("list")]},
            {"type": "namespace", "name": "crm", "description": "Customers",
                "tools": [function("list"), function("note"), function("search"), {"type": "custom", "name": "free"}]},
        ],
    });
    let mut item = json!({"id": "fc_1", "call_id": "call_1", "status": "completed"});
    let name = match called.split_once('/') {
        Some((space, name)) => {
            item["namespace"] = json!(space);
            name
        }
        None => called,
    };
    item["name"] = json!(name);
    let free = name == "free";
    item["type"] = json!(if free {
        "custom_tool_call"
    } else {
        "function_call"
    });
    item[if free { "input" } else { "arguments" }] = json!("{}");
    let answer = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [item]});

    let tools = || {
        let encoded = encode(
            R,
            &body.to_string(),
            R,
            &Quirks::default(),
            &mut Losses::default(),
        );
        encoded.unwrap().tools
    };
    let request = R.dialect().decode_request(body.to_string().as_bytes());
    let reply = Reply {
        model: "alias".into(),
        mint: Mint { now: 1, id: 7 },
        include_usage: false,
        show_reasoning: false,
        legacy_function_call: false,
        enum_output: false,
        responses: request.unwrap().responses,
    };
    let response = R.dialect().decode_response(answer.to_string().as_bytes());
    let mut response = response.unwrap();
    response.restore_tools(&tools());
    let whole = R
        .dialect()
        .encode_response(&response, &reply, &mut Losses::default());
    assert_eq!(told(&whole), expect, "{called} whole");

    let frame = |value: Value| {
        format!(
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap()
        )
    };
    let stream = [
        frame(
            json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "model": "m", "output": []}}),
        ),
        frame(json!({"type": "response.output_item.added", "output_index": 0, "item": item})),
        frame(json!({"type": "response.output_item.done", "output_index": 0, "item": item})),
        frame(json!({"type": "response.completed", "response": answer})),
    ];
    let mut transcoder = Transcoder::new(
        R.dialect(),
        R.dialect(),
        &reply,
        Framing::Sse,
        Framing::Sse,
        tools(),
    );
    let mut out = Vec::new();
    transcoder
        .push(stream.concat().as_bytes(), &mut out)
        .unwrap();
    transcoder.end(End::Eof, &mut out);
    let out = String::from_utf8(out).unwrap();
    let last = out
        .lines()
        .rfind(|line| line.starts_with("data: "))
        .unwrap();
    let last = Node::parse(last.strip_prefix("data: ").unwrap().as_bytes()).unwrap();
    let last = last.fields().unwrap().get("response").unwrap();
    assert_eq!(told(last.raw().as_bytes()), expect, "{called} streamed");
}

/// The first item of an answer, as `namespace/name`.
fn told(answer: &[u8]) -> String {
    let fields = Node::parse(answer).unwrap().fields().unwrap();
    let output = fields.get("output").unwrap().raw();
    let items: Value = serde_json::from_str(output).unwrap();
    let item = &items[0];
    let name = item["name"].as_str().unwrap();
    let said = output.matches("\"namespace\":").count();
    assert_eq!(said, item.get("namespace").iter().count(), "{output}");
    match item["namespace"].as_str() {
        Some(space) => format!("{space}/{name}"),
        None => name.to_owned(),
    }
}

#[test]
fn a_call_comes_back_with_its_own_namespace() {
    for (called, expect) in [
        ("mail/list", "mail/list"),
        ("crm/list", "crm/list"),
        ("crm/note", "crm/note"),
        ("crm/free", "crm/free"),
        ("crm/search", "crm/search"),
        ("search", "search"),
        // It has the flat name of another.
        ("crm__list", "crm__list"),
        // Without a namespace: the only one of that name, where there is one.
        ("note", "crm/note"),
        ("list", "list"),
        // Declared nowhere.
        ("gone/old", "gone/old"),
        ("found/found", "found/found"),
        ("search/search", "search/search"),
    ] {
        check(called, expect);
    }
}

#[test]
fn callers_without_namespaces_are_told_one_name() {
    let answer = br#"{"id":"r","object":"response","status":"completed","model":"m","output":[
        {"type":"function_call","call_id":"c","namespace":"mail","name":"list","arguments":"{}"},
        {"type":"function_call","call_id":"d","namespace":"found","name":"found","arguments":"{}"}]}"#;
    let response = R.dialect().decode_response(answer).unwrap();
    let reply = Reply {
        model: "alias".into(),
        mint: Mint { now: 1, id: 7 },
        include_usage: false,
        show_reasoning: false,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    };
    for caller in [C, A, G].map(DialectId::dialect) {
        let mut streamed = Vec::new();
        let mut events = Vec::new();
        replay(&response, &mut events);
        let mut encoder = caller.encoder(&reply, Framing::Sse);
        for event in &events {
            encoder.event(event, &mut streamed);
        }
        encoder.finish(&mut streamed);
        let whole = caller.encode_response(&response, &reply, &mut Losses::default());
        for told in [whole, streamed] {
            let told = String::from_utf8(told).unwrap();
            assert!(told.contains(r#""name":"list""#), "{told}");
            assert!(told.contains(r#""name":"found""#), "{told}");
        }
    }
}
