use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use lingate_dialect::DialectId;
use lingate_metering::tenant::{
    ApiKey, Declared, Directory, KeySecret, Organization, Project, Source,
};
use lingate_routing::Facts as _;
use secrecy::SecretString;

use super::*;

/// What `look` sees of a request with these headers and this body.
fn told<T>(
    dialect: DialectId,
    headers: &[(&'static str, &'static str)],
    body: &str,
    look: impl Fn(&Told<'_>) -> T,
) -> T {
    let request = dialect.dialect().decode_request(body.as_bytes()).unwrap();
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_static(value))
        })
        .collect();
    look(&Told {
        caller: &Caller::open(),
        headers: &headers,
        body: body.as_bytes(),
        model: "m",
        // Monday, 5 January 2026, 23:30 UTC.
        now: 1_767_655_800,
        request: Reading::Done(&request),
        found: &Found::default(),
    })
}

/// A body of each dialect: with these messages' texts of the user, and with these fields.
fn body(dialect: DialectId, text: &str, fields: &str) -> String {
    match dialect {
        DialectId::Chat => {
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]{fields}}}"#)
        }
        DialectId::Responses => format!(r#"{{"model":"m","input":"{text}"{fields}}}"#),
        DialectId::Messages => format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"{text}"}}]{fields}}}"#
        ),
        DialectId::Gemini => {
            format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}]{fields}}}"#)
        }
    }
}

fn check<T: PartialEq + std::fmt::Debug>(
    look: impl Fn(&Told<'_>) -> T,
    cases: &[(DialectId, &str, T)],
) {
    for (dialect, fields, expect) in cases {
        let body = body(*dialect, "Hi", fields);
        assert_eq!(
            told(*dialect, &[], &body, &look),
            *expect,
            "{dialect} {body}"
        );
    }
}

use DialectId::{Chat, Gemini, Messages, Responses};

#[test]
fn tools_by_their_names() {
    let names = |told: &Told<'_>| {
        let tools = told.tools().into_iter();
        tools.map(Cow::into_owned).collect::<Vec<_>>().join(" ")
    };
    let names = |told: &Told<'_>| -> String { names(told) };
    let cases: &[(DialectId, &str, &str)] = &[
        (Chat, "", ""),
        (
            Chat,
            r#","tools":[{"type":"function","function":{"name":"read"}},{"type":"custom","custom":{"name":"patch"}}]"#,
            "read patch",
        ),
        (Chat, r#","web_search_options":{}"#, "web_search"),
        (
            Responses,
            r#","tools":[{"type":"function","name":"read"},{"type":"web_search"},{"type":"image_generation"}]"#,
            "read web_search image_generation",
        ),
        (
            Messages,
            r#","tools":[{"name":"read","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"},{"type":"code_execution_20250825","name":"code_execution"}]"#,
            "read web_search code_execution",
        ),
        (
            Gemini,
            r#","tools":[{"functionDeclarations":[{"name":"read"}]},{"googleSearch":{}},{"urlContext":{}}]"#,
            "read web_search web_fetch",
        ),
    ];
    for (dialect, fields, expect) in cases {
        let body = body(*dialect, "Hi", fields);
        assert_eq!(told(*dialect, &[], &body, names), *expect, "{body}");
    }
}

#[test]
fn thinking_is_asked_for() {
    check(
        |told| told.thinking(),
        &[
            (Chat, "", false),
            (Chat, r#","reasoning_effort":"low""#, true),
            (Chat, r#","reasoning_effort":"none""#, false),
            (Responses, r#","reasoning":{"effort":"high"}"#, true),
            (Responses, r#","reasoning":{"summary":"auto"}"#, true),
            (
                Responses,
                r#","reasoning":{"effort":"none","summary":"auto"}"#,
                false,
            ),
            (Messages, "", false),
            (
                Messages,
                r#","thinking":{"type":"enabled","budget_tokens":1024}"#,
                true,
            ),
            (Messages, r#","thinking":{"type":"adaptive"}"#, true),
            (Messages, r#","thinking":{"type":"disabled"}"#, false),
            (
                Gemini,
                r#","generationConfig":{"thinkingConfig":{"thinkingBudget":512}}"#,
                true,
            ),
            (
                Gemini,
                r#","generationConfig":{"thinkingConfig":{"thinkingBudget":0}}"#,
                false,
            ),
            (Gemini, r#","generationConfig":{"temperature":1}"#, false),
        ],
    );
}

#[test]
fn the_most_tokens_of_the_answer() {
    check(
        |told| told.max_output(),
        &[
            (Chat, "", None),
            (Chat, r#","max_completion_tokens":7"#, Some(7)),
            (Responses, r#","max_output_tokens":7"#, Some(7)),
            (Messages, "", Some(9)),
            (
                Gemini,
                r#","generationConfig":{"maxOutputTokens":7}"#,
                Some(7),
            ),
        ],
    );
}

#[test]
fn pictures_wherever_they_are() {
    let cases = [
        (
            Chat,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"What?"},{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}]}"#,
        ),
        (
            Responses,
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a.example/b.png"}]}]}"#,
        ),
        (
            Messages,
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Look"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"shot","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}]}"#,
        ),
        (
            Gemini,
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#,
        ),
    ];
    for (dialect, shown) in cases {
        assert!(told(dialect, &[], shown, |told| told.images()), "{dialect}");
        assert!(!told(dialect, &[], &body(dialect, "image", ""), |told| {
            told.images()
        }));
    }
    let document = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]}"#;
    assert!(!told(Messages, &[], document, |told| told.images()));
}

#[test]
fn tokens_grow_with_the_text() {
    for dialect in DialectId::ALL {
        let of = |text: &str| told(dialect, &[], &body(dialect, text, ""), |told| told.tokens());
        let (short, long) = (of("Hi"), of(&"word ".repeat(1000)));
        assert!(short > 0 && short < 50, "{dialect}: {short}");
        assert!((900..1500).contains(&long), "{dialect}: {long}");
    }
}

#[test]
fn the_last_words_of_the_user() {
    let text = |dialect, body: &str| told(dialect, &[], body, |told| told.last_text().into_owned());
    for dialect in DialectId::ALL {
        assert_eq!(text(dialect, &body(dialect, "翻译这个", "")), "翻译这个");
    }
    // What a tool found is not what the user said.
    let after_a_tool = [
        (
            Chat,
            r#"{"model":"m","messages":[{"role":"user","content":"First"},{"role":"assistant","content":"Yes?"},{"role":"user","content":[{"type":"text","text":"Read"},{"type":"text","text":"it"}]},{"role":"assistant","tool_calls":[{"id":"t","type":"function","function":{"name":"read","arguments":"{}"}}]},{"role":"tool","tool_call_id":"t","content":"translate"}]}"#,
        ),
        (
            Messages,
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"Read"},{"type":"text","text":"it"}]},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"read","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"translate"}]}]}"#,
        ),
        (
            Responses,
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Read"},{"type":"input_text","text":"it"}]},{"type":"function_call","call_id":"t","name":"read","arguments":"{}"},{"type":"function_call_output","call_id":"t","output":"translate"}]}"#,
        ),
        (
            Gemini,
            r#"{"contents":[{"role":"user","parts":[{"text":"Read"},{"text":"it"}]},{"role":"model","parts":[{"functionCall":{"name":"read","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"read","response":{"output":"translate"}}}]}]}"#,
        ),
    ];
    for (dialect, body) in after_a_tool {
        assert_eq!(text(dialect, body), "Read\nit", "{dialect}");
    }
    // 16 KiB, whole characters.
    let long = "语".repeat(10_000);
    let seen = text(Chat, &body(Chat, &long, ""));
    assert_eq!(seen.len(), LONGEST_TEXT / 3 * 3);
    assert!(long.starts_with(&seen));
}

#[test]
fn who_asks() {
    let user = |told: &Told<'_>| told.user().map(Cow::into_owned);
    let said = |text: &str| Some(text.to_owned());
    check(
        user,
        &[
            (Chat, "", None),
            (Chat, r#","user":"ada""#, said("ada")),
            (
                Chat,
                r#","user":"ada","safety_identifier":"bob""#,
                said("bob"),
            ),
            (Responses, r#","safety_identifier":"bob""#, said("bob")),
            (Messages, r#","metadata":{"user_id":"ada"}"#, said("ada")),
            (
                Messages,
                r#","metadata":{"user_id":"user_5f_account_77_session_0b1c"}"#,
                said("user_5f_account_77"),
            ),
            (
                Messages,
                r#","metadata":{"user_id":"{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"s\"}"}"#,
                said("d"),
            ),
            (Gemini, "", None),
        ],
    );
    let headers = [("x-openwebui-user-id", "u-1")];
    assert_eq!(
        told(Gemini, &headers, &body(Gemini, "Hi", ""), user),
        said("u-1")
    );
}

#[test]
fn which_conversation() {
    let session = |told: &Told<'_>| told.session().map(Cow::into_owned);
    let said = |text: &str| Some(text.to_owned());
    check(
        session,
        &[
            (Chat, "", None),
            (Chat, r#","prompt_cache_key":"c1""#, said("c1")),
            (Chat, r#","metadata":{"session_id":"c1"}"#, said("c1")),
            (Responses, r#","prompt_cache_key":"c1""#, said("c1")),
            (
                Responses,
                r#","prompt_cache_key":"c1","conversation":"conv_1""#,
                said("conv_1"),
            ),
            (
                Responses,
                r#","conversation":{"id":"conv_1"}"#,
                said("conv_1"),
            ),
            (Messages, r#","metadata":{"user_id":"ada"}"#, None),
            (
                Messages,
                r#","metadata":{"user_id":"user_5f_account_77_session_0b1c"}"#,
                said("0b1c"),
            ),
            (
                Messages,
                r#","metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s\"}"}"#,
                said("s"),
            ),
            (Gemini, r#","labels":{"session_id":"c1"}"#, said("c1")),
        ],
    );
    for name in session::SESSIONS {
        let headers = [(name, "s-1")];
        let body = body(Responses, "Hi", r#","prompt_cache_key":"c1""#);
        assert_eq!(
            told(Responses, &headers, &body, session),
            said("s-1"),
            "{name}"
        );
    }
    let both = [("session_id", "codex"), ("x-lingate-session", "ours")];
    assert_eq!(
        told(Chat, &both, &body(Chat, "Hi", ""), session),
        said("ours")
    );
    let empty = [("session_id", " ")];
    assert_eq!(told(Chat, &empty, &body(Chat, "Hi", ""), session), None);
}

#[test]
fn tags_of_key_header_and_body() {
    let tags = |told: &Told<'_>| told.tags().join(" ");
    let check = |dialect, headers: &[_], fields: &str, expect: &str| {
        let body = body(dialect, "Hi", fields);
        assert_eq!(
            told(dialect, headers, &body, tags),
            expect,
            "{dialect} {fields}"
        );
    };
    check(Chat, &[], "", "");
    let headers = [("x-lingate-tags", "a, b,,"), ("x-lingate-tags", "c")];
    for dialect in DialectId::ALL {
        check(dialect, &headers, "", "a b c");
    }
    for dialect in [Chat, Responses, Messages] {
        check(
            dialect,
            &headers[1..],
            r#","metadata":{"tags":["d","e f"]}"#,
            "c d e f",
        );
        check(dialect, &[], r#","metadata":{"tags":"d, e"}"#, "d e");
        check(dialect, &[], r#","metadata":{"tags":7}"#, "7");
    }
    check(Gemini, &[], r#","labels":{"tags":"d,e"}"#, "d e");

    let organization = Organization::named("acme");
    let project = Project::named(&organization, "web");
    let key = ApiKey {
        project: project.id,
        name: "ci".to_owned(),
        secrets: vec![KeySecret::of("ci", None)],
        tags: vec!["batch".to_owned()],
        ..ApiKey::default()
    };
    let declared = Declared {
        organizations: vec![organization],
        projects: vec![project],
        keys: vec![key],
        ..Declared::default()
    };
    let (directory, _) = Directory::build(vec![(Source::Configuration, declared)]);
    let (named, own) = (
        Caller::Named(Arc::clone(directory.called("ci").unwrap())),
        Caller::Passthrough(
            vec![SecretString::from("sk")],
            Arc::clone(directory.anyone()),
        ),
    );
    let body = body(Chat, "Hi", "");
    told(Chat, &headers[..1], &body, |told| {
        let of_key = Told {
            caller: &named,
            ..*told
        };
        assert_eq!(of_key.tags(), ["batch", "a", "b"]);
        assert_eq!((of_key.key(), of_key.tenant()), (Some("ci"), Some("acme")));
        let nobody = Told {
            caller: &own,
            ..*told
        };
        assert_eq!(nobody.tags(), ["a", "b"]);
        assert_eq!((nobody.key(), nobody.tenant()), (None, None));
    });
}

#[test]
fn headers_as_they_were_sent() {
    let headers = [("x-tier", "gold")];
    told(Chat, &headers, &body(Chat, "Hi", ""), |told| {
        assert_eq!(told.header("x-tier"), Some("gold"));
        assert_eq!(told.header("x-other"), None);
    });
}

#[test]
fn the_time_of_the_day_somewhere() {
    let check = |zone: &str, expect: Option<(u8, u16)>| {
        let expect = expect.map(|(weekday, minute)| Clock { weekday, minute });
        let found = told(Chat, &[], &body(Chat, "Hi", ""), |told| told.clock(zone));
        assert_eq!(found, expect, "{zone}");
    };
    check("UTC", Some((0, 23 * 60 + 30)));
    check("Asia/Shanghai", Some((1, 7 * 60 + 30)));
    check("America/New_York", Some((0, 18 * 60 + 30)));
    check("Mars/Olympus", None);
    check("", None);
}

#[test]
fn so_many_tags_and_tools_are_looked_at_and_no_more() {
    let many: Vec<String> = (0..5_000).map(|number| format!("t{number}")).collect();
    let listed = format!(r#","metadata":{{"tags":{}}}"#, serde_json::json!(many));
    let tools: Vec<_> = many
        .iter()
        .map(|name| serde_json::json!({"type": "function", "function": {"name": name}}))
        .collect();
    let offered = format!(r#","tools":{}"#, serde_json::json!(tools));
    let header: &'static str = many.join(",").leak();
    let headers = [("x-lingate-tags", header)];
    let tags = |told: &Told<'_>| told.tags().len();
    assert_eq!(told(Chat, &headers, &body(Chat, "Hi", ""), tags), 64);
    assert_eq!(told(Chat, &[], &body(Chat, "Hi", &listed), tags), 64);
    let tools = |told: &Told<'_>| told.tools().len();
    assert_eq!(told(Chat, &[], &body(Chat, "Hi", &offered), tools), 1024);
}
