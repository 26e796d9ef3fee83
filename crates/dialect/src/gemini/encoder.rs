//! Writes a streamed answer. Every chunk is a whole `GenerateContentResponse` that holds new parts only.

use crate::framing::Framing;
use crate::hub::{Citation, Delta, Event, Finish, FinishReason, Opaque, Open, TokenLogprob, Usage};
use crate::json::{self, Object};
use crate::{DialectId, Encoder, Reply};

use super::grounding::Visible;
use super::{error, media, one_line, response, usage};

#[derive(Debug)]
pub(super) struct GeminiEncoder {
    framing: Framing,
    model: String,
    /// The id to give when the upstream gives none.
    minted_id: String,
    show_reasoning: bool,
    enum_output: bool,
    /// What ends a chunk: model, id and the brace.
    tail: Vec<u8>,
    /// Whether a chunk was written, so that arrays get their commas.
    written: bool,
    over: bool,
    parts: Vec<Growing>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    tier: Option<String>,
}

/// A part that is open.
#[derive(Debug)]
struct Growing {
    index: u32,
    choice: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Text,
    Refusal,
    /// An enumeration's value, unwrapped once it is whole.
    Wrapped(String),
    Reasoning {
        proof: Option<Opaque>,
    },
    Call {
        id: String,
        name: String,
        custom: bool,
        arguments: String,
        proof: Option<Opaque>,
    },
    /// Written when it opened.
    Whole,
}

#[derive(Debug, Default)]
struct Choice {
    number: u32,
    visible: Visible,
    citations: Vec<(u32, Citation)>,
    logprobs: Vec<TokenLogprob>,
    /// A call that carries a signature was written.
    signed: bool,
    /// Something was written.
    said: bool,
    finish: Option<Finish>,
}

/// What stands before the part of a chunk.
const HEAD: &[u8] = br#"{"candidates":[{"content":{"role":"model","parts":["#;

impl GeminiEncoder {
    pub(super) fn new(reply: &Reply, framing: Framing) -> Self {
        Self {
            framing,
            model: reply.model.clone(),
            minted_id: reply.mint.id("", 0),
            show_reasoning: reply.show_reasoning,
            enum_output: reply.enum_output,
            tail: Vec::new(),
            written: false,
            over: false,
            parts: Vec::new(),
            choices: Vec::new(),
            usage: None,
            tier: None,
        }
    }

    /// What comes before a chunk.
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.framing, self.written) {
            (Framing::Sse, _) => b"data: ",
            (Framing::JsonArray, false) => b"[",
            (Framing::JsonArray, true) => b",\r\n",
        });
        self.written = true;
    }

    /// What comes after a chunk.
    fn end(&self, out: &mut Vec<u8>) {
        if self.framing == Framing::Sse {
            out.extend_from_slice(b"\n\n");
        }
    }

    /// A chunk of one part.
    fn part(&mut self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.begin(out);
        out.extend_from_slice(HEAD);
        write(out);
        out.extend_from_slice(b"]},\"index\":");
        if choice == 0 {
            out.push(b'0');
        } else {
            out.extend_from_slice(choice.to_string().as_bytes());
        }
        out.extend_from_slice(b"}]");
        self.tail(out);
        self.end(out);
        if let Some(choice) = self.choice(choice) {
            choice.said = true;
        }
    }

    fn tail(&mut self, out: &mut Vec<u8>) {
        if self.tail.is_empty() {
            let id = self.minted_id.clone();
            self.set_tail(&id);
        }
        out.extend_from_slice(&self.tail);
    }

    fn set_tail(&mut self, id: &str) {
        self.tail.clear();
        self.tail.extend_from_slice(b",\"modelVersion\":");
        json::escape_into(&mut self.tail, &self.model);
        self.tail.extend_from_slice(b",\"responseId\":");
        json::escape_into(&mut self.tail, id);
        self.tail.push(b'}');
    }

    fn choice(&mut self, number: u32) -> Option<&mut Choice> {
        let found = self
            .choices
            .iter()
            .position(|choice| choice.number == number);
        let at = found.unwrap_or(self.choices.len());
        if found.is_none() {
            self.choices.push(Choice {
                number,
                ..Choice::default()
            });
        }
        self.choices.get_mut(at)
    }

    fn open(&mut self, index: u32, choice: u32, part: &Open, out: &mut Vec<u8>) {
        let what = match part {
            Open::Text if self.enum_output => What::Wrapped(String::new()),
            Open::Text => What::Text,
            Open::Refusal => What::Refusal,
            Open::Reasoning { redacted: _ } => What::Reasoning { proof: None },
            Open::ToolCall { id, name, custom } => What::Call {
                id: id.clone(),
                name: name.clone(),
                custom: *custom,
                arguments: String::new(),
                proof: None,
            },
            Open::Media(media) => {
                let mut parts = Vec::new();
                media::answer(&mut parts, media);
                if !parts.is_empty() {
                    self.part(choice, out, |out| out.append(&mut parts));
                }
                What::Whole
            }
            Open::Opaque(opaque) => {
                if opaque.of == DialectId::Gemini {
                    let json = one_line(opaque.json.get());
                    self.part(choice, out, |out| out.extend_from_slice(json.as_bytes()));
                }
                What::Whole
            }
        };
        self.parts.push(Growing {
            index,
            choice,
            what,
        });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(part) = self.parts.iter_mut().find(|part| part.index == index) else {
            return;
        };
        let choice = part.choice;
        match (&mut part.what, delta) {
            (What::Text, Delta::Text(text)) | (What::Refusal, Delta::Refusal(text)) => {
                if !text.is_empty() {
                    self.text(index, choice, text, out);
                }
            }
            (What::Wrapped(whole), Delta::Text(text)) => whole.push_str(text),
            (What::Reasoning { .. }, Delta::Reasoning(text)) => {
                if self.show_reasoning && !text.is_empty() {
                    self.part(choice, out, |out| {
                        out.extend_from_slice(b"{\"text\":");
                        json::escape_into(out, text);
                        out.extend_from_slice(b",\"thought\":true}");
                    });
                }
            }
            (What::Call { arguments, .. }, Delta::Arguments(text)) => arguments.push_str(text),
            (What::Reasoning { proof } | What::Call { proof, .. }, Delta::Proof(found)) => {
                if found.of == DialectId::Gemini {
                    *proof = Some(found.clone());
                }
            }
            (_, Delta::Citation(citation)) => {
                let citation = citation.clone();
                if let Some(choice) = self.choice(choice) {
                    choice.citations.push((index, citation));
                }
            }
            // A delta that does not fit its part breaks the order of events; there is nothing to write for it.
            (
                _,
                Delta::Text(_)
                | Delta::Reasoning(_)
                | Delta::Refusal(_)
                | Delta::Arguments(_)
                | Delta::Proof(_),
            ) => {}
        }
    }

    fn text(&mut self, index: u32, choice: u32, text: &str, out: &mut Vec<u8>) {
        self.part(choice, out, |out| {
            out.extend_from_slice(b"{\"text\":");
            json::escape_into(out, text);
            out.push(b'}');
        });
        if let Some(choice) = self.choice(choice) {
            if choice
                .visible
                .parts
                .last()
                .is_none_or(|last| last.index != index)
            {
                choice.visible.open(index);
            }
            choice.visible.push(text);
        }
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().position(|part| part.index == index) else {
            return;
        };
        let Growing { choice, what, .. } = self.parts.swap_remove(at);
        match what {
            What::Text | What::Refusal | What::Whole | What::Reasoning { proof: None } => {}
            What::Wrapped(whole) => {
                let text = response::unwrapped(&whole);
                if !text.is_empty() {
                    self.text(index, choice, &text, out);
                }
            }
            What::Reasoning { proof: Some(proof) } => {
                self.part(choice, out, |out| response::proof_part(out, "", &proof));
            }
            What::Call {
                id,
                name,
                custom,
                arguments,
                proof,
            } => {
                let args = response::arguments(&arguments, custom);
                self.call(choice, &id, &name, &args, proof.as_ref(), out);
            }
        }
    }

    fn call(
        &mut self,
        choice: u32,
        id: &str,
        name: &str,
        args: &str,
        proof: Option<&Opaque>,
        out: &mut Vec<u8>,
    ) {
        let signed = self
            .choice(choice)
            .is_some_and(|choice| std::mem::replace(&mut choice.signed, true));
        self.part(choice, out, |out| {
            response::call_part(out, id, name, args, proof, signed);
        });
    }

    /// The last chunk: endings, sources and counts.
    fn last_chunk(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let refused = match self.choices.as_slice() {
            [only] if !only.said => only
                .finish
                .as_ref()
                .filter(|finish| finish.reason == FinishReason::Refusal),
            _ => None,
        };
        let mut object = Object::new(out);
        if let Some(finish) = refused {
            response::prompt_feedback(&mut object, finish);
        } else {
            let mut candidates = object.array("candidates");
            for choice in &self.choices {
                let Some(finish) = &choice.finish else {
                    continue;
                };
                let mut candidate = candidates.object();
                let mut content = candidate.object("content");
                content.string("role", "model");
                content.array("parts").object().string("text", "");
                drop(content);
                response::ending(
                    &mut candidate,
                    choice.number,
                    finish,
                    &choice.visible,
                    &choice.citations,
                    &choice.logprobs,
                );
            }
        }
        if let Some(usage) = &self.usage {
            usage::encode(&mut object, usage, self.tier.as_deref());
        }
        drop(object);
        // The tail brings the brace that closes the chunk.
        if out.pop() == Some(b'}') && out.last() == Some(&b'{') {
            // Nothing was written, so that the tail's comma would stand alone.
            out.extend_from_slice(b"\"candidates\":[]");
        }
        self.tail(out);
        self.end(out);
    }
}

impl Encoder for GeminiEncoder {
    fn sequential(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, .. } => {
                if let Some(id) = id.as_deref().filter(|id| !id.is_empty()) {
                    self.set_tail(id);
                }
            }
            Event::Open {
                index,
                choice,
                part,
            } => self.open(*index, *choice, part, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Close { index } => self.close(*index, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::Logprobs { choice, tokens } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.logprobs.extend_from_slice(tokens);
                }
            }
            Event::Finish { choice, finish } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.finish = Some(finish.clone());
                }
            }
            Event::Error(failure) => {
                self.over = true;
                self.begin(out);
                error::write(out, failure, "");
                self.end(out);
                if self.framing == Framing::JsonArray {
                    out.push(b']');
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        if self.usage.is_some() || self.choices.iter().any(|choice| choice.finish.is_some()) {
            self.last_chunk(out);
        }
        if self.framing == Framing::JsonArray {
            out.extend_from_slice(if self.written { b"]" } else { b"[]" });
        }
    }

    /// Blank lines: clients take comments for chunks. They are white space to JSON, too.
    fn heartbeat(&self) -> &'static [u8] {
        b"\n"
    }
}
