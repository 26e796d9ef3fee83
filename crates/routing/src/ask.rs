//! What a request says about where it wants to go.

use std::borrow::Cow;
use std::fmt;

use lingate_dialect::DialectId;

/// What a plan is made for.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub model: &'a str,
    /// The dialect of the caller.
    pub dialect: DialectId,
    pub stream: bool,
    pub facts: &'a dyn Facts,
}

/// What the conditions of routes and the strategies may want to know of a request. A fact is asked for only when a route
/// needs it, since some of them cost a reading of the whole body.
pub trait Facts {
    /// The name of the caller's key; `None` where callers have none.
    fn key(&self) -> Option<&str>;
    /// Whose key it is.
    fn tenant(&self) -> Option<&str>;
    /// What the caller's key and the request are tagged with.
    fn tags(&self) -> Vec<Cow<'_, str>>;
    /// A header of the request, by its name in lower case.
    fn header(&self, name: &str) -> Option<&str>;
    /// Tokens of the prompt, estimated.
    fn tokens(&self) -> u64;
    /// Tokens of the answer that the caller allows.
    fn max_output(&self) -> Option<u64>;
    /// Names of the tools that are offered; those that the vendor runs by the word that names them in the hub (`web_search`).
    fn tools(&self) -> Vec<Cow<'_, str>>;
    /// Reasoning is asked for.
    fn thinking(&self) -> bool;
    /// A picture is among the parts.
    fn images(&self) -> bool;
    /// The text of the last message of the user, its first 16 KiB.
    fn last_text(&self) -> Cow<'_, str>;
    /// The end user, as the request names them.
    fn user(&self) -> Option<Cow<'_, str>>;
    /// What belongs to one conversation has the same.
    fn session(&self) -> Option<Cow<'_, str>>;
    /// A hash of what a vendor's prompt cache would find again: the instructions and the tools.
    fn prefix(&self) -> u64;
    /// The weekday and the minute of the day in a time zone (`Asia/Shanghai`, `UTC`); `None` for one that is not known.
    fn clock(&self, zone: &str) -> Option<Clock>;
}

/// A moment as people read it off the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// 0: Monday.
    pub weekday: u8,
    /// 0 to 1439.
    pub minute: u16,
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("model", &self.model)
            .field("dialect", &self.dialect)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// [`Facts`] that are written down: for tests, for simulations, and for asking where a request would go.
#[derive(Debug, Clone, Default)]
pub struct Stated {
    pub key: Option<String>,
    pub tenant: Option<String>,
    pub tags: Vec<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub tokens: u64,
    pub max_output: Option<u64>,
    pub tools: Vec<String>,
    pub thinking: bool,
    pub images: bool,
    pub last_text: String,
    pub user: Option<String>,
    pub session: Option<String>,
    pub prefix: u64,
    /// The same in every time zone.
    pub clock: Option<Clock>,
}

impl Facts for Stated {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    fn tags(&self) -> Vec<Cow<'_, str>> {
        self.tags.iter().map(|tag| tag.as_str().into()).collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    fn tokens(&self) -> u64 {
        self.tokens
    }

    fn max_output(&self) -> Option<u64> {
        self.max_output
    }

    fn tools(&self) -> Vec<Cow<'_, str>> {
        self.tools.iter().map(|tool| tool.as_str().into()).collect()
    }

    fn thinking(&self) -> bool {
        self.thinking
    }

    fn images(&self) -> bool {
        self.images
    }

    fn last_text(&self) -> Cow<'_, str> {
        self.last_text.as_str().into()
    }

    fn user(&self) -> Option<Cow<'_, str>> {
        self.user.as_deref().map(Into::into)
    }

    fn session(&self) -> Option<Cow<'_, str>> {
        self.session.as_deref().map(Into::into)
    }

    fn prefix(&self) -> u64 {
        self.prefix
    }

    fn clock(&self, _: &str) -> Option<Clock> {
        self.clock
    }
}
