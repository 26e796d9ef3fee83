//! Requests of Responses, for upstreams that speak something else.

use serde_json::{Value, json};

use super::{A, C, G, R, check, check_with, encode, fixture, refused};
use crate::responses::{Echo, Form, Responses};
use crate::{Dialect, DialectId, Losses, Quirks};

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
        &[
            (
                "/contents/1/parts/0/text",
                json!("[Searched the web for: news]"),
            ),
            ("/contents/1/parts/1/text", json!("None.")),
        ],
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
