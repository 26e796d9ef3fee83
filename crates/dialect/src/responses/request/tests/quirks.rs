//! Requests for servers that differ: what a quirk makes of a request, and what is told of it.

use serde_json::Value;

use super::{C, R};
use crate::quirks::{Patch, Quirks};
use crate::{DialectId, Encoded, Losses, Refusal, Target};

fn encode(
    from: DialectId,
    body: &str,
    quirks: &str,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let request = from.dialect().decode_request(body.as_bytes()).unwrap();
    let patch: Patch = serde_json::from_str(quirks).unwrap();
    let mut all = Quirks::default();
    patch.apply(&mut all);
    let target = Target {
        model: "m",
        quirks: &all,
        max_output: Some(1000),
        default_max_tokens: 100,
    };
    R.dialect().encode_request(&request, &target, losses)
}

/// A request of `from` with these fields, sent to a server with these quirks: the fields of the body that are named in `expect`,
/// `null` for none, and where something was lost, with its note.
fn check((from, fields, quirks, expect, lost): (DialectId, &str, &str, &str, &str)) {
    let said = match from {
        DialectId::Responses => r#""input":"Hi""#,
        _ => r#""messages":[{"role":"user","content":"Hi"}]"#,
    };
    let key = said.split(':').next().unwrap();
    let body = if fields.contains(key) {
        format!("{{{fields}}}")
    } else {
        format!("{{{said},{fields}}}")
    };
    let mut losses = Losses::default();
    let encoded = encode(from, &body, quirks, &mut losses).unwrap();
    let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
    let expect: Value = serde_json::from_str(expect).unwrap();
    for (key, value) in expect.as_object().unwrap() {
        let found = sent.get(key).unwrap_or(&Value::Null);
        assert_eq!(found, value, "{fields} {quirks}: {key} of {sent}");
    }
    let told = losses
        .iter()
        .map(|loss| format!("{}: {}", loss.path(from.dialect()), loss.note));
    let told = told.collect::<Vec<_>>().join(" | ");
    assert_eq!(told, lost, "{fields} {quirks}");
}

#[test]
fn limits_and_sampling() {
    for case in [
        (
            C,
            r#""max_tokens":5000"#,
            "{}",
            r#"{"max_output_tokens":1000}"#,
            "max_tokens: clamped to 1000, the most that this model gives",
        ),
        (
            R,
            r#""max_output_tokens":5"#,
            "{}",
            r#"{"max_output_tokens":16}"#,
            "max_output_tokens: raised to 16, the least that this model takes",
        ),
        (
            C,
            r#""max_tokens":20"#,
            r#"{"least_output":32}"#,
            r#"{"max_output_tokens":32}"#,
            "max_tokens: raised to 32, the least that this model takes",
        ),
        (
            C,
            r#""max_tokens":900"#,
            r#"{"most_output_whole":500}"#,
            r#"{"max_output_tokens":500}"#,
            "max_tokens: clamped to 500, the most that this model gives",
        ),
        (
            C,
            r#""max_tokens":900,"stream":true"#,
            r#"{"most_output_whole":500}"#,
            r#"{"max_output_tokens":900}"#,
            "",
        ),
        (
            C,
            r#""stop":["a"]"#,
            "{}",
            r#"{"stop":null}"#,
            "stop: dropped: the Responses API takes no stop sequences",
        ),
        (
            C,
            r#""temperature":0"#,
            r#"{"temperature_min":0.01}"#,
            r#"{"temperature":0.01}"#,
            "temperature: clamped to 0.01",
        ),
        (
            R,
            r#""temperature":1.5,"top_p":2"#,
            r#"{"temperature_max":1.0}"#,
            r#"{"temperature":1,"top_p":1}"#,
            "temperature: clamped to 1 | top_p: clamped to 1",
        ),
        (
            C,
            r#""temperature":1,"top_p":0.5"#,
            r#"{"temperature_xor_top_p":true}"#,
            r#"{"temperature":1,"top_p":null}"#,
            "top_p: dropped: the model takes either it or the temperature",
        ),
        (
            C,
            r#""top_p":0.5"#,
            r#"{"temperature_xor_top_p":true}"#,
            r#"{"top_p":0.5}"#,
            "",
        ),
        (
            C,
            r#""temperature":1"#,
            r#"{"sampling_with_thinking":false}"#,
            r#"{"temperature":null}"#,
            "temperature: dropped: it has no effect while the model thinks",
        ),
        (
            C,
            r#""temperature":1,"reasoning_effort":"none""#,
            r#"{"sampling_with_thinking":false}"#,
            r#"{"temperature":1}"#,
            "",
        ),
        (
            C,
            r#""temperature":1"#,
            r#"{"sampling_with_thinking":false,"default_effort":"none"}"#,
            r#"{"temperature":1}"#,
            "",
        ),
        (
            C,
            r#""logprobs":true,"top_logprobs":12"#,
            r#"{"most_logprobs":8}"#,
            r#"{"top_logprobs":8,"include":["message.output_text.logprobs"]}"#,
            "logprobs: clamped to 8",
        ),
        (
            C,
            r#""logprobs":true"#,
            r#"{"logprobs":false}"#,
            r#"{"include":null}"#,
            "logprobs: dropped: the model tells no probabilities",
        ),
        (
            R,
            r#""include":["message.output_text.logprobs"],"top_logprobs":2"#,
            r#"{"logprobs":false}"#,
            r#"{"include":null,"top_logprobs":null}"#,
            "top_logprobs: dropped: the model tells no probabilities",
        ),
        (
            R,
            r#""include":["reasoning.encrypted_content","message.output_text.logprobs"]"#,
            r#"{"logprobs":false}"#,
            r#"{"include":["reasoning.encrypted_content"]}"#,
            "top_logprobs: dropped: the model tells no probabilities",
        ),
        (
            R,
            r#""include":["message.output_text.logprobs"],"top_logprobs":2"#,
            "{}",
            r#"{"include":["message.output_text.logprobs"],"top_logprobs":2}"#,
            "",
        ),
        (
            R,
            r#""reasoning":{"effort":"extreme","context":"auto"}"#,
            r#"{"reasoning_effort":false}"#,
            r#"{"reasoning":{"context":"auto"}}"#,
            "reasoning: dropped: the model has no such setting",
        ),
    ] {
        check(case);
    }
}

#[test]
fn account() {
    let long = "u".repeat(129);
    let long = format!(r#""user":"{long}""#);
    let longest = r#"{"safety_identifier":"b39d5112496a75f40f27441b6883c5a8","user":null}"#;
    for case in [
        (
            C,
            r#""user":"a b""#,
            r#"{"plain_user":true}"#,
            r#"{"safety_identifier":"a68d62c6038b5822836dbc79780dff7a"}"#,
            "user: hashed: only letters, digits, '_' and '-' are taken",
        ),
        (
            R,
            r#""user":"a b""#,
            r#"{"plain_user":true}"#,
            r#"{"user":"a68d62c6038b5822836dbc79780dff7a","safety_identifier":null}"#,
            "user: hashed: only letters, digits, '_' and '-' are taken",
        ),
        (
            R,
            r#""safety_identifier":"a-b""#,
            r#"{"plain_user":true}"#,
            r#"{"safety_identifier":"a-b"}"#,
            "",
        ),
        (
            C,
            &long,
            "{}",
            longest,
            "user: hashed: at most 128 characters are taken",
        ),
        (
            C,
            r#""service_tier":"priority""#,
            r#"{"service_tiers":["auto","flex"]}"#,
            r#"{"service_tier":null}"#,
            "service_tier: dropped: this upstream knows only auto, flex",
        ),
        (
            R,
            r#""service_tier":"ultra""#,
            r#"{"service_tiers":["auto"]}"#,
            r#"{"service_tier":null}"#,
            "service_tier: dropped: this upstream knows only auto",
        ),
        (
            R,
            r#""service_tier":"ultra""#,
            "{}",
            r#"{"service_tier":"ultra"}"#,
            "",
        ),
        (
            C,
            r#""service_tier":"flex""#,
            r#"{"service_tiers":["auto","flex"]}"#,
            r#"{"service_tier":"flex"}"#,
            "",
        ),
        (
            R,
            r#""metadata":{"a":"b"},"seed":5"#,
            r#"{"refuses":["metadata"],"renames":{"seed":"random_seed"}}"#,
            r#"{"metadata":null,"seed":null,"random_seed":5}"#,
            "metadata: dropped: this upstream does not take it",
        ),
    ] {
        check(case);
    }
}

#[test]
fn output_is_asked_for_in_words_where_there_is_no_schema() {
    let words = "Answer with JSON that fits this JSON Schema and nothing else: no Markdown fence, no words around it.\\n{\\\"type\\\":\\\"object\\\"}";
    let lost = "asked for in words: this model takes no schema";
    let of_chat = r#""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object"}}}"#;
    let own = r#""instructions":"Be brief.","text":{"format":{"type":"json_schema","name":"a","schema":{"type":"object"}}}"#;
    let any = r#""response_format":{"type":"json_object"}"#;
    let hint =
        "Answer with one JSON object and nothing else: no Markdown fence, no words around it.";
    for case in [
        (
            C,
            of_chat,
            r#"{"native_schema":false}"#,
            &*format!(
                r#"{{"instructions":"{words}","text":{{"format":{{"type":"json_object"}}}}}}"#
            ),
            &*format!("response_format: {lost}"),
        ),
        (
            C,
            of_chat,
            r#"{"native_schema":false,"json_object":false}"#,
            &*format!(r#"{{"instructions":"{words}","text":null}}"#),
            &*format!("response_format: {lost}"),
        ),
        (
            R,
            own,
            r#"{"native_schema":false,"json_object":false}"#,
            &*format!(r#"{{"instructions":"Be brief.\n\n{words}","text":null}}"#),
            &*format!("text.format: {lost}"),
        ),
        (
            C,
            any,
            r#"{"json_object":false}"#,
            &*format!(r#"{{"instructions":"{hint}","text":null}}"#),
            &*format!("response_format: {lost}"),
        ),
        (
            C,
            any,
            "{}",
            r#"{"instructions":null,"text":{"format":{"type":"json_object"}}}"#,
            "",
        ),
    ] {
        check(case);
    }
}

#[test]
fn tools_and_the_choice_among_them() {
    const FORCED: &str = r#"{"forced_tool_choice":false}"#;
    const UNNAMED: &str = r#"{"named_tool_choice":false}"#;
    let schema = r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;
    let became_auto = "tool_choice: became auto: this model cannot be forced to call a tool";
    let chat = format!(
        r#""tools":[{{"type":"function","function":{{"name":"f","strict":true,"parameters":{schema}}}}},{{"type":"function","function":{{"name":"g"}}}}]"#
    );
    let own = format!(
        r#""tools":[{{"type":"function","name":"f","strict":true,"parameters":{schema},"defer_loading":true}},{{"type":"namespace","name":"n","description":"d","tools":[{{"type":"function","name":"h"}}]}}]"#
    );
    let plain = r#"{"type":"function","name":"f","parameters":{"type":"object"}}"#;
    let names = |tools: &str, choice: &str| format!(r#"{tools},"tool_choice":{choice}"#);
    let of_chat = r#"{"type":"function","function":{"name":"f"}}"#;
    let of_own = r#"{"type":"function","name":"f"}"#;
    let allowed = |mode: &str| {
        format!(
            r#"{{"type":"allowed_tools","mode":"{mode}","tools":[{{"type":"function","namespace":"n","name":"h"}}]}}"#
        )
    };
    for (from, fields, quirks, expect, lost) in [
        (
            C,
            names(&chat, r#""auto""#),
            r#"{"strict_tools":false}"#,
            format!(
                r#"{{"tools":[{{"type":"function","name":"f","parameters":{schema}}},{{"type":"function","name":"g","parameters":{{"type":"object","properties":{{}}}}}}]}}"#
            ),
            "tools.0.strict: sent without strict: this upstream does not take it",
        ),
        (
            R,
            own.clone(),
            r#"{"strict_tools":false}"#,
            format!(
                r#"{{"tools":[{{"type":"function","name":"f","parameters":{schema},"defer_loading":true}},{{"type":"namespace","name":"n","description":"d","tools":[{{"type":"function","name":"h"}}]}}]}}"#
            ),
            "tools.0.strict: sent without strict: this upstream does not take it",
        ),
        (
            C,
            names(&chat, of_chat),
            FORCED,
            r#"{"tool_choice":"auto"}"#.to_owned(),
            became_auto,
        ),
        (
            R,
            names(&own, of_own),
            FORCED,
            r#"{"tool_choice":"auto"}"#.to_owned(),
            became_auto,
        ),
        (
            R,
            names(&own, &allowed("required")),
            FORCED,
            format!(r#"{{"tool_choice":{}}}"#, allowed("auto")),
            became_auto,
        ),
        (
            R,
            names(&own, &allowed("required")),
            "{}",
            format!(r#"{{"tool_choice":{}}}"#, allowed("required")),
            "",
        ),
        (
            R,
            names(&own, r#"{"type":"mcp","server_label":"s"}"#),
            FORCED,
            r#"{"tool_choice":null}"#.to_owned(),
            "tool_choice: dropped: this model cannot be bound to one tool",
        ),
        (
            C,
            names(&chat, of_chat),
            UNNAMED,
            format!(
                r#"{{"tool_choice":"required","tools":[{{"type":"function","name":"f","parameters":{schema},"strict":true}}]}}"#
            ),
            "tools: only the tool that must be called was sent",
        ),
        (
            R,
            names(
                &format!(r#""tools":[{plain},{{"type":"web_search"}}]"#),
                r#"{"type":"web_search"}"#,
            ),
            UNNAMED,
            r#"{"tool_choice":"required","tools":[{"type":"web_search"}]}"#.to_owned(),
            "tools: only the tool that must be called was sent",
        ),
        (
            R,
            names(&own, r#"{"type":"function","namespace":"n","name":"h"}"#),
            UNNAMED,
            r#"{"tool_choice":"required"}"#.to_owned(),
            "tool_choice: became required: this model cannot be bound to one tool",
        ),
        (
            C,
            format!(r#"{chat},"parallel_tool_calls":false"#),
            r#"{"tools":false}"#,
            r#"{"tools":null,"tool_choice":null,"parallel_tool_calls":null}"#.to_owned(),
            "tools.0: dropped: this model knows no tools | tools.1: dropped: this model knows no tools",
        ),
        (
            R,
            format!(r#""tools":[{plain}],"parallel_tool_calls":false"#),
            "{}",
            format!(r#"{{"tools":[{plain}],"parallel_tool_calls":false}}"#),
            "",
        ),
    ] {
        check((from, &fields, quirks, &expect, lost));
    }
    for (from, choice) in [
        (C, r#""required""#),
        (R, r#"{"type":"mcp","server_label":"s"}"#),
    ] {
        let said = if from == C { "messages" } else { "input" };
        let body = format!(
            r#"{{"{said}":[{{"role":"user","content":"Hi"}}],{},"tool_choice":{choice}}}"#,
            if from == C { &chat } else { &own }
        );
        let refusal = encode(from, &body, r#"{"tools":false}"#, &mut Losses::default());
        assert_eq!(
            from.dialect().locate(&refusal.unwrap_err().at),
            "tool_choice"
        );
    }
}

#[test]
fn names_are_spelled_as_the_server_takes_them_and_lead_back() {
    let own = r#"{"input":[{"role":"user","content":"Hi"},{"type":"function_call","call_id":"c","name":"read.file","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"ok"}],
        "tools":[{"type":"function","name":"read.file","parameters":{"type":"object"}},{"type":"custom","name":"a_name_that_is_long"}],
        "tool_choice":{"type":"function","name":"read.file"}}"#;
    let chat = r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"read.file","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"ok"}],
        "tools":[{"type":"function","function":{"name":"read.file","parameters":{"type":"object"}}},{"type":"custom","custom":{"name":"a_name_that_is_long"}}],
        "tool_choice":{"type":"function","function":{"name":"read.file"}}}"#;
    for (from, body) in [(R, own), (C, chat)] {
        for (quirks, function, custom) in [
            ("{}", "read_file", "a_name_that_is_long"),
            (
                r#"{"tool_name_longest":16,"tool_name_form":"letter_first"}"#,
                "read_file",
                "a_name__2528c45e",
            ),
            (
                r#"{"tool_name_form":"dotted"}"#,
                "read.file",
                "a_name_that_is_long",
            ),
        ] {
            let encoded = encode(from, body, quirks, &mut Losses::default()).unwrap();
            let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
            for (pointer, name) in [
                ("/tools/0/name", function),
                ("/tools/1/name", custom),
                ("/tool_choice/name", function),
                ("/input/1/name", function),
            ] {
                let found = sent.pointer(pointer).and_then(Value::as_str);
                assert_eq!(found, Some(name), "{quirks}: {pointer} of {sent}");
            }
            assert_eq!(encoded.tools.original(function), "read.file");
            assert_eq!(encoded.tools.original(custom), "a_name_that_is_long");
        }
    }
}
