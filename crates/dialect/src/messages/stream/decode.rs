//! Reading a streamed answer.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::fnv::fnv64;
use crate::framing::Frame;
use crate::hub::{Delta, Event, Finish, Opaque, Open, Served};
use crate::json::{self, Node, Object, compact};
use crate::messages::usage::Tally;
use crate::messages::{citation, error, finish, response, usage};
use crate::{Decoder, DialectId, Malformed};

/// The most text that one block may gather before it can be told (the input of a server tool), in bytes.
const MOST_GATHERED: usize = 8 << 20;

/// Reads a streamed answer. Lenient where servers are known to differ: events without a name or a start, gaps and repeats in
/// indexes, whole inputs in `content_block_start`, a closing `[DONE]`.
#[derive(Debug, Default)]
pub(in crate::messages) struct MessagesDecoder {
    stage: Stage,
    /// Ids of calls that come without one are derived from this.
    seed: u64,
    /// Open blocks, in order of opening; more than one only with servers that interleave them.
    open: Vec<Block>,
    /// The next index of the hub.
    next: u32,
    usage: Tally,
    tier_told: bool,
    served: Served,
    finish: Option<Ending>,
    /// Usage came with the reason why the answer stops.
    told: bool,
    calls: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Streaming,
    /// After `message_stop`.
    Complete,
    Failed,
}

/// What `message_delta` said.
#[derive(Debug)]
struct Ending {
    reason: String,
    sequence: Option<String>,
    details: Option<Box<RawValue>>,
}

#[derive(Debug)]
struct Block {
    /// The index that the server gave.
    theirs: Option<i64>,
    ours: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking {
        signature: Option<Opaque>,
    },
    Redacted,
    Tool {
        /// The input that came with the start, as long as no delta brought any.
        input: Option<String>,
    },
    /// Known to this dialect only: gathered, and told whole when it ends.
    Opaque {
        kind: String,
        start: Box<RawValue>,
        input: String,
        content: String,
    },
}

/// One event of the stream, as far as it is read. Texts without escapes are borrowed from the frame.
#[derive(Debug, Deserialize)]
struct Data<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Words<'a>>,
    #[serde(default)]
    index: Option<i64>,
    #[serde(borrow, default)]
    delta: Option<Change<'a>>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// The `delta` of `content_block_delta` and of `message_delta`.
#[derive(Debug, Deserialize)]
struct Change<'a> {
    #[serde(borrow, default)]
    text: Option<Words<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Words<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Words<'a>>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_reason: Option<Words<'a>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Words<'a>>,
    #[serde(borrow, default)]
    stop_details: Option<&'a RawValue>,
}

impl Decoder for MessagesDecoder {
    fn told_at_the_end(&self) -> bool {
        self.told
    }

    fn served(&self) -> Served {
        self.served.clone()
    }

    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if matches!(self.stage, Stage::Complete | Stage::Failed) {
            return Ok(());
        }
        let text = frame.data.trim_ascii();
        if text.is_empty() || text == "[DONE]" {
            return Ok(());
        }
        let data: Data<'_> = match serde_json::from_str(text) {
            Ok(data) => data,
            Err(_) if is_foreign(text, frame.event) => return Ok(()),
            Err(fault) => {
                let message = format!("not an event of Messages: {fault}");
                return Err(Malformed::new("", message));
            }
        };
        match data.kind.as_deref().unwrap_or(frame.event) {
            "content_block_delta" => self.delta(data, out)?,
            "content_block_start" => self.block_start(&data, out)?,
            "content_block_stop" => self.block_stop(data.index, out),
            "message_start" => self.message_start(&data, out)?,
            "message_delta" => self.message_delta(data, out),
            "message_stop" => {
                self.start(None, out);
                self.close_all(Leave::Whole, out);
                self.finish(out);
                self.stage = Stage::Complete;
            }
            // Clones send bare errors; whatever else is not known is for others.
            _ if data.error.is_some() => {
                let error = Node::parse(text.as_bytes()).ok().and_then(error::inside);
                if let Some(error) = error {
                    self.stage = Stage::Failed;
                    out.push(Event::Error(error));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) -> bool {
        match self.stage {
            Stage::Complete => return true,
            Stage::Failed => return false,
            Stage::Before | Stage::Streaming => {}
        }
        if self.finish.is_some() {
            self.close_all(Leave::Whole, out);
            self.finish(out);
            self.stage = Stage::Complete;
            return true;
        }
        self.close_all(Leave::Cut, out);
        self.stage = Stage::Failed;
        false
    }
}

/// In which state a block is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Whole,
    /// The stream broke off inside it: nothing is filled in.
    Cut,
}

impl MessagesDecoder {
    /// The answer begins, at the latest with the first thing that needs it to have begun.
    fn start(&mut self, message: Option<Node<'_>>, out: &mut Vec<Event>) {
        if self.stage != Stage::Before {
            return;
        }
        self.stage = Stage::Streaming;
        let fields = message.and_then(|message| message.fields().ok());
        let text = |key: &str| {
            let text = fields.as_ref()?.get(key)?.text();
            text.map(Cow::into_owned)
        };
        let id = text("id");
        self.seed = fnv64(id.as_deref().unwrap_or_default());
        out.push(Event::Start {
            id,
            model: text("model").unwrap_or_default(),
            created: None,
        });
    }

    fn message_start(&mut self, data: &Data<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let message = data
            .message
            .and_then(|message| Node::parse(message.get().as_bytes()).ok());
        let repeated = self.stage != Stage::Before;
        self.start(message, out);
        let Some(fields) = message.and_then(|message| message.fields().ok()) else {
            return Ok(());
        };
        if let Some(counts) = fields.get("usage") {
            self.counts(counts, out);
        }
        // Some servers put whole blocks here.
        let blocks = fields
            .get("content")
            .and_then(|content| content.elements().ok());
        for block in blocks.into_iter().flatten().filter(|_| !repeated) {
            self.open_block(None, block, out)?;
            self.close_all(Leave::Whole, out);
        }
        Ok(())
    }

    fn counts(&mut self, counts: Node<'_>, out: &mut Vec<Event>) {
        self.usage.merge(counts);
        out.push(Event::Usage(self.usage.usage()));
        if let Some(tier) = usage::tier(counts).filter(|_| !self.tier_told) {
            self.tier_told = true;
            out.push(Event::ServiceTier(tier));
        }
        let Served { region, speed } = usage::served(counts);
        self.served.region = region.or(self.served.region.take());
        self.served.speed = speed.or(self.served.speed.take());
    }

    fn message_delta(&mut self, data: Data<'_>, out: &mut Vec<Event>) {
        self.start(None, out);
        if let Some(counts) = data
            .usage
            .and_then(|usage| Node::parse(usage.get().as_bytes()).ok())
        {
            self.counts(counts, out);
        }
        let Some(change) = data.delta else { return };
        if let Some(reason) = change.stop_reason {
            self.told = data.usage.is_some();
            self.finish = Some(Ending {
                reason: reason.0.into_owned(),
                sequence: change.stop_sequence.map(|sequence| sequence.0.into_owned()),
                details: change.stop_details.map(RawValue::to_owned),
            });
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        let ending = self.finish.take();
        let finish: Finish = match ending {
            Some(ending) => {
                let details = ending
                    .details
                    .as_ref()
                    .map(|details| details.get().as_bytes());
                let details = details.and_then(|details| Node::parse(details).ok());
                finish::read(Some(&ending.reason), ending.sequence, details, self.calls)
            }
            None => finish::read(None, None, None, self.calls),
        };
        out.push(Event::Finish { choice: 0, finish });
    }

    fn block_start(&mut self, data: &Data<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let block = data
            .content_block
            .and_then(|block| Node::parse(block.get().as_bytes()).ok());
        let Some(block) = block else {
            return Err(Malformed::new("content_block", "is required"));
        };
        self.start(None, out);
        // An index used again begins a new block; what was open under it is over.
        if data.index.is_some() {
            self.block_stop(data.index, out);
        }
        self.open_block(data.index, block, out)
    }

    fn open_block(
        &mut self,
        theirs: Option<i64>,
        block: Node<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let fields = block
            .fields()
            .map_err(|fault| fault.inside("content_block"))?;
        let text = |key: &str| {
            fields
                .get(key)
                .and_then(Node::text)
                .filter(|text| !text.is_empty())
        };
        let ours = self.next;
        let (kind, open) = match text("type").as_deref() {
            Some("text") => (Kind::Text, Open::Text),
            Some("thinking") => {
                let signature = fields.get("signature").and_then(response::proof);
                (
                    Kind::Thinking { signature },
                    Open::Reasoning { redacted: false },
                )
            }
            Some("redacted_thinking") => (Kind::Redacted, Open::Reasoning { redacted: true }),
            Some("tool_use") => {
                self.calls = true;
                let input = fields.get("input").filter(|input| input.is_object());
                let made = || format!("toolu_{:016x}_{ours}", self.seed);
                let id = text("id").map_or_else(made, Cow::into_owned);
                let open = Open::ToolCall {
                    id,
                    name: text("name").map(Cow::into_owned).unwrap_or_default(),
                    custom: false,
                };
                let input = input.map(|input| compact(input.raw()));
                (Kind::Tool { input }, open)
            }
            kind => {
                self.open.push(Block {
                    theirs,
                    ours: u32::MAX,
                    kind: Kind::Opaque {
                        kind: kind.unwrap_or_default().to_owned(),
                        start: block.to_raw(),
                        input: String::new(),
                        content: String::new(),
                    },
                });
                return Ok(());
            }
        };
        self.open_part(theirs, kind, open, out);
        let index = ours;
        if let Some(said) = text("text").filter(|_| self.last_is(|kind| matches!(kind, Kind::Text)))
        {
            out.push(Event::Delta {
                index,
                delta: Delta::Text(said.into_owned()),
            });
        }
        if let Some(thought) =
            text("thinking").filter(|_| self.last_is(|kind| matches!(kind, Kind::Thinking { .. })))
        {
            out.push(Event::Delta {
                index,
                delta: Delta::Reasoning(thought.into_owned()),
            });
        }
        for one in fields
            .get("citations")
            .filter(|_| self.last_is(|kind| matches!(kind, Kind::Text)))
            .and_then(|list| list.elements().ok())
            .into_iter()
            .flatten()
        {
            if let Some(one) = citation::read(one) {
                out.push(Event::Delta {
                    index,
                    delta: Delta::Citation(one),
                });
            }
        }
        if self.last_is(|kind| matches!(kind, Kind::Redacted)) {
            let proof = response::opaque(block, "redacted_thinking");
            out.push(Event::Delta {
                index,
                delta: Delta::Proof(proof),
            });
        }
        Ok(())
    }

    fn last_is(&self, is: impl Fn(&Kind) -> bool) -> bool {
        self.open.last().is_some_and(|block| is(&block.kind))
    }

    fn open_part(
        &mut self,
        theirs: Option<i64>,
        kind: Kind,
        part: Open,
        out: &mut Vec<Event>,
    ) -> u32 {
        let ours = self.next;
        self.next = self.next.saturating_add(1);
        self.open.push(Block { theirs, ours, kind });
        out.push(Event::Open {
            index: ours,
            choice: 0,
            part,
        });
        ours
    }

    /// The open block that a delta is for: the one with its index, else the last that can hold it.
    fn place(&mut self, theirs: Option<i64>, fits: impl Fn(&Kind) -> bool) -> Option<&mut Block> {
        let by_index = self
            .open
            .iter()
            .rposition(|block| block.theirs == theirs && fits(&block.kind));
        let at = by_index.or_else(|| self.open.iter().rposition(|block| fits(&block.kind)))?;
        self.open.get_mut(at)
    }

    fn delta(&mut self, data: Data<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let theirs = data.index;
        let Some(change) = data.delta else {
            return Ok(());
        };
        self.start(None, out);
        if let Some(text) = change.text.filter(|text| !text.is_empty()) {
            let place = self
                .place(theirs, |kind| matches!(kind, Kind::Text))
                .map(|block| block.ours);
            let index = match place {
                Some(index) => index,
                None => self.open_part(theirs, Kind::Text, Open::Text, out),
            };
            let delta = Delta::Text(text.0.into_owned());
            out.push(Event::Delta { index, delta });
        } else if let Some(thought) = change.thinking.filter(|thought| !thought.is_empty()) {
            let place = self
                .place(theirs, |kind| matches!(kind, Kind::Thinking { .. }))
                .map(|block| block.ours);
            let index = if let Some(index) = place {
                index
            } else {
                let kind = Kind::Thinking { signature: None };
                self.open_part(theirs, kind, Open::Reasoning { redacted: false }, out)
            };
            let delta = Delta::Reasoning(thought.0.into_owned());
            out.push(Event::Delta { index, delta });
        } else if let Some(piece) = change.partial_json.filter(|piece| !piece.is_empty()) {
            let takes = |kind: &Kind| matches!(kind, Kind::Tool { .. } | Kind::Opaque { .. });
            let Some(block) = self.place(theirs, takes) else {
                let message = "arguments came for a tool call that is not open";
                return Err(Malformed::new("delta.partial_json", message));
            };
            match &mut block.kind {
                Kind::Tool { input } => {
                    *input = Some(String::new());
                    let delta = Delta::Arguments(piece.0.into_owned());
                    out.push(Event::Delta {
                        index: block.ours,
                        delta,
                    });
                }
                Kind::Opaque { input, .. } => gather(input, &piece)?,
                Kind::Text | Kind::Thinking { .. } | Kind::Redacted => {}
            }
        } else if let Some(signature) = change.signature {
            // The last one counts, as in the vendor's own clients, so it is told when the block ends.
            let signature = Node::parse(signature.get().as_bytes())
                .ok()
                .and_then(response::proof);
            let place = self.place(theirs, |kind| matches!(kind, Kind::Thinking { .. }));
            if let Some(Kind::Thinking { signature: known }) = place.map(|block| &mut block.kind)
                && signature.is_some()
            {
                *known = signature;
            }
        } else if let Some(one) = change.citation {
            let one = Node::parse(one.get().as_bytes())
                .ok()
                .and_then(citation::read);
            let place = self.place(theirs, |kind| matches!(kind, Kind::Text));
            if let Some((one, block)) = one.zip(place) {
                let delta = Delta::Citation(one);
                out.push(Event::Delta {
                    index: block.ours,
                    delta,
                });
            }
        } else if let Some(piece) = change.content {
            let piece = Node::parse(piece.get().as_bytes())
                .ok()
                .and_then(Node::text);
            let place = self.place(theirs, |kind| matches!(kind, Kind::Opaque { .. }));
            if let Some(Kind::Opaque { content, .. }) = place.map(|block| &mut block.kind) {
                gather(content, piece.as_deref().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn block_stop(&mut self, theirs: Option<i64>, out: &mut Vec<Event>) {
        let at = match theirs {
            Some(_) => self.open.iter().rposition(|block| block.theirs == theirs),
            None => self.open.len().checked_sub(1),
        };
        if let Some(at) = at {
            let block = self.open.remove(at);
            self.close(block, Leave::Whole, out);
        }
    }

    fn close_all(&mut self, leave: Leave, out: &mut Vec<Event>) {
        for block in std::mem::take(&mut self.open) {
            self.close(block, leave, out);
        }
    }

    fn close(&mut self, block: Block, leave: Leave, out: &mut Vec<Event>) {
        let mut index = block.ours;
        match block.kind {
            Kind::Text | Kind::Redacted => {}
            Kind::Thinking { signature } => {
                if let Some(proof) = signature {
                    out.push(Event::Delta {
                        index,
                        delta: Delta::Proof(proof),
                    });
                }
            }
            Kind::Tool { input } => {
                if let Some(input) =
                    input.filter(|input| !input.is_empty() && leave == Leave::Whole)
                {
                    out.push(Event::Delta {
                        index,
                        delta: Delta::Arguments(input),
                    });
                }
            }
            Kind::Opaque {
                kind,
                start,
                input,
                content,
            } => {
                if leave == Leave::Cut {
                    return;
                }
                let json = with_gathered(start, &input, &content);
                index = self.next;
                self.next = self.next.saturating_add(1);
                let part = Open::Opaque(Opaque {
                    of: DialectId::Messages,
                    kind,
                    json,
                });
                out.push(Event::Open {
                    index,
                    choice: 0,
                    part,
                });
            }
        }
        out.push(Event::Close { index });
    }
}

/// Valid JSON of a type that this reader takes no interest in: it may have any form.
fn is_foreign(text: &str, event: &str) -> bool {
    let Ok(fields) = Node::parse(text.as_bytes()).and_then(Node::fields) else {
        return false;
    };
    let kind = fields.get("type").and_then(Node::text);
    !matches!(
        kind.as_deref().unwrap_or(event),
        "message_start"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "message_delta"
            | "message_stop"
            | "error"
            | ""
    )
}

fn gather(place: &mut String, piece: &str) -> Result<(), Malformed> {
    if place.len() + piece.len() > MOST_GATHERED {
        return Err(Malformed::new("delta", "a block is longer than 8 MiB"));
    }
    place.push_str(piece);
    Ok(())
}

/// The block as it started, with the input and the content that came after.
fn with_gathered(start: Box<RawValue>, input: &str, content: &str) -> Box<RawValue> {
    let input = Node::parse(input.as_bytes())
        .ok()
        .filter(|input| input.is_object());
    if input.is_none() && content.is_empty() {
        return start;
    }
    let Ok(fields) = Node::parse(start.get().as_bytes()).and_then(Node::fields) else {
        return start;
    };
    let mut text = Vec::new();
    let mut object = Object::new(&mut text);
    for (key, node) in fields.iter() {
        match (key, input) {
            ("input", Some(input)) => object
                .value(key)
                .extend_from_slice(compact(input.raw()).as_bytes()),
            ("content", _) if !content.is_empty() => object.string(key, content),
            _ => object.value(key).extend_from_slice(node.raw().as_bytes()),
        }
    }
    drop(object);
    String::from_utf8(text)
        .ok()
        .and_then(json::raw)
        .unwrap_or(start)
}

/// A string, borrowed where it holds no escape.
#[derive(Debug)]
struct Words<'a>(Cow<'a, str>);

impl std::ops::Deref for Words<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = Words<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Words(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Words(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(WordsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::recorded;

    fn show(event: &Event) -> String {
        match event {
            Event::Start { id, model, .. } => {
                format!("start {} {model}", id.as_deref().unwrap_or("-"))
            }
            Event::Open { index, part, .. } => match part {
                Open::Text => format!("open {index} text"),
                Open::Reasoning { redacted } => {
                    format!(
                        "open {index} {}",
                        if *redacted { "redacted" } else { "thinking" }
                    )
                }
                Open::ToolCall { id, name, .. } => format!("open {index} call {id} {name}"),
                Open::Opaque(opaque) => {
                    format!("open {index} {} {}", opaque.kind, opaque.json.get())
                }
                Open::Refusal | Open::Media(_) => format!("open {index} {part:?}"),
            },
            Event::Delta { index, delta } => match delta {
                Delta::Text(text)
                | Delta::Reasoning(text)
                | Delta::Arguments(text)
                | Delta::Refusal(text) => {
                    format!("{index} {text}")
                }
                Delta::Proof(proof) => format!("{index} proof {}", proof.json.get()),
                Delta::Citation(one) => format!(
                    "{index} cites {:?}",
                    one.title.as_deref().unwrap_or_default()
                ),
            },
            Event::Close { index } => format!("close {index}"),
            Event::Usage(usage) => format!("usage {}+{}", usage.prompt(), usage.output),
            Event::ServiceTier(tier) => format!("tier {tier}"),
            Event::Finish { finish, .. } => format!(
                "finish {:?} {}",
                finish.reason,
                finish
                    .message
                    .as_deref()
                    .or(finish.category.as_deref())
                    .unwrap_or("-")
            ),
            Event::Error(error) => format!("error {:?} {}", error.kind, error.message),
            Event::Logprobs { .. } => "logprobs".to_owned(),
        }
    }

    /// Decodes a fixture. `expect`: the events, between bars or on lines; the last word tells whether the answer is complete.
    fn check(fixture: &str, expect: &str) {
        let path = format!(
            "{}/fixtures/messages/streams/{fixture}.sse",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let mut decoder = MessagesDecoder::default();
        let mut events = Vec::new();
        recorded::frames(&text, |frame| decoder.frame(frame, &mut events).unwrap());
        let complete = decoder.end(&mut events);
        let mut shown: Vec<String> = events.iter().map(show).collect();
        shown.push(if complete { "complete" } else { "cut" }.to_owned());
        let shown: Vec<String> = shown.iter().map(|event| event.replace('\n', "⏎")).collect();
        let expect: Vec<&str> = expect
            .split('\n')
            .flat_map(|line| line.trim_start().split(" | "))
            .collect();
        assert_eq!(shown, expect, "{fixture}");
    }

    #[test]
    fn reads_what_anthropic_sends() {
        check(
            "text",
            r#"start msg_01 claude-opus-5 | usage 25+1 | open 0 text | 0 Hello | 0  "wörld"⏎😀 | close 0
            usage 25+12 | finish Stop - | complete"#,
        );
        check(
            "golden",
            r#"start msg_1 m | usage 120+1 | tier default | open 0 thinking | 0 H | 0 m. | 0 proof "SIG" | close 0
            open 1 text | 1 It is | 1  21 °C. | close 1 | usage 120+15 | finish Stop - | complete"#,
        );
        check(
            "parallel_tools",
            r#"start msg_01A claude-opus-5 | usage 301+2 | open 0 text | 0 Let me look. | close 0
            open 1 call toolu_a get_weather | 1 {"city": | 1 "Paris"} | close 1 | open 2 call toolu_b now | 2 {}
            close 2 | usage 301+88 | finish ToolCalls - | complete"#,
        );
        check(
            "server_search",
            r#"start msg_01B claude-opus-5 | usage 2000+3 | tier priority | open 0 redacted
            0 proof {"type":"redacted_thinking","data":"EmwKAhgB"} | close 0
            open 1 server_tool_use {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"tallest tower"}}
            close 1
            open 2 web_search_tool_result {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://example.com/t","title":"Towers","encrypted_content":"Eo8B","page_age":null}]}
            close 2 | open 3 text | 3 cites "Towers" | 3 It is 828 m tall. | close 3 | open 4 text
            4  The book agrees. | 4 cites "Book" | close 4 | usage 2000+120 | finish Stop - | complete"#,
        );
        check(
            "refusal",
            "start msg_01C claude-opus-5 | usage 20+1 | usage 20+3
            finish Refusal This asks for dangerous knowledge. | complete",
        );
        check(
            "compaction",
            r#"start msg_01 claude-opus-5 | usage 25+1
            open 0 compaction {"type":"compaction","content":"Summary so far."} | close 0 | open 1 text
            1 Go on. | close 1 | usage 25+5 | finish Stop - | complete"#,
        );
    }

    #[test]
    fn reads_what_others_send() {
        let plain = "start msg_01 claude-opus-5 | usage 25+1 | open 0 text | 0 ok | close 0 | usage 25+2 | finish Stop -
            complete";
        check("odd_done", plain);
        check("odd_without_event_names", plain);
        check("odd_no_block_start", plain);
        check("odd_no_message_stop", plain);
        check(
            "odd_two_message_starts",
            "start msg_01 claude-opus-5 | usage 25+1 | usage 25+1 | open 0 text | 0 ok | close 0 | usage 25+2
            finish Stop - | complete",
        );
        check(
            "odd_no_message_start",
            "start -  | open 0 text | 0 ok | close 0 | usage 3+2 | finish Stop - | complete",
        );
        check(
            "odd_no_usage",
            "start msg_01 m | open 0 text | 0 ok | close 0 | finish Stop - | complete",
        );
        check(
            "odd_first_index_is_one",
            "start msg_01 claude-opus-5 | usage 25+1 | open 0 text | 0 ok | close 0 | open 1 call toolu_a f
            1 {} | close 1 | usage 25+2 | finish ToolCalls - | complete",
        );
        check(
            "odd_input_in_start",
            r#"start msg_01 claude-opus-5 | usage 25+1 | open 0 call toolu_a f | 0 {"x":1} | close 0
            open 1 call toolu_b g | 1 {"x":2} | close 1 | usage 25+2 | finish ToolCalls - | complete"#,
        );
        check(
            "odd_interleaved_tools",
            r#"start msg_01 claude-opus-5 | usage 25+1 | open 0 call toolu_a f | open 1 call toolu_b g | 0 {"a"
            1 {"b" | 0 :1} | 1 :2} | close 1 | close 0 | usage 25+2 | finish ToolCalls - | complete"#,
        );
        check(
            "odd_index_minus_one",
            r#"start msg_01 claude-opus-5 | usage 25+1 | open 0 call toolu_a f | 0 {"a":1} | close 0 | usage 25+2
            finish ToolCalls - | complete"#,
        );
        check(
            "odd_blocks_never_stopped",
            "start msg_01 claude-opus-5 | usage 25+1 | open 0 text | 0 ok | open 1 call toolu_a f | 1 {}
            usage 25+2 | close 0 | close 1 | finish ToolCalls - | complete",
        );
        check(
            "odd_two_signatures",
            r#"start msg_01 claude-opus-5 | usage 25+1 | open 0 thinking | 0 Hm | 0 proof "B" | close 0
            open 1 text | 1 ok | close 1 | usage 25+2 | finish Stop - | complete"#,
        );
        check(
            "odd_unknown_events",
            r#"start msg_01 claude-opus-5 | usage 25+1 | open 0 text | 0 ok | close 0
            open 1 vendor_block {"type":"vendor_block","a":[1]} | close 1 | usage 25+2
            finish Stop vendor_reason | complete"#,
        );
        check(
            "odd_late_text",
            "start msg_01 claude-opus-5 | usage 25+1 | open 0 text | 0 one | close 0 | open 1 text | 1  two
            usage 25+2 | close 1 | finish Stop - | complete",
        );
    }

    #[test]
    fn what_breaks_off_is_never_complete() {
        let after = |rest: &str| format!("start msg_01 claude-opus-5 | usage 25+1 | {rest}");
        check("cut_in_text", &after("open 0 text | 0 Hel | close 0 | cut"));
        check(
            "cut_in_tool",
            &after(r#"open 0 call toolu_a f | 0 {"x" | close 0 | cut"#),
        );
        check(
            "error_in_the_middle",
            &after("open 0 text | 0 Hel | error Overloaded Overloaded | cut"),
        );
        check(
            "odd_bare_error",
            &after("open 0 text | 0 Hel | error Upstream out of memory | cut"),
        );
        check(
            "max_tokens_in_tool",
            &after(
                r#"open 0 call toolu_a write | 0 {"text": "Once up | close 0 | usage 25+64 | finish Length - | complete"#,
            ),
        );
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let fault = |data: &str| {
            let mut decoder = MessagesDecoder::default();
            let frame = Frame {
                event: "content_block_delta",
                data,
            };
            decoder.frame(&frame, &mut Vec::new()).is_err()
        };
        assert!(fault("<html>"));
        assert!(fault(r#"{"index":0,"delta":{"text":7}}"#));
        assert!(fault(r#"{"index":0,"delta":{"partial_json":"{}"}}"#));
        assert!(!fault(r#"{"type":"vendor","delta":7}"#));
        assert!(!fault(" "));
    }
}
