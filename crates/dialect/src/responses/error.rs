//! Errors of this dialect: those of Chat, but for answers that failed, which say so within.

use crate::error::{self, openai};
use crate::json::{Fields, Node, Object};
use crate::{ApiError, ErrorKind};

pub(super) fn encode(error: &ApiError) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    crate::chat::write_error(&mut body, error);
    body
}

/// The codes of failed answers that clients act on, or that say more than that something went wrong.
const CODES: [&str; 10] = [
    "context_length_exceeded",
    "insufficient_quota",
    "usage_not_included",
    "rate_limit_exceeded",
    "server_error",
    "invalid_prompt",
    "data_residency_mismatch",
    "bio_policy",
    "misalignment_policy_violation",
    "vector_store_timeout",
];

/// Writes the `error` of a failed answer.
pub(super) fn write(mut object: Object<'_>, error: &ApiError) {
    object.string("code", code(error));
    object.string("message", &openai(error).message);
}

fn code(error: &ApiError) -> &str {
    match error.kind {
        ErrorKind::ContextTooLong => "context_length_exceeded",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::RateLimited => "rate_limit_exceeded",
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::BodyTooLarge
        | ErrorKind::Authentication
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
        | ErrorKind::Internal => error
            .code
            .as_deref()
            .filter(|code| CODES.contains(code))
            .unwrap_or("server_error"),
    }
}

/// The error that an answer is, if it is one.
pub(super) fn inside(node: Node<'_>, fields: &Fields<'_>) -> Option<ApiError> {
    let status = fields.get("status").and_then(Node::text);
    let failed = status.as_deref() == Some("failed");
    let told = fields.get("error").filter(|error| error.raw() != "{}");
    match told.and_then(|_| error::in_answer(node)) {
        Some(error) => Some(error),
        None if failed => Some(ApiError::new(
            ErrorKind::Upstream,
            "the upstream's answer failed, and it does not say why",
        )),
        None => None,
    }
}

/// The error that an event of a stream tells.
pub(super) fn event(data: &str) -> ApiError {
    error::in_event(data)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(error: &ApiError) -> String {
        let mut out = Vec::new();
        write(Object::new(&mut out), error);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_without_a_status_say_whose_fault_it_is() {
        let check = |data: &str, kind, status| {
            let error = event(data);
            let found = error.upstream_status.unwrap_or(status);
            assert_eq!((error.kind, found), (kind, status), "{data}");
        };
        check(
            r#"{"type":"error","code":"invalid_image_format","message":"No image."}"#,
            ErrorKind::BadRequest,
            400,
        );
        check(
            r#"{"error":{"type":"invalid_request_error","message":"No input."}}"#,
            ErrorKind::BadRequest,
            400,
        );
        check(
            r#"{"type":"error","code":"server_error","message":"Out of order."}"#,
            ErrorKind::Upstream,
            500,
        );
    }

    #[test]
    fn failed_answers_say_what_clients_act_on() {
        let check = |kind, code: Option<&str>, wait, expect: &str| {
            let mut error = ApiError::new(kind, "No.");
            error.code = code.map(str::to_owned);
            error.retry_after = wait;
            assert_eq!(written(&error), expect);
        };
        check(
            ErrorKind::ContextTooLong,
            None,
            None,
            r#"{"code":"context_length_exceeded","message":"The prompt exceeds the context window of the model. (No.)"}"#,
        );
        check(
            ErrorKind::Billing,
            Some("credit_balance_exhausted"),
            None,
            r#"{"code":"insufficient_quota","message":"No."}"#,
        );
        check(
            ErrorKind::RateLimited,
            None,
            Some(Duration::from_millis(1500)),
            r#"{"code":"rate_limit_exceeded","message":"No. Please try again in 1.5s."}"#,
        );
        check(
            ErrorKind::Overloaded,
            Some("overloaded_error"),
            Some(Duration::from_secs(1)),
            r#"{"code":"server_error","message":"No."}"#,
        );
        check(
            ErrorKind::ContentPolicy,
            Some("bio_policy"),
            None,
            r#"{"code":"bio_policy","message":"No."}"#,
        );
    }

    #[test]
    fn answers_that_failed_are_errors() {
        let check = |json: &str, expect: Option<ErrorKind>| {
            let node = Node::parse(json.as_bytes()).unwrap();
            let found = inside(node, &node.fields().unwrap());
            assert_eq!(found.map(|error| error.kind), expect, "{json}");
        };
        check(r#"{"status":"completed","error":null}"#, None);
        check(r#"{"status":"completed","error":{}}"#, None);
        check(
            r#"{"status":"failed","error":null}"#,
            Some(ErrorKind::Upstream),
        );
        check(
            r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}"#,
            Some(ErrorKind::RateLimited),
        );
        check(
            r#"{"status":"failed","error":{"code":"invalid_prompt","message":"m"}}"#,
            Some(ErrorKind::ContentPolicy),
        );
        check(
            r#"{"error":{"message":"m","type":"server_error"}}"#,
            Some(ErrorKind::Upstream),
        );
    }
}
