//! Whole answers both ways, and the pieces that streams share with them.

use std::borrow::Cow;

use crate::framing::Frame;
use crate::hub::{
    Choice, Citation, Finish, FinishReason, Opaque, PartBody, Response, TokenLogprob,
};
use crate::json::{self, Node, Object};
use crate::names;
use crate::search;
use crate::stream::{Accumulator, TRUNCATED};
use crate::{ApiError, At, BadAnswer, Decoder, DialectId, ErrorKind, Losses, Malformed, Reply};

use super::decoder::GeminiDecoder;
use super::grounding::{self, Visible};
use super::{SENTINEL_BASE64, SIGNATURE_OF_PART, finish, media, one_line, usage};

// --- reading ------------------------------------------------------------------------------------------------------------------

/// Reads a whole answer as a stream of one chunk, so that both read the same.
pub(super) fn decode(body: &[u8]) -> Result<Response, BadAnswer> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed::new("", error.to_string()))?;
    if text.trim().is_empty() {
        return Err(Malformed::new("", "the body is empty").into());
    }
    let mut decoder = if text.trim_start().starts_with('[') {
        GeminiDecoder::for_stream()
    } else {
        GeminiDecoder::for_whole()
    };
    let mut events = Vec::new();
    decoder.frame(
        &Frame {
            event: "",
            data: text,
        },
        &mut events,
    )?;
    let complete = decoder.end(&mut events);
    if !complete && !decoder.started() && events.is_empty() {
        return Err(Malformed::new("", "not an answer of Gemini: no candidates").into());
    }
    let mut answer = Accumulator::default();
    for event in events {
        answer.event(event);
    }
    answer.response().map_err(|error| {
        BadAnswer::Error(match error.code.as_deref() {
            Some(TRUNCATED) => ApiError::new(
                ErrorKind::UpstreamMalformed,
                "the answer holds no finished candidate",
            ),
            _ => error,
        })
    })
}

// --- writing ------------------------------------------------------------------------------------------------------------------

pub(super) fn encode(response: &Response, reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Object::new(&mut out);
    let refused = match response.choices.as_slice() {
        [only] if only.parts.is_empty() && only.finish.reason == FinishReason::Refusal => {
            Some(&only.finish)
        }
        _ => None,
    };
    if let Some(finish) = refused {
        prompt_feedback(&mut object, finish);
    } else {
        let mut candidates = object.array("candidates");
        for choice in &response.choices {
            let mut candidate = candidates.object();
            encode_choice(&mut candidate, choice, reply, losses);
        }
    }
    if let Some(usage) = &response.usage {
        usage::encode(&mut object, usage, response.service_tier.as_deref());
    }
    object.string("modelVersion", &reply.model);
    match response.id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => object.string("responseId", id),
        None => object.string("responseId", &reply.mint.id("", 0)),
    }
    losses.extra(&response.extra, &At::Request, DialectId::Gemini);
    drop(object);
    out
}

fn encode_choice(candidate: &mut Object<'_>, choice: &Choice, reply: &Reply, losses: &mut Losses) {
    let mut parts = Vec::new();
    let mut visible = Visible::default();
    let mut queries = Vec::new();
    let mut citations = Vec::new();
    let mut signed = false;
    for (number, part) in (0_u32..).zip(&choice.parts) {
        losses.extra(&part.extra, &part.at, DialectId::Gemini);
        match &part.body {
            PartBody::Text(text) => {
                let said = if reply.enum_output {
                    unwrapped(&text.text)
                } else {
                    Cow::Borrowed(text.text.as_str())
                };
                visible.open(number);
                visible.push(&said);
                citations.extend(
                    text.citations
                        .iter()
                        .map(|citation| (number, citation.clone())),
                );
                if !said.is_empty() {
                    Object::new(next(&mut parts)).string("text", &said);
                }
            }
            PartBody::Refusal(text) => {
                losses.push(
                    part.at.clone(),
                    "",
                    "a refusal became text: Gemini has no other place for its words",
                );
                if !text.is_empty() {
                    Object::new(next(&mut parts)).string("text", text);
                }
            }
            PartBody::Media(media) => {
                let mut written = Vec::new();
                media::answer(&mut written, media);
                if !written.is_empty() {
                    next(&mut parts).append(&mut written);
                }
            }
            PartBody::Reasoning(thought) => {
                let own = thought
                    .proof
                    .as_ref()
                    .filter(|proof| proof.of == DialectId::Gemini);
                match own {
                    Some(own) if own.kind == SIGNATURE_OF_PART && parts.last() == Some(&b'}') => {
                        // It goes back onto the part that it came on.
                        parts.pop();
                        parts.extend_from_slice(b",\"thoughtSignature\":");
                        parts.extend_from_slice(own.json.get().as_bytes());
                        parts.push(b'}');
                    }
                    Some(own) => {
                        let shown = if reply.show_reasoning {
                            thought.text.as_str()
                        } else {
                            ""
                        };
                        proof_part(next(&mut parts), shown, own);
                    }
                    None if reply.show_reasoning && !thought.text.is_empty() => {
                        let mut object = Object::new(next(&mut parts));
                        object.string("text", &thought.text);
                        object.bool("thought", true);
                    }
                    None => {}
                }
            }
            PartBody::ToolCall(call) => {
                let args = arguments(&call.arguments, call.custom);
                if args.starts_with(RAW_ARGUMENTS) {
                    losses.push(
                        part.at.clone(),
                        "arguments",
                        "not a JSON object; sent as text under '_raw_arguments'",
                    );
                }
                call_part(
                    next(&mut parts),
                    &call.id,
                    names::plain(&call.name),
                    &args,
                    call.proof.as_ref(),
                    signed,
                );
                signed = true;
            }
            PartBody::Opaque(opaque) if search::found(opaque).is_some() => {}
            PartBody::Opaque(opaque)
                if opaque.of == DialectId::Gemini && opaque.kind != search::GROUNDING =>
            {
                next(&mut parts).extend_from_slice(opaque.json.get().as_bytes());
            }
            PartBody::Opaque(opaque) => {
                if let Some(search) = search::of(opaque) {
                    queries.extend(search.queries);
                } else {
                    losses.push(
                        part.at.clone(),
                        "",
                        format!("dropped: only {} has {}", opaque.of, opaque.kind),
                    );
                }
            }
            PartBody::ToolResult(_) => {
                losses.push(
                    part.at.clone(),
                    "",
                    "dropped: a model does not answer with a tool's result",
                );
            }
        }
    }
    let mut content = candidate.object("content");
    content.string("role", "model");
    let out = content.value("parts");
    out.push(b'[');
    out.extend_from_slice(&parts);
    out.push(b']');
    drop(content);
    ending(
        candidate,
        choice.index,
        &choice.finish,
        &visible,
        &citations,
        &queries,
        &choice.logprobs,
    );
    match choice.finish.reason {
        FinishReason::Pause
        | FinishReason::Error
        | FinishReason::ContextExceeded
        | FinishReason::StopSequence => {
            losses.push(
                At::Request,
                "finish_reason",
                "told in a coarser word: Gemini has none for it",
            );
        }
        FinishReason::Stop
        | FinishReason::ToolCalls
        | FinishReason::Length
        | FinishReason::ContentFilter
        | FinishReason::Refusal
        | FinishReason::Continuation => {}
    }
}

fn next(parts: &mut Vec<u8>) -> &mut Vec<u8> {
    if !parts.is_empty() {
        parts.push(b',');
    }
    parts
}

/// The value inside the JSON object that an enumeration's answer is wrapped in; anything else stays as it is.
pub(super) fn unwrapped(text: &str) -> Cow<'_, str> {
    Node::parse(text.as_bytes())
        .ok()
        .and_then(|node| node.fields().ok()?.get("value")?.text())
        .map_or(Cow::Borrowed(text), |value| Cow::Owned(value.into_owned()))
}

const RAW_ARGUMENTS: &str = "{\"_raw_arguments\":";

/// The arguments as the text of a JSON object. What is none, as when the limit cut it short, stays readable as text.
pub(super) fn arguments(arguments: &str, custom: bool) -> Cow<'_, str> {
    if !custom {
        if arguments.trim().is_empty() {
            return Cow::Borrowed("{}");
        }
        if let Ok(node) = Node::parse(arguments.as_bytes())
            && node.is_object()
        {
            return one_line(node.raw());
        }
    }
    let mut out = Vec::with_capacity(arguments.len() + 24);
    out.extend_from_slice(if custom {
        b"{\"input\":"
    } else {
        RAW_ARGUMENTS.as_bytes()
    });
    json::escape_into(&mut out, arguments);
    out.push(b'}');
    String::from_utf8(out).map_or(Cow::Borrowed("{}"), Cow::Owned)
}

/// A call. The first of an answer carries a signature, so that its history is taken by models that ask for one.
pub(super) fn call_part(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    args: &str,
    proof: Option<&Opaque>,
    signed: bool,
) {
    let mut part = Object::new(out);
    let mut call = part.object("functionCall");
    call.string("id", id);
    call.string("name", name);
    call.value("args").extend_from_slice(args.as_bytes());
    drop(call);
    match proof.filter(|proof| proof.of == DialectId::Gemini) {
        Some(proof) => part.raw("thoughtSignature", &proof.json),
        None if !signed => part.string("thoughtSignature", SENTINEL_BASE64),
        None => {}
    }
}

/// A signature on its thought, or alone.
pub(super) fn proof_part(out: &mut Vec<u8>, thought: &str, proof: &Opaque) {
    let mut part = Object::new(out);
    part.string("text", thought);
    if !thought.is_empty() {
        part.bool("thought", true);
    }
    part.raw("thoughtSignature", &proof.json);
}

/// A prompt that was refused: there is no candidate.
pub(super) fn prompt_feedback(out: &mut Object<'_>, finish: &Finish) {
    let mut feedback = out.object("promptFeedback");
    feedback.string("blockReason", finish::encode_block(finish));
    feedback.some_string("blockReasonMessage", finish.message.as_deref());
}

/// What follows the content of a candidate that is over.
pub(super) fn ending(
    candidate: &mut Object<'_>,
    index: u32,
    finish: &Finish,
    visible: &Visible,
    citations: &[(u32, Citation)],
    queries: &[String],
    logprobs: &[TokenLogprob],
) {
    candidate.string("finishReason", finish::encode(finish));
    candidate.some_string("finishMessage", finish.message.as_deref());
    candidate.u64("index", u64::from(index));
    if !citations.is_empty() || !queries.is_empty() {
        grounding::encode(candidate, visible, citations, queries);
    }
    if logprobs.is_empty() {
        return;
    }
    let mut result = candidate.object("logprobsResult");
    let mut chosen = result.array("chosenCandidates");
    for token in logprobs {
        let mut object = chosen.object();
        object.string("token", &token.token);
        object.f64("logProbability", token.logprob);
    }
    drop(chosen);
    if logprobs.iter().all(|token| token.top.is_empty()) {
        return;
    }
    let mut all = result.array("topCandidates");
    for token in logprobs {
        let mut object = all.object();
        let mut others = object.array("candidates");
        for other in &token.top {
            let mut object = others.object();
            object.string("token", &other.token);
            object.f64("logProbability", other.logprob);
        }
    }
}
