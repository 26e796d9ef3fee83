//! A whole answer.

use super::{Extra, Opaque, Part, PartBody, Usage};
use crate::{ApiError, ErrorKind};

#[derive(Debug, Clone, Default)]
pub struct Response {
    /// As the upstream named it.
    pub id: Option<String>,
    /// The model that answered, as the upstream named it.
    pub model: String,
    /// Seconds since 1970.
    pub created: Option<i64>,
    pub choices: Vec<Choice>,
    /// `None`: the upstream did not tell.
    pub usage: Option<Usage>,
    /// In OpenAI's words.
    pub service_tier: Option<String>,
    pub served: Served,
    pub extra: Extra,
}

/// What an answer costs may depend on where and how fast it was made. In the vendor's words; `None`: it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    pub region: Option<String>,
    pub speed: Option<String>,
}

impl Response {
    /// What failed, where the first choice ended in a failure.
    pub fn failure(&self) -> Option<ApiError> {
        let first = self.choices.iter().min_by_key(|choice| choice.index)?;
        first.finish.failure()
    }

    /// The answer ended of itself, or was refused, and holds nothing: no text, no call, no reasoning.
    pub fn is_empty(&self) -> bool {
        self.choices
            .iter()
            .all(|choice| choice.finish.may_be_all() && choice.parts.iter().all(Part::is_empty))
    }

    /// Makes calls those of the tools that the caller declared; `changes` is [`crate::Encoded::tools`].
    pub fn restore_tools(&mut self, changes: &crate::ToolChanges) {
        for choice in &mut self.choices {
            changes.text_is.recast(choice);
        }
        for part in self.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let PartBody::ToolCall(call) = &mut part.body {
                changes.restore(call);
            }
        }
    }
}

/// One of the answers asked for.
#[derive(Debug, Clone)]
pub struct Choice {
    pub index: u32,
    /// In the order the model produced them.
    pub parts: Vec<Part>,
    pub finish: Finish,
    pub logprobs: Vec<TokenLogprob>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub reason: FinishReason,
    /// Anthropic: which stop sequence it was.
    pub stop_sequence: Option<String>,
    /// Why, in the vendor's words: a refusal's explanation, Gemini's `finishMessage` or `blockReasonMessage`.
    pub message: Option<String>,
    /// The vendor's own word where `reason` is coarser: `cyber`, `RECITATION`, `PROHIBITED_CONTENT`.
    pub category: Option<String>,
}

impl Finish {
    /// The model came to its end, and nothing more was said about it.
    pub fn is_plain_stop(&self) -> bool {
        self.reason == FinishReason::Stop && self.message.is_none() && self.category.is_none()
    }

    /// There may be nothing before it.
    pub(crate) fn may_be_all(&self) -> bool {
        self.is_plain_stop()
            || matches!(
                self.reason,
                FinishReason::ContentFilter | FinishReason::Refusal
            )
    }

    /// What failed, where the upstream says that it did: this is no ending of an answer.
    pub fn failure(&self) -> Option<ApiError> {
        if self.reason != FinishReason::Error {
            return None;
        }
        let word = self.category.as_deref().unwrap_or("error");
        let message = self.message.clone().unwrap_or_else(|| {
            format!("the upstream failed in the middle of its answer ('{word}')")
        });
        Some(ApiError::new(ErrorKind::Upstream, message))
    }
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        Self {
            reason,
            stop_sequence: None,
            message: None,
            category: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    Stop,
    StopSequence,
    ToolCalls,
    Length,
    ContextExceeded,
    ContentFilter,
    /// The model declined; [`Finish::message`] may say why.
    Refusal,
    /// Anthropic `pause_turn`: the turn goes on when it is sent back.
    Pause,
    /// Gemini `CONTINUATION`.
    Continuation,
    /// The upstream says that it failed (`MALFORMED_FUNCTION_CALL`, `network_error`) after content.
    Error,
}

/// A source that a text cites.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
    pub cited_text: Option<String>,
    /// Characters (Unicode code points) of the text part that the citation covers, end exclusive; `None`: all of it.
    pub span: Option<(u64, u64)>,
    /// The citation as its source wrote it; returns only to that dialect.
    pub source: Option<Opaque>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
    pub top: Vec<TopLogprob>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
}
