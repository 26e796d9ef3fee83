//! A streamed answer out of a whole one, for an upstream that does not stream and a client that wants it.

use crate::framing::Framing;
use crate::hub::{Delta, Event, Open, Part, PartBody, Response};
use crate::{Dialect, Reply};

/// The whole stream that `response` would have been.
pub fn told(response: &Response, client: &dyn Dialect, reply: &Reply, framing: Framing) -> Vec<u8> {
    let mut events = Vec::new();
    replay(response, &mut events);
    // Parts come one after the other already, as every encoder wants them.
    let mut encoder = client.encoder(reply, framing);
    let mut out = Vec::new();
    for event in &events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// Appends the events that `response` would have been streamed as, each part in one piece.
pub fn replay(response: &Response, out: &mut Vec<Event>) {
    out.push(Event::Start {
        id: response.id.clone(),
        model: response.model.clone(),
        created: response.created,
    });
    out.extend(response.usage.map(Event::Usage));
    out.extend(response.service_tier.clone().map(Event::ServiceTier));
    let mut index = 0;
    for choice in &response.choices {
        for part in &choice.parts {
            let Some((opening, deltas)) = taken_apart(part) else {
                continue;
            };
            out.push(Event::Open {
                index,
                choice: choice.index,
                part: opening,
            });
            out.extend(
                deltas
                    .into_iter()
                    .map(|delta| Event::Delta { index, delta }),
            );
            out.push(Event::Close { index });
            index += 1;
        }
        if !choice.logprobs.is_empty() {
            out.push(Event::Logprobs {
                choice: choice.index,
                tokens: choice.logprobs.clone(),
            });
        }
        out.push(Event::Finish {
            choice: choice.index,
            finish: choice.finish.clone(),
        });
    }
}

fn taken_apart(part: &Part) -> Option<(Open, Vec<Delta>)> {
    let mut deltas = Vec::new();
    let opening = match &part.body {
        PartBody::Text(text) => {
            deltas.push(Delta::Text(text.text.clone()));
            deltas.extend(text.citations.iter().cloned().map(Delta::Citation));
            Open::Text
        }
        PartBody::Reasoning(thought) => {
            deltas.push(Delta::Reasoning(thought.text.clone()));
            deltas.extend(thought.proof.clone().map(Delta::Proof));
            Open::Reasoning {
                redacted: thought.redacted,
            }
        }
        PartBody::ToolCall(call) => {
            deltas.push(Delta::Arguments(call.arguments.clone()));
            deltas.extend(call.proof.clone().map(Delta::Proof));
            Open::ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                custom: call.custom,
            }
        }
        PartBody::Refusal(text) => {
            deltas.push(Delta::Refusal(text.clone()));
            Open::Refusal
        }
        PartBody::Media(media) => Open::Media(media.clone()),
        PartBody::Opaque(opaque) => Open::Opaque(opaque.clone()),
        // Results are the caller's to give; no answer holds one.
        PartBody::ToolResult(_) => return None,
    };
    deltas.retain(|delta| match delta {
        Delta::Text(text)
        | Delta::Reasoning(text)
        | Delta::Refusal(text)
        | Delta::Arguments(text) => !text.is_empty(),
        Delta::Proof(_) | Delta::Citation(_) => true,
    });
    Some((opening, deltas))
}
