//! One choice of a streamed answer: its prose, its calls, its end.

use super::Sink;
use super::call::{Call, CallState};
use super::chunk::{Delta, Piece};
use crate::Malformed;
use crate::chat::answer;
use crate::chat::content::thinking_text;
use crate::chat::details::Details;
use crate::chat::response::image_of;
use crate::hub::{self, Citation, Event, Finish, FinishReason, Open};
use crate::json::Node;

/// More calls than any answer has.
const MOST_CALLS: usize = 512;
/// Citations that may wait for their text.
const MOST_CITATIONS: usize = 512;

#[derive(Debug)]
pub(super) struct ChoiceState {
    pub(super) index: u32,
    /// The open part of prose; calls may be open beside it.
    prose: Option<(u32, Prose)>,
    calls: Vec<Call>,
    pub(super) finish: Option<Finish>,
    /// Something came since: Together says an ending after each of several calls.
    pub(super) resumed: bool,
    refused: bool,
    /// Code points of all texts of this choice, and of those before the open one.
    told: u64,
    base: u64,
    /// Citations that came before their text.
    early: Vec<Citation>,
    details: Details,
    /// Reasoning is told outside of the details.
    plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Reasoning,
    Refusal,
}

impl ChoiceState {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            prose: None,
            calls: Vec::new(),
            finish: None,
            resumed: false,
            refused: false,
            told: 0,
            base: 0,
            early: Vec::new(),
            details: Details::default(),
            plain: false,
        }
    }

    pub(super) fn delta(
        &mut self,
        delta: &Delta<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        if let Some(details) = delta.reasoning_details {
            self.details.add(details);
        }
        let thought = [delta.reasoning_content, delta.reasoning]
            .into_iter()
            .flatten();
        match thought.filter_map(Node::text).find(|text| !text.is_empty()) {
            Some(text) => {
                self.plain = true;
                self.say(Prose::Reasoning, text.into_owned(), sink);
            }
            None => {
                // Details may repeat at their end what was told plainly.
                if let Some(details) = delta
                    .reasoning_details
                    .filter(|details| !self.plain || !answer::detail_proves(*details))
                {
                    self.say(Prose::Reasoning, answer::detail_text(details), sink);
                }
            }
        }
        if let Some(content) = delta.content {
            self.content(content, sink)?;
        }
        if let Some(annotations) = delta.annotations {
            self.cite(answer::citations(annotations), sink);
        }
        for image in delta
            .images
            .and_then(|images| images.elements().ok())
            .unwrap_or_default()
        {
            self.picture(image, sink);
        }
        if let Some(refusal) = delta.refusal.and_then(Node::text) {
            self.refused |= !refusal.is_empty();
            self.say(Prose::Refusal, refusal.into_owned(), sink);
        }
        for piece in delta.tool_calls.iter().flatten() {
            self.piece(piece, sink)?;
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
                self.grow(place, &piece, sink)?;
            }
        }
        Ok(())
    }

    fn content(&mut self, content: Node<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        if let Some(text) = content.text() {
            self.say(Prose::Text, text.into_owned(), sink);
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
                self.say(Prose::Text, text.into_owned(), sink);
                continue;
            }
            let Ok(fields) = part.fields() else {
                continue;
            };
            match fields.get("type").and_then(Node::text).as_deref() {
                Some("thinking" | "reasoning") => {
                    self.say(Prose::Reasoning, thinking_text(&fields), sink);
                }
                Some("image_url") => self.picture(part, sink),
                Some(_) | None => {
                    if let Some(text) = fields.get("text").and_then(Node::text) {
                        self.say(Prose::Text, text.into_owned(), sink);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds to the open prose of this kind, or opens it after closing another. Nothing opens for an empty text.
    fn say(&mut self, kind: Prose, text: String, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let index = match self.prose {
            Some((index, open)) if open == kind => index,
            Some(_) | None => {
                self.hush(sink);
                self.open_named(sink);
                self.retire(sink);
                let part = match kind {
                    Prose::Text => Open::Text,
                    Prose::Reasoning => Open::Reasoning { redacted: false },
                    Prose::Refusal => Open::Refusal,
                };
                let index = sink.open(self.index, part);
                self.prose = Some((index, kind));
                self.base = self.told;
                index
            }
        };
        let delta = match kind {
            Prose::Text => {
                self.told = self.told.saturating_add(answer::length(&text));
                hub::Delta::Text(text)
            }
            Prose::Reasoning => hub::Delta::Reasoning(text),
            Prose::Refusal => hub::Delta::Refusal(text),
        };
        sink.push(Event::Delta { index, delta });
        if kind == Prose::Text && !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            self.cite(early, sink);
        }
    }

    /// Closes the open prose; a thought with its proof, if that has come.
    fn hush(&mut self, sink: &mut Sink<'_>) {
        if let Some((index, kind)) = self.prose.take() {
            if kind == Prose::Reasoning
                && let Some(proof) = self.details.take()
            {
                sink.push(Event::Delta {
                    index,
                    delta: hub::Delta::Proof(proof),
                });
            }
            sink.push(Event::Close { index });
        }
    }

    /// A proof that came without a thought, or after it.
    fn prove(&mut self, sink: &mut Sink<'_>) {
        if let Some(proof) = self.details.take() {
            let index = sink.open(self.index, Open::Reasoning { redacted: false });
            sink.push(Event::Delta {
                index,
                delta: hub::Delta::Proof(proof),
            });
            sink.push(Event::Close { index });
        }
    }

    /// Closes the calls whose arguments have come to their end.
    fn retire(&mut self, sink: &mut Sink<'_>) {
        for call in &mut self.calls {
            if call.balance.complete() {
                call.close(sink);
            }
        }
    }

    /// Tells citations within the open text, in that text's own count.
    fn cite(&mut self, citations: Vec<Citation>, sink: &mut Sink<'_>) {
        let Some((index, Prose::Text)) = self.prose else {
            let room = MOST_CITATIONS.saturating_sub(self.early.len());
            self.early.extend(citations.into_iter().take(room));
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
            sink.push(Event::Delta {
                index,
                delta: hub::Delta::Citation(citation),
            });
        }
    }

    fn picture(&mut self, node: Node<'_>, sink: &mut Sink<'_>) {
        let Some(media) = image_of(node) else {
            return;
        };
        self.hush(sink);
        self.open_named(sink);
        let index = sink.open(self.index, Open::Media(media));
        sink.push(Event::Close { index });
    }

    fn piece(&mut self, piece: &Piece<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let place = self.place_of(piece);
        self.grow(place, piece, sink)
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
            (Some(wire), _) => match self.calls.iter().rposition(|call| call.wire == Some(wire)) {
                // The index of a call that began without one.
                None if !named => {
                    let last = self.calls.len().checked_sub(1);
                    last.filter(|_| self.calls.last().is_some_and(|call| call.wire.is_none()))
                }
                found => found,
            },
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
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        let place = match place {
            Place::At(place) => place,
            Place::New if self.calls.len() < MOST_CALLS => {
                self.open_named(sink);
                self.retire(sink);
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
        let named = call.name.is_empty();
        if let Some(name) = spoken.name.and_then(Node::text) {
            call.hear_name(&name);
        }
        let named = named && !call.name.is_empty();
        if let Some(proof) = piece.extra_content.and_then(answer::thought_signature) {
            call.prove(proof, sink);
        }
        if named {
            // A call ends the prose before it.
            self.hush(sink);
            self.prove(sink);
        }
        let Some(call) = self.calls.get_mut(place) else {
            return Ok(());
        };
        let input = spoken.arguments.or(spoken.input);
        let input = input.map(answer::arguments).unwrap_or_default();
        // Until arguments come, more of the name may.
        if !(input.is_empty() && call.held.is_empty()) {
            call.open_named(self.index, place, sink);
        }
        call.add(input, sink)
    }

    /// Opens the calls that have their name, before something else does.
    fn open_named(&mut self, sink: &mut Sink<'_>) {
        for (place, call) in self.calls.iter_mut().enumerate() {
            call.open_named(self.index, place, sink);
        }
    }

    /// Remembers how the choice ends. Told twice, the more telling word counts.
    pub(super) fn ends(&mut self, finish: Finish) {
        self.resumed = false;
        if finish.reason != FinishReason::Stop || self.finish.is_none() {
            self.finish = Some(finish);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.finish.is_some() && !self.resumed
    }

    pub(super) fn ending(&mut self) -> Finish {
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
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        self.hush(sink);
        self.prove(sink);
        for (place, call) in self.calls.iter_mut().enumerate() {
            if call.name.is_empty() && !call.held.is_empty() {
                "unknown".clone_into(&mut call.name);
            }
            call.open_named(self.index, place, sink);
            call.close(sink);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    At(usize),
    New,
}
