//! Errors of providers and of the gateway: one class, rendered in each dialect's own form.

pub mod account;
mod overflow;
mod own_limit;
pub mod quota;
mod scope;
mod subject;
mod wait;
mod words;

use std::time::Duration;

use crate::DialectId;
use crate::json::Node;

pub use own_limit::OwnLimit;
pub use scope::{Counted, Limit, LimitScope};
pub use subject::Subject;
pub(crate) use words::{openai, too_long_to_gemini, too_long_to_messages};

/// An error, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub kind: ErrorKind,
    /// What happened and what to do; never holds a secret.
    pub message: String,
    /// The vendor's own code, `context_length_exceeded`; Chat shows it.
    pub code: Option<String>,
    /// The field at fault, in the caller's terms; Chat shows it.
    pub param: Option<String>,
    pub retry_after: Option<Duration>,
    /// The status as the upstream said it, where it differs from the class's own.
    pub upstream_status: Option<u16>,
    /// What else a vendor's form told; boxed, since errors are moved about more than they are read.
    pub told: Option<Box<Told>>,
}

/// What a vendor's form tells of an error that no other dialect has a place for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The `type` or `status`, `overloaded_error`, where it is one word.
    pub kind: Option<String>,
    /// The limit that the request ran into, where the error is about one.
    pub limit: Option<Limit>,
    /// The gateway's own limit that refuses the request.
    pub own: Option<OwnLimit>,
}

/// Classes of errors; protocols.md §5.1 has their rendering in every dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    BadRequest,
    /// The request holds something that the upstream's dialect or model cannot do.
    Unsupported,
    ContextTooLong,
    BodyTooLarge,
    Authentication,
    /// The account has no money or quota left; retrying does not help.
    Billing,
    Permission,
    NotFound,
    MethodNotAllowed,
    Conflict,
    RateLimited,
    /// The prompt was refused by a content policy.
    ContentPolicy,
    /// The upstream failed.
    Upstream,
    /// The upstream answered something that is not an answer.
    UpstreamMalformed,
    Overloaded,
    Timeout,
    NotImplemented,
    /// The gateway itself failed.
    Internal,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            code: None,
            param: None,
            retry_after: None,
            upstream_status: None,
            told: None,
        }
    }

    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The HTTP status that this error has in a dialect.
    pub fn status(&self, dialect: DialectId) -> u16 {
        match (self.kind, dialect) {
            (
                ErrorKind::BadRequest
                | ErrorKind::Unsupported
                | ErrorKind::ContextTooLong
                | ErrorKind::ContentPolicy,
                _,
            ) => 400,
            (ErrorKind::BodyTooLarge, _) => 413,
            (ErrorKind::Authentication, _) => 401,
            (ErrorKind::Billing, DialectId::Messages) => 402,
            // Vendors answer 429, which clients repeat; a budget of one's own is none of theirs.
            (ErrorKind::Billing, _) if self.own_limit().is_some() => 402,
            (ErrorKind::Billing | ErrorKind::RateLimited, _) => 429,
            (ErrorKind::Permission, _) => 403,
            (ErrorKind::NotFound, _) => 404,
            (ErrorKind::MethodNotAllowed, _) => 405,
            (ErrorKind::Conflict, _) => 409,
            (ErrorKind::Upstream | ErrorKind::Internal, _) => 500,
            (ErrorKind::UpstreamMalformed, _) => 502,
            (ErrorKind::Overloaded, DialectId::Messages) => 529,
            (ErrorKind::Overloaded, _) => 503,
            (ErrorKind::Timeout, _) => 504,
            (ErrorKind::NotImplemented, _) => 501,
        }
    }

    /// Reads an error answer of any provider. Never fails: a body that no form fits becomes a message about the status.
    pub fn decode(status: u16, body: &[u8]) -> Self {
        let said = Node::parse(body).ok().and_then(|body| Said::find(body));
        let mut said = said.unwrap_or_default();
        let kind = classify(status, &said);
        let message = match said.message.take() {
            Some(message) if !message.trim().is_empty() => message,
            _ => format!("the upstream answered with status {status} and no error message"),
        };
        let fits = ErrorKind::from_status(status) == kind;
        let upstream_status = if fits { None } else { Some(status) };
        said.into_error(kind, message, upstream_status)
    }

    /// The same with the wait that the answer's headers tell, where they tell one. `now` in seconds since 1970.
    #[must_use]
    pub fn with_headers(mut self, headers: &[(&str, &str)], now: i64) -> Self {
        let limited = matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Billing);
        self.retry_after = wait::said(headers, now)
            .or(self.retry_after)
            .or_else(|| wait::limits(headers, now).filter(|_| limited));
        self
    }

    /// The limit that the request ran into, where the error is about one.
    pub fn limit(&self) -> Option<&Limit> {
        self.told.as_ref()?.limit.as_ref()
    }

    /// The gateway's own limit that refuses the request, where it is one.
    pub fn own_limit(&self) -> Option<&OwnLimit> {
        self.told.as_ref()?.own.as_ref()
    }

    /// The same, about a limit of the gateway's own.
    #[must_use]
    pub fn of_limit(mut self, own: OwnLimit) -> Self {
        self.told.get_or_insert_default().own = Some(own);
        self
    }

    /// The vendor's own word for what happened: its code, or the type of its form.
    pub fn word(&self) -> Option<&str> {
        let kind = || self.told.as_ref()?.kind.as_deref();
        self.code
            .as_deref()
            .filter(|code| is_word(code))
            .or_else(kind)
    }

    /// Whether a caller that asks again may fare better, without anything being changed.
    pub fn may_pass(&self) -> bool {
        if self.own_limit().is_some_and(|own| !own.passes_soon) {
            return false;
        }
        match self.kind {
            ErrorKind::Conflict
            | ErrorKind::RateLimited
            | ErrorKind::Upstream
            | ErrorKind::UpstreamMalformed
            | ErrorKind::Overloaded
            | ErrorKind::Timeout => true,
            ErrorKind::BadRequest
            | ErrorKind::Unsupported
            | ErrorKind::ContextTooLong
            | ErrorKind::BodyTooLarge
            | ErrorKind::Authentication
            | ErrorKind::Billing
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed
            | ErrorKind::ContentPolicy
            | ErrorKind::NotImplemented
            | ErrorKind::Internal => false,
        }
    }

    /// Whether this error, as an upstream of `dialect` wrote it, says what that dialect's clients look for. A prompt that is too
    /// long is said in many ways by servers that took the dialect over, and clients shorten it only when they understand.
    pub fn is_plain(&self, dialect: DialectId) -> bool {
        if self.kind != ErrorKind::ContextTooLong {
            return true;
        }
        match dialect {
            DialectId::Chat | DialectId::Responses => {
                self.code.as_deref() == Some(words::CONTEXT_LENGTH_EXCEEDED)
            }
            DialectId::Messages => too_long_to_messages(&self.message) == self.message,
            DialectId::Gemini => too_long_to_gemini(&self.message) == self.message,
        }
    }
}

impl ErrorKind {
    /// The class of a status alone.
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 | 504 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::BodyTooLarge,
            429 => Self::RateLimited,
            501 => Self::NotImplemented,
            502 => Self::UpstreamMalformed,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::BadRequest,
            _ => Self::Upstream,
        }
    }
}

/// What an error body says, before it is classified.
#[derive(Debug, Default)]
struct Said {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    retry_after: Option<Duration>,
    /// The details tell of a limit that waiting a while does not lift.
    spent: bool,
    /// The limit that the details tell of.
    limit: Option<Limit>,
}

impl Said {
    fn into_error(
        mut self,
        kind: ErrorKind,
        message: String,
        upstream_status: Option<u16>,
    ) -> ApiError {
        let limit = Limit::read(kind, &mut self, &message);
        let told = Told {
            kind: self.kind.filter(|kind| is_word(kind)),
            limit,
            own: None,
        };
        ApiError {
            kind,
            retry_after: self.retry_after.or_else(|| wait::in_words(&message)),
            message,
            code: self.code,
            param: self.param,
            upstream_status,
            told: (told != Told::default()).then(|| Box::new(told)),
        }
    }

    /// Looks for an error in the forms of protocols.md §5.2; `None` when there is none.
    fn find(body: Node<'_>) -> Option<Self> {
        // Gemini's stream endpoint answers with an array of one.
        let body = match body.elements() {
            Ok(elements) => elements.into_iter().next()?,
            Err(_) => body,
        };
        let fields = body.fields().ok()?;
        if let Some(error) = fields.get("error") {
            if let Some(text) = error.text() {
                let detail = fields
                    .get("message")
                    .and_then(Node::text)
                    .unwrap_or(text.clone());
                return Some(Self {
                    message: Some(detail.into_owned()),
                    kind: Some(text.into_owned()),
                    ..Self::default()
                });
            }
            let inner = error.fields().ok()?;
            let word = |key: &str| {
                inner.get(key).and_then(|node| {
                    node.text()
                        .map(std::borrow::Cow::into_owned)
                        .or_else(|| node.number_text())
                })
            };
            return Some(Self {
                message: word("message")
                    .map(|message| with_counts(message, word("n_prompt_tokens"), word("n_ctx")))
                    .map(|message| match inner.get("metadata").and_then(passed_on) {
                        Some(cause) => format!("{message}: {cause}"),
                        None => message,
                    })
                    .or_else(|| Some(error.raw().to_owned())),
                kind: word("status").or_else(|| word("type")),
                code: word("code")
                    .filter(|code| code.parse::<u16>().is_err())
                    .or_else(|| inner.get("details").and_then(error_reason)),
                param: word("param"),
                retry_after: inner.get("details").and_then(retry_delay).or_else(|| {
                    // Subscriptions tell it in seconds.
                    wait::delay(&format!("{}s", word("resets_in_seconds")?))
                }),
                spent: inner.get("details").is_some_and(is_spent),
                limit: inner.get("details").and_then(Limit::in_details),
            });
        }
        let text = |key: &str| {
            fields
                .get(key)
                .and_then(Node::text)
                .map(std::borrow::Cow::into_owned)
        };
        if let Some(list) = fields
            .get("errors")
            .and_then(|errors| errors.elements().ok())
        {
            let first = list.into_iter().next().and_then(|error| {
                error
                    .fields()
                    .ok()?
                    .get("message")?
                    .text()
                    .map(std::borrow::Cow::into_owned)
            });
            return Some(Self {
                message: first.or_else(|| text("message")),
                ..Self::default()
            });
        }
        if let Some(base) = fields.get("base_resp").and_then(|base| base.fields().ok()) {
            let code = base.get("status_code").and_then(Node::u64)?;
            let message = base
                .get("status_msg")
                .and_then(Node::text)
                .map(std::borrow::Cow::into_owned);
            return (code != 0).then_some(Self {
                message,
                kind: of_number(code).map(str::to_owned),
                code: Some(code.to_string()),
                ..Self::default()
            });
        }
        let detail = fields.get("detail").map(|detail| {
            detail
                .text()
                .map_or_else(|| detail.raw().to_owned(), std::borrow::Cow::into_owned)
        });
        let message = text("message")
            .or(detail)
            .or_else(|| text("error_msg"))
            .or_else(|| text("msg"))?;
        Some(Self {
            message: Some(message),
            kind: text("type").or_else(|| {
                // Some name the space in front: `com.amazon.coral.service#ThrottlingException`.
                let kind = text("__type")?;
                Some(kind.rsplit('#').next().unwrap_or_default().to_owned())
            }),
            code: text("code"),
            param: text("param"),
            ..Self::default()
        })
    }
}

/// An error inside a body that came with status 200, in any of the known forms.
pub(crate) fn in_answer(body: Node<'_>) -> Option<ApiError> {
    let fields = body.fields().ok()?;
    let inside = fields
        .get("error")
        .is_some_and(|error| !error.is_null() && error.raw() != "false" && error.raw() != "\"\"")
        || fields.get("base_resp").is_some() && fields.get("choices").is_none_or(Node::is_null);
    if !inside {
        return None;
    }
    let mut said = Said::find(body)?;
    let told = fields
        .get("error")
        .and_then(|error| error.fields().ok()?.get("code")?.u64())
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (400..600).contains(code));
    let (kind, status) = classify_inside(told, &said);
    let message = said
        .message
        .take()
        .unwrap_or_else(|| "the upstream reported an error without a message".to_owned());
    Some(said.into_error(kind, message, Some(status)))
}

/// The error that an event of a stream is.
pub(crate) fn in_event(data: &str) -> ApiError {
    let said = Node::parse(data.as_bytes()).ok().and_then(Said::find);
    let (_, status) = classify_inside(None, &said.unwrap_or_default());
    ApiError::decode(status, data.as_bytes())
}

/// The kind of an error that has no status of its own, and the status that it would have. Under a status of 4xx, vendors call
/// everything a bad request; without one, it is the word for whose fault it is.
fn classify_inside(told: Option<u16>, said: &Said) -> (ErrorKind, u16) {
    let bad_request = [&said.kind, &said.code].into_iter().flatten().any(|word| {
        matches!(
            word.as_str(),
            "invalid_request_error" | "BadRequestError" | "INVALID_ARGUMENT"
        )
    });
    let status = told.unwrap_or(if bad_request { 400 } else { 500 });
    let kind = classify(status, said);
    match kind {
        ErrorKind::BadRequest if told.is_none() => (kind, 400),
        _ => (kind, status),
    }
}

/// Whether it names something, rather than telling it.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the numbers of `base_resp` mean, in the words of others.
fn of_number(code: u64) -> Option<&'static str> {
    Some(match code {
        1001 => "timeout_error",
        1002 | 1039 | 1041 => "rate_limit_error",
        1004 | 2049 => "authentication_error",
        1008 => "billing_error",
        1026 | 1027 => "content_filter",
        _ => return None,
    })
}

/// The message with the counts that stand beside it, where it does not name them.
fn with_counts(message: String, asked: Option<String>, limit: Option<String>) -> String {
    match (asked, limit) {
        (Some(asked), Some(limit)) if !message.contains(&asked) => {
            format!("{message} (n_prompt_tokens: {asked}, n_ctx: {limit})")
        }
        _ => message,
    }
}

/// What the vendor behind an aggregator said, which the aggregator's own words do not tell (`metadata.raw`); a part of it.
fn passed_on(metadata: Node<'_>) -> Option<String> {
    const MOST: usize = 1000;
    let raw = metadata.fields().ok()?.get("raw")?.text()?;
    let cause: String = raw.trim().chars().take(MOST).collect();
    (!cause.is_empty()).then_some(cause)
}

/// Whether the details tell of a quota that is counted by the day (`QuotaFailure` of google.rpc), or of a limit on what is spent.
fn is_spent(details: Node<'_>) -> bool {
    if let Ok(fields) = details.fields() {
        let code = fields.get("error_code").and_then(Node::text);
        return code.is_some_and(|code| code.ends_with("spend_limit_reached"));
    }
    let quotas = details
        .elements()
        .into_iter()
        .flatten()
        .filter_map(|detail| detail.fields().ok()?.get("violations")?.elements().ok())
        .flatten()
        .filter_map(|violation| {
            let id = violation.fields().ok()?.get("quotaId")?.text()?;
            Some(id.into_owned())
        });
    quotas
        .into_iter()
        .any(|id| id.contains("PerDay") || id.contains("Daily"))
}

/// `ErrorInfo.reason` of google.rpc, such as `API_KEY_INVALID`.
fn error_reason(details: Node<'_>) -> Option<String> {
    let mut details = details.elements().ok()?.into_iter();
    let reason = details.find_map(|detail| detail.fields().ok()?.get("reason")?.text())?;
    Some(reason.into_owned())
}

/// `RetryInfo.retryDelay` of google.rpc, such as `"34s"` or `"1.5s"`.
fn retry_delay(details: Node<'_>) -> Option<Duration> {
    let delay = details.elements().ok()?.into_iter().find_map(|detail| {
        detail
            .fields()
            .ok()?
            .get("retryDelay")?
            .text()
            .map(std::borrow::Cow::into_owned)
    })?;
    wait::delay(&delay)
}

fn classify(status: u16, said: &Said) -> ErrorKind {
    let fault = ErrorKind::from_status(status);
    if said.spent {
        return ErrorKind::Billing;
    }
    if let Some(kind) = of_code(said.code.as_deref().unwrap_or(""))
        .or_else(|| of_type(said.kind.as_deref().unwrap_or("")))
    {
        // Limits are told under words for a bad request, and money that is gone under words for too many requests.
        return of_message(said.message.as_deref(), kind).unwrap_or(kind);
    }
    of_message(said.message.as_deref(), fault).unwrap_or(fault)
}

/// What a vendor's `code` says, where it says more than the status.
fn of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "context_length_exceeded" | "context_window_exceeded" | "model_context_window_exceeded" => {
            ErrorKind::ContextTooLong
        }
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "billing_not_active"
        | "billing_hard_limit_reached"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "organization_usage_limit_exceeded"
        | "exceeded_current_quota_error"
        | "insufficient_user_quota"
        | "usage_limit_reached"
        | "BILLING_DISABLED"
        | "AllocationQuota.FreeTierOnly"
        | "Arrearage" => ErrorKind::Billing,
        "content_filter"
        | "data_inspection_failed"
        | "DataInspectionFailed"
        | "sensitive_words_detected"
        | "content_policy_violation"
        | "invalid_prompt"
        | "bio_policy"
        | "misalignment_policy_violation"
        | "image_content_policy_violation" => ErrorKind::ContentPolicy,
        // Pictures that an answer fails for after it has begun.
        "invalid_image"
        | "invalid_image_format"
        | "invalid_base64_image"
        | "invalid_image_url"
        | "invalid_image_mode"
        | "image_too_large"
        | "image_too_small"
        | "image_parse_error"
        | "image_file_too_large"
        | "image_file_not_found"
        | "unsupported_image_media_type"
        | "empty_image_file"
        | "failed_to_download_image" => ErrorKind::BadRequest,
        "model_not_found" => ErrorKind::NotFound,
        "invalid_api_key" | "API_KEY_INVALID" | "account_deactivated" => ErrorKind::Authentication,
        "rate_limit_exceeded" | "slow_down" | "RATE_LIMIT_EXCEEDED" => ErrorKind::RateLimited,
        "server_is_overloaded" => ErrorKind::Overloaded,
        _ => return None,
    })
}

/// What a vendor's `type` or `status` says, where it says more than the status of HTTP.
fn of_type(kind: &str) -> Option<ErrorKind> {
    Some(match kind {
        "exceed_context_size_error" => ErrorKind::ContextTooLong,
        "insufficient_quota"
        | "billing_error"
        | "exceeded_current_quota_error"
        | "usage_limit_reached" => ErrorKind::Billing,
        "content_filter" => ErrorKind::ContentPolicy,
        "not_found_error" | "NOT_FOUND" | "ResourceNotFoundException" => ErrorKind::NotFound,
        "authentication_error"
        | "invalid_authentication_error"
        | "incorrect_api_key_error"
        | "invalid_api_key"
        | "UNAUTHENTICATED"
        | "UnrecognizedClientException"
        | "ExpiredTokenException" => ErrorKind::Authentication,
        "rate_limit_error"
        | "rate_limit_reached_error"
        | "RESOURCE_EXHAUSTED"
        | "ThrottlingException"
        | "ServiceQuotaExceededException" => ErrorKind::RateLimited,
        "overloaded_error"
        | "engine_overloaded_error"
        | "UNAVAILABLE"
        | "service_unavailable_error"
        | "ServiceUnavailableException"
        | "ModelNotReadyException" => ErrorKind::Overloaded,
        "timeout_error" | "DEADLINE_EXCEEDED" | "ModelTimeoutException" => ErrorKind::Timeout,
        "permission_error" | "PERMISSION_DENIED" | "AccessDeniedException" => ErrorKind::Permission,
        "request_too_large" => ErrorKind::BodyTooLarge,
        _ => return None,
    })
}

/// What the message says, where a vendor tells `fault` in coarser words.
fn of_message(message: Option<&str>, fault: ErrorKind) -> Option<ErrorKind> {
    let message = message?;
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // A prompt that does not fit is told as a bad request, as a body too large, and by some as a failure of the server.
    let of_request = fault == ErrorKind::BadRequest;
    if (of_request || matches!(fault, ErrorKind::BodyTooLarge | ErrorKind::Upstream))
        && overflow::is_said(message)
    {
        return Some(ErrorKind::ContextTooLong);
    }
    if of_request
        && says(&[
            "api key not valid",
            "api_key_invalid",
            "invalid api key",
            "incorrect api key",
            "api key expired",
            "this organization has been disabled",
        ])
    {
        return Some(ErrorKind::Authentication);
    }
    // A limit over minutes, told in the words for money that is gone; the page that it points to tells.
    if fault == ErrorKind::Billing && says(&["error-code#token-limit"]) {
        return Some(ErrorKind::RateLimited);
    }
    if (of_request || fault == ErrorKind::Permission)
        && says(&[
            "input was flagged",
            "prompt was flagged",
            "content violates usage guidelines",
            "content exists risk",
            "considered high risk",
            "blocked by content filtering policy",
            "may contain inappropriate content",
            "敏感内容",
        ])
    {
        return Some(ErrorKind::ContentPolicy);
    }
    if (of_request || matches!(fault, ErrorKind::RateLimited | ErrorKind::Permission))
        && says(&[
            "credit balance",
            "insufficient balance",
            "insufficient quota",
            "exceeded your monthly included credits",
            "balance is insufficient",
            "余额不足",
            "欠费",
            "arrearage",
            "limit: 0,",
            "used all available credits",
            "insufficient credits",
            "out of credits",
            "spending limit",
            "specified api usage limits",
            "key limit exceeded",
            "free tier of the model has been exhausted",
            "billing to be enabled",
            "额度不足",
        ])
    {
        return Some(ErrorKind::Billing);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: ErrorKind, message: &str) {
        let error = ApiError::decode(status, body.as_bytes());
        assert_eq!(
            (error.kind, error.message.as_str()),
            (kind, message),
            "{body}"
        );
    }

    #[test]
    fn reads_every_form_of_error() {
        check(
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"context_length_exceeded"}}"#,
            ErrorKind::ContextTooLong,
            "m",
        );
        check(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            ErrorKind::Overloaded,
            "m",
        );
        check(
            429,
            r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[]}}"#,
            ErrorKind::RateLimited,
            "m",
        );
        check(
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            ErrorKind::Authentication,
            "API key not valid. Please pass a valid API key.",
        );
        check(
            500,
            r#"{"error":"out of memory"}"#,
            ErrorKind::Upstream,
            "out of memory",
        );
        check(
            422,
            r#"{"detail":[{"loc":["body"]}]}"#,
            ErrorKind::BadRequest,
            r#"[{"loc":["body"]}]"#,
        );
        check(
            502,
            "<html>Bad gateway</html>",
            ErrorKind::UpstreamMalformed,
            "the upstream answered with status 502 and no error message",
        );
        check(
            401,
            "",
            ErrorKind::Authentication,
            "the upstream answered with status 401 and no error message",
        );
    }

    #[test]
    fn google_says_in_the_details_that_a_key_is_wrong() {
        let body = br#"{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
        assert_eq!(ApiError::decode(400, body).kind, ErrorKind::Authentication);
    }

    #[test]
    fn reads_the_delay_of_google() {
        let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}"#;
        assert_eq!(
            ApiError::decode(429, body).retry_after,
            Some(Duration::from_millis(1500))
        );
    }
}
