//! What a stream told about itself so far, whatever becomes of its events.

use super::{Outcome, Summary};
use crate::ApiError;
use crate::hub::{Event, FinishReason, Open, Usage};

#[derive(Debug, Default)]
pub(super) struct Account {
    /// Something that a reader of the answer would see has come, or the answer's end.
    pub(super) content: bool,
    /// The upstream has begun to answer.
    pub(super) begun: bool,
    pub(super) tool_call: bool,
    pub(super) several_choices: bool,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<ApiError>,
    /// Of the first choice, once it is known; of another until then.
    finish: Option<(u32, FinishReason)>,
}

impl Account {
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Start { .. } => self.begun = true,
            Event::Close { .. } | Event::ServiceTier(_) | Event::Logprobs { .. } => {}
            Event::Open { choice, part, .. } => {
                self.several_choices |= *choice > 0;
                self.tool_call |= matches!(part, Open::ToolCall { .. });
                self.content |= match part {
                    // Empty until its first delta; some upstreams open a text before they fail.
                    Open::Text | Open::Reasoning { redacted: false } | Open::Refusal => false,
                    Open::Reasoning { redacted: true }
                    | Open::ToolCall { .. }
                    | Open::Media(_)
                    | Open::Opaque(_) => true,
                };
            }
            Event::Delta { .. } => self.content = true,
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice, finish } => {
                self.content = true;
                if self.finish.is_none_or(|(earlier, _)| *choice < earlier) {
                    self.finish = Some((*choice, finish.reason));
                }
            }
            Event::Error(error) => {
                if self.error.is_none() {
                    self.error = Some(error.clone());
                }
            }
        }
    }

    /// The summary of an answer that is all there.
    pub(super) fn complete(self) -> Summary {
        let outcome = self
            .finish
            .map_or(Outcome::Complete, |(_, reason)| reason.into());
        self.with(outcome)
    }

    pub(super) fn with(self, outcome: Outcome) -> Summary {
        Summary {
            outcome,
            usage: self.usage,
            error: self.error,
        }
    }
}
