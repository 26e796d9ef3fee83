//! Errors in the words that each vendor's clients look for (protocols.md §5.1).

use std::borrow::Cow;

use super::{ApiError, ErrorKind, overflow};

pub(super) const CONTEXT_LENGTH_EXCEEDED: &str = "context_length_exceeded";

/// An error as OpenAI says it, in Chat and in Responses.
#[derive(Debug)]
pub(crate) struct OpenAi<'a> {
    pub(crate) kind: &'static str,
    pub(crate) code: Option<Cow<'a, str>>,
    pub(crate) message: Cow<'a, str>,
}

pub(crate) fn openai(error: &ApiError) -> OpenAi<'_> {
    // Clients act upon these codes, so another vendor's own is not given in their place.
    let (kind, code, known): (_, _, Option<&[&str]>) = match error.kind {
        ErrorKind::BadRequest | ErrorKind::Permission => ("invalid_request_error", None, None),
        ErrorKind::Unsupported => (
            "invalid_request_error",
            Some("unsupported_by_upstream"),
            None,
        ),
        ErrorKind::ContextTooLong => (
            "invalid_request_error",
            Some(CONTEXT_LENGTH_EXCEEDED),
            Some(&[]),
        ),
        ErrorKind::BodyTooLarge => ("invalid_request_error", Some("request_too_large"), None),
        ErrorKind::Authentication => (
            "invalid_request_error",
            Some("invalid_api_key"),
            Some(&[
                "account_deactivated",
                "invalid_organization",
                "invalid_authentication",
            ]),
        ),
        ErrorKind::Billing => (
            "insufficient_quota",
            Some("insufficient_quota"),
            Some(&[
                "credit_balance_exhausted",
                "billing_not_active",
                "billing_hard_limit_reached",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
            ]),
        ),
        ErrorKind::NotFound => ("invalid_request_error", Some("model_not_found"), None),
        ErrorKind::MethodNotAllowed => ("invalid_request_error", Some("method_not_allowed"), None),
        ErrorKind::Conflict => ("invalid_request_error", Some("conflict"), None),
        ErrorKind::RateLimited => (
            "rate_limit_error",
            Some("rate_limit_exceeded"),
            Some(&["slow_down"]),
        ),
        ErrorKind::ContentPolicy => (
            "invalid_request_error",
            Some("content_policy_violation"),
            None,
        ),
        ErrorKind::Upstream => ("server_error", Some("upstream_error"), None),
        ErrorKind::UpstreamMalformed => ("server_error", Some("upstream_malformed"), None),
        ErrorKind::Overloaded => (
            "service_unavailable_error",
            Some("server_is_overloaded"),
            Some(&["slow_down"]),
        ),
        ErrorKind::Timeout => ("server_error", Some("timeout"), None),
        ErrorKind::NotImplemented => ("server_error", Some("not_implemented"), None),
        ErrorKind::Internal => ("server_error", Some("internal_error"), None),
    };
    let own = error
        .code
        .as_deref()
        .filter(|own| known.is_none_or(|known| known.contains(own)));
    OpenAi {
        kind,
        code: own.or(code).map(Cow::Borrowed),
        message: message(error),
    }
}

fn message(error: &ApiError) -> Cow<'_, str> {
    let text = error.message.as_str();
    match error.kind {
        ErrorKind::ContextTooLong => too_long_to_openai(text),
        ErrorKind::RateLimited => match error.retry_after {
            // In a stream there is no header to say it, and clients read it here.
            Some(wait) if names_no_wait(text) => {
                let stop = if text.ends_with(['.', '!', '?']) {
                    ""
                } else {
                    "."
                };
                let wait = wait.as_secs_f64();
                Cow::Owned(format!("{text}{stop} Please try again in {wait}s."))
            }
            _ => Cow::Borrowed(text),
        },
        _ => Cow::Borrowed(text),
    }
}

/// No wait is named yet.
fn names_no_wait(text: &str) -> bool {
    !text.to_ascii_lowercase().contains("try again in")
}

/// `prompt is too long: 205000 tokens > 200000 maximum`: what clients of Messages look for to shorten their conversation.
pub(crate) fn too_long_to_messages(text: &str) -> Cow<'_, str> {
    const WORDS: &str = "prompt is too long";
    let known = text.to_ascii_lowercase().contains(WORDS);
    match overflow::tokens(text) {
        Some((asked, limit)) if !(known && text.contains('>')) => Cow::Owned(format!(
            "{WORDS}: {asked} tokens > {limit} maximum ({text})"
        )),
        None if !known => Cow::Owned(format!("{WORDS}: {text}")),
        _ => Cow::Borrowed(text),
    }
}

/// `The input token count (205000) exceeds the maximum number of tokens allowed (200000).`
pub(crate) fn too_long_to_gemini(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if lower.contains("input token count")
        && lower.contains("exceeds the maximum number of tokens allowed")
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(match overflow::tokens(text) {
        Some((asked, limit)) => format!(
            "The input token count ({asked}) exceeds the maximum number of tokens allowed ({limit}). ({text})"
        ),
        None => {
            format!("The input token count exceeds the maximum number of tokens allowed. ({text})")
        }
    })
}

/// `This model's maximum context length is 200000 tokens. However, your messages resulted in 205000 tokens.`
fn too_long_to_openai(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if ["context length", "context window", "context_length"]
        .iter()
        .any(|words| lower.contains(words))
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(match overflow::tokens(text) {
        Some((asked, limit)) => format!(
            "This model's maximum context length is {limit} tokens. However, your messages resulted in {asked} tokens. ({text})"
        ),
        None => format!("The prompt exceeds the context window of the model. ({text})"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::DialectId;

    /// What an upstream answered, and what must be in the error that each dialect's clients get.
    fn check(status: u16, body: &str, kind: ErrorKind, expect: [&str; 3]) {
        let error = ApiError::decode(status, body.as_bytes());
        assert_eq!(error.kind, kind, "{body}");
        let [chat, messages, gemini] = expect;
        for (dialect, part) in [
            (DialectId::Chat, chat),
            (DialectId::Responses, chat),
            (DialectId::Messages, messages),
            (DialectId::Gemini, gemini),
        ] {
            let told = dialect.dialect().encode_error(&error, "req_1");
            let told = String::from_utf8(told).unwrap();
            assert!(told.contains(part), "{dialect}: {told}\nwithout {part}");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_said_in_each_dialects_words() {
        let expect = [
            r#""code":"context_length_exceeded""#,
            r#"{"type":"invalid_request_error","message":"prompt is too long: 9001 tokens > 8192 maximum"#,
            r#"{"code":400,"message":"The input token count (9001) exceeds the maximum number of tokens allowed (8192)."#,
        ];
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9001 tokens > 8192 maximum"}}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"The input token count (9001) exceeds the maximum number of tokens allowed (8192).","status":"INVALID_ARGUMENT"}}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9001,"n_ctx":8192}}"#,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 8192 tokens. However, you requested 9001 tokens (8001 in the messages, 1000 in the completion).","type":"BadRequestError","param":null,"code":400}"#,
            ),
            (
                422,
                r#"{"error":"`inputs` must have less than 8192 tokens. Given: 9001","error_type":"validation"}"#,
            ),
            (
                413,
                r#"{"message":"Prompt contains 9001 tokens, too large for model with 8192 maximum context length","type":"invalid_request_error"}"#,
            ),
            (
                500,
                r#"{"error":{"message":"request (9001 tokens) exceeds the available context size (8192 tokens), try increasing it","type":"server_error","code":500}}"#,
            ),
        ] {
            check(status, body, ErrorKind::ContextTooLong, expect);
        }
        check(
            400,
            r#"{"error":"prompt too long; exceeded max context length by 10 tokens"}"#,
            ErrorKind::ContextTooLong,
            [
                r#""code":"context_length_exceeded""#,
                r#""message":"prompt is too long: prompt too long; exceeded max context length by 10 tokens""#,
                r#""message":"The input token count exceeds the maximum number of tokens allowed. ("#,
            ],
        );
    }

    #[test]
    fn classes_have_the_words_that_clients_act_upon() {
        check(
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o. Please try again in 1.3s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ErrorKind::RateLimited,
            [
                r#""message":"Rate limit reached for gpt-4o. Please try again in 1.3s.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded""#,
                r#"{"type":"rate_limit_error""#,
                r#"RetryInfo","retryDelay":"1.3s""#,
            ],
        );
        check(
            429,
            r#"{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}"#,
            ErrorKind::RateLimited,
            [
                r#""message":"Resource has been exhausted. Please try again in 34s.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded""#,
                r#"{"type":"rate_limit_error""#,
                r#"RetryInfo","retryDelay":"34s""#,
            ],
        );
        let spent = [
            r#""code":"insufficient_quota""#,
            r#"{"type":"billing_error""#,
            r#"QuotaFailure","violations":[{"quotaId":"LingateQuotaPerDay"}"#,
        ];
        for (status, body) in [
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}"#,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            ),
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"spend","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
            ),
            (
                402,
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
            ),
            (
                429,
                r#"{"error":{"code":"1113","message":"余额不足或无可用资源包,请充值。"}}"#,
            ),
        ] {
            check(status, body, ErrorKind::Billing, spent);
        }
        let busy = [
            r#""type":"service_unavailable_error","param":null,"code":"server_is_overloaded""#,
            r#"{"type":"overloaded_error""#,
            r#""status":"UNAVAILABLE""#,
        ];
        for (status, body) in [
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ),
            (
                503,
                r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
            ),
            (503, "busy"),
        ] {
            check(status, body, ErrorKind::Overloaded, busy);
        }
    }

    #[test]
    fn headers_come_before_the_details_and_those_before_words() {
        let body = br#"{"error":{"message":"try again in 20s","code":"rate_limit_exceeded"}}"#;
        let wait = |headers: &[(&str, &str)]| {
            let error = ApiError::decode(429, body).with_headers(headers, 0);
            error.retry_after
        };
        assert_eq!(wait(&[]), Some(Duration::from_secs(20)));
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
    }

    #[test]
    fn an_upstreams_own_words_are_given_where_clients_understand_them() {
        for (dialect, body, plain) in [
            (
                DialectId::Chat,
                r#"{"error":{"message":"maximum context length","code":"context_length_exceeded"}}"#,
                true,
            ),
            (
                DialectId::Chat,
                r#"{"error":{"message":"maximum context length","code":400}}"#,
                false,
            ),
            (
                DialectId::Messages,
                r#"{"error":{"message":"prompt is too long: 9 tokens > 8 maximum"}}"#,
                true,
            ),
            (
                DialectId::Messages,
                r#"{"error":{"message":"context length exceeded"}}"#,
                false,
            ),
            (
                DialectId::Gemini,
                r#"{"error":{"message":"The input token count exceeds the maximum number of tokens allowed 8."}}"#,
                true,
            ),
            (DialectId::Gemini, r#"{"error":{"message":"no"}}"#, true),
        ] {
            let error = ApiError::decode(400, body.as_bytes());
            assert_eq!(error.is_plain(dialect), plain, "{body}");
        }
    }
}
