//! What a stream told about itself so far, whatever becomes of its events.

use super::{Outcome, Summary};
use crate::ApiError;
use crate::estimate::Tally;
use crate::hub::{Delta, Event, Finish, Open, Served, Usage};

#[derive(Debug, Default)]
pub(super) struct Account {
    /// Something that a reader of the answer would see has come, or the answer's end.
    pub(super) content: bool,
    /// Something that a reader of the answer would see has come.
    said: bool,
    /// The upstream has begun to answer.
    pub(super) begun: bool,
    pub(super) tool_call: bool,
    pub(super) several_choices: bool,
    pub(super) usage: Option<Usage>,
    /// Something was said since usage was told.
    outdated: bool,
    pub(super) tier: Option<String>,
    /// Asked of the decoder when it is needed, as the next: nobody hands it on.
    pub(super) served: Served,
    pub(super) told_at_the_end: bool,
    pub(super) tally: Tally,
    pub(super) error: Option<ApiError>,
    /// Of the first choice, once it is known; of another until then.
    finish: Option<(u32, Finish)>,
}

impl Account {
    pub(super) fn note(&mut self, event: &Event) {
        self.tally.event(event);
        self.look(event);
    }

    /// As [`Self::note`], where what the answer is made of is counted otherwise.
    pub(super) fn look(&mut self, event: &Event) {
        match event {
            Event::Start { .. } => self.begun = true,
            Event::Close { .. } | Event::Logprobs { .. } => {}
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::Open { choice, part, .. } => {
                self.several_choices |= *choice > 0;
                self.tool_call |= matches!(part, Open::ToolCall { .. });
                let said = match part {
                    // Empty until its first delta; some upstreams open a text before they fail.
                    Open::Text | Open::Reasoning { redacted: false } | Open::Refusal => false,
                    Open::Reasoning { redacted: true }
                    | Open::ToolCall { .. }
                    | Open::Media(_)
                    | Open::Opaque(_) => true,
                };
                self.content |= said;
                self.said |= said;
                self.outdated |= said;
            }
            Event::Delta { delta, .. } => {
                self.content = true;
                let said = match delta {
                    Delta::Text(text) | Delta::Reasoning(text) | Delta::Refusal(text) => {
                        !text.is_empty()
                    }
                    Delta::Arguments(_) | Delta::Proof(_) | Delta::Citation(_) => true,
                };
                self.said |= said;
                self.outdated |= said;
            }
            Event::Usage(usage) => {
                self.usage = Some(*usage);
                self.outdated = false;
            }
            Event::Finish { choice, finish } => {
                self.content = true;
                let earlier = self.finish.as_ref().map(|(earlier, _)| *earlier);
                if earlier.is_none_or(|earlier| *choice < earlier) {
                    self.finish = Some((*choice, finish.clone()));
                }
            }
            Event::Error(error) => {
                if self.error.is_none() {
                    self.error = Some(error.clone());
                }
            }
        }
    }

    /// Whether the answer has ended, as far as was read, and nothing was said in it.
    pub(super) fn is_silent(&self) -> bool {
        self.finish.is_some() && !self.said && self.error.is_none()
    }

    fn is_empty(&self) -> bool {
        let ended = matches!(&self.finish, Some((_, finish)) if finish.may_be_all());
        ended && self.is_silent()
    }

    /// The summary of an answer that is all there.
    pub(super) fn complete(mut self) -> Summary {
        let empty = self.is_empty();
        let finish = self.finish.take().map(|(_, finish)| finish);
        self.error = finish.as_ref().and_then(Finish::failure);
        let outcome = finish.map_or(Outcome::Complete, |finish| finish.reason.into());
        Summary {
            empty,
            ..self.with(outcome)
        }
    }

    /// What is known of an answer that goes on.
    pub(super) fn so_far(&self) -> Summary {
        Summary {
            outcome: Outcome::Truncated,
            usage: self.usage,
            usage_is_whole: self.told_at_the_end || !self.outdated,
            tier: self.tier.clone(),
            served: self.served.clone(),
            produced: self.tally.clone(),
            error: None,
            empty: false,
        }
    }

    /// Whether it was said how the answer ends.
    pub(super) fn has_ended(&self) -> bool {
        self.finish.is_some() || self.error.is_some()
    }

    pub(super) fn with(self, outcome: Outcome) -> Summary {
        Summary {
            outcome,
            usage: self.usage,
            usage_is_whole: self.told_at_the_end || !self.outdated,
            tier: self.tier,
            served: self.served,
            produced: self.tally,
            error: self.error,
            empty: false,
        }
    }
}
