//! Reads an answer, streamed or whole, into events.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::in_answer;
use crate::fnv::fnv128;
use crate::framing::Frame;
use crate::hub::{
    Delta, Event, Extra, Finish, FinishReason, Opaque, Open, TokenLogprob, TopLogprob, Usage,
};
use crate::json::{self, Node, Object};
use crate::search;
use crate::{Decoder, DialectId, Malformed, Mint};

use super::chunk::{Call, Candidate, Chunk, Counts, Part, Str};
use super::grounding::{self, Visible};
use super::partial_args::PartialArgs;
use super::{SIGNATURE, SIGNATURE_OF_PART, finish, media, one_line, proof};

/// More candidates than any model gives.
const MOST_CHOICES: usize = 64;
/// Of sources told in more pieces than this, the last piece counts.
const MOST_METADATA: usize = 64;

#[derive(Debug)]
pub(super) struct GeminiDecoder {
    /// A whole answer: every part of the wire is a part of its own, and a missing ending is an ordinary one.
    whole: bool,
    started: bool,
    failed: bool,
    /// Ids of calls that come without one are derived from this.
    seed: u128,
    next_index: u32,
    choices: Vec<Choice>,
    counts: Counts,
    searches: u64,
    told: Option<Usage>,
    /// The last chunk with a reason to finish told usage, too.
    told_at_the_end: bool,
    tier: Option<&'static str>,
    blocked: Option<Finish>,
}

#[derive(Debug, Default)]
struct Choice {
    number: u32,
    open: Option<(u32, Growing)>,
    visible: Visible,
    /// Text, calls, media: something besides thoughts.
    said: bool,
    calls: u32,
    partial: Option<(u32, PartialArgs)>,
    grounding: Vec<Box<RawValue>>,
    recitations: Vec<Box<RawValue>>,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growing {
    Text,
    Reasoning,
}

impl GeminiDecoder {
    pub(super) fn for_stream() -> Self {
        Self {
            whole: false,
            started: false,
            failed: false,
            seed: 0,
            next_index: 0,
            choices: Vec::new(),
            counts: Counts::default(),
            searches: 0,
            told: None,
            told_at_the_end: false,
            tier: None,
            blocked: None,
        }
    }

    pub(super) fn for_whole() -> Self {
        Self {
            whole: true,
            ..Self::for_stream()
        }
    }

    pub(super) fn started(&self) -> bool {
        self.started
    }

    fn chunk(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let chunk: Chunk<'_> = serde_json::from_str(data)
            .map_err(|error| Malformed::new("", format!("not an answer of Gemini: {error}")))?;
        if chunk.error.is_some()
            && let Some(error) = in_answer(Node::parse(data.as_bytes())?)
        {
            self.failed = true;
            out.push(Event::Error(error));
            return Ok(());
        }
        let empty = chunk.candidates.as_ref().is_none_or(Vec::is_empty);
        if !self.started {
            if empty
                && chunk.usage_metadata.is_none()
                && chunk.prompt_feedback.is_none()
                && chunk.response_id.is_none()
            {
                return Ok(());
            }
            self.start(&chunk, out);
        }
        if let Some(counts) = &chunk.usage_metadata {
            self.counts.update(counts);
            self.tell_usage(out);
            let tier = self.counts.tier();
            if tier != self.tier {
                self.tier = tier;
                out.extend(tier.map(|tier| Event::ServiceTier(tier.to_owned())));
            }
        }
        if let Some(feedback) = chunk.prompt_feedback
            && (feedback.block_reason.is_some() || empty && feedback.block_reason_message.is_some())
        {
            let reason = feedback.block_reason.as_ref().map(finish::block_name);
            self.blocked = Some(Finish {
                category: reason.map(str::to_owned),
                message: feedback.block_reason_message.map(|it| it.0.into_owned()),
                ..Finish::from(FinishReason::Refusal)
            });
        }
        let ends = |candidate: &Candidate<'_>| candidate.finish_reason.is_some();
        let mut candidates = chunk.candidates.iter().flatten();
        if chunk.usage_metadata.is_some() && candidates.any(ends) {
            self.told_at_the_end = true;
        }
        for (position, candidate) in chunk.candidates.into_iter().flatten().enumerate() {
            self.candidate(candidate, position, out)?;
        }
        Ok(())
    }

    fn start(&mut self, chunk: &Chunk<'_>, out: &mut Vec<Event>) {
        self.started = true;
        let text = |field: &Option<Str<'_>>| field.as_ref().map(|text| text.0.clone().into_owned());
        let id = text(&chunk.response_id);
        let made = chunk.create_time.as_ref().map(|time| &*time.0);
        self.seed = fnv128(id.as_deref().or(made).unwrap_or_default());
        out.push(Event::Start {
            id,
            model: text(&chunk.model_version).unwrap_or_default(),
            created: made.and_then(seconds_since_1970),
        });
    }

    fn tell_usage(&mut self, out: &mut Vec<Event>) {
        let usage = self.counts.usage(self.searches);
        if usage != self.told
            && let Some(usage) = usage
        {
            self.told = Some(usage);
            out.push(Event::Usage(usage));
        }
    }

    fn candidate(
        &mut self,
        candidate: Candidate<'_>,
        position: usize,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let number = match candidate.index {
            Some(number) => number,
            None => u32::try_from(position).unwrap_or(u32::MAX),
        };
        let at = match self
            .choices
            .iter()
            .position(|choice| choice.number == number)
        {
            Some(at) => at,
            None if self.choices.len() < MOST_CHOICES => {
                self.choices.push(Choice {
                    number,
                    ..Choice::default()
                });
                self.choices.len() - 1
            }
            None => return Err(Malformed::new("candidates", "too many candidates")),
        };
        let Some(choice) = self.choices.get_mut(at) else {
            return Ok(());
        };
        let mut writer = Writer {
            choice,
            next_index: &mut self.next_index,
            seed: self.seed,
            out,
        };
        for part in candidate
            .content
            .and_then(|content| content.parts)
            .into_iter()
            .flatten()
        {
            writer.part(part)?;
            if self.whole {
                writer.close();
            }
        }
        if let Some(grounding) = candidate.grounding_metadata {
            self.searches = self.searches.max(grounding::searches(grounding));
            keep(&mut choice.grounding, grounding);
        }
        if let Some(recitations) = candidate.citation_metadata {
            keep(&mut choice.recitations, recitations);
        }
        if let Some(result) = candidate.logprobs_result {
            let tokens = logprobs(result)?;
            if !tokens.is_empty() {
                out.push(Event::Logprobs {
                    choice: number,
                    tokens,
                });
            }
        }
        // Vertex may say STOP on every chunk; the last word counts, and only when the stream is over.
        if let Some(reason) = &candidate.finish_reason {
            let name = finish::name(reason);
            if finish::ending(name) != finish::Ending::Unspecified {
                choice.reason = Some(name.to_owned());
            }
        }
        if let Some(message) = candidate.finish_message {
            choice.message = Some(message.0.into_owned());
        }
        Ok(())
    }
}

impl Decoder for GeminiDecoder {
    fn told_at_the_end(&self) -> bool {
        self.told_at_the_end
    }

    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim();
        if self.failed || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        // An error of the stream endpoint comes as a list of one.
        if data.starts_with('[') {
            for element in Node::parse(data.as_bytes())?.elements()? {
                if !self.failed {
                    self.chunk(element.raw(), out)?;
                }
            }
            return Ok(());
        }
        self.chunk(data, out)
    }

    fn end(&mut self, out: &mut Vec<Event>) -> bool {
        if self.failed {
            return false;
        }
        let mut complete = true;
        let mut failure = None;
        let mut finishes = Vec::new();
        for choice in &mut self.choices {
            let mut writer = Writer {
                choice,
                next_index: &mut self.next_index,
                seed: self.seed,
                out,
            };
            writer.cite(self.whole);
            writer.end_partial();
            writer.close();
            writer.tell_search();
            let reason = match (&choice.reason, self.whole) {
                (Some(reason), _) => reason.as_str(),
                (None, true) if self.blocked.is_none() || choice.said => "STOP",
                (None, _) => {
                    complete = self.blocked.is_some();
                    continue;
                }
            };
            match finish::decode(reason, choice.message.take(), choice.said, choice.calls > 0) {
                Ok(finish) => finishes.push(Event::Finish {
                    choice: choice.number,
                    finish,
                }),
                Err(error) => failure = Some(error),
            }
        }
        if self.searches > 0 {
            self.tell_usage(out);
        }
        if let Some(error) = failure
            && finishes.is_empty()
        {
            self.failed = true;
            out.push(Event::Error(error));
            return false;
        }
        if finishes.is_empty()
            && let Some(finish) = self.blocked.take()
        {
            out.push(Event::Finish { choice: 0, finish });
            return true;
        }
        if !complete || finishes.is_empty() {
            return false;
        }
        out.append(&mut finishes);
        true
    }
}

/// Turns the parts of one candidate into events.
struct Writer<'w> {
    choice: &'w mut Choice,
    next_index: &'w mut u32,
    seed: u128,
    out: &'w mut Vec<Event>,
}

impl Writer<'_> {
    fn part(&mut self, part: Part<'_>) -> Result<(), Malformed> {
        let Part {
            text,
            thought,
            signature,
            call,
            inline_data,
            file_data,
            other,
        } = part;
        let signature = signature.map(|signature| signature.0);
        if let Some(Str(text)) = text {
            if thought {
                self.think(text.into_owned());
                if let Some(proof) = signature.and_then(|it| proof(&it, SIGNATURE)) {
                    self.prove(proof);
                }
                return Ok(());
            }
            let kind = if text.is_empty() {
                SIGNATURE
            } else {
                self.say(text.into_owned());
                SIGNATURE_OF_PART
            };
            if let Some(proof) = signature.and_then(|it| proof(&it, kind)) {
                self.proof_alone(proof);
            }
            return Ok(());
        }
        if let Some(call) = call {
            return self.call(call, signature.as_deref());
        }
        let whole = match (inline_data, file_data, other) {
            (Some(data), ..) if thought => Some(("inlineData".into(), data)),
            (Some(data), ..) => {
                let read = media::inline(parse(data)?, &mut Extra::default());
                self.whole(Open::Media(read.map_err(|it| it.inside("inlineData"))?));
                None
            }
            (None, Some(data), _) if thought => Some(("fileData".into(), data)),
            (None, Some(data), _) => {
                let read = media::file(parse(data)?, &mut Extra::default());
                self.whole(Open::Media(read.map_err(|it| it.inside("fileData"))?));
                None
            }
            (None, None, other) => other,
        };
        if let Some((key, value)) = whole {
            self.choice.said |= !thought;
            if let Some(opaque) = opaque(&key, value, thought, signature.as_deref()) {
                self.whole(Open::Opaque(opaque));
            }
            return Ok(());
        }
        let kind = if inline_data.is_some() || file_data.is_some() {
            self.choice.said = true;
            SIGNATURE_OF_PART
        } else {
            SIGNATURE
        };
        if let Some(proof) = signature.and_then(|it| proof(&it, kind)) {
            self.proof_alone(proof);
        }
        Ok(())
    }

    fn index(&mut self) -> u32 {
        let index = *self.next_index;
        *self.next_index = index.saturating_add(1);
        index
    }

    fn open(&mut self, part: Open) -> u32 {
        let index = self.index();
        self.out.push(Event::Open {
            index,
            choice: self.choice.number,
            part,
        });
        index
    }

    /// Closes what grows.
    fn close(&mut self) {
        if let Some((index, _)) = self.choice.open.take() {
            self.out.push(Event::Close { index });
        }
    }

    fn say(&mut self, text: String) {
        let index = if let Some((index, Growing::Text)) = self.choice.open {
            index
        } else {
            self.close();
            let index = self.open(Open::Text);
            self.choice.open = Some((index, Growing::Text));
            self.choice.visible.open(index);
            index
        };
        self.choice.said = true;
        self.choice.visible.push(&text);
        self.out.push(Event::Delta {
            index,
            delta: Delta::Text(text),
        });
    }

    fn think(&mut self, text: String) {
        let index = if let Some((index, Growing::Reasoning)) = self.choice.open {
            index
        } else {
            self.close();
            let index = self.open(Open::Reasoning { redacted: false });
            self.choice.open = Some((index, Growing::Reasoning));
            index
        };
        if !text.is_empty() {
            self.out.push(Event::Delta {
                index,
                delta: Delta::Reasoning(text),
            });
        }
    }

    /// The proof of the thought that is open, which it ends.
    fn prove(&mut self, proof: Opaque) {
        if let Some((index, Growing::Reasoning)) = self.choice.open {
            self.out.push(Event::Delta {
                index,
                delta: Delta::Proof(proof),
            });
            self.close();
        }
    }

    /// A proof without a thought. The text that it came on stays open: sources may follow.
    fn proof_alone(&mut self, proof: Opaque) {
        if matches!(self.choice.open, Some((_, Growing::Reasoning))) {
            self.close();
        }
        let index = self.open(Open::Reasoning { redacted: false });
        self.out.push(Event::Delta {
            index,
            delta: Delta::Proof(proof),
        });
        self.out.push(Event::Close { index });
    }

    /// A part that comes in one piece.
    fn whole(&mut self, part: Open) {
        self.close();
        let index = self.open(part);
        self.out.push(Event::Close { index });
    }

    fn call(&mut self, call: Call<'_>, signature: Option<&str>) -> Result<(), Malformed> {
        let goes_on = call.will_continue == Some(true);
        let name = call.name.filter(|name| !name.0.is_empty());
        let Some(Str(name)) = name else {
            // A piece of the call before; an empty one ends it.
            let Some((_, args)) = &mut self.choice.partial else {
                return Ok(());
            };
            if let Some(pieces) = call.partial_args {
                args.add(pieces)?;
            }
            if !goes_on {
                self.end_partial();
            }
            return Ok(());
        };
        self.end_partial();
        self.close();
        self.choice.said = true;
        let ordinal = self.choice.calls;
        self.choice.calls = ordinal.saturating_add(1);
        let id = match call.id {
            Some(Str(id)) if !id.is_empty() => id.into_owned(),
            _ => Mint {
                now: 0,
                id: self.seed ^ fnv128(&name).rotate_left(self.choice.number % 128),
            }
            .id("call_", ordinal),
        };
        let index = self.open(Open::ToolCall {
            id,
            name: name.into_owned(),
            custom: false,
        });
        if let Some(proof) = signature.and_then(|it| proof(it, SIGNATURE)) {
            self.out.push(Event::Delta {
                index,
                delta: Delta::Proof(proof),
            });
        }
        if goes_on || call.partial_args.is_some() {
            let mut args = PartialArgs::new();
            if let Some(pieces) = call.partial_args {
                args.add(pieces)?;
            }
            self.choice.partial = Some((index, args));
            if !goes_on {
                self.end_partial();
            }
            return Ok(());
        }
        let args = call.args.map_or("{}", RawValue::get);
        self.out.push(Event::Delta {
            index,
            delta: Delta::Arguments(one_line(args).into_owned()),
        });
        self.out.push(Event::Close { index });
        Ok(())
    }

    fn end_partial(&mut self) {
        if let Some((index, args)) = self.choice.partial.take() {
            self.out.push(Event::Delta {
                index,
                delta: Delta::Arguments(args.text()),
            });
            self.out.push(Event::Close { index });
        }
    }

    /// Tells the sources. A stream can only tell those of the text that is still open.
    fn cite(&mut self, whole: bool) {
        let open = match self.choice.open {
            Some((index, Growing::Text)) => Some(index),
            _ => None,
        };
        let last = self.choice.visible.parts.last().map(|part| part.index);
        let visible = &self.choice.visible;
        let found = self
            .choice
            .grounding
            .iter()
            .flat_map(|grounding| grounding::citations(grounding, visible))
            .chain(
                self.choice
                    .recitations
                    .iter()
                    .flat_map(|metadata| grounding::recitations(metadata, visible)),
            );
        let mut told = Vec::new();
        for (part, citation) in found {
            let Some(index) = part.or(last).filter(|index| whole || open == Some(*index)) else {
                continue;
            };
            if !told.contains(&(index, citation.clone())) {
                told.push((index, citation));
            }
        }
        self.out
            .extend(told.into_iter().map(|(index, citation)| Event::Delta {
                index,
                delta: Delta::Citation(citation),
            }));
    }
}

impl Writer<'_> {
    /// Tells what was searched for, behind everything else: only then is it known.
    fn tell_search(&mut self) {
        let (queries, pages) = grounding::searched(&self.choice.grounding);
        if !queries.is_empty()
            && let Some(search) = search::grounding(&queries, &pages)
        {
            self.whole(Open::Opaque(search));
        }
    }
}

fn keep(pieces: &mut Vec<Box<RawValue>>, piece: &RawValue) {
    pieces.truncate(MOST_METADATA - 1);
    pieces.push(piece.to_owned());
}

fn parse(raw: &RawValue) -> Result<Node<'_>, Malformed> {
    Node::parse(raw.get().as_bytes())
}

/// A part that only Gemini knows, put together again.
fn opaque(key: &str, value: &RawValue, thought: bool, signature: Option<&str>) -> Option<Opaque> {
    let mut out = Vec::with_capacity(value.get().len() + 64);
    let mut part = Object::new(&mut out);
    part.value(key)
        .extend_from_slice(one_line(value.get()).as_bytes());
    if thought {
        part.bool("thought", true);
    }
    part.some_string("thoughtSignature", signature);
    drop(part);
    Some(Opaque {
        of: DialectId::Gemini,
        kind: key.to_owned(),
        json: json::raw(String::from_utf8(out).ok()?)?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct LogprobsResult<'a> {
    chosen_candidates: Option<Vec<Chosen<'a>>>,
    top_candidates: Option<Vec<Top<'a>>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Top<'a> {
    candidates: Option<Vec<Chosen<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Chosen<'a> {
    token: Option<Str<'a>>,
    log_probability: Option<f64>,
}

fn logprobs(result: &RawValue) -> Result<Vec<TokenLogprob>, Malformed> {
    let result: LogprobsResult<'_> = serde_json::from_str(result.get())
        .map_err(|error| Malformed::new("logprobsResult", error.to_string()))?;
    let mut top = result.top_candidates.unwrap_or_default().into_iter();
    let token =
        |token: Option<Str<'_>>| token.map(|token| token.0.into_owned()).unwrap_or_default();
    Ok(result
        .chosen_candidates
        .unwrap_or_default()
        .into_iter()
        .map(|chosen| TokenLogprob {
            token: token(chosen.token),
            logprob: chosen.log_probability.unwrap_or(0.0),
            bytes: None,
            top: top
                .next()
                .and_then(|top| top.candidates)
                .unwrap_or_default()
                .into_iter()
                .map(|other| TopLogprob {
                    token: token(other.token),
                    logprob: other.log_probability.unwrap_or(0.0),
                    bytes: None,
                })
                .collect(),
        })
        .collect())
}

/// `2026-02-17T17:28:38.496328Z`
fn seconds_since_1970(time: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !time.ends_with('Z') {
        return None;
    }
    // Days of the Gregorian calendar, in years that begin in March.
    let year = if month < 3 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
            - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests;
