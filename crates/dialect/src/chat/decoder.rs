//! Reads one streamed answer. Servers of this dialect leave out, repeat and reorder much; what comes out is in order.

use serde::Deserialize;

use super::answer::{self, Counts};
use super::content::{arguments, thinking_text};
use super::response::image_of;
use crate::error;
use crate::framing::Frame;
use crate::hub::{Citation, Delta as HubDelta, Event, Finish, FinishReason, Opaque, Open, Usage};
use crate::json::Node;
use crate::{ApiError, Decoder, Malformed};

/// The most choices that OpenAI gives.
const MOST_CHOICES: usize = 128;
/// More calls than any answer has.
const MOST_CALLS: usize = 512;
/// Bytes of arguments that may wait for the name of their call.
const MOST_HELD: usize = 1 << 20;

/// Keys whose values are rarely there, and texts of any shape, are left as spans and read where they are wanted.
#[derive(Debug, Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Node<'a>>,
    #[serde(borrow, default)]
    model: Option<Node<'a>>,
    #[serde(borrow, default)]
    created: Option<Node<'a>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<Node<'a>>,
    #[serde(borrow, default)]
    x_groq: Option<Node<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Node<'a>>,
    #[serde(borrow, default)]
    error: Option<Node<'a>>,
    #[serde(borrow, default)]
    base_resp: Option<Node<'a>>,
}

#[derive(Debug, Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    index: Option<Node<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    /// A whole answer in place of a piece.
    #[serde(borrow, default)]
    message: Option<Node<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Node<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<Node<'a>>,
    #[serde(borrow, default)]
    error: Option<Node<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Node<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Node<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Node<'a>>,
    #[serde(borrow, default)]
    reasoning_details: Option<Node<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Node<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Piece<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
    #[serde(borrow, default)]
    annotations: Option<Node<'a>>,
    #[serde(borrow, default)]
    images: Option<Node<'a>>,
}

/// A piece of a tool call.
#[derive(Debug, Deserialize)]
struct Piece<'a> {
    #[serde(borrow, default)]
    index: Option<Node<'a>>,
    #[serde(borrow, default)]
    id: Option<Node<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Node<'a>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(borrow, default)]
    custom: Option<Function<'a>>,
    #[serde(borrow, default)]
    extra_content: Option<Node<'a>>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Node<'a>>,
    #[serde(borrow, default)]
    arguments: Option<Node<'a>>,
    #[serde(borrow, default)]
    input: Option<Node<'a>>,
}

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
        let chunk: Chunk<'_> = serde_json::from_str(data).map_err(|error| {
            Malformed::new("", format!("not a chunk of a chat stream: {error}"))
        })?;
        if let Some(error) = failure(&chunk, frame)? {
            self.phase = Phase::Over;
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
            for choice in &mut self.choices {
                choice.close(&mut self.next, &self.id, out);
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
        return Ok(Some(ApiError::decode(500, frame.data.as_bytes())));
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
            self.counts.read(usage);
            let usage = self.counts.usage();
            if self.usage != Some(usage) {
                self.usage = Some(usage);
                out.push(Event::Usage(usage));
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let index = choice.index.and_then(Node::u64).unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let place = self.choices.iter().position(|state| state.choice == index);
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
        let (next, id) = (&mut self.next, self.id.as_str());
        let told = out.len();
        match (choice.delta, choice.message) {
            (Some(delta), _) => state.delta(&delta, next, id, out)?,
            (None, Some(message)) => {
                let delta: Delta<'_> = serde_json::from_str(message.raw()).map_err(|error| {
                    Malformed::new("choices.message", format!("not a message: {error}"))
                })?;
                state.delta(&delta, next, id, out)?;
            }
            (None, None) => {}
        }
        state.resumed |= out.len() > told;
        if let Some(tokens) = choice
            .logprobs
            .map(answer::logprobs)
            .filter(|tokens| !tokens.is_empty())
        {
            out.push(Event::Logprobs {
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
        for choice in &mut self.choices {
            choice.close(&mut self.next, &self.id, out);
            out.push(Event::Finish {
                choice: choice.choice,
                finish: choice.ending(),
            });
        }
    }
}

#[derive(Debug)]
struct ChoiceState {
    choice: u32,
    /// The open part of prose; calls may be open beside it.
    prose: Option<(u32, Prose)>,
    calls: Vec<Call>,
    finish: Option<Finish>,
    /// Something came since: Together says an ending after each of several calls.
    resumed: bool,
    refused: bool,
    /// Code points of all texts of this choice, and of those before the open one.
    told: u64,
    base: u64,
    /// Citations that came before their text.
    early: Vec<Citation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Reasoning,
    Refusal,
}

impl ChoiceState {
    fn new(choice: u32) -> Self {
        Self {
            choice,
            prose: None,
            calls: Vec::new(),
            finish: None,
            resumed: false,
            refused: false,
            told: 0,
            base: 0,
            early: Vec::new(),
        }
    }

    fn delta(
        &mut self,
        delta: &Delta<'_>,
        next: &mut u32,
        answer: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let thought = [delta.reasoning_content, delta.reasoning]
            .into_iter()
            .flatten();
        match thought.filter_map(Node::text).find(|text| !text.is_empty()) {
            Some(text) => self.say(Prose::Reasoning, text.into_owned(), next, out),
            None => {
                if let Some(details) = delta.reasoning_details {
                    self.say(Prose::Reasoning, answer::detail_text(details), next, out);
                }
            }
        }
        if let Some(content) = delta.content {
            self.content(content, next, out)?;
        }
        if let Some(annotations) = delta.annotations {
            self.cite(answer::citations(annotations), out);
        }
        for image in delta
            .images
            .and_then(|images| images.elements().ok())
            .unwrap_or_default()
        {
            self.picture(image, next, out);
        }
        if let Some(refusal) = delta.refusal.and_then(Node::text) {
            self.refused |= !refusal.is_empty();
            self.say(Prose::Refusal, refusal.into_owned(), next, out);
        }
        for piece in delta.tool_calls.iter().flatten() {
            self.piece(piece, next, answer, out)?;
        }
        if let Some(function) = delta.function_call {
            // Of this older form there is one at most.
            let piece = Piece {
                index: None,
                id: None,
                kind: None,
                function: Some(function),
                custom: None,
                extra_content: None,
            };
            let place = if self.calls.is_empty() {
                Place::New
            } else {
                Place::At(0)
            };
            if function.name.is_some() || function.arguments.is_some() {
                self.grow(place, &piece, next, answer, out)?;
            }
        }
        Ok(())
    }

    fn content(
        &mut self,
        content: Node<'_>,
        next: &mut u32,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        if let Some(text) = content.text() {
            self.say(Prose::Text, text.into_owned(), next, out);
            return Ok(());
        }
        if !content.is_array() {
            return Err(Malformed::new(
                "choices.delta.content",
                format!(
                    "expected a string or an array of parts, got {}",
                    content.kind()
                ),
            ));
        }
        for part in content.elements()? {
            if let Some(text) = part.text() {
                self.say(Prose::Text, text.into_owned(), next, out);
                continue;
            }
            let Ok(fields) = part.fields() else {
                continue;
            };
            match fields.get("type").and_then(Node::text).as_deref() {
                Some("thinking" | "reasoning") => {
                    self.say(Prose::Reasoning, thinking_text(&fields), next, out);
                }
                Some("image_url") => self.picture(part, next, out),
                Some(_) | None => {
                    if let Some(text) = fields.get("text").and_then(Node::text) {
                        self.say(Prose::Text, text.into_owned(), next, out);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds to the open prose of this kind, or opens it after closing another. Nothing opens for an empty text.
    fn say(&mut self, kind: Prose, text: String, next: &mut u32, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let index = match self.prose {
            Some((index, open)) if open == kind => index,
            Some(_) | None => {
                self.hush(out);
                self.retire(out);
                let part = match kind {
                    Prose::Text => Open::Text,
                    Prose::Reasoning => Open::Reasoning { redacted: false },
                    Prose::Refusal => Open::Refusal,
                };
                let index = open(self.choice, part, next, out);
                self.prose = Some((index, kind));
                self.base = self.told;
                index
            }
        };
        let delta = match kind {
            Prose::Text => {
                self.told = self.told.saturating_add(answer::length(&text));
                HubDelta::Text(text)
            }
            Prose::Reasoning => HubDelta::Reasoning(text),
            Prose::Refusal => HubDelta::Refusal(text),
        };
        out.push(Event::Delta { index, delta });
        if kind == Prose::Text && !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            self.cite(early, out);
        }
    }

    /// Closes the open prose.
    fn hush(&mut self, out: &mut Vec<Event>) {
        if let Some((index, _)) = self.prose.take() {
            out.push(Event::Close { index });
        }
    }

    /// Closes the calls whose arguments have come to their end.
    fn retire(&mut self, out: &mut Vec<Event>) {
        for call in &mut self.calls {
            if call.balance.complete() {
                call.close(out);
            }
        }
    }

    /// Tells citations within the open text, in that text's own count.
    fn cite(&mut self, citations: Vec<Citation>, out: &mut Vec<Event>) {
        let Some((index, Prose::Text)) = self.prose else {
            self.early.extend(
                citations
                    .into_iter()
                    .take(MOST_CALLS - self.early.len().min(MOST_CALLS)),
            );
            return;
        };
        for mut citation in citations {
            citation.span = citation
                .span
                .map(|(start, end)| {
                    (
                        start.saturating_sub(self.base),
                        end.saturating_sub(self.base),
                    )
                })
                .filter(|(start, end)| start < end);
            out.push(Event::Delta {
                index,
                delta: HubDelta::Citation(citation),
            });
        }
    }

    fn picture(&mut self, node: Node<'_>, next: &mut u32, out: &mut Vec<Event>) {
        let Some(media) = image_of(node) else {
            return;
        };
        self.hush(out);
        let index = open(self.choice, Open::Media(media), next, out);
        out.push(Event::Close { index });
    }

    fn piece(
        &mut self,
        piece: &Piece<'_>,
        next: &mut u32,
        answer: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let place = self.place_of(piece);
        self.grow(place, piece, next, answer, out)
    }

    /// Which call a piece belongs to. Some servers give no index, or the same to every call, or a new id to every piece.
    fn place_of(&self, piece: &Piece<'_>) -> Place {
        let id = piece.id.and_then(Node::text).filter(|id| !id.is_empty());
        let function = piece.function.or(piece.custom).unwrap_or_default();
        let named = function
            .name
            .and_then(Node::text)
            .is_some_and(|name| !name.is_empty());
        let wire = piece.index.and_then(Node::u64);
        let found = match (wire, &id) {
            (Some(wire), _) => self.calls.iter().rposition(|call| call.wire == Some(wire)),
            (None, Some(id)) => match self.calls.iter().rposition(|call| call.id == **id) {
                // The id of a call that began without one.
                None if !named => self.calls.len().checked_sub(1),
                found => found,
            },
            (None, None) if named => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        let Some((place, call)) = found.and_then(|place| Some((place, self.calls.get(place)?)))
        else {
            return Place::New;
        };
        let other = id.is_some_and(|id| !call.id.is_empty() && call.id != *id);
        let adds = function
            .arguments
            .is_some_and(|arguments| arguments.raw().len() > 2);
        let ended = call.balance.complete() || !call.balance.begun;
        if named && !call.name.is_empty() && (other && ended || adds && call.balance.complete()) {
            Place::New
        } else {
            Place::At(place)
        }
    }

    fn grow(
        &mut self,
        place: Place,
        piece: &Piece<'_>,
        next: &mut u32,
        answer: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let place = match place {
            Place::At(place) => place,
            Place::New if self.calls.len() < MOST_CALLS => {
                self.retire(out);
                self.calls.push(Call {
                    wire: piece.index.and_then(Node::u64),
                    ..Call::default()
                });
                self.calls.len() - 1
            }
            Place::New => {
                return Err(Malformed::new(
                    "tool_calls",
                    "more calls than any answer has",
                ));
            }
        };
        let choice = self.choice;
        // A call ends the prose before it; the pieces of one that is open already do not.
        if self
            .calls
            .get(place)
            .is_some_and(|call| call.state == CallState::Waiting)
        {
            self.hush(out);
        }
        let Some(call) = self.calls.get_mut(place) else {
            return Ok(());
        };
        call.custom |= piece.kind.and_then(Node::text).as_deref() == Some("custom")
            || piece.function.is_none() && piece.custom.is_some();
        if call.id.is_empty()
            && let Some(id) = piece.id.and_then(Node::text)
        {
            call.id = id.into_owned();
        }
        let spoken = if call.custom {
            piece.custom
        } else {
            piece.function
        }
        .unwrap_or_default();
        if call.name.is_empty()
            && let Some(name) = spoken.name.and_then(Node::text)
        {
            call.name = name.into_owned();
        }
        if let Some(proof) = piece.extra_content.and_then(answer::thought_signature) {
            call.proof = Some(proof);
        }
        if call.state == CallState::Waiting && !call.name.is_empty() {
            call.open(choice, answer::call_id(answer, choice, place), next, out);
        }
        let Some(input) = spoken.arguments.or(spoken.input) else {
            return Ok(());
        };
        let text = arguments(input)
            .map_err(|fault| fault.inside("choices.delta.tool_calls.function.arguments"))?;
        call.add(text, out)
    }

    /// Remembers how the choice ends. Told twice, the more telling word counts.
    fn ends(&mut self, finish: Finish) {
        self.resumed = false;
        if finish.reason != FinishReason::Stop || self.finish.is_none() {
            self.finish = Some(finish);
        }
    }

    fn is_over(&self) -> bool {
        self.finish.is_some() && !self.resumed
    }

    fn ending(&mut self) -> Finish {
        let calls = self
            .calls
            .iter()
            .any(|call| call.state != CallState::Waiting);
        let said = self
            .finish
            .take()
            .unwrap_or_else(|| FinishReason::Stop.into());
        answer::settle(said, calls, self.refused)
    }

    /// Closes whatever is open; a call that never got its name gets one.
    fn close(&mut self, next: &mut u32, answer: &str, out: &mut Vec<Event>) {
        self.hush(out);
        for (place, call) in self.calls.iter_mut().enumerate() {
            if call.state == CallState::Waiting && !call.held.is_empty() {
                "unknown".clone_into(&mut call.name);
                call.open(
                    self.choice,
                    answer::call_id(answer, self.choice, place),
                    next,
                    out,
                );
            }
            call.close(out);
        }
    }
}

/// Opens a part and gives its index.
fn open(choice: u32, part: Open, next: &mut u32, out: &mut Vec<Event>) -> u32 {
    let index = *next;
    *next = next.saturating_add(1);
    out.push(Event::Open {
        index,
        choice,
        part,
    });
    index
}

#[derive(Debug, Clone, Copy)]
enum Place {
    At(usize),
    New,
}

/// One tool call on its way.
#[derive(Debug, Default)]
struct Call {
    /// The server's index, which need not be dense or even its own.
    wire: Option<u64>,
    id: String,
    name: String,
    custom: bool,
    state: CallState,
    /// Arguments that came before the name.
    held: String,
    balance: Balance,
    proof: Option<Opaque>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CallState {
    /// For its name.
    #[default]
    Waiting,
    Open(u32),
    Closed,
}

impl Call {
    fn open(&mut self, choice: u32, id: String, next: &mut u32, out: &mut Vec<Event>) {
        let id = if self.id.is_empty() {
            id
        } else {
            self.id.clone()
        };
        let part = Open::ToolCall {
            id,
            name: self.name.clone(),
            custom: self.custom,
        };
        let index = open(choice, part, next, out);
        self.state = CallState::Open(index);
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            out.push(Event::Delta {
                index,
                delta: HubDelta::Arguments(held),
            });
        }
    }

    fn add(&mut self, text: String, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.custom {
            self.balance.feed(&text);
        }
        match self.state {
            CallState::Open(index) => out.push(Event::Delta {
                index,
                delta: HubDelta::Arguments(text),
            }),
            CallState::Waiting if self.held.len() + text.len() > MOST_HELD => {
                return Err(Malformed::new("tool_calls", "a tool call without a name"));
            }
            CallState::Waiting => self.held.push_str(&text),
            // Whole already: only white space can follow.
            CallState::Closed => {}
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        let CallState::Open(index) = self.state else {
            return;
        };
        if let Some(proof) = self.proof.take() {
            out.push(Event::Delta {
                index,
                delta: HubDelta::Proof(proof),
            });
        }
        out.push(Event::Close { index });
        self.state = CallState::Closed;
    }
}

/// Whether pieces of JSON text, one after the other, have come to the end of one object.
#[derive(Debug, Default, Clone, Copy)]
struct Balance {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Balance {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn complete(self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}
