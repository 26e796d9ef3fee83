//! Goes on with an answer that broke off: the answers to several requests become one.
//!
//! Everything but the end of the text is passed on at once. At an end that is none, [`Mender::request`] asks for the rest, and the
//! joint is hidden. Never after a call, a refusal, or anything that is not text.

use super::source::Ending;
use super::{Outcome, Summary, seam};
use crate::hub::{
    Delta, Event, Finish, FinishReason, Open, Output, Part, PartBody, Request, Role, Turn, Usage,
};
use crate::{ApiError, At};

/// Characters at the end of the text that wait, so that a repetition can be told from what is new.
const TAIL: usize = 48;

/// Bytes of text after which an answer that breaks off is left so.
const LIMIT: usize = 1 << 20;

/// What the model is asked after its own words.
const GO_ON: &str = "Your answer was cut off. Continue exactly where it stops, without repeating any of it and without an introduction.";

/// Whether answers to this request are such that they can be put together from pieces: one text, and nothing else.
pub fn may_mend(request: &Request) -> bool {
    const OTHER_FORMS: [&str; 5] = [
        "cachedContent",
        "generationConfig.responseModalities",
        "modalities",
        "audio",
        "background",
    ];
    let text = matches!(request.output, Output::Text)
        && request.candidates.is_none_or(|candidates| candidates == 1)
        && request.logprobs.is_none();
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let calls = !request.tools.is_empty()
        || parts
            .into_iter()
            .any(|part| matches!(part.body, PartBody::ToolCall(_) | PartBody::ToolResult(_)));
    let others = request
        .extra
        .fields
        .iter()
        .any(|field| OTHER_FORMS.contains(&field.key.as_str()));
    text && !calls && !others
}

/// Stands between the decoders of several answers and the one that the client gets.
#[derive(Debug)]
pub struct Mender {
    /// How often more may still be asked for.
    left: u32,
    /// How often it was.
    made: u32,
    /// The text so far, joined.
    text: String,
    /// Bytes of it that were passed on.
    passed: usize,
    /// What the present answer said first, until it is known what it repeats.
    head: Option<String>,
    /// Of the text part that the client sees open.
    open: Option<u32>,
    /// Where that part begins in the text.
    begin: usize,
    /// Characters of that part before the present answer went on with it, less what it repeated.
    shift: u64,
    /// What parts of the present answer are for the client.
    parts: Vec<(u32, Place)>,
    next: u32,
    thought: bool,
    /// Something came that no continuation may follow.
    fixed: bool,
    finish: Option<Finish>,
    /// The ending of an earlier answer, should no later one have any.
    earlier: Option<Finish>,
    failure: Option<ApiError>,
    usage: Counts,
    verdict: Option<Verdict>,
}

/// Where a part of the present answer goes.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Into the open text.
    Text,
    /// Through, under this number.
    Through(u32),
    /// Nowhere: what the model thinks about going on.
    Nowhere,
}

#[derive(Debug, Default)]
struct Counts {
    first: Option<Usage>,
    /// Of the answers before the present one.
    before: Option<Usage>,
    present: Option<Usage>,
}

#[derive(Debug)]
enum Verdict {
    Complete,
    Failed(ApiError, Outcome),
}

impl Mender {
    /// Asks for more at most `attempts` times.
    pub fn new(attempts: u32) -> Self {
        Self {
            left: attempts,
            made: 0,
            text: String::new(),
            passed: 0,
            head: None,
            open: None,
            begin: 0,
            shift: 0,
            parts: Vec::new(),
            next: 0,
            thought: false,
            fixed: false,
            finish: None,
            earlier: None,
            failure: None,
            usage: Counts::default(),
            verdict: None,
        }
    }

    /// How often more may still be asked for.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// What all answers together used.
    pub(super) fn bill(&self) -> Option<Usage> {
        match (self.usage.before, self.usage.present) {
            (Some(before), Some(present)) => Some(before.plus(&present)),
            (before, present) => before.or(present),
        }
    }

    /// The account of an answer that is all there.
    pub(super) fn repaired(&self, summary: Summary) -> Summary {
        Summary {
            usage: self.bill().or(summary.usage),
            outcome: match summary.outcome {
                Outcome::Complete if self.made > 0 => Outcome::Repaired,
                outcome => outcome,
            },
            ..summary
        }
    }

    /// Whether anything has come that a client would see.
    pub(super) fn has_content(&self) -> bool {
        let text = !self.text.is_empty() || self.passed > 0;
        text || self.thought || self.fixed || self.finish.is_some() || self.made > 0
    }

    /// What the present answer failed with.
    pub(super) fn failure(&self) -> Option<&ApiError> {
        self.failure.as_ref()
    }

    /// The present answer cannot be read on.
    pub(super) fn fail(&mut self, error: ApiError) {
        self.failure.get_or_insert(error);
    }

    /// The request for the rest.
    pub(super) fn request(&self, original: &Request) -> Request {
        let mut request = original.clone();
        if !self.text.is_empty() {
            let turn = |role, text: &str| Turn {
                role,
                parts: vec![Part::text(text, At::Request)],
                extra: crate::hub::Extra::default(),
            };
            request.turns.push(turn(Role::Assistant, &self.text));
            request.turns.push(turn(Role::User, GO_ON));
        }
        if let Some(most) = &mut request.max_output {
            // The caller's limit is one for the answer as a whole.
            let counted = self.bill().map_or(0, |usage| usage.output);
            let used = counted.max(u64::try_from(self.text.len() / 8).unwrap_or(u64::MAX));
            *most = most.saturating_sub(used).max(16.min(*most));
        }
        request
    }

    pub(super) fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        let again = self.made > 0;
        match event {
            Event::Start { .. } | Event::ServiceTier(_) | Event::Logprobs { .. } => {
                if !again {
                    out.push(event);
                }
            }
            Event::Open {
                index,
                choice,
                part,
            } => {
                self.fixed |= choice > 0;
                let place = self.place(choice, part, out);
                self.parts.push((index, place));
            }
            Event::Delta { index, delta } => match self.place_of(index) {
                Place::Text => self.grow(delta, out),
                Place::Through(index) => out.push(Event::Delta { index, delta }),
                Place::Nowhere => {}
            },
            Event::Close { index } => match self.place_of(index) {
                // More may come.
                Place::Text | Place::Nowhere => {}
                Place::Through(index) => out.push(Event::Close { index }),
            },
            Event::Usage(usage) => {
                self.usage.present = Some(usage);
                if !again {
                    self.usage.first = Some(usage);
                }
                out.extend(self.told().map(Event::Usage));
            }
            Event::Finish { choice: 0, finish } => self.finish = Some(finish),
            Event::Finish { .. } => out.push(event),
            Event::Error(error) => self.fail(error),
        }
    }

    /// What the client is told: one prompt, and all that was produced.
    fn told(&self) -> Option<Usage> {
        let all = self.bill()?;
        let first = self.usage.first.unwrap_or(all);
        Some(Usage {
            output: all.output,
            reasoning: all.reasoning,
            audio_out: all.audio_out,
            image_out: all.image_out,
            searches: all.searches,
            ..first
        })
    }

    fn place(&mut self, choice: u32, part: Open, out: &mut Vec<Event>) -> Place {
        let again = self.made > 0;
        let first_text = !self
            .parts
            .iter()
            .any(|(_, place)| matches!(place, Place::Text));
        match &part {
            Open::Text if choice == 0 => {
                if self.open.is_some() && again && first_text {
                    return Place::Text;
                }
                self.close(out);
                let index = self.number();
                self.open = Some(index);
                self.begin = self.text.len();
                self.shift = 0;
                out.push(Event::Open {
                    index,
                    choice,
                    part,
                });
                return Place::Text;
            }
            Open::Reasoning { .. } => {
                self.thought = true;
                if again && !self.text.is_empty() {
                    return Place::Nowhere;
                }
            }
            Open::Text => {}
            Open::ToolCall { .. } | Open::Refusal | Open::Media(_) | Open::Opaque(_) => {
                self.fixed = true;
            }
        }
        self.close(out);
        let index = self.number();
        out.push(Event::Open {
            index,
            choice,
            part,
        });
        Place::Through(index)
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn place_of(&self, index: u32) -> Place {
        let found = self.parts.iter().rev().find(|(part, _)| *part == index);
        found.map_or(Place::Nowhere, |(_, place)| *place)
    }

    fn grow(&mut self, delta: Delta, out: &mut Vec<Event>) {
        let Some(index) = self.open else { return };
        match delta {
            Delta::Text(more) => {
                let Some(head) = &mut self.head else {
                    self.text.push_str(&more);
                    return self.release(TAIL, out);
                };
                head.push_str(&more);
                // The repetition may have white space or a line of a fence before it.
                if head.chars().count() > 2 * seam::LONGEST {
                    self.join();
                    self.release(TAIL, out);
                }
            }
            Delta::Citation(mut citation) => {
                self.join();
                self.release(0, out);
                if let Some((start, end)) = &mut citation.span {
                    *start = start.saturating_add(self.shift);
                    *end = end.saturating_add(self.shift);
                }
                out.push(Event::Delta {
                    index,
                    delta: Delta::Citation(citation),
                });
            }
            // A proof of one piece proves nothing about the whole.
            Delta::Proof(_) if self.made > 0 => {}
            delta @ (Delta::Reasoning(_)
            | Delta::Refusal(_)
            | Delta::Arguments(_)
            | Delta::Proof(_)) => {
                self.release(0, out);
                out.push(Event::Delta { index, delta });
            }
        }
    }

    /// Puts what the present answer said first to the text before it.
    fn join(&mut self) {
        if let Some(head) = self.head.take() {
            let repeated = seam::repeated(&self.text, &head);
            let dropped = characters(head.get(..repeated).unwrap_or_default());
            let part = self.text.get(self.begin..).unwrap_or_default();
            self.shift = characters(part).saturating_sub(dropped);
            self.text.push_str(head.get(repeated..).unwrap_or_default());
        }
    }

    /// Passes the text on, but for so many characters at its end.
    fn release(&mut self, tail: usize, out: &mut Vec<Event>) {
        let Some(index) = self.open else { return };
        let end = match tail {
            0 => self.text.len(),
            tail => {
                let last = self.text.char_indices().rev().nth(tail - 1);
                last.map_or(0, |(at, _)| at)
            }
        };
        if let Some(piece) = self
            .text
            .get(self.passed..end)
            .filter(|text| !text.is_empty())
        {
            out.push(Event::Delta {
                index,
                delta: Delta::Text(piece.to_owned()),
            });
            self.passed = end;
        }
        if self.text.len() > LIMIT && !self.fixed {
            self.fixed = true;
        }
        if self.fixed && self.head.is_none() {
            // Nothing will be joined to it any more.
            self.text.drain(..self.passed);
            self.passed = 0;
        }
    }

    /// Ends the open text for the client.
    fn close(&mut self, out: &mut Vec<Event>) {
        self.join();
        self.release(0, out);
        out.extend(self.open.take().map(|index| Event::Close { index }));
    }

    /// The present answer is over. Returns whether more is to be asked for.
    pub(super) fn ended(&mut self, ending: Ending) -> bool {
        self.join();
        let broke = match (self.failure.take(), ending) {
            (Some(error), _) | (None, Ending::Failed(error)) => {
                Some((error, Outcome::UpstreamError))
            }
            (None, Ending::Cut(error)) => Some((error, Outcome::Truncated)),
            (None, Ending::Complete) => None,
        };
        let said = !self.text.is_empty() || self.passed > 0;
        let goes_on = match &broke {
            Some((error, _)) => (said || self.thought) && error.may_pass(),
            None => self
                .finish
                .as_ref()
                .is_some_and(|finish| is_none(finish, said)),
        };
        if goes_on && !self.fixed && self.left > 0 {
            self.left -= 1;
            self.made += 1;
            self.usage.before = self.bill();
            self.usage.present = None;
            self.parts.clear();
            self.head = said.then(String::new);
            let failed = |finish: &Finish| finish.reason == FinishReason::Error;
            self.earlier = self
                .finish
                .take()
                .filter(|finish| !failed(finish))
                .or(self.earlier.take());
            return true;
        }
        self.verdict = Some(match broke {
            None => Verdict::Complete,
            Some((error, outcome)) => self.given_up(error, outcome),
        });
        false
    }

    /// No more could be had: `error` says why. Returns whether to ask once more.
    pub(super) fn refused(&mut self, error: ApiError) -> bool {
        let goes_on = self.left > 0 && error.may_pass();
        if goes_on {
            self.left -= 1;
            self.made += 1;
        } else {
            self.verdict = Some(self.given_up(error, Outcome::Truncated));
        }
        goes_on
    }

    /// The ending that an answer had, if one had any, is better than none.
    fn given_up(&mut self, error: ApiError, outcome: Outcome) -> Verdict {
        match self.earlier.take() {
            Some(finish) => {
                self.finish = Some(finish);
                Verdict::Complete
            }
            None => Verdict::Failed(error, outcome),
        }
    }

    /// Nothing more may be asked for.
    pub(super) fn stop(&mut self) {
        self.left = 0;
    }

    /// Whether it is known how the answer ends.
    pub(super) fn is_settled(&self) -> bool {
        self.verdict.is_some()
    }

    /// Appends what was held back, and says what failed.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), (ApiError, Outcome)> {
        if let Some(Verdict::Failed(error, outcome)) = self.verdict.take() {
            // What was open is not closed: half an answer must not look whole.
            self.join();
            self.release(0, out);
            return Err((error, outcome));
        }
        self.close(out);
        let finish = self.finish.take();
        out.extend(finish.map(|finish| Event::Finish { choice: 0, finish }));
        Ok(())
    }
}

fn characters(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// Whether an ending is none: the model stopped without having said anything, or gave up.
fn is_none(finish: &Finish, said: bool) -> bool {
    match finish.reason {
        FinishReason::Error => true,
        FinishReason::Stop => !said || finish.category.as_deref() == Some("OTHER"),
        FinishReason::StopSequence
        | FinishReason::ToolCalls
        | FinishReason::Length
        | FinishReason::ContextExceeded
        | FinishReason::ContentFilter
        | FinishReason::Refusal
        | FinishReason::Pause
        | FinishReason::Continuation => false,
    }
}

#[cfg(test)]
mod tests;
