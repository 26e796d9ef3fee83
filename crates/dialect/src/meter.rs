//! What a whole answer used and how it ended, for answers that are forwarded as they are.

use crate::envelope::string_end;
use crate::estimate::Tally;
use crate::hub::Served;
use crate::stream::{Outcome, StreamError, Summary};
use crate::{BadAnswer, Dialect};

/// Strings of more bytes are left out before the answer is decoded: texts, media, reasoning. No fact about the answer as a whole
/// is that long.
const LONG: usize = 256;

/// Reads an answer of status 2xx. What it is made of is counted where it does not tell its usage. One that cannot be read, or that is an error, has [`Summary::error`].
pub fn read(dialect: &dyn Dialect, body: &[u8]) -> Summary {
    let decoded = match dialect.decode_response(&without_long_strings(body)) {
        // A text that has to be there, or to be longer than nothing.
        Err(BadAnswer::Malformed(_)) => dialect.decode_response(body),
        // All that it says may be long.
        Ok(response) if response.is_empty() => dialect.decode_response(body),
        decoded => decoded,
    };
    match decoded {
        Ok(response) => {
            let mut summary = Summary::of(&response);
            if summary.usage.is_none()
                && let Ok(response) = dialect.decode_response(body)
            {
                summary.produced = Summary::of(&response).produced;
            }
            summary
        }
        Err(bad) => Summary {
            outcome: Outcome::UpstreamError,
            usage: None,
            usage_is_whole: true,
            tier: None,
            served: Served::default(),
            produced: Tally::default(),
            error: Some(match bad {
                BadAnswer::Error(error) => error,
                BadAnswer::Malformed(malformed) => StreamError::from(malformed).to_api_error(),
            }),
            empty: false,
        },
    }
}

/// The same JSON text, but for long strings, which become empty. What is not JSON stays as broken as it was.
fn without_long_strings(body: &[u8]) -> Vec<u8> {
    let mut short = Vec::with_capacity(body.len().min(4096));
    let mut copied = 0;
    let mut at = 0;
    while let Some(offset) = body.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let start = at + offset;
        let Some(end) = string_end(body, start) else {
            break;
        };
        if end - start > LONG {
            short.extend_from_slice(body.get(copied..start).unwrap_or_default());
            short.extend_from_slice(b"\"\"");
            copied = end;
        }
        at = end;
    }
    short.extend_from_slice(body.get(copied..).unwrap_or_default());
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DialectId;

    #[test]
    fn an_answer_that_ended_and_says_nothing_is_empty() {
        let check = |dialect: DialectId, body: &str, expect: bool| {
            let summary = read(dialect.dialect(), body.as_bytes());
            assert_eq!(summary.error, None, "{body}");
            assert_eq!(summary.empty, expect, "{body}");
        };
        let long = "x".repeat(LONG + 1);
        let chat = |message: &str, finish: &str| {
            format!(
                r#"{{"choices":[{{"index":0,"message":{{"role":"assistant",{message}}},"finish_reason":"{finish}"}}]}}"#
            )
        };
        let chat = |message: &str, finish: &str, expect: bool| {
            check(DialectId::Chat, &chat(message, finish), expect);
        };
        chat(r#""content":"""#, "stop", true);
        chat(r#""content":null"#, "stop", true);
        chat(r#""content":null,"tool_calls":[]"#, "stop", true);
        chat(r#""content":"a""#, "stop", false);
        chat(&format!(r#""content":"{long}""#), "stop", false);
        chat(r#""content":"""#, "length", false);
        chat(r#""content":"""#, "content_filter", true);
        chat(r#""content":"I""#, "content_filter", false);
        chat(&format!(r#""content":"{long}""#), "content_filter", false);
        chat(r#""content":"","reasoning_content":"hm""#, "stop", false);
        chat(
            &format!(r#""content":"","reasoning_content":"{long}""#),
            "stop",
            false,
        );
        chat(
            r#""content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":""}}]"#,
            "tool_calls",
            false,
        );
        let messages = |content: &str, stop: &str, expect: bool| {
            let body = format!(
                r#"{{"type":"message","role":"assistant","content":[{content}],"stop_reason":"{stop}","usage":{{"input_tokens":1,"output_tokens":3}}}}"#
            );
            check(DialectId::Messages, &body, expect);
        };
        messages("", "end_turn", true);
        messages(r#"{"type":"text","text":""}"#, "end_turn", true);
        messages("", "stop_sequence", false);
        messages("", "refusal", true);
        messages("", "max_tokens", false);
        messages(
            r#"{"type":"redacted_thinking","data":"b3BhcXVl"}"#,
            "end_turn",
            false,
        );
        let gemini = |candidate: &str, expect: bool| {
            let body = format!(
                r#"{{"candidates":[{candidate}],"usageMetadata":{{"promptTokenCount":3,"thoughtsTokenCount":90}}}}"#
            );
            check(DialectId::Gemini, &body, expect);
        };
        gemini(
            r#"{"content":{"role":"model"},"finishReason":"STOP"}"#,
            true,
        );
        gemini(
            r#"{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP"}"#,
            true,
        );
        gemini(
            r#"{"content":{"role":"model","parts":[{"text":"a"}]},"finishReason":"STOP"}"#,
            false,
        );
        gemini(
            r#"{"content":{"role":"model"},"finishReason":"SAFETY"}"#,
            true,
        );
        let responses = |status: &str, output: &str, expect: bool| {
            let body = format!(
                r#"{{"id":"resp_1","object":"response","status":"{status}","output":[{output}]}}"#
            );
            check(DialectId::Responses, &body, expect);
        };
        responses("completed", "", true);
        responses("queued", "", false);
        responses("in_progress", "", false);
        responses(
            "completed",
            r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"b3BhcXVl"}"#,
            false,
        );
        responses(
            "completed",
            r#"{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}]}"#,
            false,
        );
    }

    #[test]
    fn long_strings_alone_are_left_out() {
        let check = |body: &str, expect: &str| {
            let short = without_long_strings(body.as_bytes());
            assert_eq!(String::from_utf8(short).unwrap(), expect);
        };
        let long = "x\\\"".repeat(100);
        check("", "");
        check(r#"{"a":"b\"c"}"#, r#"{"a":"b\"c"}"#);
        check(
            &format!(r#"{{"a":"{long}","b":["{long}",1]}} "#),
            r#"{"a":"","b":["",1]} "#,
        );
        check(
            &format!(r#"{{"a":"{long}","b":"{long}"#),
            &format!(r#"{{"a":"","b":"{long}"#),
        );
    }
}
