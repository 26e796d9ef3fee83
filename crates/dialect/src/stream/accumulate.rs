//! A whole answer out of a streamed one.

use super::truncated;
use crate::hub::{
    Choice, Delta, Event, Finish, Open, Part, PartBody, Response, Text, Thought, TokenLogprob,
    ToolCall,
};
use crate::{ApiError, At};

/// Fed the events of one answer, in order; bounded by whoever feeds it.
#[derive(Debug, Default)]
pub struct Accumulator {
    response: Response,
    /// In order of opening.
    parts: Vec<Growing>,
    /// In order of their number.
    choices: Vec<Ending>,
    error: Option<ApiError>,
}

#[derive(Debug)]
struct Growing {
    index: u32,
    choice: u32,
    part: Part,
}

#[derive(Debug)]
struct Ending {
    choice: u32,
    finish: Option<Finish>,
    logprobs: Vec<TokenLogprob>,
}

impl Accumulator {
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Start { id, model, created } => {
                self.response.id = id;
                self.response.model = model;
                self.response.created = created;
            }
            Event::Open {
                index,
                choice,
                part,
            } => {
                self.ending(choice);
                let part = Part::new(opened(part), At::Request);
                self.parts.push(Growing {
                    index,
                    choice,
                    part,
                });
            }
            Event::Delta { index, delta } => {
                let part = self.parts.iter_mut().rev().find(|part| part.index == index);
                debug_assert!(
                    part.is_some(),
                    "a delta for part {index}, which never opened"
                );
                if let Some(Growing { part, .. }) = part {
                    grow(part, delta);
                }
            }
            Event::Close { .. } => {}
            Event::Usage(usage) => self.response.usage = Some(usage),
            Event::ServiceTier(tier) => self.response.service_tier = Some(tier),
            Event::Logprobs { choice, tokens } => self.ending(choice).logprobs.extend(tokens),
            Event::Finish { choice, finish } => self.ending(choice).finish = Some(finish),
            Event::Error(error) => {
                self.error.get_or_insert(error);
            }
        }
    }

    /// The answer; the upstream's error, if it told one; or that the answer was cut.
    pub fn response(self) -> Result<Response, ApiError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut response = self.response;
        let mut parts = self.parts;
        for Ending {
            choice,
            finish,
            logprobs,
        } in self.choices
        {
            let (own, others) = parts.into_iter().partition(|part| part.choice == choice);
            parts = others;
            let own: Vec<Growing> = own;
            response.choices.push(Choice {
                index: choice,
                parts: own.into_iter().map(|growing| growing.part).collect(),
                finish: finish.ok_or_else(truncated)?,
                logprobs,
            });
        }
        if response.choices.is_empty() {
            return Err(truncated());
        }
        Ok(response)
    }

    fn ending(&mut self, choice: u32) -> &mut Ending {
        let found = self
            .choices
            .binary_search_by_key(&choice, |ending| ending.choice);
        let at = found.unwrap_or_else(|at| {
            let fresh = Ending {
                choice,
                finish: None,
                logprobs: Vec::new(),
            };
            self.choices.insert(at, fresh);
            at
        });
        &mut self.choices[at]
    }
}

fn opened(part: Open) -> PartBody {
    match part {
        Open::Text => PartBody::Text(Text::default()),
        Open::Reasoning { redacted } => PartBody::Reasoning(Thought {
            redacted,
            ..Thought::default()
        }),
        Open::ToolCall { id, name, custom } => PartBody::ToolCall(ToolCall {
            id,
            name,
            arguments: String::new(),
            custom,
            proof: None,
        }),
        Open::Refusal => PartBody::Refusal(String::new()),
        Open::Media(media) => PartBody::Media(media),
        Open::Opaque(opaque) => PartBody::Opaque(opaque),
    }
}

fn grow(part: &mut Part, delta: Delta) {
    match (&mut part.body, delta) {
        (PartBody::Text(text), Delta::Text(more)) => text.text.push_str(&more),
        (PartBody::Text(text), Delta::Citation(citation)) => text.citations.push(citation),
        (PartBody::Reasoning(thought), Delta::Reasoning(more)) => thought.text.push_str(&more),
        (PartBody::Reasoning(thought), Delta::Proof(proof)) => thought.proof = Some(proof),
        (PartBody::Refusal(text), Delta::Refusal(more)) => text.push_str(&more),
        (PartBody::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(&more),
        (PartBody::ToolCall(call), Delta::Proof(proof)) => call.proof = Some(proof),
        (_, Delta::Proof(proof)) => part.extra.push(proof.of, proof.kind, proof.json),
        (body, delta) => debug_assert!(false, "{delta:?} does not fit {body:?}"),
    }
}
