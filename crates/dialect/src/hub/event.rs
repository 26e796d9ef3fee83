//! A streamed answer, as events.
//!
//! Order: [`Event::Start`] first; parts open, grow by deltas and close, several may be open at once; usage at any time, each
//! replacing the last; one [`Event::Finish`] per choice once its parts are closed. [`Event::Error`] ends a stream instead.

use super::{Citation, Finish, Media, Opaque, TokenLogprob, Usage};
use crate::ApiError;

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Start {
        /// As the upstream named it.
        id: Option<String>,
        model: String,
        /// Seconds since 1970.
        created: Option<i64>,
    },
    /// `index` counts parts from 0 in order of opening, over all choices, and is never used twice.
    Open {
        index: u32,
        choice: u32,
        part: Open,
    },
    Delta {
        index: u32,
        delta: Delta,
    },
    Close {
        index: u32,
    },
    /// Cumulative: replaces what was told before.
    Usage(Usage),
    /// In OpenAI's words.
    ServiceTier(String),
    /// Log probabilities of the tokens just told.
    Logprobs {
        choice: u32,
        tokens: Vec<TokenLogprob>,
    },
    Finish {
        choice: u32,
        finish: Finish,
    },
    /// The upstream failed in mid-stream.
    Error(ApiError),
}

/// What a part is, when it opens.
#[derive(Debug, Clone, PartialEq)]
pub enum Open {
    Text,
    Reasoning {
        redacted: bool,
    },
    ToolCall {
        id: String,
        name: String,
        custom: bool,
    },
    Refusal,
    /// Arrives whole.
    Media(Media),
    /// Arrives whole; known to one dialect only.
    Opaque(Opaque),
}

/// A piece of an open part.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    Refusal(String),
    /// JSON text of a tool call's arguments, cut anywhere; free text for a custom tool.
    Arguments(String),
    /// Proof of a reasoning part, or of a tool call (Gemini). Comes whole, once, before the part closes.
    Proof(Opaque),
    Citation(Citation),
}
