//! Tables for requests: what is refused, what is read, and what becomes of it for an upstream.

use serde_json::Value;

use crate::hub::{
    Effort, Extra, Media, MediaKind, Opaque, Output, Part, PartBody, Request, Source, Thought,
    Tool, ToolBody, ToolCall, ToolChoice, WebSearch,
};
use crate::messages::Messages;
use crate::quirks::Thinking;
use crate::{At, Dialect, DialectId, Losses, Quirks, Target, json};

#[test]
fn faults_name_their_place() {
    let check = |body: &str, expect: &str| {
        let fault = Messages.decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), expect, "{body}");
    };
    let with = |messages: &str, rest: &str| {
        format!(r#"{{"model":"m","max_tokens":1,"messages":{messages}{rest}}}"#)
    };
    check("[]", "expected an object, got an array");
    check(r#"{"max_tokens":1,"messages":[]}"#, "model: is required");
    check(r#"{"model":"m","messages":[]}"#, "max_tokens: is required");
    check(r#"{"model":"m","max_tokens":1}"#, "messages: is required");
    check(
        r#"{"model":"m","max_tokens":-1}"#,
        "max_tokens: expected a whole number of 0 or more, got a number",
    );
    check(
        &with("[]", ""),
        "messages: at least one message is expected",
    );
    check(
        &with("[7]", ""),
        "messages.0: expected an object, got a number",
    );
    check(
        &with(r#"[{"role":"tool","content":""}]"#, ""),
        "messages.0.role: expected user, assistant or system, got \"tool\"",
    );
    check(
        &with(r#"[{"role":"user","content":7}]"#, ""),
        "messages.0.content: expected a string or an array of blocks, got a number",
    );
    check(
        &with(r#"[{"role":"user","content":[{"type":"text"}]}]"#, ""),
        "messages.0.content.0.text: is required",
    );
    check(
        &with(
            r#"[{"role":"user","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}]"#,
            "",
        ),
        "messages.0.content.0: a tool_use block belongs into an assistant message",
    );
    check(
        &with(
            r#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image","source":{"type":"x"}}]}]}]"#,
            "",
        ),
        "messages.0.content.0.content.0.source.type: expected base64, url, file, text or content, got \"x\"",
    );
    check(
        &with(
            r#"[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":[]}]}]"#,
            "",
        ),
        "messages.0.content.0.input: expected an object, got an array",
    );
    let hello = r#"[{"role":"user","content":"Hi"}]"#;
    check(
        &with(
            hello,
            r#","system":[{"type":"image","source":{"type":"url","url":"u"}}]"#,
        ),
        "system.0.type: expected \"text\": instructions are text blocks",
    );
    check(
        &with(hello, r#","tools":[{"description":"d"}]"#),
        "tools.0.name: is required",
    );
    check(
        &with(hello, r#","tool_choice":"auto""#),
        "tool_choice: expected an object, got a string",
    );
    check(
        &with(hello, r#","thinking":{"type":"enabled"}"#),
        "thinking.budget_tokens: is required",
    );
    check(
        &with(hello, r#","stop_sequences":["a",7]"#),
        "stop_sequences.1: expected a string, got a number",
    );
    check(
        &with(
            hello,
            r#","output_config":{"format":{"type":"json_schema"}}"#,
        ),
        "output_config.format.schema: is required",
    );
}

/// Whatever a fixture says comes back from its own dialect, unless a loss was told.
#[test]
fn requests_come_back_as_they_went() {
    let folder = format!("{}/fixtures/messages/requests", env!("CARGO_MANIFEST_DIR"));
    let (mut same, mut told) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let body = std::fs::read_to_string(&path).unwrap();
        let request = Messages.decode_request(body.as_bytes()).unwrap();
        let quirks = Quirks {
            system_in_messages: true,
            prefill: true,
            ..Quirks::default()
        };
        let mut losses = Losses::default();
        let encoded = Messages
            .encode_request(&request, &target(&quirks), &mut losses)
            .unwrap();
        if !losses.is_empty() {
            told += 1;
            continue;
        }
        same += 1;
        let again = Messages.decode_request(&encoded.body).unwrap();
        let again = Request {
            model: request.model.clone(),
            ..again
        };
        assert_eq!(
            format!("{again:?}"),
            format!("{request:?}"),
            "{}",
            path.display()
        );
    }
    // A budget becomes an effort, and white space at the end of a prefill goes.
    assert_eq!((same, told), (9, 2));
}

fn target(quirks: &Quirks) -> Target<'_> {
    Target {
        model: "up",
        quirks,
        max_output: Some(64_000),
        default_max_tokens: 4096,
    }
}

const HELLO: &str =
    r#"{"model":"m","max_tokens":4000,"messages":[{"role":"user","content":"Hi"}]}"#;

/// Encodes `body` after `adapt` changed what it says. `expect`: JSON pointers into the result with their JSON text, empty text
/// for nothing there. `lost`: where losses lie.
fn check(
    body: &str,
    adapt: impl FnOnce(&mut Request, &mut Quirks),
    expect: &[(&str, &str)],
    lost: &[&str],
) {
    let mut request = Messages.decode_request(body.as_bytes()).unwrap();
    let mut quirks = Quirks::default();
    adapt(&mut request, &mut quirks);
    let mut losses = Losses::default();
    let encoded = Messages
        .encode_request(&request, &target(&quirks), &mut losses)
        .unwrap();
    let value: Value = serde_json::from_slice(&encoded.body).unwrap();
    for (pointer, json) in expect {
        let found = value
            .pointer(pointer)
            .map(Value::to_string)
            .unwrap_or_default();
        let json = serde_json::from_str::<Value>(json)
            .map(|json| json.to_string())
            .unwrap_or_default();
        assert_eq!(found, json, "{pointer} of {value}");
    }
    assert_eq!(
        losses.paths(&Messages),
        lost,
        "{:?}",
        losses.iter().map(|loss| &loss.note).collect::<Vec<_>>()
    );
}

fn refused(adapt: impl FnOnce(&mut Request), place: &str, message: &str) {
    let mut request = Messages.decode_request(HELLO.as_bytes()).unwrap();
    adapt(&mut request);
    let quirks = Quirks::default();
    let refusal = Messages
        .encode_request(&request, &target(&quirks), &mut Losses::default())
        .unwrap_err();
    assert_eq!(
        (
            Messages.locate(&refusal.at).as_str(),
            refusal.message.as_str()
        ),
        (place, message)
    );
}

#[test]
fn limits_and_sampling_obey_the_model() {
    check(
        HELLO,
        |_, _| {},
        &[
            ("/model", r#""up""#),
            ("/max_tokens", "4000"),
            ("/thinking", ""),
            ("/tools", ""),
            ("/system", ""),
        ],
        &[],
    );
    check(
        HELLO,
        |request, _| request.max_output = None,
        &[("/max_tokens", "4096")],
        &[],
    );
    check(
        HELLO,
        |request, _| request.max_output = Some(100_000),
        &[("/max_tokens", "64000")],
        &["max_tokens"],
    );
    let sampled = |request: &mut Request| {
        request.sampling.temperature = Some(1.5);
        request.sampling.top_p = Some(0.5);
        request.sampling.top_k = Some(5.0);
        request.sampling.seed = Some(1);
        request.sampling.presence_penalty = Some(0.0);
        request.sampling.frequency_penalty = Some(0.1);
    };
    check(
        HELLO,
        |request, _| sampled(request),
        &[("/temperature", "1"), ("/top_p", "0.5"), ("/top_k", "5")],
        &["temperature", "frequency_penalty", "seed"],
    );
    check(
        HELLO,
        |request, quirks| {
            sampled(request);
            quirks.sampling = false;
        },
        &[("/temperature", ""), ("/top_p", ""), ("/top_k", "")],
        &["temperature", "top_p", "top_k", "frequency_penalty", "seed"],
    );
    check(
        HELLO,
        |request, _| request.stop = vec!["END".into(), "\n".into()],
        &[("/stop_sequences", r#"["END"]"#)],
        &["stop_sequences"],
    );
    check(
        HELLO,
        |request, _| {
            request.candidates = Some(3);
            request.logprobs = Some(0);
            request.user = Some("u".into());
            request.service_tier = Some("flex".into());
            request.verbosity = Some("medium".into());
            request
                .extra
                .push(DialectId::Chat, "logit_bias", json::raw("{}").unwrap());
        },
        &[
            ("/metadata", r#"{"user_id":"u"}"#),
            ("/service_tier", r#""standard_only""#),
        ],
        &["service_tier", "logprobs", "n", "logit_bias"],
    );
}

#[test]
fn with_a_budget_a_tool_loop_begins_with_a_thought_or_does_not_think() {
    let body = |thought: &str, last: &str| {
        format!(
            r#"{{"model":"m","max_tokens":4000,"thinking":{{"type":"enabled","budget_tokens":1024}},"messages":[
            {{"role":"user","content":"Hi"}},
            {{"role":"assistant","content":[{thought}{{"type":"tool_use","id":"a","name":"f","input":{{}}}}]}},
            {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"a"}}]}}{last}]}}"#
        )
    };
    let adapt = |_: &mut Request, quirks: &mut Quirks| quirks.thinking = Thinking::Budget;
    let on = r#"{"type":"enabled","budget_tokens":1024}"#;
    let off = r#"{"type":"disabled"}"#;
    let signed = r#"{"type":"thinking","thinking":"Hm.","signature":"S"},"#;
    check(&body(signed, ""), adapt, &[("/thinking", on)], &[]);
    check(&body("", ""), adapt, &[("/thinking", off)], &["thinking"]);
    let unsigned = r#"{"type":"thinking","thinking":"Hm."},"#;
    check(
        &body(unsigned, ""),
        adapt,
        &[("/thinking", off)],
        &["thinking"],
    );
    let over = r#",{"role":"assistant","content":"Done."},{"role":"user","content":"More."}"#;
    check(&body("", over), adapt, &[("/thinking", on)], &[]);
}

#[test]
fn thinking_takes_the_form_of_the_model() {
    let effort = |effort| {
        move |request: &mut Request, _: &mut Quirks| request.reasoning.effort = Some(effort)
    };
    let budget = |effort: Option<Effort>, budget, limit| {
        move |request: &mut Request, quirks: &mut Quirks| {
            quirks.thinking = Thinking::Budget;
            request.max_output = limit;
            request.reasoning.effort = effort;
            request.reasoning.budget = budget;
        }
    };
    check(
        HELLO,
        effort(Effort::High),
        &[
            ("/thinking", r#"{"type":"adaptive"}"#),
            ("/output_config", r#"{"effort":"high"}"#),
        ],
        &[],
    );
    check(
        HELLO,
        effort(Effort::Minimal),
        &[("/output_config/effort", r#""low""#)],
        &["thinking"],
    );
    check(
        HELLO,
        effort(Effort::None),
        &[
            ("/thinking", r#"{"type":"disabled"}"#),
            ("/output_config", ""),
        ],
        &[],
    );
    check(
        HELLO,
        |request, quirks| {
            request.reasoning.effort = Some(Effort::XHigh);
            request.reasoning.show = Some(true);
            quirks.efforts = vec!["low".into(), "high".into()];
        },
        &[
            ("/thinking", r#"{"type":"adaptive","display":"summarized"}"#),
            ("/output_config/effort", r#""high""#),
        ],
        &["thinking"],
    );
    check(
        HELLO,
        |request, _| request.reasoning.budget = Some(9000),
        &[
            ("/thinking/type", r#""adaptive""#),
            ("/output_config/effort", r#""high""#),
        ],
        &["thinking"],
    );
    check(
        HELLO,
        |request, _| request.reasoning.show = Some(true),
        &[("/thinking", "")],
        &["thinking"],
    );
    check(
        HELLO,
        |request, quirks| {
            request.reasoning.enabled = Some(false);
            quirks.thinking = Thinking::AlwaysAdaptive;
        },
        &[("/thinking", ""), ("/output_config/effort", r#""low""#)],
        &["thinking"],
    );
    check(
        HELLO,
        |request, quirks| {
            request.reasoning.effort = Some(Effort::Low);
            quirks.thinking = Thinking::None;
        },
        &[("/thinking", ""), ("/output_config", "")],
        &["thinking"],
    );
    check(
        HELLO,
        budget(None, Some(2000), Some(4000)),
        &[("/thinking", r#"{"type":"enabled","budget_tokens":2000}"#)],
        &[],
    );
    check(
        HELLO,
        budget(None, Some(512), Some(4000)),
        &[("/thinking/budget_tokens", "1024")],
        &["thinking"],
    );
    check(
        HELLO,
        budget(None, Some(9000), Some(4000)),
        &[("/thinking/budget_tokens", "2976"), ("/max_tokens", "4000")],
        &["thinking"],
    );
    check(
        HELLO,
        budget(None, Some(9000), Some(1024)),
        &[("/thinking", ""), ("/max_tokens", "1024")],
        &["thinking"],
    );
    check(
        HELLO,
        budget(None, Some(9000), None),
        &[
            ("/thinking/budget_tokens", "9000"),
            ("/max_tokens", "13096"),
        ],
        &[],
    );
    check(
        HELLO,
        budget(Some(Effort::Medium), None, None),
        &[
            ("/thinking/budget_tokens", "8192"),
            ("/max_tokens", "12288"),
        ],
        &["thinking"],
    );
    check(
        HELLO,
        |request, quirks| {
            quirks.thinking = Thinking::Budget;
            request.reasoning.budget = Some(2000);
            request.sampling.temperature = Some(0.2);
            request.sampling.top_p = Some(0.97);
            request.sampling.top_k = Some(4.0);
        },
        &[("/temperature", ""), ("/top_p", "0.97"), ("/top_k", "")],
        &["temperature", "top_k"],
    );
}

#[test]
fn efforts_and_budgets_lead_back_to_each_other() {
    for effort in [Effort::Low, Effort::Medium, Effort::High, Effort::XHigh] {
        assert_eq!(Effort::from_budget(effort.tokens()), effort);
    }
}

#[test]
fn forms_of_the_answer_are_asked_for() {
    let raw = |text: &str| json::raw(text).unwrap();
    check(
        HELLO,
        |request, _| request.output = Output::Json,
        &[
            ("/output_config", ""),
            (
                "/system/0/text",
                r#""Answer with one JSON object and nothing else: no Markdown fence, no words around it.""#,
            ),
        ],
        &["output_config.format"],
    );
    check(
        HELLO,
        |request, _| {
            request.output = Output::Schema {
                name: Some("person".into()),
                description: Some("d".into()),
                schema: raw(
                    r#"{"type":"object","properties":{"age":{"type":"integer","minimum":0}},"required":["age"],"additionalProperties":false}"#,
                ),
                strict: Some(true),
            };
        },
        &[
            ("/output_config/format/schema/title", r#""person""#),
            ("/output_config/format/schema/description", r#""d""#),
            (
                "/output_config/format/schema/properties/age",
                r#"{"type":"integer","description":"{minimum: 0}"}"#,
            ),
        ],
        &["output_config.format.schema.properties.age.minimum"],
    );
    check(
        HELLO,
        |request, _| {
            request.output = Output::Enum {
                schema: raw(r#"{"type":"string","enum":["a","b"]}"#),
            }
        },
        &[(
            "/output_config/format/schema",
            r#"{"type":"object","properties":{"value":{"type":"string","enum":["a","b"]}},"required":["value"],"additionalProperties":false}"#,
        )],
        &[],
    );
    check(
        HELLO,
        |request, quirks| {
            request.output = Output::Schema {
                name: None,
                description: None,
                schema: raw(r#"{"type":"object"}"#),
                strict: None,
            };
            quirks.native_schema = false;
        },
        &[
            ("/output_config", ""),
            (
                "/system/0/text",
                r#""Answer with JSON that fits this JSON Schema and nothing else: no Markdown fence, no words around it.\n{\"type\":\"object\"}""#,
            ),
        ],
        &["output_config.format"],
    );
}

fn tool(body: ToolBody, index: u32) -> Tool {
    Tool {
        body,
        cache: None,
        at: At::Tool { tool: index },
        extra: Extra::default(),
    }
}

fn function(name: &str, parameters: Option<&str>, strict: Option<bool>) -> ToolBody {
    ToolBody::Function {
        name: name.into(),
        description: None,
        parameters: parameters.map(|text| json::raw(text).unwrap()),
        strict,
    }
}

#[test]
fn tools_are_declared_as_anthropic_wants_them() {
    check(
        HELLO,
        |request, _| {
            request.tools = vec![
                tool(function("a.b", None, None), 0),
                tool(
                    function("c", Some(r#"{"properties":{"x":{"type":"string"}}}"#), None),
                    1,
                ),
                tool(
                    function(
                        "d",
                        Some(
                            r#"{"type":"object","properties":{"x":{"type":"string","pattern":"y"}},"additionalProperties":false}"#,
                        ),
                        Some(true),
                    ),
                    2,
                ),
                tool(
                    ToolBody::Custom {
                        name: "e".into(),
                        description: Some("E.".into()),
                        format: None,
                    },
                    3,
                ),
                tool(
                    ToolBody::WebSearch(WebSearch {
                        max_uses: Some(2),
                        context_size: Some("low".into()),
                        user_location: json::raw(r#"{"country":"FR"}"#),
                        ..WebSearch::default()
                    }),
                    4,
                ),
                tool(ToolBody::WebFetch, 5),
                tool(ToolBody::CodeExecution, 6),
                tool(
                    ToolBody::Opaque(Opaque {
                        of: DialectId::Gemini,
                        kind: "googleMaps".into(),
                        json: json::raw("{}").unwrap(),
                    }),
                    7,
                ),
            ];
        },
        &[
            (
                "/tools/0",
                r#"{"name":"a_b","input_schema":{"type":"object","properties":{}}}"#,
            ),
            (
                "/tools/1/input_schema",
                r#"{"type":"object","properties":{"x":{"type":"string"}}}"#,
            ),
            ("/tools/2/strict", ""),
            (
                "/tools/3",
                r#"{"name":"e","description":"E.","input_schema":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}"#,
            ),
            (
                "/tools/4",
                r#"{"type":"web_search_20250305","name":"web_search","max_uses":2,"user_location":{"type":"approximate","country":"FR"}}"#,
            ),
            (
                "/tools/5",
                r#"{"type":"web_fetch_20250910","name":"web_fetch"}"#,
            ),
            (
                "/tools/6",
                r#"{"type":"code_execution_20250825","name":"code_execution"}"#,
            ),
            ("/tools/7", ""),
            ("/tool_choice", ""),
        ],
        &[
            "tools.7",
            "tools.2.strict",
            "tools.3",
            "tools.4.search_context_size",
        ],
    );
}

#[test]
fn the_choice_among_tools_is_kept_where_it_can_be() {
    let with = |choice: Option<ToolChoice>, parallel: Option<bool>| {
        move |request: &mut Request, _: &mut Quirks| {
            request.tools = vec![
                tool(function("f", None, None), 0),
                tool(function("g", None, None), 1),
            ];
            request.tool_choice = choice;
            request.parallel_tool_calls = parallel;
        }
    };
    check(
        HELLO,
        with(None, Some(false)),
        &[(
            "/tool_choice",
            r#"{"type":"auto","disable_parallel_tool_use":true}"#,
        )],
        &[],
    );
    check(
        HELLO,
        with(Some(ToolChoice::None), Some(false)),
        &[("/tool_choice", r#"{"type":"none"}"#)],
        &[],
    );
    check(
        HELLO,
        with(Some(ToolChoice::Required), Some(true)),
        &[("/tool_choice", r#"{"type":"any"}"#)],
        &[],
    );
    check(
        HELLO,
        with(Some(ToolChoice::Tool("g".into())), None),
        &[("/tool_choice", r#"{"type":"tool","name":"g"}"#)],
        &[],
    );
    check(
        HELLO,
        with(
            Some(ToolChoice::Allowed {
                required: true,
                names: vec!["g".into()],
            }),
            None,
        ),
        &[
            ("/tool_choice", r#"{"type":"any"}"#),
            ("/tools/0/name", r#""g""#),
            ("/tools/1", ""),
        ],
        &["tool_choice"],
    );
    let forced = |change: fn(&mut Request, &mut Quirks)| {
        move |request: &mut Request, quirks: &mut Quirks| {
            request.tools = vec![tool(function("f", None, None), 0)];
            request.tool_choice = Some(ToolChoice::Required);
            change(request, quirks);
        }
    };
    let auto = &[("/tool_choice", r#"{"type":"auto"}"#)];
    check(
        HELLO,
        forced(|_, quirks| {
            quirks.forced_tool_choice = false;
            quirks.native_schema = false;
        }),
        auto,
        &["tool_choice"],
    );
    // With a schema of its own, the model gives the arguments as its output.
    check(
        HELLO,
        forced(|request, quirks| {
            quirks.forced_tool_choice = false;
            let schema = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
            request.tools = vec![
                tool(function("f", Some(schema), None), 0),
                tool(function("g", None, None), 1),
            ];
            request.tool_choice = Some(ToolChoice::Tool("f".into()));
        }),
        &[
            ("/tool_choice", r#"{"type":"none"}"#),
            ("/output_config/format/type", r#""json_schema""#),
            ("/output_config/format/schema/required", r#"["a"]"#),
            ("/tools/1/name", r#""g""#),
        ],
        &["tool_choice"],
    );
    check(
        HELLO,
        forced(|request, quirks| {
            quirks.forced_tool_choice = false;
            request.tools = vec![
                tool(function("f", None, None), 0),
                tool(function("g", None, None), 1),
            ];
        }),
        auto,
        &["tool_choice"],
    );
    check(
        HELLO,
        forced(|request, quirks| {
            quirks.native_schema = false;
            quirks.thinking = Thinking::Budget;
            request.reasoning.budget = Some(2000);
        }),
        auto,
        &["tool_choice"],
    );
    check(
        HELLO,
        forced(|request, _| request.tools.clear()),
        &[("/tool_choice", "")],
        &["tool_choice"],
    );
    refused(
        |request| {
            request.tools = vec![tool(function("f", None, None), 0)];
            request.tool_choice = Some(ToolChoice::Tool("h".into()));
        },
        "tool_choice",
        "there is no tool 'h' among the tools of this request",
    );
}

const LOOP: &str = r#"{"model":"m","max_tokens":4000,"messages":[
    {"role":"user","content":"Hi"},
    {"role":"assistant","content":[{"type":"text","text":" "},{"type":"tool_use","id":"a","name":"f","input":{}}]},
    {"role":"user","content":[{"type":"text","text":"and?"},{"type":"tool_result","tool_use_id":"a"}]}]}"#;

#[test]
fn conversations_are_put_in_order() {
    check(
        LOOP,
        |_, _| {},
        &[
            (
                "/messages/1/content",
                r#"[{"type":"tool_use","id":"a","name":"f","input":{}}]"#,
            ),
            (
                "/messages/2/content",
                r#"[{"type":"tool_result","tool_use_id":"a"},{"type":"text","text":"and?"}]"#,
            ),
            ("/tools", ""),
        ],
        &[],
    );
    check(
        LOOP,
        |_, quirks| quirks.tools_beside_calls = true,
        &[
            ("/tools/0/name", r#""noop""#),
            ("/tool_choice", r#"{"type":"none"}"#),
        ],
        &["tools"],
    );
    let answers_first = r#"{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":"Hello."},{"role":"user","content":"Hi"},
        {"role":"system","content":"Be kind."},{"role":"assistant","content":"So "}]}"#;
    check(
        answers_first,
        |_, _| {},
        &[
            ("/messages/0/content/0/text", r#"".""#),
            (
                "/messages/2/content/1/text",
                r#""<system-message>\nBe kind.\n</system-message>""#,
            ),
            ("/messages/3/content/0/text", r#""So""#),
            ("/messages/4/content/0/text", r#""Continue.""#),
        ],
        &[
            "messages.2.content.0",
            "messages.3.content.0",
            "messages.0",
            "messages.3",
        ],
    );
    check(
        answers_first,
        |_, quirks| {
            quirks.prefill = true;
            quirks.system_in_messages = true;
        },
        &[
            ("/messages/3/role", r#""system""#),
            ("/messages/4/content/0/text", r#""So""#),
            ("/messages/5", ""),
        ],
        &["messages.3.content.0", "messages.0"],
    );
    check(
        HELLO,
        |request, _| request.turns.clear(),
        &[(
            "/messages",
            r#"[{"role":"user","content":[{"type":"text","text":"."}]}]"#,
        )],
        &["messages.0"],
    );
}

#[test]
fn thoughts_return_to_their_maker_only() {
    let thought = |proof: Option<Opaque>| {
        PartBody::Reasoning(Thought {
            text: "Hm.".into(),
            proof,
            redacted: false,
        })
    };
    let opaque = |of, kind: &str, text: &str| {
        Some(Opaque {
            of,
            kind: kind.into(),
            json: json::raw(text).unwrap(),
        })
    };
    let body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes."},{"role":"user","content":"?"}]}"#;
    check(
        body,
        |request, _| {
            let thoughts = [
                thought(None),
                thought(opaque(DialectId::Gemini, "thoughtSignature", "\"x\"")),
                thought(opaque(DialectId::Messages, "thinking.signature", "\"SIG\"")),
                thought(opaque(
                    DialectId::Messages,
                    "thinking",
                    r#"{"type":"thinking", "thinking":"Hm.","signature":"S"}"#,
                )),
            ];
            let parts = thoughts
                .into_iter()
                .map(|body| Part::new(body, At::Request));
            request.turns[1].parts.splice(0..0, parts);
        },
        &[(
            "/messages/1/content",
            r#"[{"type":"thinking","thinking":"Hm.","signature":"SIG"},{"type":"thinking","thinking":"Hm.","signature":"S"},{"type":"text","text":"Yes."}]"#,
        )],
        &[],
    );
}

#[test]
fn media_go_as_images_and_documents() {
    let media = |kind, source, mime: Option<&str>| Media {
        kind,
        source,
        mime: mime.map(str::to_owned),
        name: Some("n".into()),
        detail: None,
        context: None,
        citations: false,
    };
    let ask = |media: Media| {
        move |request: &mut Request| {
            let at = At::Part { turn: 0, part: 0 };
            request.turns[0].parts = vec![Part::new(PartBody::Media(media), at)];
        }
    };
    let sent = |media: Media, json: &str| {
        check(
            HELLO,
            |request, _| ask(media)(request),
            &[("/messages/0/content/0", json)],
            &[],
        );
    };
    let base64 = |data: &str| Source::Base64(data.into());
    sent(
        media(MediaKind::Image, base64("/9j/4AAQ"), Some("image/png")),
        r#"{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}}"#,
    );
    sent(
        media(
            MediaKind::Image,
            Source::Url("https://e.com/a".into()),
            None,
        ),
        r#"{"type":"image","source":{"type":"url","url":"https://e.com/a"}}"#,
    );
    sent(
        media(MediaKind::Document, base64("JVBERi0x"), None),
        r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"},"title":"n"}"#,
    );
    sent(
        media(MediaKind::Document, base64("aGk="), Some("text/markdown")),
        r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hi"},"title":"n"}"#,
    );
    let no = |media: Media, message: &str| refused(ask(media), "messages.0.content.0", message);
    no(
        media(MediaKind::Image, base64("AAAA"), Some("image/heic")),
        "an image of image/heic cannot be sent: Anthropic takes image/jpeg, image/png, image/gif and image/webp",
    );
    no(
        media(
            MediaKind::Document,
            base64("AAAA"),
            Some("application/msword"),
        ),
        "a document of application/msword cannot be sent: Anthropic takes PDF and text in UTF-8",
    );
    no(
        media(MediaKind::Audio, base64("AAAA"), None),
        "audio cannot be sent: Anthropic takes texts, images and documents",
    );
    no(
        media(MediaKind::Image, Source::Url("gs://b/a".into()), None),
        "Anthropic fetches https addresses only; send the bytes instead",
    );
    no(
        media(MediaKind::Image, Source::File("file-abc".into()), None),
        "the file 'file-abc' lies with another vendor; send its content instead",
    );
    let answer = r#"{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":"Here."},{"role":"user","content":"Thanks."}]}"#;
    check(
        answer,
        |request, _| {
            let document = media(MediaKind::Document, Source::Text("t".into()), None);
            request.turns[0].parts.push(Part::new(
                PartBody::Media(document),
                At::Part { turn: 0, part: 1 },
            ));
        },
        &[
            ("/messages/0/role", r#""user""#),
            ("/messages/0/content/0/source/data", r#""t""#),
            ("/messages/1/content/0/text", r#""Here.""#),
        ],
        &["messages.0.content.1"],
    );
}

#[test]
fn arguments_must_be_objects() {
    let with = |arguments: &str, custom: bool| {
        let call = ToolCall {
            id: "a".into(),
            name: "f".into(),
            arguments: arguments.into(),
            custom,
            proof: None,
        };
        move |request: &mut Request| {
            request.turns[1].parts = vec![Part::new(
                PartBody::ToolCall(call),
                At::Part { turn: 1, part: 0 },
            )];
        }
    };
    let sent = |arguments: &str, custom: bool, input: &str| {
        check(
            LOOP,
            |request, _| with(arguments, custom)(request),
            &[("/messages/1/content/0/input", input)],
            &[],
        );
    };
    sent("", false, "{}");
    sent(" null ", false, "{}");
    sent(
        r#"{ "n": 1.50, "big": 9007199254740993 }"#,
        false,
        r#"{"n":1.50,"big":9007199254740993}"#,
    );
    sent("rm \"x\"", true, r#"{"input":"rm \"x\""}"#);
    let mut request = Messages.decode_request(LOOP.as_bytes()).unwrap();
    with("[1]", false)(&mut request);
    let refusal = Messages
        .encode_request(
            &request,
            &target(&Quirks::default()),
            &mut Losses::default(),
        )
        .unwrap_err();
    assert_eq!(Messages.locate(&refusal.at), "messages.1.content.0");
}

#[test]
fn four_cache_marks_are_kept() {
    let marked = |count: usize| {
        let block = r#"{"type":"text","text":"t","cache_control":{"type":"ephemeral"}}"#;
        let blocks = vec![block; count].join(",");
        format!(
            r#"{{"model":"m","max_tokens":1,"system":[{block}],"messages":[{{"role":"user","content":[{blocks}]}}]}}"#
        )
    };
    check(
        &marked(3),
        |_, _| {},
        &[("/system/0/cache_control", r#"{"type":"ephemeral"}"#)],
        &[],
    );
    check(
        &marked(5),
        |_, _| {},
        &[
            ("/messages/0/content/0/cache_control", ""),
            (
                "/messages/0/content/1/cache_control",
                r#"{"type":"ephemeral"}"#,
            ),
        ],
        &[
            "system.0.cache_control",
            "messages.0.content.0.cache_control",
        ],
    );
    let late_hour = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[
        {"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
        {"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}"#;
    check(
        late_hour,
        |_, _| {},
        &[(
            "/messages/0/content/1/cache_control",
            r#"{"type":"ephemeral"}"#,
        )],
        &["messages.0.content.1.cache_control"],
    );
}
