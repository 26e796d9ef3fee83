//! Requests for servers that differ: what a quirk makes of a request, and what is told of it.

use crate::quirks::{Patch, Quirks};
use crate::{DialectId, Losses, Target};

/// A request of Messages or Chat with these fields, sent to a server with these quirks: the fields of the body that are named in
/// `expect`, and where something was lost, with its note.
fn check(fields: &str, quirks: &str, expect: &str, lost: &str) {
    let messages = r#""messages":[{"role":"user","content":"Hi"}]"#;
    let body = if fields.contains("\"messages\"") {
        format!("{{\"model\":\"m\",{fields}}}")
    } else {
        format!("{{\"model\":\"m\",{messages},{fields}}}")
    };
    let (sent, losses) = send(DialectId::Chat, &body, quirks).unwrap();
    let expect: serde_json::Value = serde_json::from_str(expect).unwrap();
    for (key, value) in expect.as_object().unwrap() {
        let found = sent.get(key).unwrap_or(&serde_json::Value::Null);
        assert_eq!(found, value, "{fields} {quirks}: {key} of {sent}");
    }
    assert_eq!(losses, lost, "{fields} {quirks}");
}

fn send(from: DialectId, body: &str, quirks: &str) -> Result<(serde_json::Value, String), String> {
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
    let mut losses = Losses::default();
    let encoded = DialectId::Chat
        .dialect()
        .encode_request(&request, &target, &mut losses)
        .map_err(|refusal| refusal.message)?;
    let sent = serde_json::from_slice(&encoded.body).unwrap();
    let told: Vec<String> = losses
        .iter()
        .map(|loss| format!("{}: {}", loss.path(from.dialect()), loss.note))
        .collect();
    Ok((sent, told.join(" | ")))
}

#[test]
fn limits_and_sampling() {
    for (fields, quirks, expect, lost) in [
        (
            r#""max_tokens":5000"#,
            "{}",
            r#"{"max_completion_tokens":1000}"#,
            "max_tokens: clamped to 1000, the most that this model gives",
        ),
        (
            r#""max_tokens":5"#,
            r#"{"least_output":16,"max_tokens_field":"max_tokens"}"#,
            r#"{"max_tokens":16}"#,
            "max_tokens: raised to 16, the least that this model takes",
        ),
        (
            r#""max_tokens":900"#,
            r#"{"most_output_whole":500}"#,
            r#"{"max_completion_tokens":500}"#,
            "max_tokens: clamped to 500, the most that this model gives",
        ),
        (
            r#""max_tokens":900,"stream":true"#,
            r#"{"most_output_whole":500}"#,
            r#"{"max_completion_tokens":900}"#,
            "",
        ),
        (
            r#""stop":["a","b"]"#,
            r#"{"most_stops":1}"#,
            r#"{"stop":["a"]}"#,
            "stop: only the first 1 were sent",
        ),
        (
            r#""stop":["a"]"#,
            r#"{"stop":false}"#,
            r#"{"stop":null}"#,
            "stop: dropped: the model takes no stop sequences",
        ),
        (
            r#""temperature":0"#,
            r#"{"temperature_min":0.01}"#,
            r#"{"temperature":0.01}"#,
            "temperature: clamped to 0.01",
        ),
        (
            r#""temperature":1.5"#,
            r#"{"temperature_max":1.0}"#,
            r#"{"temperature":1}"#,
            "temperature: clamped to 1",
        ),
        (
            r#""temperature":1,"top_p":0.5"#,
            r#"{"temperature_xor_top_p":true}"#,
            r#"{"temperature":1,"top_p":null}"#,
            "top_p: dropped: the model takes either it or the temperature",
        ),
        (
            r#""temperature":1"#,
            r#"{"sampling_with_thinking":false}"#,
            r#"{"temperature":null}"#,
            "temperature: dropped: it has no effect while the model thinks",
        ),
        (
            r#""temperature":1,"reasoning_effort":"none""#,
            r#"{"sampling_with_thinking":false,"thinking_switch":"thinking_type"}"#,
            r#"{"temperature":1,"thinking":{"type":"disabled"}}"#,
            "",
        ),
        (
            r#""top_k":9"#,
            r#"{"top_k":true,"most_top_k":6}"#,
            r#"{"top_k":6}"#,
            "top_k: clamped to 6",
        ),
        (
            r#""presence_penalty":1,"frequency_penalty":1"#,
            r#"{"frequency_penalty":false}"#,
            r#"{"presence_penalty":1,"frequency_penalty":null}"#,
            "frequency_penalty: dropped: the model takes no such penalty",
        ),
        (
            r#""presence_penalty":0"#,
            r#"{"penalties":false}"#,
            r#"{"presence_penalty":null}"#,
            "",
        ),
        (
            r#""n":3"#,
            r#"{"most_candidates":1}"#,
            r#"{"n":null}"#,
            "n: clamped to 1: the model gives no more",
        ),
        (
            r#""logprobs":true,"top_logprobs":12"#,
            r#"{"most_logprobs":8}"#,
            r#"{"logprobs":true,"top_logprobs":8}"#,
            "logprobs: clamped to 8",
        ),
        (
            r#""logprobs":true"#,
            r#"{"logprobs":false}"#,
            r#"{"logprobs":null}"#,
            "logprobs: dropped: the model tells no probabilities",
        ),
        (
            r#""logprobs":true,"reasoning_effort":"none""#,
            r#"{"logprobs":false,"sampling_at_effort_none":true}"#,
            r#"{"logprobs":true}"#,
            "",
        ),
    ] {
        check(fields, quirks, expect, lost);
    }
}

#[test]
fn fields_are_refused_and_renamed() {
    for (fields, quirks, expect, lost) in [
        (
            r#""seed":5"#,
            r#"{"renames":{"seed":"random_seed"}}"#,
            r#"{"seed":null,"random_seed":5}"#,
            "",
        ),
        (
            r#""seed":5"#,
            r#"{"refuses":["seed"]}"#,
            r#"{"seed":null}"#,
            "seed: dropped: this upstream does not take it",
        ),
        (
            r#""logit_bias":{"1":2}"#,
            r#"{"refuses":["logit_bias"]}"#,
            r#"{"logit_bias":null}"#,
            "logit_bias: dropped: this upstream does not take it",
        ),
        (
            r#""messages":[{"role":"user","name":"A","content":"Hi"}]"#,
            r#"{"refuses":["messages.*.name"]}"#,
            r#"{"messages":[{"role":"user","content":"Hi"}]}"#,
            "messages.*.name: dropped: this upstream does not take it",
        ),
        (
            r#""stream":true"#,
            r#"{"refuses":["stream_options"]}"#,
            r#"{"stream":true,"stream_options":null}"#,
            "",
        ),
        (
            r#""user":"a b""#,
            r#"{"plain_user":true,"renames":{"user":"user_id"}}"#,
            r#"{"user":null}"#,
            "user: hashed: only letters, digits, '_' and '-' are taken",
        ),
        (
            r#""user":"a-b""#,
            r#"{"plain_user":true,"renames":{"user":"user_id"}}"#,
            r#"{"user":null,"user_id":"a-b"}"#,
            "",
        ),
        (
            r#""service_tier":"priority""#,
            r#"{"service_tiers":["auto","flex"]}"#,
            r#"{"service_tier":null}"#,
            "service_tier: dropped: this upstream knows only auto, flex",
        ),
        (
            r#""service_tier":"flex""#,
            r#"{"service_tiers":["auto","flex"]}"#,
            r#"{"service_tier":"flex"}"#,
            "",
        ),
    ] {
        check(fields, quirks, expect, lost);
    }
}

#[test]
fn reasoning_is_asked_for_in_the_words_of_its_server() {
    let high = r#""reasoning_effort":"high""#;
    let low = r#""reasoning_effort":"low""#;
    let none = r#""reasoning_effort":"none""#;
    for (fields, quirks, expect, lost) in [
        (
            high,
            r#"{"thinking_switch":"thinking_type"}"#,
            r#"{"thinking":{"type":"enabled"},"reasoning_effort":"high"}"#,
            "",
        ),
        (
            none,
            r#"{"thinking_switch":"thinking_type"}"#,
            r#"{"thinking":{"type":"disabled"},"reasoning_effort":null}"#,
            "",
        ),
        (
            high,
            r#"{"thinking_switch":"thinking_type","reasoning_effort":false}"#,
            r#"{"thinking":{"type":"enabled"},"reasoning_effort":null}"#,
            "reasoning_effort: only turned on: the model knows no measure of it",
        ),
        (
            high,
            r#"{"thinking_switch":"enable_thinking","thinking_budget":true,"reasoning_effort":false}"#,
            r#"{"enable_thinking":true,"thinking_budget":16384}"#,
            "reasoning_effort: high became a budget of 16384 tokens",
        ),
        (
            none,
            r#"{"thinking_switch":"enable_thinking","thinking_budget":true,"reasoning_effort":false}"#,
            r#"{"enable_thinking":false,"thinking_budget":null}"#,
            "",
        ),
        (
            high,
            r#"{"thinking_switch":"chat_template_kwargs","reasoning_effort":false}"#,
            r#"{"chat_template_kwargs":{"enable_thinking":true}}"#,
            "reasoning_effort: only turned on: the model knows no measure of it",
        ),
        (
            high,
            r#"{"thinking_switch":"reasoning","thinking_budget":true}"#,
            r#"{"reasoning":{"effort":"high"},"reasoning_effort":null}"#,
            "",
        ),
        (
            none,
            r#"{"thinking_switch":"reasoning"}"#,
            r#"{"reasoning":{"enabled":false}}"#,
            "",
        ),
        (
            r#""reasoning":{"max_tokens":2000}"#,
            r#"{"thinking_switch":"reasoning","thinking_budget":true}"#,
            r#"{"reasoning":{"max_tokens":2000}}"#,
            "",
        ),
        (
            r#""temperature":1"#,
            r#"{"thinking_switch":"thinking_type"}"#,
            r#"{"thinking":null}"#,
            "",
        ),
        // Never lowered to nothing: that would turn it off.
        (
            low,
            r#"{"efforts":["none","high"]}"#,
            r#"{"reasoning_effort":"high"}"#,
            "reasoning_effort: low became high: the model knows no nearer level",
        ),
        (
            none,
            r#"{"efforts":["low","high"]}"#,
            r#"{"reasoning_effort":"low"}"#,
            "reasoning_effort: none became low: the model knows no nearer level",
        ),
        (
            high,
            r#"{"reasoning_effort":false}"#,
            r#"{"reasoning_effort":null}"#,
            "reasoning_effort: dropped: the model has no such setting",
        ),
    ] {
        check(fields, quirks, expect, lost);
    }
}

#[test]
fn output_is_asked_for_in_words_where_there_is_no_schema() {
    let schema = r#""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object"}}}"#;
    let words = "Answer with JSON that fits this JSON Schema and nothing else: no Markdown fence, no words around it.\n{\"type\":\"object\"}";
    let messages = serde_json::json!({"messages": [{"role": "system", "content": words}, {"role": "user", "content": "Hi"}], "response_format": {"type": "json_object"}});
    let lost = "response_format: asked for in words: this model takes no schema";
    check(
        schema,
        r#"{"native_schema":false}"#,
        &messages.to_string(),
        lost,
    );
    let mut bare = messages;
    bare["response_format"] = serde_json::Value::Null;
    check(
        schema,
        r#"{"native_schema":false,"json_object":false}"#,
        &bare.to_string(),
        lost,
    );
    let json = r#""response_format":{"type":"json_object"}"#;
    check(
        json,
        r#"{"native_schema":false}"#,
        r#"{"response_format":{"type":"json_object"}}"#,
        "",
    );
    check(
        json,
        r#"{"json_object":false}"#,
        r#"{"response_format":null}"#,
        lost,
    );
}

const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{},"required":[],"additionalProperties":false}}},{"type":"function","function":{"name":"g.h"}}]"#;

#[test]
fn tools_and_choices() {
    let required = format!(r#"{TOOLS},"tool_choice":"required""#);
    let named = format!(r#"{TOOLS},"tool_choice":{{"type":"function","function":{{"name":"f"}}}}"#);
    let auto = "tool_choice: became auto: this model cannot be forced to call a tool";
    check(
        &required,
        r#"{"forced_tool_choice":false}"#,
        r#"{"tool_choice":"auto"}"#,
        auto,
    );
    check(
        &named,
        r#"{"forced_tool_choice":false}"#,
        r#"{"tool_choice":"auto"}"#,
        auto,
    );
    check(
        &named,
        r#"{"named_tool_choice":false}"#,
        r#"{"tool_choice":"required"}"#,
        "tools: only the tool that must be called was sent",
    );
    check(
        &required,
        r#"{"named_tool_choice":false}"#,
        r#"{"tool_choice":"required"}"#,
        "",
    );
    let (sent, lost) = send(
        DialectId::Chat,
        &format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],{TOOLS}}}"#),
        r#"{"strict_tools":false,"tool_name_form":"dotted"}"#,
    )
    .unwrap();
    assert_eq!(
        lost,
        "tools.0.strict: sent without strict: this upstream does not take it"
    );
    assert!(sent["tools"][0]["function"].get("strict").is_none());
    assert_eq!(sent["tools"][1]["function"]["name"], "g.h");
    check(
        TOOLS,
        r#"{"tools":false}"#,
        r#"{"tools":null}"#,
        "tools.0: dropped: this model knows no tools | tools.1: dropped: this model knows no tools",
    );
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],{required}}}"#);
    assert_eq!(
        send(DialectId::Chat, &body, r#"{"tools":false}"#).unwrap_err(),
        "this model knows no tools; choose one that does"
    );
}

const LOOP: &str = r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_0123456789012345678901234567890123456789","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_0123456789012345678901234567890123456789","content":[{"type":"text","text":"R"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},{"type":"text","text":"and?"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#;

#[test]
fn a_tool_loop_takes_the_form_that_is_demanded() {
    let sent = |quirks: &str| send(DialectId::Messages, LOOP, quirks).unwrap();
    let (body, _) = sent(
        r#"{"call_id_form":"alnum9","user_after_tool":false,"tool_result_images":true,"reasoning_replay":"demanded","empty_content":"text","cache_control":true}"#,
    );
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4, "{body}");
    assert_eq!(
        messages[0]["content"][0]["cache_control"]["type"],
        "ephemeral"
    );
    let call = messages[2]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(
        call.len() == 9 && call.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{call}"
    );
    assert_eq!(messages[3]["tool_call_id"], call);
    assert_eq!(messages[2]["content"], "");
    assert_eq!(messages[2]["reasoning_content"], " ");
    assert_eq!(messages[3]["content"][0]["text"], "R\nand?");
    assert_eq!(messages[3]["content"][1]["type"], "image_url");

    let (body, _) = sent(
        r#"{"call_id_form":"short","empty_content":"absent","reasoning_replay":"demanded","reasoning_field":"reasoning"}"#,
    );
    let messages = body["messages"].as_array().unwrap();
    let call = messages[2]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(call.len() <= 36, "{call}");
    assert_eq!(messages[3]["tool_call_id"], call);
    assert!(messages[2].get("content").is_none());
    assert_eq!(messages[2]["reasoning"], " ");
    assert_eq!(messages[4]["role"], "user");
}

#[test]
fn the_last_message_of_the_assistant_is_continued_where_a_flag_says_so() {
    let talk = r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"He"}]"#;
    check(
        talk,
        r#"{"prefill_flag":"prefix"}"#,
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"He","prefix":true}]}"#,
        "",
    );
    check(
        talk,
        "{}",
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"He"}]}"#,
        "messages.1: sent as a finished message: chat models do not continue it",
    );
}

#[test]
fn turns_alternate_where_they_must() {
    let talk = r#""messages":[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}]"#;
    let (sent, _) = send(
        DialectId::Chat,
        &format!(r#"{{"model":"m",{talk}}}"#),
        r#"{"strict_alternation":true}"#,
    )
    .unwrap();
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1, "{sent}");
    let begun = r#"{"model":"m","messages":[{"role":"assistant","content":"a"},{"role":"user","content":"c"}]}"#;
    assert!(send(DialectId::Chat, begun, r#"{"strict_alternation":true}"#).is_err());
}
