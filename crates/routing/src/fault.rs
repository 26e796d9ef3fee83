//! Why an attempt failed, as far as it matters for what is tried next and for what rests.

use std::time::Duration;

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub class: Class,
    /// The status of the upstream's answer; 0: there was none.
    pub status: u16,
    /// The upstream's own code or a few words, for people: `invalid_api_key`. Never a secret.
    pub code: String,
    /// How long the upstream wants to be left alone.
    pub retry_after: Option<Duration>,
    /// What a rate limit or a quota is counted by; of a key that is not accepted, whether for anything or for the model.
    pub scope: Scope,
    /// The account that the upstream names, if it does.
    pub account: Option<String>,
    /// It may be what was asked for: others are tried, but nothing is penalised, or one caller could have targets left alone for all.
    pub asked_for: bool,
}

/// Classes of failures. Decided by the provider's error code first and by the HTTP status second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request is at fault and would be anywhere. Nothing is penalised, nothing else is tried.
    Client,
    /// This target cannot do what is asked; another may. Nothing is penalised.
    Unfit,
    /// The prompt is too long for the model. Nothing is penalised; a larger context is tried.
    ContextLength,
    /// The content was refused. Nothing is penalised; what is configured for refusals is tried.
    Refused,
    /// The key is not accepted (401, 403). It is disabled and tested again later; the next key is tried at once.
    KeyDead,
    /// The key's account has no money or quota left (402). It is exhausted until the reset that was told, or for a while.
    Exhausted,
    /// Too many requests (429). What is counted rests until the moment that was told, or for a while.
    RateLimited,
    /// The upstream cannot take more (503, 529).
    Overloaded,
    /// The upstream failed (5xx).
    Upstream,
    /// It took too long.
    Timeout,
    /// It could not be reached, or the connection broke.
    Network,
    /// It answered something that is no answer: a page of HTML, an empty completion.
    BadAnswer,
}

/// What a rate limit is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// Everything that is done with the key.
    #[default]
    Key,
    /// What is done with the key and this model.
    Model,
    /// What all keys of the account do with this model.
    Account,
}

impl Class {
    pub const ALL: [Self; 12] = [
        Self::Client,
        Self::Unfit,
        Self::ContextLength,
        Self::Refused,
        Self::KeyDead,
        Self::Exhausted,
        Self::RateLimited,
        Self::Overloaded,
        Self::Upstream,
        Self::Timeout,
        Self::Network,
        Self::BadAnswer,
    ];

    /// In logs, headers and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Unfit => "unfit",
            Self::ContextLength => "context_length",
            Self::Refused => "refusal",
            Self::KeyDead => "key_dead",
            Self::Exhausted => "exhausted",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Upstream => "upstream_error",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::BadAnswer => "bad_answer",
        }
    }

    /// Whether it may tell of the health of the upstream: see [`Fault::is_of_upstream`].
    pub fn is_of_upstream(self) -> bool {
        match self {
            Self::Overloaded | Self::Upstream | Self::Timeout | Self::Network | Self::BadAnswer => {
                true
            }
            Self::Client
            | Self::Unfit
            | Self::ContextLength
            | Self::Refused
            | Self::KeyDead
            | Self::Exhausted
            | Self::RateLimited => false,
        }
    }

    /// Whether it tells of the key, so that another key of the same provider may do.
    pub fn is_of_key(self) -> bool {
        matches!(self, Self::KeyDead | Self::Exhausted | Self::RateLimited)
    }
}

impl Fault {
    pub fn new(class: Class) -> Self {
        Self {
            class,
            status: 0,
            code: String::new(),
            retry_after: None,
            scope: Scope::default(),
            account: None,
            asked_for: false,
        }
    }

    /// Whether it tells of the health of the upstream, so that circuit breakers count it.
    pub fn is_of_upstream(&self) -> bool {
        self.class.is_of_upstream() && !self.asked_for
    }
}
