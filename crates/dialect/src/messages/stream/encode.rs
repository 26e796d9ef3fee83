//! Writing a streamed answer: the one place where Anthropic's events are made.

use crate::hub::{Delta, Event, Finish, FinishReason, Open, Usage};
use crate::json::{Object, compact, escape_into};
use crate::messages::searches::Searches;
use crate::messages::{SIGNATURE, citation, error, finish, response, usage};
use crate::names;
use crate::{ApiError, DialectId, Encoder, Reply};

const MESSAGE_DELTA: &[u8] = b"event: message_delta\ndata: ";
const MESSAGE_STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const ERROR: &[u8] = b"event: error\ndata: ";
const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Writes a streamed answer, one block after the other.
#[derive(Debug)]
pub(in crate::messages) struct MessagesEncoder {
    reply: Reply,
    state: State,
    /// The upstream's id, until `message_start` is written.
    id: Option<String>,
    /// The part that the hub has open, and what became of it.
    part: Option<(u32, Part)>,
    /// The index of the next block.
    next: u32,
    /// Everything of a `content_block_delta` before its text, for the open block.
    head: Vec<u8>,
    /// An estimate, until the upstream has told.
    usage: Usage,
    tier: Option<String>,
    finish: Option<Finish>,
    calls: u32,
    refused: bool,
    searches: Searches,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `message_start` waits for the first content, so that it can tell the tokens of the prompt.
    Idle,
    Started,
    /// Ended by `message_stop` or by an error: nothing more is written.
    Ended,
}

/// An open part of the hub, as a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Not written until it says something: a client does not take empty texts.
    Text(Begun),
    Thinking(Begun),
    /// Thinking that has its signature.
    Signed,
    /// A thought whose text the client did not ask for; with a proof, it is told blank.
    Unseen,
    /// Arrives with its proof.
    Redacted,
    Tool(Begun),
    /// A free-form tool: its text becomes the only field of an object.
    FreeForm,
    /// Has no form here, or was not asked for.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

impl MessagesEncoder {
    pub(in crate::messages) fn new(reply: &Reply) -> Self {
        Self {
            reply: reply.clone(),
            state: State::Idle,
            id: None,
            part: None,
            next: 0,
            head: Vec::new(),
            usage: Usage::default(),
            tier: None,
            finish: None,
            calls: 0,
            refused: false,
            searches: Searches::default(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.state != State::Idle {
            return;
        }
        self.state = State::Started;
        out.extend_from_slice(b"event: message_start\ndata: ");
        let mut event = Object::new(out);
        event.string("type", "message_start");
        let mut message = event.object("message");
        message.string("id", &response::message_id(self.id.as_deref(), &self.reply));
        message.string("type", "message");
        message.string("role", "assistant");
        message.string("model", &self.reply.model);
        drop(message.array("content"));
        message.null("stop_reason");
        message.null("stop_sequence");
        let mut counts = message.object("usage");
        usage::write(&mut counts, &self.usage);
        usage::write_split(&mut counts, &self.usage, self.tier.as_deref());
        drop(counts);
        drop(message);
        drop(event);
        out.extend_from_slice(b"\n\n");
    }

    /// Opens a block; `write` gives its fields after the type. Deltas then begin with `delta`: their type and the key of their text.
    fn open_block(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        delta: &str,
        write: impl FnOnce(&mut Object<'_>),
    ) {
        self.start(out);
        let index = self.next;
        out.extend_from_slice(b"event: content_block_start\ndata: ");
        let mut event = Object::new(out);
        event.string("type", "content_block_start");
        event.u64("index", u64::from(index));
        let mut block = event.object("content_block");
        block.string("type", kind);
        write(&mut block);
        drop(block);
        drop(event);
        out.extend_from_slice(b"\n\n");
        self.head.clear();
        let head = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{{delta}"
        );
        self.head.extend_from_slice(head.as_bytes());
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_stop\ndata: ");
        let mut event = Object::new(out);
        event.string("type", "content_block_stop");
        event.u64("index", u64::from(self.next));
        drop(event);
        out.extend_from_slice(b"\n\n");
        self.next = self.next.saturating_add(1);
    }

    fn open_text(&mut self, out: &mut Vec<u8>) {
        self.open_block(out, "text", r#""type":"text_delta","text":"#, |block| {
            block.string("text", "");
        });
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        self.open_block(
            out,
            "thinking",
            r#""type":"thinking_delta","thinking":"#,
            |block| {
                block.string("thinking", "");
                block.string("signature", "");
            },
        );
    }

    /// A delta of the open block's usual type.
    fn text_delta(&self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        escape_into(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    /// A delta of another type than the usual one; `write` gives its value.
    fn other_delta(
        &self,
        kind: &str,
        key: &str,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        out.extend_from_slice(b"event: content_block_delta\ndata: ");
        let mut event = Object::new(out);
        event.string("type", "content_block_delta");
        event.u64("index", u64::from(self.next));
        let mut delta = event.object("delta");
        delta.string("type", kind);
        write(delta.value(key));
        drop(delta);
        drop(event);
        out.extend_from_slice(b"\n\n");
    }

    fn open(&mut self, index: u32, part: &Open, out: &mut Vec<u8>) {
        let part = match part {
            Open::Text => Part::Text(Begun::No),
            Open::Refusal => {
                self.refused = true;
                Part::Text(Begun::No)
            }
            Open::Reasoning { redacted: true } => Part::Redacted,
            Open::Reasoning { redacted: false } if !self.reply.show_reasoning => Part::Unseen,
            Open::Reasoning { redacted: false } => Part::Thinking(Begun::No),
            Open::ToolCall { id, name, custom } => {
                self.settle(out);
                let id = response::call_id(id, self.calls, &self.reply);
                self.calls = self.calls.saturating_add(1);
                self.open_block(
                    out,
                    "tool_use",
                    r#""type":"input_json_delta","partial_json":"#,
                    |block| {
                        block.string("id", &id);
                        block.string("name", names::plain(name));
                        drop(block.object("input"));
                    },
                );
                if *custom {
                    self.text_delta(r#"{"input":""#, out);
                    Part::FreeForm
                } else {
                    Part::Tool(Begun::No)
                }
            }
            Open::Opaque(opaque) if opaque.of == DialectId::Messages => {
                self.whole_block(opaque.json.get(), out);
                Part::Left
            }
            Open::Opaque(opaque) => {
                let mut blocks = Vec::new();
                self.searches
                    .tell(opaque, &self.reply, |block| blocks.push(block.to_vec()));
                self.whole_blocks(&blocks, out);
                Part::Left
            }
            Open::Media(_) => Part::Left,
        };
        self.part = Some((index, part));
    }

    /// The searches whose pages nobody told, with those that were cited.
    fn settle(&mut self, out: &mut Vec<u8>) {
        let mut blocks = Vec::new();
        self.searches.settle(|block| blocks.push(block.to_vec()));
        self.whole_blocks(&blocks, out);
    }

    fn whole_blocks(&mut self, blocks: &[Vec<u8>], out: &mut Vec<u8>) {
        for block in blocks {
            self.whole_block(&String::from_utf8_lossy(block), out);
        }
    }

    /// A block that comes whole, as this dialect wrote it but for line breaks: an event's data is one line.
    fn whole_block(&mut self, json: &str, out: &mut Vec<u8>) {
        self.start(out);
        out.extend_from_slice(b"event: content_block_start\ndata: ");
        let mut event = Object::new(out);
        event.string("type", "content_block_start");
        event.u64("index", u64::from(self.next));
        event
            .value("content_block")
            .extend_from_slice(compact(json).as_bytes());
        drop(event);
        out.extend_from_slice(b"\n\n");
        self.close_block(out);
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Delta::Citation(one) = delta {
            self.searches.cite(one);
        }
        let Some((open, part)) = self.part else {
            return;
        };
        if open != index {
            return;
        }
        let part = match (part, delta) {
            (Part::Text(begun), Delta::Text(text) | Delta::Refusal(text)) => {
                if text.is_empty() {
                    return;
                }
                if begun == Begun::No {
                    self.open_text(out);
                }
                self.text_delta(text, out);
                Part::Text(Begun::Yes)
            }
            (Part::Text(begun), Delta::Citation(one)) => {
                if !citation::fits(one) {
                    return;
                }
                if begun == Begun::No {
                    self.open_text(out);
                }
                let mut cited = Vec::new();
                citation::write(&mut cited, one);
                self.other_delta("citations_delta", "citation", out, |out| {
                    let cited = String::from_utf8_lossy(&cited);
                    out.extend_from_slice(compact(&cited).as_bytes());
                });
                Part::Text(Begun::Yes)
            }
            (Part::Thinking(begun), Delta::Reasoning(text)) => {
                if text.is_empty() {
                    return;
                }
                if begun == Begun::No {
                    self.open_thinking(out);
                }
                self.text_delta(text, out);
                Part::Thinking(Begun::Yes)
            }
            (Part::Unseen, Delta::Proof(proof)) => {
                if proof.of != DialectId::Messages || proof.kind != SIGNATURE {
                    return;
                }
                self.open_thinking(out);
                let signature = proof.json.get();
                self.other_delta("signature_delta", "signature", out, |out| {
                    out.extend_from_slice(signature.as_bytes());
                });
                Part::Signed
            }
            (Part::Thinking(begun), Delta::Proof(proof)) => {
                if proof.of != DialectId::Messages || proof.kind != SIGNATURE {
                    return;
                }
                if begun == Begun::No {
                    self.open_thinking(out);
                }
                let signature = proof.json.get();
                self.other_delta("signature_delta", "signature", out, |out| {
                    out.extend_from_slice(signature.as_bytes());
                });
                Part::Signed
            }
            (Part::Redacted, Delta::Proof(proof)) => {
                if proof.of != DialectId::Messages {
                    return;
                }
                self.whole_block(proof.json.get(), out);
                Part::Left
            }
            (Part::Tool(_), Delta::Arguments(piece)) => {
                if piece.is_empty() {
                    return;
                }
                self.text_delta(piece, out);
                Part::Tool(Begun::Yes)
            }
            (Part::FreeForm, Delta::Arguments(piece)) => {
                let mut escaped = Vec::new();
                escape_into(&mut escaped, piece);
                let escaped = String::from_utf8_lossy(&escaped);
                let inner = escaped
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'));
                self.text_delta(inner.unwrap_or_default(), out);
                Part::FreeForm
            }
            (
                Part::Text(_)
                | Part::Thinking(_)
                | Part::Unseen
                | Part::Signed
                | Part::Redacted
                | Part::Tool(_)
                | Part::FreeForm
                | Part::Left,
                Delta::Text(_)
                | Delta::Reasoning(_)
                | Delta::Refusal(_)
                | Delta::Arguments(_)
                | Delta::Proof(_)
                | Delta::Citation(_),
            ) => return,
        };
        self.part = Some((index, part));
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.part.take().map(|(_, part)| part) {
            None
            | Some(
                Part::Text(Begun::No)
                | Part::Thinking(Begun::No)
                | Part::Unseen
                | Part::Redacted
                | Part::Left,
            ) => return,
            Some(Part::Text(Begun::Yes) | Part::Tool(Begun::Yes) | Part::Signed) => {}
            // A thought of another vendor: clients wait for a signature, and an empty one marks it as no one's.
            Some(Part::Thinking(Begun::Yes)) => {
                self.other_delta("signature_delta", "signature", out, |out| {
                    escape_into(out, "");
                });
            }
            Some(Part::Tool(Begun::No)) => self.text_delta("", out),
            Some(Part::FreeForm) => self.text_delta("\"}", out),
        }
        self.close_block(out);
    }

    fn fail(&mut self, failure: &ApiError, out: &mut Vec<u8>) {
        self.state = State::Ended;
        out.extend_from_slice(ERROR);
        error::write(out, failure, None);
        out.extend_from_slice(b"\n\n");
    }
}

impl Encoder for MessagesEncoder {
    fn sequential(&self) -> bool {
        true
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Open {
                index,
                choice: 0,
                part,
            } => {
                self.close(out);
                self.open(*index, part, out);
            }
            Event::Close { index } => {
                if self.part.is_some_and(|(open, _)| open == *index) {
                    self.close(out);
                }
            }
            Event::Start { id, .. } => self.id.clone_from(id),
            Event::Usage(usage) => self.usage = *usage,
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::Finish { choice: 0, finish } => match finish.failure() {
                Some(failure) => self.fail(&failure, out),
                None => self.finish = Some(finish.clone()),
            },
            Event::Error(failure) => self.fail(failure, out),
            // Further choices and log probabilities have no form here.
            Event::Open { .. } | Event::Finish { .. } | Event::Logprobs { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        self.start(out);
        self.close(out);
        self.settle(out);
        self.usage.searches = self.usage.searches.max(self.searches.told());
        let ending = self
            .finish
            .take()
            .unwrap_or_else(|| FinishReason::Stop.into());
        out.extend_from_slice(MESSAGE_DELTA);
        let mut event = Object::new(out);
        event.string("type", "message_delta");
        let mut delta = event.object("delta");
        finish::write(&mut delta, &ending, self.calls > 0, self.refused);
        drop(delta);
        usage::write(&mut event.object("usage"), &self.usage);
        drop(event);
        out.extend_from_slice(b"\n\n");
        out.extend_from_slice(MESSAGE_STOP);
        self.state = State::Ended;
    }

    fn expect_prompt(&mut self, tokens: u64) {
        self.usage.input = tokens;
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(PING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::hub::{Citation, Opaque};
    use crate::messages::recorded;
    use crate::messages::stream::MessagesDecoder;
    use crate::{Decoder, Mint};

    fn encoder(show_reasoning: bool) -> MessagesEncoder {
        MessagesEncoder::new(&Reply {
            model: "alias".into(),
            mint: Mint { now: 1, id: 7 },
            include_usage: false,
            show_reasoning,
            legacy_function_call: false,
            enum_output: false,
            responses: None,
        })
    }

    fn open(index: u32, part: Open) -> Event {
        Event::Open {
            index,
            choice: 0,
            part,
        }
    }

    fn delta(index: u32, delta: Delta) -> Event {
        Event::Delta { index, delta }
    }

    fn finish(reason: FinishReason) -> Event {
        Event::Finish {
            choice: 0,
            finish: reason.into(),
        }
    }

    fn start() -> Event {
        Event::Start {
            id: Some("chatcmpl-1".into()),
            model: "up".into(),
            created: None,
        }
    }

    fn call(id: &str, name: &str, custom: bool) -> Open {
        Open::ToolCall {
            id: id.into(),
            name: name.into(),
            custom,
        }
    }

    /// The data lines after `message_start`, whose form has a test of its own. `finished`: the stream ends in good order.
    fn check(show_reasoning: bool, events: &[Event], finished: bool, expect: &[&str]) {
        let mut encoder = encoder(show_reasoning);
        let mut out = Vec::new();
        for event in events {
            encoder.event(event, &mut out);
        }
        if finished {
            encoder.finish(&mut out);
        }
        let text = String::from_utf8(out).unwrap();
        let mut lines = Vec::new();
        for frame in text.split_terminator("\n\n") {
            let (event, data) = frame.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            let kind: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(event.strip_prefix("event: "), kind["type"].as_str());
            lines.push(data);
        }
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|line| !line.contains("message_start"))
            .collect();
        assert_eq!(lines, expect);
    }

    /// A stream of this dialect, decoded and written again, is read as the same events.
    #[test]
    fn streams_come_back_as_they_went() {
        let read = |text: &str| {
            let mut decoder = MessagesDecoder::default();
            let mut events = Vec::new();
            recorded::frames(text, |frame| decoder.frame(frame, &mut events).unwrap());
            let complete = decoder.end(&mut events);
            // How often the tokens are told is not part of what is said.
            let last = events
                .iter()
                .rposition(|event| matches!(event, Event::Usage(_)));
            let kept = events.iter().enumerate().filter(|(at, event)| {
                Some(*at) == last || !matches!(event, Event::Usage(_) | Event::Start { .. })
            });
            (
                kept.map(|(_, event)| event.clone()).collect::<Vec<_>>(),
                complete,
            )
        };
        for name in [
            "text",
            "golden",
            "parallel_tools",
            "server_search",
            "refusal",
            "omitted_thinking",
            "max_tokens_in_tool",
            "compaction",
        ] {
            let path = format!(
                "{}/fixtures/messages/streams/{name}.sse",
                env!("CARGO_MANIFEST_DIR")
            );
            let (events, complete) = read(&std::fs::read_to_string(path).unwrap());
            assert!(complete);
            let mut encoder = encoder(true);
            let mut out = Vec::new();
            for event in &events {
                encoder.event(event, &mut out);
            }
            encoder.finish(&mut out);
            let (again, complete) = read(&String::from_utf8(out).unwrap());
            assert!(complete);
            assert_eq!(again, events, "{name}");
        }
    }

    const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}"#;
    const STOP: &str = r#"{"type":"message_stop"}"#;

    #[test]
    fn the_start_waits_for_the_tokens_of_the_prompt() {
        let mut encoder = encoder(false);
        let mut out = Vec::new();
        encoder.event(&start(), &mut out);
        let usage = Usage {
            input: 5,
            cache_read: 4,
            cache_write_1h: 3,
            ..Usage::default()
        };
        encoder.event(&Event::Usage(usage), &mut out);
        assert!(out.is_empty());
        encoder.event(&open(0, Open::Text), &mut out);
        encoder.event(&delta(0, Delta::Text(String::new())), &mut out);
        assert!(out.is_empty());
        encoder.event(&delta(0, Delta::Text("a".into())), &mut out);
        let expect = concat!(
            "event: message_start\ndata: ",
            r#"{"type":"message_start","message":{"id":"msg_700000000000000000000000","type":"message","role":"assistant","model":"alias","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3}}}}"#,
            "\n\nevent: content_block_start\ndata: ",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            "\n\nevent: content_block_delta\ndata: ",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
            "\n\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn blocks_are_dense_and_empty_ones_vanish() {
        check(
            false,
            &[
                start(),
                open(0, Open::Text),
                Event::Close { index: 0 },
                open(1, Open::Reasoning { redacted: false }),
                delta(1, Delta::Reasoning("secret".into())),
                Event::Close { index: 1 },
                open(2, Open::Text),
                delta(2, Delta::Text("\"".into())),
                Event::Close { index: 2 },
                open(3, call("functions.f:0", "f", false)),
                delta(3, Delta::Arguments("{\"a\":".into())),
                delta(3, Delta::Arguments("1}".into())),
                Event::Close { index: 3 },
                open(4, call("", "g", false)),
                Event::Close { index: 4 },
                finish(FinishReason::Stop),
                Event::Usage(Usage {
                    input: 5,
                    output: 2,
                    reasoning: Some(1),
                    ..Usage::default()
                }),
            ],
            true,
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\""}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"functions_f_0","name":"f","input":{}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_j1jvee1c0677zagfatzjvwx6","name":"g","input":{}}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
                r#"{"type":"content_block_stop","index":2}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2,"output_tokens_details":{"thinking_tokens":1}}}"#,
                STOP,
            ],
        );
    }

    #[test]
    fn thoughts_are_shown_to_who_asked() {
        let proof = |of, kind: &str, json: &str| {
            Delta::Proof(Opaque {
                of,
                kind: kind.into(),
                json: crate::json::raw(json).unwrap(),
            })
        };
        check(
            true,
            &[
                open(0, Open::Reasoning { redacted: false }),
                delta(0, Delta::Reasoning("Hm.".into())),
                delta(0, proof(DialectId::Messages, SIGNATURE, "\"SIG\"")),
                Event::Close { index: 0 },
                open(1, Open::Reasoning { redacted: false }),
                delta(1, Delta::Reasoning("So.".into())),
                delta(1, proof(DialectId::Gemini, "thoughtSignature", "\"U0lH\"")),
                Event::Close { index: 1 },
                open(2, Open::Reasoning { redacted: true }),
                delta(
                    2,
                    proof(
                        DialectId::Messages,
                        "redacted_thinking",
                        r#"{"type":"redacted_thinking","data":"x"}"#,
                    ),
                ),
                Event::Close { index: 2 },
                open(3, Open::Reasoning { redacted: false }),
                Event::Close { index: 3 },
            ],
            true,
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"SIG"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"So."}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":""}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"redacted_thinking","data":"x"}}"#,
                r#"{"type":"content_block_stop","index":2}"#,
                END,
                STOP,
            ],
        );
    }

    #[test]
    fn free_form_calls_become_objects_and_citations_are_told() {
        let citation = |url: Option<&str>| {
            Delta::Citation(Citation {
                url: url.map(str::to_owned),
                title: None,
                cited_text: None,
                span: None,
                source: None,
            })
        };
        check(
            false,
            &[
                open(0, call("call_1", "patch", true)),
                delta(0, Delta::Arguments("a \"b\"".into())),
                delta(0, Delta::Arguments("\n".into())),
                Event::Close { index: 0 },
                open(1, Open::Text),
                delta(1, Delta::Text("x".into())),
                delta(1, citation(None)),
                delta(1, citation(Some("https://e.com"))),
                Event::Close { index: 1 },
            ],
            true,
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"call_1","name":"patch","input":{}}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"input\":\""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"a \\\"b\\\""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\\n"}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"}"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.com","title":null,"cited_text":"","encrypted_index":""}}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                &END.replace("end_turn", "tool_use"),
                STOP,
            ],
        );
    }

    #[test]
    fn nothing_follows_an_error() {
        let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
        let failure = Event::Error(ApiError::new(ErrorKind::Overloaded, "busy"));
        check(false, &[failure.clone(), start()], true, &[error]);
        check(
            false,
            &[
                start(),
                open(0, Open::Text),
                delta(0, Delta::Text("Hel".into())),
                failure,
                delta(0, Delta::Text("lo".into())),
            ],
            true,
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
                error,
            ],
        );
        let mut failed = Finish::from(FinishReason::Error);
        failed.message = Some("bad call".into());
        check(
            false,
            &[
                start(),
                Event::Finish {
                    choice: 0,
                    finish: failed,
                },
            ],
            true,
            &[r#"{"type":"error","error":{"type":"api_error","message":"bad call"}}"#],
        );
    }

    #[test]
    fn refusals_are_told_in_words_and_at_the_end() {
        let mut ending = Finish::from(FinishReason::ContentFilter);
        ending.category = Some("SAFETY".into());
        check(
            false,
            &[
                start(),
                Event::Finish {
                    choice: 0,
                    finish: ending,
                },
                Event::Finish {
                    choice: 1,
                    finish: FinishReason::Length.into(),
                },
            ],
            true,
            &[
                r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":"SAFETY"}},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}"#,
                STOP,
            ],
        );
        check(
            false,
            &[
                open(0, Open::Refusal),
                delta(0, Delta::Refusal("No.".into())),
                Event::Close { index: 0 },
                finish(FinishReason::Stop),
            ],
            true,
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"No."}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":null}},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}"#,
                STOP,
            ],
        );
    }
}
