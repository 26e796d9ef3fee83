//! Whole answers, both ways, and errors.

use serde_json::Value;

use super::{fixtures, reply};
use crate::chat::Chat;
use crate::hub::{Finish, FinishReason, PartBody, Response};
use crate::{ApiError, BadAnswer, Dialect, ErrorKind, Losses, Reply};

fn answer(body: &str) -> Response {
    Chat.decode_response(body.as_bytes()).unwrap()
}

#[test]
fn an_answer_written_and_read_again_is_the_same() {
    for (name, text) in fixtures("responses") {
        let first = answer(&text);
        let mut losses = Losses::default();
        let body = Chat.encode_response(&first, &reply(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        let mut second = Chat.decode_response(&body).unwrap();
        // The client is told the model that it asked for.
        second.model.clone_from(&first.model);
        let mut first = first;
        if first
            .id
            .as_deref()
            .is_none_or(|id| !id.starts_with("chatcmpl-"))
        {
            second.id.clone_from(&first.id);
        }
        first.created.get_or_insert(5);
        // Where the span was not told, it is told as all of the text; the source's own form differs then.
        let plain = |response: &mut Response| {
            for part in response
                .choices
                .iter_mut()
                .flat_map(|choice| &mut choice.parts)
            {
                if let PartBody::ToolCall(call) = &mut part.body
                    && call.arguments.is_empty()
                {
                    "{}".clone_into(&mut call.arguments);
                }
                if let PartBody::Text(text) = &mut part.body {
                    let all = text.text.chars().count() as u64;
                    for citation in &mut text.citations {
                        citation.span.get_or_insert((0, all));
                        citation.source = None;
                    }
                }
            }
        };
        plain(&mut first);
        plain(&mut second);
        let bare = [
            "no_content_key.json",
            "tool_call_bare.json",
            "odd_server.json",
        ];
        if !bare.contains(&name.as_str()) {
            assert_eq!(format!("{first:#?}"), format!("{second:#?}"), "{name}");
        }
    }
}

#[test]
fn an_answer_is_whole_in_every_field_that_clients_read() {
    let written = |body: &str, reply: &Reply| {
        let body = Chat.encode_response(&answer(body), reply, &mut Losses::default());
        String::from_utf8(body).unwrap()
    };
    assert_eq!(
        written(
            r#"{"id":"msg_1","model":"x","choices":[{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":""}}]},"finish_reason":"stop"}]}"#,
            &reply()
        ),
        r#"{"id":"chatcmpl-000000000000000000000000","object":"chat.completion","created":5,"model":"asked","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}]}"#
    );
    let legacy = Reply {
        legacy_function_call: true,
        ..reply()
    };
    assert_eq!(
        written(
            r#"{"id":"chatcmpl-1","created":9,"choices":[{"message":{"function_call":{"name":"f","arguments":"{}"}}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            &legacy
        ),
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":9,"model":"asked","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"function_call":{"name":"f","arguments":"{}"}},"logprobs":null,"finish_reason":"function_call"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0}}}"#
    );
}

#[test]
fn a_refusal_of_another_vendor_keeps_its_words() {
    let mut response =
        answer(r#"{"choices":[{"message":{"content":"Well"},"finish_reason":"stop"}]}"#);
    response.choices[0].finish = Finish {
        message: Some("bio".into()),
        ..FinishReason::Refusal.into()
    };
    let body = Chat.encode_response(&response, &reply(), &mut Losses::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["refusal"], "bio");
    assert_eq!(body["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for (body, expect) in [
        ("", "the body is empty; a JSON object is expected"),
        (
            "<html>",
            "not valid JSON: expected value at line 1 column 1",
        ),
        ("{}", "choices: is required"),
        (
            r#"{"choices":[]}"#,
            "choices: is empty; at least one choice is expected",
        ),
        (
            r#"{"choices":[{"index":0}]}"#,
            "choices.0.message: is required",
        ),
        (
            r#"{"choices":[{"message":{"content":7}}]}"#,
            "choices.0.message.content: expected an array, got a number",
        ),
        (r#"{"error":{"message":"no","code":429}}"#, "RateLimited no"),
        (
            r#"{"choices":null,"base_resp":{"status_code":1004,"status_msg":"auth"}}"#,
            "Authentication auth",
        ),
        (
            r#"{"choices":[{"message":{"content":""},"finish_reason":"error","error":{"message":"gone","code":502}}]}"#,
            "UpstreamMalformed gone",
        ),
        (
            r#"{"choices":[{"message":{"content":null},"finish_reason":"network_error"}]}"#,
            "Upstream the upstream ended its answer with 'network_error' and no content",
        ),
    ] {
        let told = match Chat.decode_response(body.as_bytes()).unwrap_err() {
            BadAnswer::Malformed(fault) => fault.to_string(),
            BadAnswer::Error(error) => format!("{:?} {}", error.kind, error.message),
        };
        assert_eq!(told, expect, "{body}");
    }
}

#[test]
fn errors_have_openais_form() {
    let body = |error: ApiError| String::from_utf8(Chat.encode_error(&error, "req_1")).unwrap();
    assert_eq!(
        body(ApiError::new(ErrorKind::Unsupported, "no \"n\"").param("n")),
        r#"{"error":{"message":"no \"n\"","type":"invalid_request_error","param":"n","code":"unsupported_by_upstream"}}"#
    );
    assert_eq!(
        body(ApiError::new(ErrorKind::Billing, "empty").code("credit_balance_exhausted")),
        r#"{"error":{"message":"empty","type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}}"#
    );
}
