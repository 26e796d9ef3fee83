//! Errors in the form of google.rpc (protocols.md §5.1, §5.4).

use std::borrow::Cow;
use std::time::Duration;

use crate::error::too_long_to_gemini;
use crate::json::{Array, Object};
use crate::{ApiError, DialectId, ErrorKind};

const TYPE: &str = "type.googleapis.com/google.rpc.";

pub(super) fn encode(error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, error, request_id);
    out
}

/// `error` is the first key and `code` a number: clients look for just that in streams.
pub(super) fn write(out: &mut Vec<u8>, error: &ApiError, request_id: &str) {
    let code = error.status(DialectId::Gemini);
    let mut body = Object::new(out);
    let mut object = body.object("error");
    object.u64("code", u64::from(code));
    object.string(
        "message",
        &match error.kind {
            ErrorKind::ContextTooLong => too_long_to_gemini(&error.message),
            _ => Cow::Borrowed(error.message.as_str()),
        },
    );
    object.string("status", status(error.kind));
    let mut details = Vec::new();
    let mut list = Array::new(&mut details);
    if let Some(reason) = reason(error) {
        let mut info = list.object();
        info.string("@type", &format!("{TYPE}ErrorInfo"));
        info.string("reason", &reason);
        info.string("domain", "lingate");
        let mut metadata = info.object("metadata");
        metadata.some_string("field", error.param.as_deref());
    }
    if let Some(own) = error.own_limit() {
        let mut failure = list.object();
        failure.string("@type", &format!("{TYPE}QuotaFailure"));
        own.write_quota(&mut failure);
    } else if error.kind == ErrorKind::Billing {
        // Clients take a quota counted by day as a reason to stop, any other as one to try again.
        let mut failure = list.object();
        failure.string("@type", &format!("{TYPE}QuotaFailure"));
        failure
            .array("violations")
            .object()
            .string("quotaId", "LingateQuotaPerDay");
    }
    if let Some(after) = error.retry_after {
        let mut retry = list.object();
        retry.string("@type", &format!("{TYPE}RetryInfo"));
        retry.string("retryDelay", &seconds(after));
    }
    if !request_id.is_empty() {
        let mut info = list.object();
        info.string("@type", &format!("{TYPE}RequestInfo"));
        info.string("requestId", request_id);
    }
    drop(list);
    if details != b"[]" {
        object.value("details").extend_from_slice(&details);
    }
}

fn reason(error: &ApiError) -> Option<String> {
    let usual = match error.kind {
        // Clients act upon these two, so another vendor's own word is not given in their place.
        ErrorKind::Authentication => return Some("API_KEY_INVALID".to_owned()),
        ErrorKind::RateLimited => return Some("RATE_LIMIT_EXCEEDED".to_owned()),
        ErrorKind::Unsupported => Some("UNSUPPORTED_BY_UPSTREAM"),
        ErrorKind::BadRequest => error.param.is_some().then_some("INVALID_FIELD"),
        ErrorKind::ContextTooLong
        | ErrorKind::BodyTooLarge
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::ContentPolicy
        | ErrorKind::Upstream
        | ErrorKind::UpstreamMalformed
        | ErrorKind::Overloaded
        | ErrorKind::Timeout
        | ErrorKind::NotImplemented
        | ErrorKind::Internal => None,
    };
    let own = error.code.as_deref().map(str::to_ascii_uppercase);
    own.or_else(|| usual.map(str::to_owned))
}

fn status(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextTooLong
        | ErrorKind::BodyTooLarge
        | ErrorKind::ContentPolicy => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound | ErrorKind::MethodNotAllowed => "NOT_FOUND",
        ErrorKind::Conflict => "ABORTED",
        ErrorKind::RateLimited | ErrorKind::Billing => "RESOURCE_EXHAUSTED",
        ErrorKind::Upstream | ErrorKind::UpstreamMalformed | ErrorKind::Internal => "INTERNAL",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::NotImplemented => "UNIMPLEMENTED",
    }
}

/// `34s`, `1.5s`
fn seconds(delay: Duration) -> String {
    format!("{}s", delay.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &ApiError, request_id: &str, expect: &str) {
        assert_eq!(
            String::from_utf8(encode(error, request_id)).unwrap(),
            expect
        );
    }

    #[test]
    fn errors_have_googles_form() {
        check(
            &ApiError::new(ErrorKind::Overloaded, "upstream overloaded"),
            "",
            r#"{"error":{"code":503,"message":"upstream overloaded","status":"UNAVAILABLE"}}"#,
        );
        check(
            &ApiError::new(ErrorKind::Unsupported, "m").param("cachedContent"),
            "r",
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"UNSUPPORTED_BY_UPSTREAM","domain":"lingate","metadata":{"field":"cachedContent"}},{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"r"}]}}"#,
        );
        let mut limited = ApiError::new(ErrorKind::RateLimited, "m");
        limited.retry_after = Some(Duration::from_millis(1500));
        check(
            &limited,
            "",
            r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"lingate","metadata":{}},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}"#,
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut error = ApiError::new(ErrorKind::RateLimited, "slow down");
        error.retry_after = Some(Duration::from_secs(34));
        let read = ApiError::decode(429, &encode(&error, "r"));
        assert_eq!(
            (read.kind, read.message, read.retry_after),
            (error.kind, error.message, error.retry_after)
        );
    }
}
