//! Refusals for limits, as callers and their libraries read them.

use std::time::Duration;

use jiff::Timestamp;
use lingate_dialect::{ApiError, DialectId, ErrorKind};

use super::{Exceeded, Limit, Measure, Refused, Window};
use crate::{Millis, Money};

/// How long to wait for somebody else to be done.
const A_WHILE: Duration = Duration::from_secs(1);

impl Refused {
    /// As an error: about money where money is what is lacking, else about a rate.
    pub fn error(&self) -> ApiError {
        let Some(first) = self.exceeded.first() else {
            return ApiError::new(ErrorKind::RateLimited, "a limit is reached");
        };
        let kind = match first.bound.limit().measure {
            Measure::Cost => ErrorKind::Billing,
            Measure::Requests
            | Measure::InputTokens
            | Measure::OutputTokens
            | Measure::Tokens
            | Measure::Images
            | Measure::Concurrency => ErrorKind::RateLimited,
        };
        let mut error = ApiError::new(kind, Self::message(first));
        error.retry_after = self.wait(first);
        error
    }

    /// What SDKs read beside `retry-after` and `x-should-retry`, which follow from the error.
    pub fn headers(&self, _dialect: DialectId) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn wait(&self, first: &Exceeded) -> Option<Duration> {
        if first.never_fits() {
            return None;
        }
        match (first.free_at, &first.bound.limit().window) {
            (Some(at), _) => {
                let wait = u64::try_from(at.saturating_sub(self.now)).unwrap_or(0);
                Some(Duration::from_millis(wait.max(1)))
            }
            (None, Window::Now) => Some(A_WHILE),
            (None, _) => None,
        }
    }

    fn message(first: &Exceeded) -> String {
        let limit = first.bound.limit();
        let shown = |amount| shown(limit.measure, amount);
        let amount = shown(first.amount);
        let mut text = format!("the limit of {}", first.bound.scope());
        if let Some(name) = &limit.name {
            text = format!("{text} called `{name}`");
        }
        text = format!("{text}, {amount}{}, ", per(limit));
        if first.never_fits() {
            text = format!(
                "{text}is less than the {} that this request asks for",
                shown(first.ask)
            );
        } else {
            text = format!(
                "{text}is reached: {} are used, and this request asks for {}",
                shown(first.used),
                shown(first.ask)
            );
        }
        if let Some(at) = first.free_at.or(first.resets_at) {
            text = format!("{text}; it resets at {}", rfc3339(at));
        }
        text
    }
}

/// `600 requests`, `$12.5`
pub(super) fn shown(measure: Measure, amount: u64) -> String {
    match measure {
        Measure::Cost => format!(
            "${}",
            Money::from_nano(i64::try_from(amount).unwrap_or(i64::MAX))
        ),
        Measure::Requests => format!("{amount} requests"),
        Measure::InputTokens => format!("{amount} input tokens"),
        Measure::OutputTokens => format!("{amount} output tokens"),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Images => format!("{amount} images"),
        Measure::Concurrency => format!("{amount} requests at a time"),
    }
}

/// ` per minute`, ` in 300 s`; nothing for what has no window.
fn per(limit: &Limit) -> String {
    match &limit.window {
        Window::Sliding(seconds) => format!(" in {seconds} s"),
        Window::Calendar { unit, .. } => format!(" per {}", unit.name()),
        Window::Total => " in total".to_owned(),
        Window::Now => String::new(),
    }
}

/// `2027-01-01T00:00:00Z`
pub(super) fn rfc3339(at: Millis) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    format!("{at:.0}")
}
