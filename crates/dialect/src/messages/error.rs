//! Errors as Anthropic says them: `{"type":"error","error":{"type","message"},"request_id"}`.

use crate::error::too_long_to_messages;
use crate::json::{Node, Object};
use crate::{ApiError, ErrorKind};

/// Writes an error; the body of an answer and of an `error` event alike.
pub(super) fn write(out: &mut Vec<u8>, error: &ApiError, request_id: Option<&str>) {
    let mut object = Object::new(out);
    object.string("type", "error");
    let mut inner = object.object("error");
    inner.string("type", word(error.kind));
    inner.string("message", &message(error));
    if let Some(own) = error.own_limit() {
        own.write(&mut inner.object("details"));
    }
    drop(inner);
    object.some_string("request_id", request_id);
}

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextTooLong
        | ErrorKind::ContentPolicy
        | ErrorKind::MethodNotAllowed => "invalid_request_error",
        ErrorKind::BodyTooLarge => "request_too_large",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::Conflict => "conflict_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Upstream
        | ErrorKind::UpstreamMalformed
        | ErrorKind::NotImplemented
        | ErrorKind::Internal => "api_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
    }
}

/// The message, led by the field at fault, which has no place of its own here.
fn message(error: &ApiError) -> String {
    let text = &error.message;
    match (error.kind, &error.param) {
        (ErrorKind::ContextTooLong, _) => too_long_to_messages(text).into_owned(),
        (ErrorKind::BadRequest | ErrorKind::Unsupported, Some(param))
            if !text.contains(param.as_str()) =>
        {
            format!("{param}: {text}")
        }
        _ => text.clone(),
    }
}

/// The error that an answer of status 200, or an `error` event, holds.
pub(super) fn inside(body: Node<'_>) -> Option<ApiError> {
    let error = body.fields().ok()?.get("error");
    let kind = error.and_then(|error| error.fields().ok()?.get("type")?.text());
    let status = match kind.as_deref() {
        Some("invalid_request_error") => 400,
        Some("authentication_error") => 401,
        Some("billing_error") => 402,
        Some("permission_error") => 403,
        Some("not_found_error") => 404,
        Some("conflict_error") => 409,
        Some("request_too_large") => 413,
        Some("rate_limit_error") => 429,
        Some("timeout_error") => 504,
        Some("overloaded_error") => 529,
        _ => return crate::error::in_answer(body),
    };
    Some(ApiError::decode(status, body.raw().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &ApiError, expect: &str) {
        let mut body = Vec::new();
        write(&mut body, error, Some("req_1"));
        assert_eq!(String::from_utf8(body).unwrap(), expect);
    }

    #[test]
    fn each_error_has_its_form() {
        check(
            &ApiError::new(ErrorKind::Overloaded, "busy \"now\""),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy \"now\""},"request_id":"req_1"}"#,
        );
        check(
            &ApiError::new(ErrorKind::Unsupported, "audio is not supported")
                .param("messages.0.content.1"),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.0.content.1: audio is not supported"},"request_id":"req_1"}"#,
        );
        check(
            &ApiError::new(
                ErrorKind::ContextTooLong,
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
            ),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9001 tokens > 8192 maximum (This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.)"},"request_id":"req_1"}"#,
        );
        check(
            &ApiError::new(ErrorKind::ContextTooLong, "Prompt is too long"),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Prompt is too long"},"request_id":"req_1"}"#,
        );
    }

    #[test]
    fn errors_inside_answers_are_classified() {
        let kind = |body: &str| {
            let error = inside(Node::parse(body.as_bytes()).unwrap());
            error.map(|error| error.kind)
        };
        let of = |word: &str| {
            kind(&format!(
                r#"{{"type":"error","error":{{"type":"{word}","message":"m"}}}}"#
            ))
        };
        assert_eq!(of("overloaded_error"), Some(ErrorKind::Overloaded));
        assert_eq!(of("invalid_request_error"), Some(ErrorKind::BadRequest));
        assert_eq!(of("api_error"), Some(ErrorKind::Upstream));
        assert_eq!(of("timeout_error"), Some(ErrorKind::Timeout));
        assert_eq!(kind(r#"{"type":"message","error":null}"#), None);
    }
}
