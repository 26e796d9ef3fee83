//! Writes a stream: items one after the other, each announced, told and repeated, and all of them again at the end.

use serde_json::value::RawValue;

use super::citation;
use super::finish::Status;
use super::object::{self, Said};
use super::output::{self, Call, PHASE, Text};
use super::response::failure;
use crate::hub::{Delta, Event, Finish, FinishReason, Open, TokenLogprob, Usage};
use crate::json::{Array, Object, compact, escape_into};
use crate::search::{self, Search};
use crate::stream::Told;
use crate::{ApiError, DialectId, Encoder, ErrorKind, Reply, chat};

/// The state of one streamed answer.
#[derive(Debug)]
pub(super) struct ResponsesEncoder {
    reply: Reply,
    /// The upstream's id, until the answer begins; then the answer's.
    id: Option<String>,
    created: Option<i64>,
    state: State,
    /// The number of the next event.
    sequence: u64,
    /// What every response object repeats of the request.
    repeated: Vec<u8>,
    /// The response object of an answer that someone else began.
    begun: Option<Box<RawValue>>,
    /// The items that are done, joined by commas.
    output: Vec<u8>,
    /// About how many bytes are held of the item that is being told.
    held: usize,
    /// The number of the next item.
    next: u64,
    item: Item,
    /// The part that the hub has open, and whether it is told.
    part: Option<u32>,
    /// Everything of a delta before its text, for the open part.
    head: Vec<u8>,
    usage: Option<Usage>,
    tier: Option<String>,
    finish: Option<Finish>,
    refused: bool,
    /// Why the rest of the answer is not told.
    gave_up: Option<ApiError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Begun,
    /// The last event was told: nothing more is written.
    Ended,
}

/// The item that is being told.
#[derive(Debug)]
enum Item {
    None,
    Message(Message),
    Reasoning(Reasoning),
    Call {
        call: Call,
        arguments: String,
        begun: bool,
    },
    /// Tells nothing until it is known whole.
    Left,
}

/// Stays open from one text to the next.
#[derive(Debug)]
struct Message {
    id: String,
    phase: Option<Box<RawValue>>,
    announced: bool,
    /// The parts that are done, joined by commas.
    content: Vec<u8>,
    parts: u64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    None,
    Text {
        text: Text,
        /// Characters of it.
        length: u64,
        /// Annotations of it.
        count: u64,
        begun: bool,
    },
    Refusal {
        text: String,
        begun: bool,
    },
}

#[derive(Debug)]
struct Reasoning {
    id: String,
    text: String,
    announced: bool,
    own: Option<Box<RawValue>>,
}

impl ResponsesEncoder {
    /// The most bytes of an answer, which its last event repeats.
    const LIMIT: usize = 64 << 20;

    pub(super) fn new(reply: &Reply) -> Self {
        Self {
            reply: reply.clone(),
            id: None,
            created: None,
            state: State::Idle,
            sequence: 0,
            repeated: Vec::new(),
            begun: None,
            output: Vec::new(),
            held: 0,
            next: 0,
            item: Item::None,
            part: None,
            head: Vec::new(),
            usage: None,
            tier: None,
            finish: None,
            refused: false,
            gave_up: None,
        }
    }

    /// Writes one event; `write` gives its fields after the first two.
    fn emit(&mut self, out: &mut Vec<u8>, kind: &str, write: impl FnOnce(&mut Object<'_>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut event = Object::new(out);
        event.string("type", kind);
        event.u64("sequence_number", sequence);
        write(&mut event);
        drop(event);
        out.extend_from_slice(b"\n\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.state != State::Idle {
            return;
        }
        self.state = State::Begun;
        self.id = Some(object::answer_id(self.id.as_deref(), &self.reply));
        self.repeated = object::repeated(&self.reply);
        self.frame(out, "response.created", Status::InProgress, None);
        self.frame(out, "response.in_progress", Status::InProgress, None);
    }

    /// Writes an event that holds the response object.
    fn frame(&mut self, out: &mut Vec<u8>, kind: &str, status: Status, error: Option<&ApiError>) {
        if let Some(begun) = self.begun.take() {
            self.emit(out, kind, |event| {
                object::write_again(event.object("response"), &begun, status, error);
            });
            self.begun = Some(begun);
            return;
        }
        let usage = match status {
            Status::InProgress => None,
            Status::Completed | Status::Incomplete(_) => Some(self.usage.unwrap_or_default()),
            Status::Failed => self.usage,
        };
        let (id, tier) = (self.id.clone().unwrap_or_default(), self.tier.clone());
        let (output, repeated) = (
            std::mem::take(&mut self.output),
            std::mem::take(&mut self.repeated),
        );
        let created = self.created.unwrap_or(self.reply.mint.now);
        self.emit(out, kind, |event| {
            let said = Said {
                id: &id,
                created,
                status,
                error,
                // What is done is only told again at the end.
                output: if status == Status::InProgress {
                    b""
                } else {
                    &output
                },
                usage,
                service_tier: tier.as_deref(),
                extra: None,
            };
            object::write(event.value("response"), &said, &repeated);
        });
        (self.output, self.repeated) = (output, repeated);
    }

    fn mint(&self, prefix: &str) -> String {
        self.reply.mint.id(prefix, self.ordinal())
    }

    fn ordinal(&self) -> u32 {
        u32::try_from(self.next).unwrap_or(u32::MAX)
    }

    fn added(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        self.begin(out);
        let index = self.next;
        self.emit(out, "response.output_item.added", |event| {
            event.u64("output_index", index);
            write(&mut event.object("item"));
        });
    }

    /// The item as it is in the end.
    fn done(&mut self, out: &mut Vec<u8>, item: &[u8]) {
        let index = self.next;
        self.next += 1;
        self.emit(out, "response.output_item.done", |event| {
            event.u64("output_index", index);
            event.value("item").extend_from_slice(item);
        });
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        self.output.extend_from_slice(item);
        self.held = 0;
        self.limit(out);
    }

    /// Gives up an answer that is too long to be repeated.
    fn limit(&mut self, out: &mut Vec<u8>) {
        if self.output.len() + self.held > Self::LIMIT {
            self.item = Item::None;
            let message = "the answer is longer than an answer of this dialect may be";
            let error = ApiError::new(ErrorKind::UpstreamMalformed, message);
            self.fail(&error, out);
            self.gave_up.get_or_insert(error);
        }
    }

    /// An item that comes whole.
    fn whole(&mut self, out: &mut Vec<u8>, item: &[u8]) {
        self.begin(out);
        let index = self.next;
        self.emit(out, "response.output_item.added", |event| {
            event.u64("output_index", index);
            event.value("item").extend_from_slice(item);
        });
        self.done(out, item);
    }

    /// A search that another vendor ran.
    fn search(&mut self, search: &Search, out: &mut Vec<u8>) {
        let id = self.mint("ws_");
        let mut item = Vec::new();
        search::write_call(&mut item, &id, search);
        self.begin(out);
        let index = self.next;
        self.emit(out, "response.output_item.added", |event| {
            event.u64("output_index", index);
            event.value("item").extend_from_slice(&item);
        });
        for kind in [
            "response.web_search_call.in_progress",
            "response.web_search_call.searching",
            "response.web_search_call.completed",
        ] {
            self.emit(out, kind, |event| {
                event.u64("output_index", index);
                event.string("item_id", &id);
            });
        }
        self.done(out, &item);
    }

    /// Prepares the deltas of a part: `place` tells it within its item.
    fn prepare(&mut self, kind: &str, id: &str, place: Option<(&str, u64)>) {
        let index = self.next;
        self.head.clear();
        self.head.extend_from_slice(b"event: ");
        self.head.extend_from_slice(kind.as_bytes());
        self.head.extend_from_slice(b"\ndata: ");
        let mut event = Object::new(&mut self.head);
        event.string("type", kind);
        event.string("item_id", id);
        event.u64("output_index", index);
        if let Some((key, number)) = place {
            event.u64(key, number);
        }
        drop(event);
        // Each delta goes on from here and closes the object itself.
        self.head.pop();
        self.head.extend_from_slice(b",\"delta\":");
    }

    fn say(&mut self, text: &str, tail: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        escape_into(out, text);
        out.extend_from_slice(tail);
        out.extend_from_slice(b",\"sequence_number\":");
        out.extend_from_slice(self.sequence.to_string().as_bytes());
        out.extend_from_slice(b"}\n\n");
        self.sequence += 1;
    }

    /// The message that texts go to; one that is open goes on.
    fn message(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.item, Item::Message(_)) {
            self.close_item("completed", out);
            let id = self.mint("msg_");
            self.item = Item::Message(Message {
                id,
                phase: None,
                announced: false,
                content: Vec::new(),
                parts: 0,
                part: Part::None,
            });
        }
    }

    /// Announces the open part of the open message, and the message where this is its first.
    fn begin_part(&mut self, out: &mut Vec<u8>) {
        let Item::Message(message) = &mut self.item else {
            return;
        };
        let (id, number) = (message.id.clone(), message.parts);
        let refusal = match &mut message.part {
            Part::Text { begun, .. } | Part::Refusal { begun, .. } if *begun => return,
            Part::Text { begun, .. } => {
                *begun = true;
                false
            }
            Part::Refusal { begun, .. } => {
                *begun = true;
                true
            }
            Part::None => return,
        };
        let phase = message.phase.clone();
        if !std::mem::replace(&mut message.announced, true) {
            self.added(out, |item| {
                output::write_message(item, &id, "in_progress", phase.as_deref());
                drop(item.array("content"));
            });
        }
        let index = self.next;
        self.emit(out, "response.content_part.added", |event| {
            event.string("item_id", &id);
            event.u64("output_index", index);
            event.u64("content_index", number);
            if refusal {
                output::write_refusal(event.object("part"), "");
            } else {
                Text::default().write(event.object("part"));
            }
        });
        let kind = if refusal {
            "response.refusal.delta"
        } else {
            "response.output_text.delta"
        };
        self.prepare(kind, &id, Some(("content_index", number)));
    }

    fn end_part(&mut self, out: &mut Vec<u8>) {
        let Item::Message(message) = &mut self.item else {
            return;
        };
        let part = std::mem::replace(&mut message.part, Part::None);
        let (id, number) = (message.id.clone(), message.parts);
        let mut written = Vec::new();
        let index = self.next;
        match part {
            Part::None | Part::Text { begun: false, .. } | Part::Refusal { begun: false, .. } => {
                return;
            }
            Part::Text { text, .. } => {
                text.write(Object::new(&mut written));
                self.emit(out, "response.output_text.done", |event| {
                    event.string("item_id", &id);
                    event.u64("output_index", index);
                    event.u64("content_index", number);
                    event.string("text", &text.said);
                    output::write_logprobs(event.array("logprobs"), &text.logprobs);
                });
            }
            Part::Refusal { text, .. } => {
                output::write_refusal(Object::new(&mut written), &text);
                self.emit(out, "response.refusal.done", |event| {
                    event.string("item_id", &id);
                    event.u64("output_index", index);
                    event.u64("content_index", number);
                    event.string("refusal", &text);
                });
            }
        }
        self.emit(out, "response.content_part.done", |event| {
            event.string("item_id", &id);
            event.u64("output_index", index);
            event.u64("content_index", number);
            event.value("part").extend_from_slice(&written);
        });
        if let Item::Message(message) = &mut self.item {
            if message.parts > 0 {
                message.content.push(b',');
            }
            message.content.extend_from_slice(&written);
            message.parts += 1;
        }
    }

    fn begin_reasoning(&mut self, out: &mut Vec<u8>) {
        let Item::Reasoning(reasoning) = &mut self.item else {
            return;
        };
        if std::mem::replace(&mut reasoning.announced, true) {
            return;
        }
        let id = reasoning.id.clone();
        self.added(out, |item| output::write_reasoning(item, &id, ""));
        let index = self.next;
        self.emit(out, "response.reasoning_summary_part.added", |event| {
            event.string("item_id", &id);
            event.u64("output_index", index);
            event.u64("summary_index", 0);
            write_summary(event.object("part"), "");
        });
        self.prepare(
            "response.reasoning_summary_text.delta",
            &id,
            Some(("summary_index", 0)),
        );
    }

    fn end_reasoning(&mut self, reasoning: &Reasoning, out: &mut Vec<u8>) {
        if !reasoning.announced {
            // Nothing was told of it, so it is given as it is.
            if let Some(own) = &reasoning.own {
                let mut item = Vec::new();
                output::write_own(&mut item, own, &reasoning.id);
                self.whole(out, on_one_line(&item).as_bytes());
            }
            return;
        }
        let index = self.next;
        let place = |event: &mut Object<'_>| {
            event.string("item_id", &reasoning.id);
            event.u64("output_index", index);
            event.u64("summary_index", 0);
        };
        self.emit(out, "response.reasoning_summary_text.done", |event| {
            place(event);
            event.string("text", &reasoning.text);
        });
        self.emit(out, "response.reasoning_summary_part.done", |event| {
            place(event);
            write_summary(event.object("part"), &reasoning.text);
        });
        let mut item = Vec::new();
        if let Some(own) = &reasoning.own {
            // The id was told when it was not known yet.
            output::write_with_id(Object::new(&mut item), own, &reasoning.id);
        } else {
            let mut object = Object::new(&mut item);
            output::write_reasoning(&mut object, &reasoning.id, &reasoning.text);
        }
        self.done(out, &item);
    }

    fn begin_call(&mut self, out: &mut Vec<u8>) {
        let Item::Call { call, begun, .. } = &mut self.item else {
            return;
        };
        let Some(spoken) = call.spoken() else {
            return;
        };
        if std::mem::replace(begun, true) {
            return;
        }
        let call = call.clone();
        self.added(out, |item| call.write(item, "", "in_progress"));
        self.prepare(&format!("response.{}.delta", spoken.stem), &call.id, None);
    }

    fn end_call(&mut self, call: &Call, arguments: &str, status: &str, out: &mut Vec<u8>) {
        let text = call.text(arguments);
        let mut item = Vec::new();
        call.write(&mut Object::new(&mut item), &text, status);
        let Some(spoken) = call.spoken() else {
            self.begin(out);
            let index = self.next;
            let mut begun = Vec::new();
            call.write(&mut Object::new(&mut begun), &text, "in_progress");
            self.emit(out, "response.output_item.added", |event| {
                event.u64("output_index", index);
                event.value("item").extend_from_slice(&begun);
            });
            self.done(out, &item);
            return;
        };
        // What could not be told as it came, or had to be said in other words.
        let untold = if call.streams() {
            text.strip_prefix(arguments).unwrap_or_default()
        } else {
            &text
        };
        if !untold.is_empty() {
            self.say(untold, b"", out);
        }
        let index = self.next;
        self.emit(out, &format!("response.{}.done", spoken.stem), |event| {
            event.string("item_id", &call.id);
            event.u64("output_index", index);
            event.string(spoken.field, &text);
        });
        self.done(out, &item);
    }

    /// Ends the item that is being told, if any.
    fn close_item(&mut self, status: &str, out: &mut Vec<u8>) {
        self.end_part(out);
        match std::mem::replace(&mut self.item, Item::None) {
            Item::None | Item::Left => {}
            Item::Message(message) => {
                if message.announced {
                    let mut written = Vec::new();
                    let mut item = Object::new(&mut written);
                    output::write_message(&mut item, &message.id, status, message.phase.as_deref());
                    output::write_list(item.value("content"), &message.content);
                    drop(item);
                    self.done(out, &written);
                }
            }
            Item::Reasoning(reasoning) => self.end_reasoning(&reasoning, out),
            Item::Call {
                call, arguments, ..
            } => {
                self.end_call(&call, &arguments, status, out);
            }
        }
    }

    fn open(&mut self, index: u32, part: &Open, out: &mut Vec<u8>) {
        self.part = Some(index);
        match part {
            Open::Text | Open::Refusal => {
                self.message(out);
                self.end_part(out);
                let refusal = matches!(part, Open::Refusal);
                self.refused |= refusal;
                if let Item::Message(message) = &mut self.item {
                    message.part = if refusal {
                        Part::Refusal {
                            text: String::new(),
                            begun: false,
                        }
                    } else {
                        Part::Text {
                            text: Text::default(),
                            length: 0,
                            count: 0,
                            begun: false,
                        }
                    };
                }
            }
            Open::Reasoning { .. } => {
                self.close_item("completed", out);
                self.item = Item::Reasoning(Reasoning {
                    id: self.mint("rs_"),
                    text: String::new(),
                    announced: false,
                    own: None,
                });
            }
            Open::ToolCall { id, name, custom } => {
                self.close_item("completed", out);
                let place = (&self.reply.mint, self.ordinal());
                let echo = self.reply.responses.as_deref();
                let call = Call::new(id, name, *custom, echo, place);
                self.item = Item::Call {
                    call,
                    arguments: String::new(),
                    begun: false,
                };
                self.begin_call(out);
            }
            Open::Media(media) => {
                self.close_item("completed", out);
                if output::is_picture(media) {
                    let mut item = Vec::new();
                    let id = self.mint("ig_");
                    output::write_picture(&mut Object::new(&mut item), &id, media);
                    self.whole(out, &item);
                }
                self.item = Item::Left;
            }
            Open::Opaque(opaque) => {
                self.close_item("completed", out);
                if opaque.of == DialectId::Responses && opaque.kind != "content" {
                    let mut item = Vec::new();
                    output::write_own(&mut item, &opaque.json, &self.mint("item_"));
                    self.whole(out, on_one_line(&item).as_bytes());
                } else if let Some(search) = search::of(opaque) {
                    self.search(&search, out);
                }
                self.item = Item::Left;
            }
        }
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        if self.part != Some(index) {
            return;
        }
        if let Delta::Text(more)
        | Delta::Reasoning(more)
        | Delta::Refusal(more)
        | Delta::Arguments(more) = delta
        {
            self.held += more.len();
        }
        match (&mut self.item, delta) {
            (Item::Message(message), Delta::Text(more) | Delta::Refusal(more)) => {
                let tail: &[u8] = match &mut message.part {
                    _ if more.is_empty() => return,
                    Part::None => return,
                    Part::Text { text, length, .. } => {
                        text.said.push_str(more);
                        *length = length.saturating_add(chat::length(more));
                        b",\"logprobs\":[]"
                    }
                    Part::Refusal { text, .. } => {
                        text.push_str(more);
                        b""
                    }
                };
                self.begin_part(out);
                self.say(more, tail, out);
            }
            (Item::Message(message), Delta::Citation(one)) => {
                let Part::Text {
                    text,
                    length,
                    count,
                    ..
                } = &mut message.part
                else {
                    return;
                };
                if !citation::fits(one) {
                    return;
                }
                let mut written = Vec::new();
                citation::write(&mut written, one, *length);
                self.held += written.len();
                if *count > 0 {
                    text.annotations.push(b',');
                }
                text.annotations.extend_from_slice(&written);
                let annotation = *count;
                *count += 1;
                let (id, number) = (message.id.clone(), message.parts);
                self.begin_part(out);
                let index = self.next;
                self.emit(out, "response.output_text.annotation.added", |event| {
                    event.string("item_id", &id);
                    event.u64("output_index", index);
                    event.u64("content_index", number);
                    event.u64("annotation_index", annotation);
                    event.value("annotation").extend_from_slice(&written);
                });
            }
            (Item::Message(message), Delta::Proof(proof)) => {
                if proof.of == DialectId::Responses && proof.kind == PHASE {
                    let other = message
                        .phase
                        .as_ref()
                        .is_some_and(|phase| phase.get() != proof.json.get());
                    if other && message.announced {
                        self.other_message(out);
                    }
                    if let Item::Message(message) = &mut self.item {
                        message.phase = Some(proof.json.clone());
                    }
                }
            }
            (Item::Reasoning(reasoning), Delta::Reasoning(more)) => {
                if more.is_empty() || !self.reply.show_reasoning {
                    return;
                }
                reasoning.text.push_str(more);
                self.begin_reasoning(out);
                self.say(more, b"", out);
            }
            (Item::Reasoning(reasoning), Delta::Proof(proof)) => {
                reasoning.own = output::own(Some(proof)).map(ToOwned::to_owned);
            }
            (
                Item::Call {
                    call, arguments, ..
                },
                Delta::Arguments(more),
            ) => {
                arguments.push_str(more);
                if call.streams() && !more.is_empty() {
                    self.say(more, b"", out);
                }
            }
            (
                Item::None | Item::Message(_) | Item::Reasoning(_) | Item::Call { .. } | Item::Left,
                Delta::Text(_)
                | Delta::Reasoning(_)
                | Delta::Refusal(_)
                | Delta::Arguments(_)
                | Delta::Proof(_)
                | Delta::Citation(_),
            ) => {}
        }
    }

    /// A text of another phase stands in another message.
    fn other_message(&mut self, out: &mut Vec<u8>) {
        let part = match &mut self.item {
            Item::Message(message) => std::mem::replace(&mut message.part, Part::None),
            Item::None | Item::Reasoning(_) | Item::Call { .. } | Item::Left => return,
        };
        self.close_item("completed", out);
        self.message(out);
        if let Item::Message(message) = &mut self.item {
            message.part = part;
        }
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        if self.part != Some(index) {
            return;
        }
        self.part = None;
        self.end_part(out);
        let whole = match &self.item {
            Item::Call {
                call, arguments, ..
            } => call.is_whole(arguments),
            Item::Reasoning(_) | Item::Left => true,
            // The next text may belong to it.
            Item::None | Item::Message(_) => false,
        };
        // A call that is cut short waits to hear so.
        if whole {
            self.close_item("completed", out);
        }
    }

    fn logprobs(&mut self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        if let Item::Message(message) = &mut self.item
            && let Part::Text { text, begun, .. } = &mut message.part
        {
            text.logprobs.extend_from_slice(tokens);
            let sizes = tokens.iter().map(|token| {
                let size = size_of::<TokenLogprob>();
                size * (1 + token.top.len()) + token.token.len()
            });
            self.held += sizes.sum::<usize>();
            if !*begun {
                return;
            }
            let mut tail = b",\"logprobs\":".to_vec();
            output::write_logprobs(Array::new(&mut tail), tokens);
            self.say("", &tail, out);
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        self.begin(out);
        self.frame(out, Status::Failed.event(), Status::Failed, Some(error));
        self.state = State::Ended;
    }
}

/// An event's data is one line.
fn on_one_line(json: &[u8]) -> String {
    compact(&String::from_utf8_lossy(json))
}

fn write_summary(mut part: Object<'_>, text: &str) {
    part.string("type", "summary_text");
    part.string("text", text);
}

impl Encoder for ResponsesEncoder {
    fn sequential(&self) -> bool {
        true
    }

    fn gave_up(&self) -> Option<&ApiError> {
        self.gave_up.as_ref()
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Start { id, created, .. } => {
                if self.state == State::Idle {
                    self.id.clone_from(id);
                    self.created = *created;
                }
                self.begin(out);
            }
            Event::Open {
                index,
                choice: 0,
                part,
            } => self.open(*index, part, out),
            Event::Delta { index, delta } => {
                self.delta(*index, delta, out);
                self.limit(out);
            }
            Event::Close { index } => self.close(*index, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::Logprobs { choice: 0, tokens } => {
                self.logprobs(tokens, out);
                self.limit(out);
            }
            Event::Finish { choice: 0, finish } => {
                if finish.reason == FinishReason::Error {
                    self.fail(&failure(finish), out);
                } else {
                    self.finish = Some(finish.clone());
                }
            }
            Event::Error(error) => self.fail(error, out),
            // Further choices have no form here.
            Event::Open { .. } | Event::Finish { .. } | Event::Logprobs { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        self.begin(out);
        let finish = self
            .finish
            .take()
            .unwrap_or_else(|| FinishReason::Stop.into());
        let status = Status::of(finish.reason, self.refused);
        if let Some(explanation) = chat::explanation(&finish).filter(|_| !self.refused) {
            let index = u32::MAX;
            self.open(index, &Open::Refusal, out);
            self.delta(index, &Delta::Refusal(explanation.to_owned()), out);
        }
        self.close_item(status.of_last_item(), out);
        if self.state != State::Ended {
            self.frame(out, status.event(), status, None);
            self.state = State::Ended;
        }
    }

    fn resume(&mut self, told: &Told) {
        self.begin(&mut Vec::new());
        self.sequence = told.next;
        self.begun.clone_from(&told.answer);
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Idle => self.begin(out),
            State::Begun => {
                // Said again, so it keeps the number of what was said last.
                self.sequence = self.sequence.saturating_sub(1);
                self.frame(out, "response.in_progress", Status::InProgress, None);
            }
            State::Ended => {}
        }
    }
}
