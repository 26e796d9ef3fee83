//! What a whole answer used and how it ended, for answers that are forwarded as they are.

use crate::envelope::string_end;
use crate::hub::FinishReason;
use crate::stream::{Outcome, StreamError, Summary};
use crate::{BadAnswer, Dialect};

/// Strings of more bytes are left out before the answer is decoded: texts, media, reasoning. No fact about the answer as a whole
/// is that long.
const LONG: usize = 256;

/// Reads an answer of status 2xx. One that cannot be read, or that is an error, has [`Summary::error`].
pub fn read(dialect: &dyn Dialect, body: &[u8]) -> Summary {
    let decoded = match dialect.decode_response(&without_long_strings(body)) {
        // A text that has to be there, or to be longer than nothing.
        Err(BadAnswer::Malformed(_)) => dialect.decode_response(body),
        decoded => decoded,
    };
    match decoded {
        Ok(response) => {
            let first = response.choices.iter().min_by_key(|choice| choice.index);
            let reason = first.map_or(FinishReason::Stop, |choice| choice.finish.reason);
            Summary {
                outcome: reason.into(),
                usage: response.usage,
                error: None,
            }
        }
        Err(bad) => Summary {
            outcome: Outcome::UpstreamError,
            usage: None,
            error: Some(match bad {
                BadAnswer::Error(error) => error,
                BadAnswer::Malformed(malformed) => StreamError::from(malformed).to_api_error(),
            }),
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
