//! The items of a streamed answer: each opens once, grows and closes, whatever its events leave out.

use serde_json::value::RawValue;

use crate::hub::{Delta, Event, Open, TokenLogprob};
use crate::json::{Fields, Node};
use crate::responses::finish::Holds;
use crate::responses::item::{self, Content, SEAM, call_id, content_part, opaque, spoken};
use crate::responses::{citation, output::PHASE};
use crate::{DialectId, Malformed, chat, hub};

/// More items, or parts of one, than any answer has.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Items {
    list: Vec<Item>,
    /// The number of the next part of the hub.
    next: u32,
    pub(super) holds: Holds,
    /// The upstream's id of the answer, from which missing ids of calls are made.
    pub(super) answer: String,
}

#[derive(Debug)]
struct Item {
    output_index: Option<u64>,
    id: String,
    kind: Kind,
    /// All of it was told.
    done: bool,
    /// The last event of the stream has repeated it.
    repeated: bool,
}

#[derive(Debug)]
enum Kind {
    Message {
        phase: Option<Box<RawValue>>,
        parts: Vec<Part>,
    },
    Reasoning {
        index: u32,
        /// The part that was told last, of all that are joined to one text.
        last: Option<(Track, u64)>,
    },
    Call(Call),
    /// Known to this dialect only, or a picture: told when it is done.
    Whole {
        kind: String,
    },
}

/// A part of a message.
#[derive(Debug)]
struct Part {
    content_index: u64,
    /// Number in the hub; `None` before anything was told.
    index: Option<u32>,
    refusal: bool,
    annotations: usize,
    /// Log probabilities were told.
    scored: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Call {
    custom: bool,
    index: Option<u32>,
    /// The id that the result names.
    answers_to: String,
    name: String,
    /// Arguments that came before the name.
    held: String,
    told: bool,
}

/// Which of the two texts of a reasoning item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Track {
    Summary,
    Content,
}

/// Where an event belongs.
#[derive(Debug, Default)]
pub(super) struct Place {
    output_index: Option<u64>,
    item_id: String,
    content_index: u64,
}

impl Place {
    pub(super) fn of(fields: &Fields<'_>) -> Self {
        let id = fields.get("item_id").and_then(Node::text);
        Self {
            output_index: fields.get("output_index").and_then(Node::u64),
            item_id: id.map(Into::into).unwrap_or_default(),
            content_index: fields
                .get("content_index")
                .and_then(Node::u64)
                .unwrap_or_default(),
        }
    }
}

/// What an event says of an open item.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// A whole text; counts if no piece of it came.
    TextDone {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    Refusal(String),
    RefusalDone(String),
    Annotation(Node<'a>),
    PartAdded,
    PartDone(Node<'a>),
    Reasoning(Track, u64, String),
    ReasoningDone(Track, u64, String),
    Arguments {
        text: String,
        custom: bool,
    },
    ArgumentsDone {
        text: String,
        custom: bool,
        name: Option<String>,
    },
}

impl<'a> Piece<'a> {
    /// `kind` without its `response.`; `None` for what tells nothing that is not told elsewhere.
    pub(super) fn of(kind: &str, fields: &Fields<'a>) -> Option<Self> {
        let text = |key: &str| fields.get(key).map(spoken);
        let number = |key: &str| fields.get(key).and_then(Node::u64).unwrap_or_default();
        let logprobs = || {
            let list = fields.get("logprobs");
            list.map(chat::token_logprobs).unwrap_or_default()
        };
        Some(match kind {
            "output_text.delta" => Self::Text {
                text: text("delta")?,
                logprobs: logprobs(),
            },
            "output_text.done" => Self::TextDone {
                text: text("text")?,
                logprobs: logprobs(),
            },
            "refusal.delta" => Self::Refusal(text("delta")?),
            "refusal.done" => Self::RefusalDone(text("refusal")?),
            "output_text.annotation.added" => Self::Annotation(fields.get("annotation")?),
            "content_part.added" => Self::PartAdded,
            "content_part.done" => Self::PartDone(fields.get("part")?),
            "reasoning_summary_text.delta" | "reasoning_summary.delta" => {
                Self::Reasoning(Track::Summary, number("summary_index"), text("delta")?)
            }
            "reasoning_text.delta" | "reasoning.delta" => {
                Self::Reasoning(Track::Content, number("content_index"), text("delta")?)
            }
            "reasoning_summary_text.done" | "reasoning_summary.done" => {
                Self::ReasoningDone(Track::Summary, number("summary_index"), text("text")?)
            }
            "reasoning_summary_part.done" => {
                let part = fields.get("part")?.fields().ok()?;
                let text = part.get("text").map(spoken)?;
                Self::ReasoningDone(Track::Summary, number("summary_index"), text)
            }
            "reasoning_text.done" | "reasoning.done" => {
                Self::ReasoningDone(Track::Content, number("content_index"), text("text")?)
            }
            "function_call_arguments.delta" => Self::Arguments {
                text: text("delta")?,
                custom: false,
            },
            "custom_tool_call_input.delta" => Self::Arguments {
                text: text("delta")?,
                custom: true,
            },
            "function_call_arguments.done" => Self::ArgumentsDone {
                text: text("arguments")?,
                custom: false,
                name: text("name"),
            },
            "custom_tool_call_input.done" => Self::ArgumentsDone {
                text: text("input")?,
                custom: true,
                name: text("name"),
            },
            _ => return None,
        })
    }
}

/// Where events go, and what their parts are numbered by.
struct Sink<'a> {
    next: &'a mut u32,
    out: &'a mut Vec<Event>,
}

impl Sink<'_> {
    fn open(&mut self, part: Open) -> u32 {
        let index = *self.next;
        *self.next = index.saturating_add(1);
        self.out.push(Event::Open {
            index,
            choice: 0,
            part,
        });
        index
    }

    fn delta(&mut self, index: u32, delta: Delta) {
        self.out.push(Event::Delta { index, delta });
    }

    fn close(&mut self, index: u32) {
        self.out.push(Event::Close { index });
    }

    fn score(&mut self, tokens: Vec<TokenLogprob>) {
        if !tokens.is_empty() {
            self.out.push(Event::Logprobs { choice: 0, tokens });
        }
    }
}

impl Items {
    pub(super) fn added(
        &mut self,
        place: &Place,
        node: Node<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let mut fields = node.fields()?;
        let id = text_of(&fields, "id");
        let known = self.list.iter().any(|item| {
            item.output_index == place.output_index
                && place.output_index.is_some()
                && item.kind.is(&item::kind_of(&fields))
                && (id.is_empty() || item.id == id)
        });
        if known {
            return Ok(());
        }
        let kind = item::kind_of(&fields);
        self.holds.calls |= item::is_clients(&kind, &fields);
        let mut sink = Sink {
            next: &mut self.next,
            out,
        };
        let kind = match kind.as_str() {
            "message" => Kind::Message {
                phase: fields.take(PHASE).map(Node::to_raw),
                parts: Vec::new(),
            },
            "reasoning" => Kind::Reasoning {
                index: sink.open(Open::Reasoning { redacted: false }),
                last: None,
            },
            "function_call" | "custom_tool_call" => {
                let mut call = Call {
                    custom: kind == "custom_tool_call",
                    answers_to: call_id(&mut fields).unwrap_or_default(),
                    name: item::name_of(&fields),
                    ..Call::default()
                };
                if call.answers_to.is_empty() {
                    call.answers_to = item::missing_id(&self.answer, self.list.len());
                }
                if !call.name.is_empty() {
                    call.open(&mut sink);
                }
                Kind::Call(call)
            }
            _ => Kind::Whole { kind },
        };
        self.push(place.output_index, id, kind)?;
        Ok(())
    }

    fn push(
        &mut self,
        output_index: Option<u64>,
        id: String,
        kind: Kind,
    ) -> Result<usize, Malformed> {
        if self.list.len() >= MOST {
            return Err(Malformed::new(
                "output_index",
                "more items than any answer has",
            ));
        }
        self.list.push(Item {
            output_index,
            id,
            kind,
            done: false,
            repeated: false,
        });
        Ok(self.list.len() - 1)
    }

    /// The item that an event is about: by its id, by its index, or the last one of its kind. One that was not announced is
    /// begun.
    fn find(
        &mut self,
        place: &Place,
        kind: &str,
        out: &mut Vec<Event>,
    ) -> Result<usize, Malformed> {
        let fits = |item: &Item| !item.done && item.kind.is(kind);
        let by_id = || {
            self.list
                .iter()
                .rposition(|item| fits(item) && !item.id.is_empty() && item.id == place.item_id)
        };
        let by_index = || {
            let index = place.output_index?;
            self.list
                .iter()
                .rposition(|item| fits(item) && item.output_index == Some(index))
        };
        let last = || {
            let lost = place.output_index.is_none();
            self.list.iter().rposition(|item| lost && fits(item))
        };
        if let Some(found) = by_id().or_else(by_index).or_else(last) {
            return Ok(found);
        }
        let mut sink = Sink {
            next: &mut self.next,
            out,
        };
        let begun = match kind {
            "reasoning" => Kind::Reasoning {
                index: sink.open(Open::Reasoning { redacted: false }),
                last: None,
            },
            "function_call" | "custom_tool_call" => {
                self.holds.calls = true;
                Kind::Call(Call {
                    custom: kind == "custom_tool_call",
                    ..Call::default()
                })
            }
            _ => Kind::Message {
                phase: None,
                parts: Vec::new(),
            },
        };
        self.push(place.output_index, place.item_id.clone(), begun)
    }

    pub(super) fn piece(
        &mut self,
        place: &Place,
        piece: Piece<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let kind = match &piece {
            Piece::Text { .. }
            | Piece::TextDone { .. }
            | Piece::Refusal(_)
            | Piece::RefusalDone(_)
            | Piece::Annotation(_) => "message",
            // Also said of reasoning that is no summary; nothing is known from it alone.
            Piece::PartAdded | Piece::PartDone(_) => {
                let known = self.list.iter().any(|item| {
                    item.kind.is("message")
                        && (item.id == place.item_id || item.output_index == place.output_index)
                });
                if !known {
                    return Ok(());
                }
                "message"
            }
            Piece::Reasoning(..) | Piece::ReasoningDone(..) => "reasoning",
            Piece::Arguments { custom, .. } | Piece::ArgumentsDone { custom, .. } => {
                if *custom {
                    "custom_tool_call"
                } else {
                    "function_call"
                }
            }
        };
        // What is done says nothing more.
        let over = self.list.iter().any(|item| {
            item.done
                && item.kind.is(kind)
                && (!place.item_id.is_empty() && item.id == place.item_id
                    || place.output_index.is_some() && item.output_index == place.output_index)
        });
        if over {
            return Ok(());
        }
        let found = self.find(place, kind, out)?;
        let mut sink = Sink {
            next: &mut self.next,
            out,
        };
        let Some(item) = self.list.get_mut(found) else {
            return Ok(());
        };
        match &mut item.kind {
            Kind::Message { phase, parts } => {
                let phase = phase.as_deref();
                match piece {
                    Piece::PartAdded => {
                        for part in parts.iter_mut() {
                            if part.content_index < place.content_index {
                                part.close(&mut sink);
                            }
                        }
                    }
                    Piece::Text { text, logprobs } => {
                        let part = part_at(parts, place.content_index, false)?;
                        part.say(text, phase, &mut sink);
                        part.score(logprobs, &mut sink);
                    }
                    Piece::TextDone { text, logprobs } => {
                        let part = part_at(parts, place.content_index, false)?;
                        if part.index.is_none() {
                            part.say(text, phase, &mut sink);
                        }
                        if !part.scored {
                            part.score(logprobs, &mut sink);
                        }
                    }
                    Piece::Refusal(text) => {
                        self.holds.refusal = true;
                        part_at(parts, place.content_index, true)?.say(text, phase, &mut sink);
                    }
                    Piece::RefusalDone(text) => {
                        self.holds.refusal = true;
                        let part = part_at(parts, place.content_index, true)?;
                        if part.index.is_none() {
                            part.say(text, phase, &mut sink);
                        }
                    }
                    Piece::Annotation(node) => {
                        let part = part_at(parts, place.content_index, false)?;
                        part.cite(node, &mut sink);
                    }
                    Piece::PartDone(node) => {
                        self.holds.refusal |=
                            fill(parts, place.content_index, node, phase, &mut sink)?;
                    }
                    Piece::Reasoning(..)
                    | Piece::ReasoningDone(..)
                    | Piece::Arguments { .. }
                    | Piece::ArgumentsDone { .. } => {}
                }
            }
            Kind::Reasoning { index, last } => match piece {
                Piece::Reasoning(track, number, text) => {
                    think(*index, last, (track, number), text, &mut sink);
                }
                Piece::ReasoningDone(track, number, text) => {
                    // Told already, or another telling of the same.
                    let told = last.is_some_and(|(known, upto)| known != track || number <= upto);
                    if !told {
                        think(*index, last, (track, number), text, &mut sink);
                    }
                }
                _ => {}
            },
            Kind::Call(call) => match piece {
                Piece::Arguments { text, .. } => call.add(text, &mut sink)?,
                Piece::ArgumentsDone { text, name, .. } => {
                    if let Some(name) = name.filter(|_| call.name.is_empty()) {
                        call.name = name;
                    }
                    if !call.told && call.held.is_empty() {
                        call.add(text, &mut sink)?;
                    }
                }
                _ => {}
            },
            Kind::Whole { .. } => {}
        }
        Ok(())
    }

    /// An item as it is in the end: what was not told of it is told, and it closes.
    pub(super) fn done(
        &mut self,
        place: &Place,
        node: Node<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let fields = node.fields()?;
        let kind = item::kind_of(&fields);
        let id = text_of(&fields, "id");
        let over = |item: &Item| {
            item.done
                && item.kind.is(&kind)
                && (!id.is_empty() && item.id == id
                    || place.output_index.is_some() && item.output_index == place.output_index)
        };
        if self.list.iter().any(over) {
            return Ok(());
        }
        let fits = |item: &Item| !item.done && item.kind.is(&kind);
        let by_id = self
            .list
            .iter()
            .position(|item| fits(item) && !id.is_empty() && item.id == id);
        let by_index = || {
            self.list.iter().position(|item| {
                fits(item)
                    && (place.output_index.is_none() || item.output_index == place.output_index)
            })
        };
        match by_id.or_else(by_index) {
            Some(found) => self.settle(found, node, out),
            None => self.whole(place.output_index, node, out).map(|_| ()),
        }
    }

    /// An item that the last event repeats.
    pub(super) fn repeated(
        &mut self,
        index: usize,
        node: Node<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let Ok(mut fields) = node.fields() else {
            return Ok(());
        };
        let kind = item::kind_of(&fields);
        let id = text_of(&fields, "id");
        let call = call_id(&mut fields).unwrap_or_default();
        let fits = |item: &Item| !item.repeated && item.kind.is(&kind);
        let same = |item: &Item| {
            let same_call = match &item.kind {
                Kind::Call(known) => known.answers_to == call,
                Kind::Message { .. } | Kind::Reasoning { .. } | Kind::Whole { .. } => false,
            };
            fits(item) && (same_call || !id.is_empty() && item.id == id)
        };
        let index = u64::try_from(index).ok();
        let found = self
            .list
            .iter()
            .position(same)
            .or_else(|| {
                let at = |item: &Item| fits(item) && item.output_index == index;
                self.list.iter().position(at)
            })
            .or_else(|| self.list.iter().position(fits));
        let found = match found {
            Some(found) => {
                let over = self.list.get(found).is_some_and(|item| item.done);
                if !over {
                    self.settle(found, node, out)?;
                }
                found
            }
            None => self.whole(index, node, out)?,
        };
        if let Some(item) = self.list.get_mut(found) {
            item.repeated = true;
        }
        Ok(())
    }

    /// An item of which nothing came before.
    fn whole(
        &mut self,
        output_index: Option<u64>,
        node: Node<'_>,
        out: &mut Vec<Event>,
    ) -> Result<usize, Malformed> {
        let place = Place {
            output_index,
            ..Place::default()
        };
        let before = self.list.len();
        self.added(&place, node, out)?;
        if self.list.len() > before {
            self.settle(before, node, out)?;
        }
        Ok(before)
    }

    fn settle(
        &mut self,
        found: usize,
        node: Node<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let mut fields = node.fields()?;
        let mut sink = Sink {
            next: &mut self.next,
            out,
        };
        let Some(item) = self.list.get_mut(found) else {
            return Ok(());
        };
        item.done = true;
        match &mut item.kind {
            Kind::Message { phase, parts } => {
                if let Some(told) = fields.take(PHASE) {
                    phase.get_or_insert_with(|| told.to_raw());
                }
                let content = fields
                    .get("content")
                    .and_then(|list| list.one_or_many().ok());
                for (at, part) in content.unwrap_or_default().into_iter().enumerate() {
                    let at = u64::try_from(at).unwrap_or(u64::MAX);
                    self.holds.refusal |= fill(parts, at, part, phase.as_deref(), &mut sink)?;
                }
                for part in parts {
                    part.close(&mut sink);
                }
            }
            Kind::Reasoning { index, last } => {
                let text = item::reasoning_text(&fields);
                if last.is_none() && !text.is_empty() {
                    sink.delta(*index, Delta::Reasoning(text));
                }
                sink.delta(*index, Delta::Proof(opaque(node, "reasoning")));
                sink.close(*index);
            }
            Kind::Call(call) => {
                if call.name.is_empty() {
                    call.name = item::name_of(&fields);
                }
                let id = call_id(&mut fields).unwrap_or_default();
                if call.answers_to.is_empty() {
                    call.answers_to = id;
                }
                let said = fields.get(if call.custom { "input" } else { "arguments" });
                if !call.told && call.held.is_empty() {
                    call.add(said.map(spoken).unwrap_or_default(), &mut sink)?;
                }
                call.close(&self.answer, found, &mut sink);
            }
            Kind::Whole { kind } => {
                let part = match item::picture(&mut fields) {
                    Some(media) if kind == "image_generation_call" => Open::Media(media),
                    Some(_) | None => Open::Opaque(opaque(node, kind.as_str())),
                };
                let index = sink.open(part);
                sink.close(index);
            }
        }
        Ok(())
    }

    /// Closes what is still open.
    pub(super) fn close_all(&mut self, out: &mut Vec<Event>) {
        let mut sink = Sink {
            next: &mut self.next,
            out,
        };
        for (place, item) in self.list.iter_mut().enumerate() {
            if item.done {
                continue;
            }
            item.done = true;
            match &mut item.kind {
                Kind::Message { parts, .. } => {
                    for part in parts {
                        part.close(&mut sink);
                    }
                }
                Kind::Reasoning { index, .. } => sink.close(*index),
                Kind::Call(call) => call.close(&self.answer, place, &mut sink),
                Kind::Whole { .. } => {}
            }
        }
    }
}

impl Kind {
    fn is(&self, kind: &str) -> bool {
        match self {
            Self::Message { .. } => kind == "message",
            Self::Reasoning { .. } => kind == "reasoning",
            Self::Call(call) if call.custom => kind == "custom_tool_call",
            Self::Call(_) => kind == "function_call",
            Self::Whole { kind: own } => own == kind,
        }
    }
}

fn text_of(fields: &Fields<'_>, key: &str) -> String {
    let text = fields.get(key).and_then(Node::text);
    text.map(Into::into).unwrap_or_default()
}

fn part_at(
    parts: &mut Vec<Part>,
    content_index: u64,
    refusal: bool,
) -> Result<&mut Part, Malformed> {
    let known = parts
        .iter()
        .position(|part| part.content_index == content_index && part.refusal == refusal);
    let at = match known {
        Some(at) => at,
        None if parts.len() < MOST => {
            parts.push(Part {
                content_index,
                index: None,
                refusal,
                annotations: 0,
                scored: false,
                closed: false,
            });
            parts.len() - 1
        }
        None => {
            return Err(Malformed::new(
                "content_index",
                "more parts than any message has",
            ));
        }
    };
    parts
        .get_mut(at)
        .ok_or_else(|| Malformed::new("content_index", "is out of order"))
}

/// Tells what was not told of a part; says whether it is a refusal.
fn fill(
    parts: &mut Vec<Part>,
    content_index: u64,
    node: Node<'_>,
    phase: Option<&RawValue>,
    sink: &mut Sink<'_>,
) -> Result<bool, Malformed> {
    match content_part(node) {
        Some(Content::Text(text, logprobs)) => {
            let part = part_at(parts, content_index, false)?;
            if part.index.is_none() {
                part.say(text.text, phase, sink);
            }
            if !part.scored {
                part.score(logprobs, sink);
            }
            let told = part.annotations;
            for citation in text.citations.into_iter().skip(told) {
                part.tell(citation, sink);
            }
            Ok(false)
        }
        Some(Content::Refusal(text)) => {
            let part = part_at(parts, content_index, true)?;
            if part.index.is_none() {
                part.say(text, phase, sink);
            }
            Ok(true)
        }
        None => Ok(false),
    }
}

impl Part {
    fn say(&mut self, text: String, phase: Option<&RawValue>, sink: &mut Sink<'_>) {
        if text.is_empty() || self.closed {
            return;
        }
        let index = self.open(phase, sink);
        let delta = if self.refusal {
            Delta::Refusal(text)
        } else {
            Delta::Text(text)
        };
        sink.delta(index, delta);
    }

    fn open(&mut self, phase: Option<&RawValue>, sink: &mut Sink<'_>) -> u32 {
        if let Some(index) = self.index {
            return index;
        }
        let part = if self.refusal {
            Open::Refusal
        } else {
            Open::Text
        };
        let index = sink.open(part);
        self.index = Some(index);
        if let Some(phase) = phase.filter(|_| !self.refusal) {
            let proof = hub::Opaque {
                of: DialectId::Responses,
                kind: PHASE.to_owned(),
                json: phase.to_owned(),
            };
            sink.delta(index, Delta::Proof(proof));
        }
        index
    }

    fn cite(&mut self, node: Node<'_>, sink: &mut Sink<'_>) {
        if let Some(citation) = citation::read(node) {
            self.tell(citation, sink);
        }
    }

    fn tell(&mut self, citation: hub::Citation, sink: &mut Sink<'_>) {
        self.annotations += 1;
        if !self.closed
            && let Some(index) = self.index
        {
            sink.delta(index, Delta::Citation(citation));
        }
    }

    fn score(&mut self, tokens: Vec<TokenLogprob>, sink: &mut Sink<'_>) {
        self.scored |= !tokens.is_empty();
        sink.score(tokens);
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if !self.closed
            && let Some(index) = self.index
        {
            sink.close(index);
        }
        self.closed = true;
    }
}

fn think(
    index: u32,
    last: &mut Option<(Track, u64)>,
    place: (Track, u64),
    text: String,
    sink: &mut Sink<'_>,
) {
    if text.is_empty() {
        return;
    }
    if last.is_some_and(|last| last != place) {
        sink.delta(index, Delta::Reasoning(SEAM.to_owned()));
    }
    *last = Some(place);
    sink.delta(index, Delta::Reasoning(text));
}

impl Call {
    /// Arguments that may wait for the name of their call.
    const MOST_HELD: usize = 16 << 20;

    fn open(&mut self, sink: &mut Sink<'_>) {
        if self.index.is_some() {
            return;
        }
        let index = sink.open(Open::ToolCall {
            id: self.answers_to.clone(),
            name: self.name.clone(),
            custom: self.custom,
        });
        self.index = Some(index);
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.told = true;
            sink.delta(index, Delta::Arguments(held));
        }
    }

    fn add(&mut self, text: String, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        if text.is_empty() {
            return Ok(());
        }
        match self.index {
            Some(index) => {
                self.told = true;
                sink.delta(index, Delta::Arguments(text));
            }
            None if self.held.len() + text.len() > Self::MOST_HELD => {
                return Err(Malformed::new("item.name", "is required"));
            }
            None => self.held.push_str(&text),
        }
        Ok(())
    }

    fn close(&mut self, answer: &str, place: usize, sink: &mut Sink<'_>) {
        if self.answers_to.is_empty() {
            self.answers_to = item::missing_id(answer, place);
        }
        if self.name.is_empty() {
            "unknown".clone_into(&mut self.name);
        }
        self.open(sink);
        if let Some(index) = self.index {
            sink.close(index);
        }
    }
}
