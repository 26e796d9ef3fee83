//! Reads one streamed answer. Servers of this dialect leave out, repeat and reorder much; what comes out is in order.

mod call;
mod choice;
mod chunk;

use self::choice::ChoiceState;
use self::chunk::{Choice, Chunk, Delta};
use super::answer::{self, Counts};
use crate::error;
use crate::framing::Frame;
use crate::hub::{Event, Open, Usage};
use crate::json::Node;
use crate::{ApiError, Decoder, Malformed};

/// The most choices that OpenAI gives.
const MOST_CHOICES: usize = 128;

/// The state of one streamed answer.
#[derive(Debug, Default)]
pub(super) struct ChatDecoder {
    started: bool,
    phase: Phase,
    /// The upstream's id of the answer, from which missing ids of calls are made.
    id: String,
    next: u32,
    choices: Vec<ChoiceState>,
    counts: Counts,
    usage: Option<Usage>,
    tier: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Running,
    Complete,
    /// Over without an ending: the upstream failed, or nothing came before `[DONE]`.
    Over,
}

impl Decoder for ChatDecoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        if self.phase != Phase::Running || data.is_empty() {
            return Ok(());
        }
        if data.starts_with("[DONE]") {
            self.phase = if self.started {
                self.finish(out);
                Phase::Complete
            } else {
                Phase::Over
            };
            return Ok(());
        }
        if !data.starts_with('{') {
            return Err(Malformed::new(
                "",
                "not a chunk of a chat stream: no object",
            ));
        }
        let chunk: Chunk<'_> = serde_json::from_str(data).map_err(|error| {
            Malformed::new("", format!("not a chunk of a chat stream: {error}"))
        })?;
        if let Some(error) = failure(&chunk, frame)? {
            self.phase = Phase::Over;
            // What was used until then is billed.
            if let Some(usage) = chunk.usage.filter(|_| self.started) {
                self.used(usage, out);
            }
            out.push(Event::Error(error));
            return Ok(());
        }
        self.chunk(chunk, out)
    }

    fn end(&mut self, out: &mut Vec<Event>) -> bool {
        match self.phase {
            Phase::Complete => return true,
            Phase::Over => return false,
            Phase::Running => {}
        }
        let told = !self.choices.is_empty() && self.choices.iter().all(ChoiceState::is_over);
        if told {
            self.finish(out);
            self.phase = Phase::Complete;
        } else {
            let mut sink = Sink {
                next: &mut self.next,
                answer: &self.id,
                out,
            };
            for choice in &mut self.choices {
                choice.close(&mut sink);
            }
            self.phase = Phase::Over;
        }
        told
    }
}

/// The error that a frame tells of instead of a piece of the answer.
fn failure(chunk: &Chunk<'_>, frame: &Frame<'_>) -> Result<Option<ApiError>, Malformed> {
    let suspect = chunk.error.is_some() || chunk.choices.is_none() && chunk.base_resp.is_some();
    if suspect && let Some(error) = error::in_answer(Node::parse(frame.data.as_bytes())?) {
        return Ok(Some(error));
    }
    if frame.event == "error" && chunk.choices.is_none() {
        return Ok(Some(error::in_event(frame.data)));
    }
    let inside = chunk
        .choices
        .iter()
        .flatten()
        .find_map(|choice| choice.error);
    Ok(inside.and_then(|error| {
        let body = format!("{{\"error\":{}}}", error.raw());
        error::in_answer(Node::parse(body.as_bytes()).ok()?)
    }))
}

impl ChatDecoder {
    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let choices = chunk.choices.unwrap_or_default();
        let usage = chunk
            .usage
            .or_else(|| chunk.x_groq?.fields().ok()?.get("usage"))
            .filter(|usage| usage.is_object());
        if !self.started {
            // Azure's first chunk judges the prompt and names neither the answer nor the model.
            let id = chunk.id.and_then(Node::text).filter(|id| !id.is_empty());
            if id.is_none() && choices.is_empty() && usage.is_none() {
                return Ok(());
            }
            self.started = true;
            self.id = id.map(Into::into).unwrap_or_default();
            out.push(Event::Start {
                id: Some(self.id.clone()).filter(|id| !id.is_empty()),
                model: chunk
                    .model
                    .and_then(Node::text)
                    .unwrap_or_default()
                    .into_owned(),
                created: chunk
                    .created
                    .and_then(Node::i64)
                    .filter(|created| *created > 0),
            });
        }
        if let Some(tier) = chunk.service_tier.and_then(Node::text)
            && tier != self.tier.as_str()
        {
            self.tier = tier.into_owned();
            out.push(Event::ServiceTier(self.tier.clone()));
        }
        for choice in choices {
            self.choice(choice, out)?;
        }
        if let Some(usage) = usage {
            self.used(usage, out);
        }
        Ok(())
    }

    fn used(&mut self, told: Node<'_>, out: &mut Vec<Event>) {
        self.counts.read(told);
        let usage = self.counts.usage();
        if self.usage != Some(usage) {
            self.usage = Some(usage);
            out.push(Event::Usage(usage));
        }
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let index = choice.index.and_then(Node::u64).unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let place = self.choices.iter().position(|state| state.index == index);
        let place = match place {
            Some(place) => place,
            None if self.choices.len() < MOST_CHOICES => {
                self.choices.push(ChoiceState::new(index));
                self.choices.len() - 1
            }
            None => {
                return Err(Malformed::new(
                    "choices",
                    "more choices than any answer has",
                ));
            }
        };
        let Some(state) = self.choices.get_mut(place) else {
            return Ok(());
        };
        let told = out.len();
        let mut sink = Sink {
            next: &mut self.next,
            answer: &self.id,
            out,
        };
        match (choice.delta, choice.message) {
            (Some(delta), _) => state.delta(&delta, &mut sink)?,
            (None, Some(message)) => {
                let delta: Delta<'_> = serde_json::from_str(message.raw()).map_err(|error| {
                    Malformed::new("choices.message", format!("not a message: {error}"))
                })?;
                state.delta(&delta, &mut sink)?;
            }
            (None, None) => {}
        }
        state.resumed |= sink.out.len() > told;
        if let Some(tokens) = choice
            .logprobs
            .map(answer::logprobs)
            .filter(|tokens| !tokens.is_empty())
        {
            sink.push(Event::Logprobs {
                choice: index,
                tokens,
            });
        }
        if let Some(word) = choice
            .finish_reason
            .and_then(Node::text)
            .filter(|word| !word.is_empty())
        {
            state.ends(answer::finish(&word));
        }
        Ok(())
    }

    /// Closes and finishes every choice; an answer without any is an empty one.
    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.choices.is_empty() {
            self.choices.push(ChoiceState::new(0));
        }
        let mut sink = Sink {
            next: &mut self.next,
            answer: &self.id,
            out,
        };
        for choice in &mut self.choices {
            choice.close(&mut sink);
            let finish = choice.ending();
            let choice = choice.index;
            sink.push(Event::Finish { choice, finish });
        }
    }
}

/// Where the events of one frame go, and what their parts are numbered by.
struct Sink<'a> {
    next: &'a mut u32,
    /// The upstream's id of the answer.
    answer: &'a str,
    out: &'a mut Vec<Event>,
}

impl Sink<'_> {
    fn push(&mut self, event: Event) {
        self.out.push(event);
    }

    /// Opens a part and gives its index.
    fn open(&mut self, choice: u32, part: Open) -> u32 {
        let index = *self.next;
        *self.next = index.saturating_add(1);
        self.push(Event::Open {
            index,
            choice,
            part,
        });
        index
    }
}

#[cfg(test)]
pub(super) mod tests;
