//! What a limit is counted by, as vendors say it: in the details of google.rpc, and in sentences.

use super::{ErrorKind, Said, account};
use crate::json::Node;

/// A limit that a request ran into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limit {
    pub scope: LimitScope,
    /// The account that it is counted by, if it is named: `org-…`, `projects/…`. An identifier, no secret.
    pub account: Option<String>,
    pub counted: Option<Counted>,
    /// It is counted by the day or longer.
    pub daily: bool,
    /// The request by itself is larger than the limit: no wait makes it fit.
    pub never_fits: bool,
}

/// What a limit is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LimitScope {
    /// The key, or nothing was said about it.
    #[default]
    Key,
    /// A model, for this key.
    Model,
    /// An account, with all of its keys.
    Account,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Requests,
    Tokens,
    /// Requests at the same time.
    Parallel,
}

/// Said of limits that all keys of an account share, in lower case.
const OF_ACCOUNT: &[&str] = &[
    "organization",
    "organisation",
    "your team",
    "for team",
    "your account",
    "of account",
    "per project",
    "perproject",
    "per_project",
    "project_number",
    "projects/",
    "pricing tier",
    "workspace",
    // Deployments, whose keys are two of the same resource.
    "your requests to ",
    "free-models-per-",
];

const OF_MODEL: &[&str] = &[
    "for model",
    "for the model",
    "this model",
    "and model",
    "per model",
    "model rate limit",
];

const OF_TOKENS: &[&str] = &[
    "tokens per",
    "token rate limit",
    "tpm",
    "tpd",
    "input tokens",
    "output tokens",
    "too many tokens",
    "token_count",
    "number of tokens",
];

const OF_REQUESTS: &[&str] = &[
    "requests per",
    "request rate limit",
    "call rate limit",
    "rpm",
    "rpd",
    "requests rate limit",
    "-per-min",
    "-per-day",
    "content_requests",
];

const DAILY: &[&str] = &[
    "per day",
    "per-day",
    "perday",
    "tpd",
    "rpd",
    "daily",
    "per month",
    "monthly",
    "weekly",
];

impl Limit {
    /// Reads what an error of the class `kind` says about a limit; `None` when it is about none.
    pub(super) fn read(kind: ErrorKind, said: &mut Said, message: &str) -> Option<Self> {
        match kind {
            ErrorKind::RateLimited | ErrorKind::Billing => {}
            _ => return None,
        }
        let detailed = said.limit.take();
        let mut limit = detailed.unwrap_or_else(|| {
            let kind = said.kind.as_deref().unwrap_or_default();
            Self::in_words(message, kind)
        });
        if limit.account.is_none() {
            limit.account = account::in_words(message);
        }
        Some(limit)
    }

    fn in_words(message: &str, kind: &str) -> Self {
        let text = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let scope = if says(OF_ACCOUNT) {
            LimitScope::Account
        } else if says(OF_MODEL) {
            LimitScope::Model
        } else {
            LimitScope::Key
        };
        let counted = if text.contains("concurren") {
            Some(Counted::Parallel)
        } else if kind == "tokens" || says(OF_TOKENS) {
            Some(Counted::Tokens)
        } else if kind == "requests" || says(OF_REQUESTS) {
            Some(Counted::Requests)
        } else {
            None
        };
        Self {
            scope,
            account: None,
            counted,
            daily: says(DAILY),
            never_fits: text.contains("request too large for"),
        }
    }

    /// `QuotaFailure` and `ErrorInfo` of google.rpc. What they count is counted by project, whatever else the name says.
    pub(super) fn in_details(details: Node<'_>) -> Option<Self> {
        let mut limit: Option<Self> = None;
        let mut consumer = None;
        for detail in details.elements().into_iter().flatten() {
            let Ok(fields) = detail.fields() else {
                continue;
            };
            let violations = fields
                .get("violations")
                .and_then(|violations| violations.elements().ok());
            for violation in violations.into_iter().flatten() {
                let id = violation.fields().ok().and_then(|fields| {
                    let id = fields.get("quotaId")?.text()?;
                    Some(id.into_owned())
                });
                if let Some(id) = id {
                    limit.get_or_insert_with(Self::default).quota(&id);
                }
            }
            let metadata = fields
                .get("metadata")
                .and_then(|metadata| metadata.fields().ok());
            if let Some(metadata) = metadata {
                let word = |key: &str| Some(metadata.get(key)?.text()?.into_owned());
                if let Some(id) = word("quota_limit") {
                    limit.get_or_insert_with(Self::default).quota(&id);
                }
                consumer = consumer.or_else(|| word("consumer"));
            }
        }
        let mut limit = limit?;
        limit.account = consumer.filter(|consumer| consumer.starts_with("projects/"));
        Some(limit)
    }

    /// `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    fn quota(&mut self, id: &str) {
        self.scope = LimitScope::Account;
        self.daily |= id.contains("PerDay") || id.contains("Daily");
        self.counted = if id.contains("Token") {
            Some(Counted::Tokens)
        } else {
            self.counted.or(Some(Counted::Requests))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiError;

    fn check(body: &str, expect: (LimitScope, Option<&str>, Option<Counted>, bool)) {
        let error = ApiError::decode(429, body.as_bytes());
        let limit = error
            .limit()
            .unwrap_or_else(|| panic!("no limit in {body}"));
        let found = (
            limit.scope,
            limit.account.as_deref(),
            limit.counted,
            limit.daily,
        );
        assert_eq!(found, expect, "{body}");
    }

    #[test]
    fn sentences_tell_what_a_limit_is_counted_by() {
        use Counted::{Parallel, Requests, Tokens};
        use LimitScope::{Account, Key, Model};
        for (message, expect) in [
            (
                "Rate limit reached for gpt-4o in organization org-uOtiSEwvUnroadaOnJJquBEC on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.",
                (
                    Account,
                    Some("org-uOtiSEwvUnroadaOnJJquBEC"),
                    Some(Tokens),
                    false,
                ),
            ),
            (
                "Rate limit reached for organization org-BOvpEHVcDPTe8h4lZnwMO5Ly on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.",
                (
                    Account,
                    Some("org-BOvpEHVcDPTe8h4lZnwMO5Ly"),
                    Some(Requests),
                    true,
                ),
            ),
            (
                "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_01kjh7p9n8f1qs6nz2bz77vy6b` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s.",
                (
                    Account,
                    Some("org_01kjh7p9n8f1qs6nz2bz77vy6b"),
                    Some(Tokens),
                    true,
                ),
            ),
            (
                "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: 80162711-722b-4454-ae75-c6334e6796f2, model: claude-opus-4-6).",
                (
                    Account,
                    Some("80162711-722b-4454-ae75-c6334e6796f2"),
                    Some(Tokens),
                    false,
                ),
            ),
            (
                "This request would exceed the rate limit for your organization (a22cf6e6-a940-4fff-8c4c-1580816ac7be) of 1,000,000 input tokens per minute.",
                (
                    Account,
                    Some("a22cf6e6-a940-4fff-8c4c-1580816ac7be"),
                    Some(Tokens),
                    false,
                ),
            ),
            (
                "This request would exceed the rate limit for your organization of 50 requests per minute.",
                (Account, None, Some(Requests), false),
            ),
            (
                "Number of concurrent connections has exceeded your rate limit.",
                (Key, None, Some(Parallel), false),
            ),
            (
                "Too many tokens for team e9fe19cb-de96-4c57-9ffb-2f1b9c631ce2 and model grok-4-0709. Your team's rate limit is — Tokens per Minute (actual/limit): 65605/16000.",
                (
                    Account,
                    Some("e9fe19cb-de96-4c57-9ffb-2f1b9c631ce2"),
                    Some(Tokens),
                    false,
                ),
            ),
            (
                "Your account org-78cd08fac9804d20bac9a1f02fc1e6a5 / proj-a418892b55d04bbb929766740804aa41 <ak-f94zcrj6ax1111aqsyq1> request reached organization TPD rate limit, current: 1526210, limit: 1500000",
                (
                    Account,
                    Some("org-78cd08fac9804d20bac9a1f02fc1e6a5"),
                    Some(Tokens),
                    true,
                ),
            ),
            (
                "Your account org-6fa89d3da3e94bdda00f94d3e1124e38<ak-f6638spadmh111g8hzo1> request reached max organization concurrency: 1, please try again after 1 seconds",
                (
                    Account,
                    Some("org-6fa89d3da3e94bdda00f94d3e1124e38"),
                    Some(Parallel),
                    false,
                ),
            ),
            (
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-05-01-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds.",
                (Account, None, Some(Tokens), false),
            ),
            (
                "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
                (Account, None, Some(Requests), true),
            ),
            (
                "Too many requests for this model, slow down",
                (Model, None, None, false),
            ),
            ("Rate limit exceeded", (Key, None, None, false)),
        ] {
            let body = format!(
                r#"{{"error":{{"message":"{message}","type":"rate_limit_error","code":"rate_limit_exceeded"}}}}"#
            );
            check(&body, expect);
        }
    }

    #[test]
    fn details_tell_it_by_the_name_of_the_quota() {
        use Counted::{Requests, Tokens};
        let quota = |id: &str| {
            format!(
                r#"{{"error":{{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaMetric":"m","quotaId":"{id}","quotaDimensions":{{"location":"global","model":"gemini-2.5-flash"}},"quotaValue":"250"}}]}}]}}}}"#
            )
        };
        let check = |id: &str, counted, daily| {
            check(
                &quota(id),
                (LimitScope::Account, None, Some(counted), daily),
            );
        };
        check(
            "GenerateRequestsPerMinutePerProjectPerModel",
            Requests,
            false,
        );
        check(
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            Requests,
            true,
        );
        check(
            "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            Tokens,
            false,
        );
        super::tests::check(
            r#"{"error":{"code":429,"message":"Quota exceeded for quota metric 'Generate Content API requests per minute'","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com","metadata":{"quota_limit":"GenerateContentRequestsPerMinutePerProjectPerRegion","quota_limit_value":"5","consumer":"projects/391029737820"}}]}}"#,
            (
                LimitScope::Account,
                Some("projects/391029737820"),
                Some(Requests),
                false,
            ),
        );
    }

    #[test]
    fn a_request_that_is_larger_than_the_limit_never_fits() {
        let error = ApiError::decode(429, br#"{"error":{"message":"Request too large for gpt-4o in organization org-78asdf87 on tokens per min (TPM): Limit 30000, Requested 31538.","type":"tokens","code":"rate_limit_exceeded"}}"#);
        assert!(error.limit().is_some_and(|limit| limit.never_fits));
    }
}
