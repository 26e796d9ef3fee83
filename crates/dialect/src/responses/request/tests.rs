//! Tables for requests: what is refused, what is read, and what becomes of it for an upstream.

use serde_json::{Value, json};

use crate::responses::{Echo, Form, Responses};
use crate::{Dialect, DialectId, Encoded, Losses, Quirks, Refusal, Target};

fn encode(
    from: DialectId,
    body: &str,
    to: DialectId,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let request = from.dialect().decode_request(body.as_bytes());
    let request = request.unwrap_or_else(|fault| panic!("{fault}: {body}"));
    let target = Target {
        model: "up",
        quirks,
        max_output: None,
        default_max_tokens: 4096,
    };
    to.dialect().encode_request(&request, &target, losses)
}

/// `expect`: JSON pointers into the result with their values, `null` for nothing there. `lost`: where losses lie.
fn check(from: DialectId, body: &Value, to: DialectId, expect: &[(&str, Value)], lost: &[&str]) {
    check_with(from, body, to, &Quirks::default(), expect, lost);
}

fn check_with(
    from: DialectId,
    body: &Value,
    to: DialectId,
    quirks: &Quirks,
    expect: &[(&str, Value)],
    lost: &[&str],
) {
    let mut losses = Losses::default();
    let encoded = encode(from, &body.to_string(), to, quirks, &mut losses).unwrap();
    let value: Value = serde_json::from_slice(&encoded.body).unwrap();
    for (pointer, json) in expect {
        let found = value.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(found, json, "{pointer} of {value:#}");
    }
    assert_eq!(
        losses.paths(from.dialect()),
        lost,
        "{:?}",
        losses.iter().map(|loss| &loss.note).collect::<Vec<_>>()
    );
}

fn refused(from: DialectId, body: &Value, to: DialectId, place: &str) {
    let mut losses = Losses::default();
    let refusal = encode(from, &body.to_string(), to, &Quirks::default(), &mut losses);
    let refusal = refusal.unwrap_err();
    assert_eq!(from.dialect().locate(&refusal.at), place, "{refusal:?}");
}

const R: DialectId = DialectId::Responses;
const C: DialectId = DialectId::Chat;
const A: DialectId = DialectId::Messages;
const G: DialectId = DialectId::Gemini;

fn fixtures() -> Vec<(String, Value)> {
    let folder = format!("{}/fixtures/responses/requests", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(all.len() > 30);
    all
}

fn fixture(name: &str) -> Value {
    let all = fixtures();
    all.into_iter().find(|(other, _)| other == name).unwrap().1
}

/// The forms of one thing made one.
fn normal(mut body: Value) -> Value {
    let text = |role: &str, text: &Value| {
        let kind = if role == "assistant" {
            "output_text"
        } else {
            "input_text"
        };
        json!([{"type": kind, "text": text}])
    };
    let fields = body.as_object_mut().unwrap();
    fields.remove("model");
    let empty = |value: &Value| {
        value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || *value == json!({"format": {"type": "text"}})
    };
    fields.retain(|key, value| key == "input" || !empty(value) && *value != json!(false));
    if let Some(input) = fields.get("input").filter(|input| input.is_string()) {
        let content = text("user", input);
        fields["input"] = json!([{"role": "user", "content": content}]);
    }
    for item in fields
        .get_mut("input")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let item = item.as_object_mut().unwrap();
        if let Some(role) = item.get("role").and_then(Value::as_str)
            && item.get("content").is_some()
        {
            let role = role.to_owned();
            item.insert("type".to_owned(), json!("message"));
            if item["content"].is_string() {
                item["content"] = text(&role, &item["content"].clone());
            }
        }
        if let Some([part]) = item
            .get("output")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            && part["type"] == "input_text"
        {
            item["output"] = part["text"].clone();
        }
        if item.get("output") == Some(&json!([])) {
            item["output"] = json!("");
        }
        if item.get("arguments") == Some(&json!("")) {
            item["arguments"] = json!("{}");
        }
        for key in ["content", "output"] {
            for part in item
                .get_mut(key)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let part = part.as_object_mut().unwrap();
                if part.get("type") == Some(&json!("input_image")) {
                    part.entry("detail").or_insert(json!("auto"));
                    // The bytes tell what they are.
                    if let Some(url) = part.get("image_url").and_then(Value::as_str) {
                        let url = url.replace("image/jpeg;base64,iVBOR", "image/png;base64,iVBOR");
                        part.insert("image_url".to_owned(), json!(url));
                    }
                }
            }
        }
    }
    body
}

/// Whatever a fixture says is said again to an upstream of its own dialect, and no loss is told.
#[test]
fn within_the_dialect_everything_is_kept() {
    for (name, body) in fixtures() {
        if name == "forms_of_chat" {
            continue;
        }
        let mut losses = Losses::default();
        let encoded = encode(R, &body.to_string(), R, &Quirks::default(), &mut losses).unwrap();
        let again: Value = serde_json::from_slice(&encoded.body).unwrap();
        let mut wanted = normal(body.clone());
        if name == "previous_response" || name == "stored_prompt" {
            wanted["input"] = normal(again.clone())["input"].clone();
        }
        assert_eq!(normal(again), wanted, "{name}");
        assert!(losses.is_empty(), "{name}: {losses:?}");
    }
}

/// What OpenAI made is sent back byte for byte.
#[test]
fn reasoning_returns_as_it_came() {
    let item = r#"{"type":"reasoning","summary":[ ],"id":"rs_1","encrypted_content":"g\u0041A=","later": 1.50}"#;
    let body = format!(
        r#"{{"model":"m","input":[{{"role":"user","content":"Hi"}},{item},{{"role":"assistant","content":"Hello."}},{{"role":"user","content":"?"}}]}}"#
    );
    let encoded = encode(R, &body, R, &Quirks::default(), &mut Losses::default()).unwrap();
    let text = String::from_utf8(encoded.body).unwrap();
    assert!(text.contains(item), "{text}");
    for other in [C, A, G] {
        let mut losses = Losses::default();
        let encoded = encode(R, &body, other, &Quirks::default(), &mut losses).unwrap();
        assert!(!String::from_utf8(encoded.body).unwrap().contains("rs_1"));
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn faults_name_their_place() {
    let check = |body: &str, expect: &str| {
        let fault = Responses.decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), expect, "{body}");
    };
    check("[]", "expected an object, got an array");
    check(r#"{"model":"m"}"#, "input: is required");
    check(
        r#"{"model":"m","input":[]}"#,
        "input: is empty; at least one item is expected",
    );
    check(
        r#"{"model":"m","input":7}"#,
        "input: expected a string or an array of items, got a number",
    );
    let item = |item: &str, expect: &str| {
        check(
            &format!(r#"{{"input":[{{"role":"user","content":"Hi"}},{item}]}}"#),
            expect,
        );
    };
    item("7", "input.1: expected an object, got a number");
    item("{}", "input.1.type: is required");
    item(
        r#"{"role":"tool","content":""}"#,
        "input.1.role: expected user, assistant, system or developer, got 'tool'",
    );
    item(
        r#"{"role":"user","content":[{"type":"input_text"}]}"#,
        "input.1.content.0.text: is required",
    );
    item(
        r#"{"role":"developer","content":[{"type":"input_image","image_url":"https://e.x/a"}]}"#,
        "input.1.content.0: instructions hold text only",
    );
    item(
        r#"{"type":"function_call","name":"f"}"#,
        "input.1.call_id: is required",
    );
    item(
        r#"{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":7}]}"#,
        "input.1.output.0.image_url: expected an object, got a number",
    );
    item(
        r#"{"type":"local_shell_call","call_id":"c"}"#,
        "input.1.action: is required",
    );
    let with = |rest: &str, expect: &str| {
        check(&format!(r#"{{"input":"Hi",{rest}}}"#), expect);
    };
    with(
        r#""tools":[{"type":"function"}]"#,
        "tools.0.name: is required",
    );
    with(
        r#""tools":[{"type":"namespace","name":"n","tools":[{"type":"function"}]}]"#,
        "tools.0.tools.0.name: is required",
    );
    with(
        r#""tool_choice":"any""#,
        "tool_choice: expected none, auto, required or a tool, got 'any'",
    );
    with(
        r#""text":{"format":{"type":"json_schema","name":"n"}}"#,
        "text.format.schema: is required",
    );
    with(
        r#""reasoning":{"effort":3}"#,
        "reasoning.effort: expected a string, got a number",
    );
}

#[test]
fn what_openai_keeps_is_refused_elsewhere() {
    for other in [C, A, G] {
        refused(
            R,
            &fixture("previous_response"),
            other,
            "previous_response_id",
        );
        refused(R, &fixture("stored_prompt"), other, "prompt");
        refused(R, &fixture("item_reference"), other, "input.0");
        refused(R, &fixture("compaction"), other, "input.0");
        refused(
            R,
            &json!({"input": "Hi", "background": true}),
            other,
            "background",
        );
        refused(
            R,
            &json!({"input": "Hi", "conversation": "conv_1"}),
            other,
            "conversation",
        );
        refused(R, &fixture("file_ids"), other, "input.0.content.0");
        check(
            R,
            &json!({"input": "Hi", "background": false, "previous_response_id": null, "store": false}),
            other,
            &[("/store", Value::Null)],
            &[],
        );
    }
}

#[test]
fn an_agent_s_turn_is_one_message_elsewhere() {
    let body = fixture("agent");
    let lost = [
        "tools.1",
        "tools.2.description",
        "tools.3.external_web_access",
        "text.verbosity",
    ];
    check(
        R,
        &body,
        C,
        &[
            (
                "/messages/0",
                json!({"role": "system", "content": "You are an agent in a terminal."}),
            ),
            ("/messages/2/role", json!("assistant")),
            ("/messages/2/content", json!("I will look.")),
            (
                "/messages/2/tool_calls/0/function",
                json!({"name": "exec_command", "arguments": "{\"cmd\":\"ls\"}"}),
            ),
            (
                "/messages/3",
                json!({"role": "tool", "tool_call_id": "call_1", "content": "Exit code: 0\nOutput:\na.rs"}),
            ),
            (
                "/messages/4/tool_calls/0/function/name",
                json!("apply_patch"),
            ),
            (
                "/messages/4/tool_calls/0/function/arguments",
                json!(
                    "{\"input\":\"*** Begin Patch\\n*** Add File: b.rs\\n+fn b() {}\\n*** End Patch\"}"
                ),
            ),
            ("/messages/5/content", json!("Done")),
            ("/messages/6/content", json!("Thanks.")),
            ("/tools/1/function/parameters/required", json!(["input"])),
            ("/tools/2/function/name", json!("agents__spawn")),
            ("/tools/3/function/name", json!("agents__close")),
            ("/tools/4", Value::Null),
            ("/reasoning_effort", json!("medium")),
            ("/verbosity", json!("low")),
            ("/prompt_cache_key", Value::Null),
            ("/store", Value::Null),
            ("/messages/7", Value::Null),
        ],
        &[
            "tools.2.description",
            "tools.3.external_web_access",
            "tools.3",
            "tools.1",
        ],
    );
    check(
        R,
        &body,
        A,
        &[
            ("/system/0/text", json!("You are an agent in a terminal.")),
            ("/messages/1/content/0/text", json!("I will look.")),
            (
                "/messages/1/content/1",
                json!({"type": "tool_use", "id": "call_1", "name": "exec_command", "input": {"cmd": "ls"}}),
            ),
            ("/messages/2/content/0/tool_use_id", json!("call_1")),
            (
                "/messages/3/content/0/input/input",
                json!("*** Begin Patch\n*** Add File: b.rs\n+fn b() {}\n*** End Patch"),
            ),
            ("/messages/4/content/1/text", json!("Thanks.")),
            (
                "/tools/1/description",
                json!(
                    "Edits files.\n\nThe text of `input` must follow this lark grammar:\nstart: begin_patch hunk+ end_patch"
                ),
            ),
            ("/tools/4/type", json!("web_search_20250305")),
            (
                "/thinking",
                json!({"type": "adaptive", "display": "summarized"}),
            ),
            ("/output_config/effort", json!("medium")),
        ],
        &lost,
    );
    check(
        R,
        &body,
        G,
        &[
            (
                "/contents/1/parts/1/functionCall/args",
                json!({"cmd": "ls"}),
            ),
            (
                "/contents/2/parts/0/functionResponse/name",
                json!("exec_command"),
            ),
            (
                "/generationConfig/thinkingConfig/includeThoughts",
                json!(true),
            ),
        ],
        &lost,
    );
}

#[test]
fn parallel_calls_stay_together_and_results_follow_in_their_order() {
    check(
        R,
        &fixture("interleaved"),
        C,
        &[
            ("/messages/1/content", json!("One.\n\nTwo.")),
            (
                "/messages/1/tool_calls/1/function/arguments",
                json!("{\"tz\": \"CET\" }"),
            ),
            ("/messages/2/tool_call_id", json!("c1")),
            ("/messages/3/tool_call_id", json!("c2")),
            (
                "/messages/4/tool_calls/0/function/arguments",
                json!("{\"tz\":\"UTC\",\"n\":12345678901234567890}"),
            ),
            ("/messages/5/content", json!("12345678901234567890.10")),
        ],
        &["input.4.content.0"],
    );
    check(
        R,
        &fixture("tool_loop"),
        A,
        &[
            ("/messages/1/content/1/id", json!("call_b")),
            ("/messages/2/content/1/is_error", json!(true)),
            ("/messages/2/content/1/content", json!("timeout")),
        ],
        &[],
    );
}

#[test]
fn outputs_keep_their_pictures_and_files() {
    let body = fixture("result_with_media");
    check(
        R,
        &body,
        A,
        &[
            ("/messages/2/content/0/content/1/type", json!("image")),
            ("/messages/2/content/0/content/2/type", json!("document")),
        ],
        &[],
    );
    check(
        R,
        &body,
        C,
        &[
            ("/messages/2/content", json!("Here:\n[file attached below]")),
            ("/messages/4/content/0/type", json!("image_url")),
            ("/messages/4/content/1/type", json!("file")),
        ],
        &["input.3.output.1", "input.3.output.2"],
    );
}

#[test]
fn namespaces_become_flat_names() {
    let body = fixture("namespaces");
    check(
        R,
        &body,
        C,
        &[
            ("/tools/0/function/name", json!("mcp__mail__send")),
            ("/tools/1/function/name", json!("mcp__mail__raw")),
            ("/tools/2/function/name", json!("tasks__list")),
            // Another tool has that name already.
            ("/tools/3/function/name", json!("tasks__list")),
            (
                "/messages/1/tool_calls/0/function/name",
                json!("mcp__mail__send"),
            ),
            (
                "/messages/4/tool_calls/0/function/name",
                json!("gone__old_one"),
            ),
            ("/tool_choice/function/name", json!("mcp__mail__send")),
        ],
        &["tools.0.description", "tools.1.description", "tools.0"],
    );
    // Within the dialect they go as they came, and what the model calls is found by its name there.
    let encoded = encode(
        R,
        &body.to_string(),
        R,
        &Quirks::default(),
        &mut Losses::default(),
    );
    let renamed = encoded.unwrap().tools.renamed;
    assert!(renamed.contains(&("send".to_owned(), "mcp__mail__send".to_owned())));
    let echo = echo(&body);
    assert_eq!(
        echo.form("mcp__mail__send"),
        Some(&Form::Namespaced {
            namespace: "mcp__mail__".to_owned(),
            name: "send".to_owned()
        })
    );
    assert_eq!(
        echo.form("mcp__mail__raw"),
        Some(&Form::Custom {
            namespace: Some("mcp__mail__".to_owned()),
            name: "raw".to_owned()
        })
    );
}

fn echo(body: &Value) -> std::sync::Arc<Echo> {
    let request = Responses
        .decode_request(body.to_string().as_bytes())
        .unwrap();
    request.responses.unwrap()
}

/// The first call of an answer, as the caller is given it.
fn restored(
    from: &Value,
    to: DialectId,
    quirks: &Quirks,
    name: &str,
    arguments: &str,
) -> (String, String, bool) {
    let encoded = encode(R, &from.to_string(), to, quirks, &mut Losses::default()).unwrap();
    let mut call = crate::hub::ToolCall {
        id: "c".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        proof: None,
    };
    encoded.tools.restore(&mut call);
    (call.name, call.arguments, call.custom)
}

#[test]
fn free_form_tools_are_functions_elsewhere_and_come_back() {
    let body = fixture("custom_tools");
    check(
        R,
        &body,
        C,
        &[
            ("/tools/0/type", json!("function")),
            (
                "/tools/0/function/parameters/properties",
                json!({"input": {"type": "string"}}),
            ),
            (
                "/tools/0/function/description",
                json!(
                    "A calculator.\n\nThe text of `input` must follow this regex grammar:\n[0-9+ ]+"
                ),
            ),
            ("/tools/1/function/description", Value::Null),
            (
                "/tool_choice",
                json!({"type": "function", "function": {"name": "calc"}}),
            ),
            ("/messages/1/tool_calls/0/type", json!("function")),
            ("/messages/2/content", json!("3")),
        ],
        &["tools.0", "tools.1"],
    );
    let takes = Quirks {
        custom_tools: true,
        ..Quirks::default()
    };
    check_with(
        R,
        &body,
        C,
        &takes,
        &[
            (
                "/tools/0/custom/format",
                json!({"type": "grammar", "grammar": {"syntax": "regex", "definition": "[0-9+ ]+"}}),
            ),
            (
                "/messages/1/tool_calls/0/custom",
                json!({"name": "calc", "input": "1 + \"2\"\n"}),
            ),
            (
                "/tool_choice",
                json!({"type": "custom", "custom": {"name": "calc"}}),
            ),
        ],
        &[],
    );
    for (to, quirks) in [
        (C, Quirks::default()),
        (A, Quirks::default()),
        (G, Quirks::default()),
    ] {
        assert_eq!(
            restored(&body, to, &quirks, "calc", "{\"input\":\"1\\n\"}"),
            ("calc".to_owned(), "1\n".to_owned(), true)
        );
    }
    let plain = "{\"input\":\"1\"}";
    assert_eq!(
        restored(&body, C, &takes, "calc", plain),
        ("calc".to_owned(), plain.to_owned(), false)
    );
    let chat = json!({"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "custom", "custom": {"name": "calc", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}}], "tool_choice": {"type": "custom", "custom": {"name": "calc"}}});
    check(
        C,
        &chat,
        R,
        &[
            (
                "/tools/0",
                json!({"type": "custom", "name": "calc", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}),
            ),
            ("/tool_choice", json!({"type": "custom", "name": "calc"})),
        ],
        &[],
    );
}

#[test]
fn tools_with_a_type_are_functions_elsewhere() {
    check(
        R,
        &fixture("local_shell"),
        C,
        &[
            ("/tools/0/function/name", json!("local_shell")),
            ("/tools/0/function/parameters/required", json!(["command"])),
            (
                "/messages/1/tool_calls/0/function",
                json!({"name": "local_shell", "arguments": "{\"command\":[\"bash\",\"-lc\",\"ls\"],\"timeout_ms\":5000,\"workdir\":\"/w\"}"}),
            ),
            ("/messages/2/content", json!("{\"output\":\"a.rs\"}")),
        ],
        &["tools.0.type"],
    );
    let body = fixture("shell_and_patch");
    check(
        R,
        &body,
        A,
        &[
            (
                "/messages/1/content/0/input",
                json!({"commands": ["ls", "cat a"], "timeout_ms": 1000, "max_output_length": 4096}),
            ),
            ("/messages/3/content/0/input/path", json!("a")),
            ("/messages/4/content/0/is_error", json!(true)),
            ("/messages/4/content/0/content", json!("no such file")),
            ("/tool_choice/name", json!("shell")),
        ],
        &["tools.0.type", "tools.0.environment", "tools.1.type"],
    );
    let echo = echo(&body);
    assert_eq!(echo.form("shell"), Some(&Form::Shell));
    assert_eq!(echo.form("apply_patch"), Some(&Form::ApplyPatch));
    assert_eq!(echo.form("other"), None);
}

#[test]
fn tools_that_items_bring_can_be_called() {
    check(
        R,
        &fixture("additional_tools"),
        C,
        &[
            ("/tools/0/function/name", json!("get_weather")),
            ("/tools/1/function/name", json!("late")),
            ("/tools/2/function/name", json!("ns__deep")),
            ("/tools/3", Value::Null),
            ("/messages/1/tool_calls/0/function/name", json!("late")),
        ],
        &["input.1", "input.1.tools.2.description"],
    );
    check(
        R,
        &fixture("tool_search"),
        C,
        &[
            ("/tools/0/function/name", json!("found")),
            ("/tools/1", Value::Null),
            ("/messages/1/tool_calls/0/function/name", json!("found")),
        ],
        &["input.1", "input.2", "tools.0", "tools.1.defer_loading"],
    );
}

/// Clients send tools and items that nobody knows yet: they are no fault.
#[test]
fn what_is_not_known_is_lost_and_told() {
    check(
        R,
        &fixture("hosted_tools"),
        A,
        &[
            ("/tools/0/type", json!("code_execution_20250825")),
            ("/tools/1/name", json!("get_weather")),
            ("/tools/2", Value::Null),
        ],
        &[
            "tools.1",
            "tools.2",
            "tools.3",
            "tools.4",
            "tools.5",
            "max_tool_calls",
        ],
    );
    check(
        R,
        &fixture("hosted_items"),
        G,
        &[("/contents/1/parts/0/text", json!("None."))],
        &["input.1", "input.3", "input.4", "input.5"],
    );
    check(
        R,
        &fixture("settings"),
        C,
        &[
            ("/temperature", json!(0.7)),
            ("/top_logprobs", json!(5)),
            ("/user", json!("s")),
            ("/service_tier", json!("flex")),
            ("/metadata/b", json!("2")),
            ("/parallel_tool_calls", Value::Null),
        ],
        &[
            "truncation",
            "context_management",
            "moderation",
            "a_field_of_tomorrow",
        ],
    );
    check(
        R,
        &fixture("tool_choice_hosted"),
        A,
        &[("/tools", Value::Null), ("/tool_choice", Value::Null)],
        &["tools.0", "tool_choice"],
    );
}

#[test]
fn searches_are_said_in_every_dialect() {
    check(
        R,
        &fixture("web_search"),
        A,
        &[
            ("/tools/0/allowed_domains", json!(["example.com"])),
            (
                "/tools/0/user_location",
                json!({"type": "approximate", "city": "Paris", "country": "FR"}),
            ),
            ("/tool_choice/name", json!("web_search")),
        ],
        &["tools.0.search_context_size"],
    );
    check(
        A,
        &json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["e.x"], "user_location": {"type": "approximate", "city": "Paris"}}], "tool_choice": {"type": "tool", "name": "web_search"}}),
        R,
        &[
            (
                "/tools/0",
                json!({"type": "web_search", "filters": {"allowed_domains": ["e.x"]}, "user_location": {"type": "approximate", "city": "Paris"}}),
            ),
            ("/tool_choice", json!({"type": "web_search"})),
        ],
        &["tools.0.max_uses"],
    );
    check(
        C,
        &json!({"messages": [{"role": "user", "content": "Hi"}], "web_search_options": {"search_context_size": "low"}}),
        R,
        &[(
            "/tools/0",
            json!({"type": "web_search", "search_context_size": "low"}),
        )],
        &[],
    );
    check(
        G,
        &json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "tools": [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]}),
        R,
        &[(
            "/tools",
            json!([{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]),
        )],
        &["tools.2"],
    );
}

const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";

#[test]
fn a_chat_s_request_becomes_items() {
    let body = json!({
        "model": "m", "max_tokens": 5, "temperature": 0.5, "stop": ["x"], "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0,
        "logit_bias": {"1": -5}, "user": "u", "verbosity": "low", "prompt_cache_key": "k", "stream": true, "logprobs": true, "reasoning_effort": "high",
        "stream_options": {"include_usage": true},
        "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "developer", "content": "In French."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}"), "detail": "low"}}]},
            {"role": "assistant", "content": "Calling.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            {"role": "system", "content": "Stop soon."},
            {"role": "user", "content": "So?"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}
    });
    check(
        C,
        &body,
        R,
        &[
            ("/instructions", json!("Be brief.\n\nIn French.")),
            (
                "/input",
                json!([
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}"), "detail": "low"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Calling."}]},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "ok"},
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Stop soon."}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "So?"}]}]),
            ),
            ("/max_output_tokens", json!(16)),
            ("/store", json!(false)),
            (
                "/include",
                json!([
                    "reasoning.encrypted_content",
                    "message.output_text.logprobs"
                ]),
            ),
            ("/reasoning", json!({"effort": "high"})),
            ("/text", json!({"verbosity": "low"})),
            (
                "/tools/0",
                json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}, "strict": false}),
            ),
            ("/tool_choice", json!({"type": "function", "name": "f"})),
            ("/safety_identifier", json!("u")),
            ("/prompt_cache_key", json!("k")),
            ("/stream", json!(true)),
            ("/stream_options", Value::Null),
            ("/seed", Value::Null),
            ("/stop", Value::Null),
        ],
        &[
            "max_tokens",
            "stop",
            "presence_penalty",
            "seed",
            "logit_bias",
        ],
    );
    let hi = json!([{"role": "user", "content": "Hi"}]);
    refused(C, &json!({"messages": hi, "n": 2}), R, "n");
    refused(
        C,
        &json!({"messages": hi, "modalities": ["text", "audio"]}),
        R,
        "modalities",
    );
    refused(
        C,
        &json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
        R,
        "messages.0.content.0",
    );
    // Instructions alone are what is to be answered.
    check(
        C,
        &json!({"messages": [{"role": "system", "content": "Write a poem."}], "store": true}),
        R,
        &[
            ("/instructions", Value::Null),
            (
                "/input/0",
                json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Write a poem."}]}),
            ),
            ("/store", json!(true)),
        ],
        &[],
    );
    check(
        C,
        &json!({"messages": hi, "response_format": {"type": "json_schema", "json_schema": {"name": "a.b", "schema": {"type": "object"}, "strict": true}}}),
        R,
        &[(
            "/text/format",
            json!({"type": "json_schema", "name": "a_b", "schema": {"type": "object"}, "strict": false}),
        )],
        &["response_format.strict"],
    );
}

#[test]
fn a_messages_request_becomes_items() {
    let body = json!({
        "model": "m", "max_tokens": 500, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}], "top_k": 5, "stop_sequences": ["x"],
        "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"}, "metadata": {"user_id": "u"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}}, {"type": "document", "source": {"type": "url", "url": "https://e.x/a.pdf"}}, {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "Hello"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "S"}, {"type": "text", "text": "First."}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1.50}}, {"type": "tool_use", "id": "t2", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": "bad"}, {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "See"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}, {"type": "text", "text": "So?", "cache_control": {"type": "ephemeral"}}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}, {"type": "bash_20250124", "name": "bash"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true}
    });
    check(
        A,
        &body,
        R,
        &[
            ("/instructions", Value::Null),
            (
                "/input",
                json!([
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief.", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_file", "filename": "T.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}, {"type": "input_file", "file_url": "https://e.x/a.pdf"}, {"type": "input_text", "text": "<document title=\"Notes\">\nHello\n</document>"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "First."}]},
                {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{\"a\":1.5}"},
                {"type": "function_call", "call_id": "t2", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "t1", "output": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}"), "detail": "auto"}]},
                {"type": "function_call_output", "call_id": "t2", "output": "[tool error] bad"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "So?", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]),
            ),
            ("/reasoning", json!({"effort": "medium", "summary": "auto"})),
            ("/include", json!(["reasoning.encrypted_content"])),
            ("/tool_choice", json!("required")),
            ("/parallel_tool_calls", json!(false)),
            ("/safety_identifier", json!("u")),
            ("/store", json!(false)),
        ],
        &["stop_sequences", "top_k", "tools.1"],
    );
    let plain = Quirks {
        cache_breakpoints: false,
        developer_role: false,
        reasoning_effort: false,
        ..Quirks::default()
    };
    check_with(
        A,
        &json!({"model": "m", "max_tokens": 500, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}], "thinking": {"type": "adaptive", "display": "summarized"},
            "messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Now."}, {"role": "user", "content": "So?"}]}),
        R,
        &plain,
        &[
            ("/instructions", json!("Be brief.")),
            ("/input/1/role", json!("system")),
            ("/reasoning", Value::Null),
            ("/include", Value::Null),
        ],
        &[],
    );
    refused(
        A,
        &json!({"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "Hi"}]}),
        R,
        "max_tokens",
    );
}

#[test]
fn a_gemini_request_becomes_items() {
    check(
        G,
        &json!({
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQK"}}]},
                {"role": "model", "parts": [{"text": "Thinking", "thought": true}, {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lH"}, {"functionCall": {"name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"n": 12_345_678_901_234_567_890_u64}}}, {"functionResponse": {"name": "f", "response": {"error": "bad"}}}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "nullable": true}}}}]}],
            "generationConfig": {"topK": 5, "maxOutputTokens": 100, "thinkingConfig": {"thinkingBudget": 4000, "includeThoughts": true}, "responseMimeType": "application/json"}
        }),
        R,
        &[
            ("/instructions", json!("Be brief.")),
            (
                "/input/0/content/1",
                json!({"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}),
            ),
            ("/input/1/arguments", json!("{\"a\":1}")),
            ("/input/3/output", json!("{\"n\":12345678901234567890}")),
            ("/input/4/output", json!("[tool error] bad")),
            (
                "/tools/0/parameters/properties/a/anyOf/1/type",
                json!("null"),
            ),
            ("/reasoning", json!({"effort": "medium", "summary": "auto"})),
            ("/text/format", json!({"type": "json_object"})),
        ],
        &["generationConfig.topK"],
    );
    refused(
        G,
        &json!({"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "https://e.x/a.mp4", "mimeType": "video/mp4"}}]}]}),
        R,
        "contents.0.parts.0",
    );
}

/// Cursor and others of its kind.
#[test]
fn a_body_of_this_dialect_is_read_where_chat_is_expected() {
    let body = json!({"model": "m", "input": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}, {"type": "custom", "name": "patch"}], "stream": true, "stream_options": {"include_usage": true}, "reasoning": {"effort": "low"}});
    let request = C
        .dialect()
        .decode_request(body.to_string().as_bytes())
        .unwrap();
    assert!(request.include_usage && request.stream);
    assert_eq!((request.turns.len(), request.tools.len()), (1, 2));
}

/// Any text with one byte changed and the rest cut off is read or refused, and never panics.
#[test]
fn broken_bodies_are_refused_in_good_order() {
    use proptest::prelude::*;

    let read = |body: &[u8]| {
        let Ok(request) = Responses.decode_request(body) else {
            return;
        };
        for to in DialectId::ALL {
            let target = Target {
                model: "m",
                quirks: &Quirks::default(),
                max_output: None,
                default_max_tokens: 1,
            };
            let _ = to
                .dialect()
                .encode_request(&request, &target, &mut Losses::default());
        }
    };
    let bodies: Vec<String> = fixtures()
        .iter()
        .map(|(_, body)| body.to_string())
        .collect();
    proptest!(|((which, place, byte, end) in (0..bodies.len(), any::<u16>(), any::<u8>(), any::<u16>()))| {
        let mut body = bodies[which].clone().into_bytes();
        let length = body.len();
        body[usize::from(place) % length] = byte;
        body.truncate(usize::from(end) % (2 * length));
        read(&body);
    });
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    read(deep.as_bytes());
    read(format!(r#"{{"input":{closed}}}"#).as_bytes());
    read(format!(r#"{{"input":[{{"role":"user","content":{closed}}}]}}"#).as_bytes());
}
