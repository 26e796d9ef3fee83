//! Writes a streamed answer. Every chunk is a whole `GenerateContentResponse` that holds new parts only.

use crate::framing::Framing;
use crate::hub::{Citation, Delta, Event, Finish, FinishReason, Opaque, Open, TokenLogprob, Usage};
use crate::json::{self, Object};
use crate::names;
use crate::search;
use crate::{ApiError, DialectId, Encoder, Reply};

use super::grounding::Visible;
use super::{error, finish, media, one_line, response, usage};

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
        /// Whole, but waiting for a call that opened before it.
        closed: bool,
    },
    /// Written when it opened.
    Whole,
}

#[derive(Debug, Default)]
struct Choice {
    number: u32,
    visible: Visible,
    citations: Vec<(u32, Citation)>,
    /// What was searched for.
    queries: Vec<String>,
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
                name: names::plain(name).to_owned(),
                custom: *custom,
                arguments: String::new(),
                proof: None,
                closed: false,
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
                if let Some(search) = search::of(opaque) {
                    if let Some(choice) = self.choice(choice) {
                        choice.queries.extend(search.queries);
                    }
                } else if opaque.of == DialectId::Gemini {
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
        if let Some(Growing {
            choice,
            what: What::Call { closed, .. },
            ..
        }) = self.parts.get_mut(at)
        {
            *closed = true;
            let choice = *choice;
            self.write_calls(choice, out);
            return;
        }
        let Growing { choice, what, .. } = self.parts.remove(at);
        match what {
            // Calls were taken care of above.
            What::Text
            | What::Refusal
            | What::Whole
            | What::Reasoning { proof: None }
            | What::Call { .. } => {}
            What::Wrapped(whole) => {
                let text = response::unwrapped(&whole);
                if !text.is_empty() {
                    self.text(index, choice, &text, out);
                }
            }
            What::Reasoning { proof: Some(proof) } => {
                self.part(choice, out, |out| response::proof_part(out, "", &proof));
            }
        }
    }

    /// Writes the calls that are whole, in the order in which they opened.
    fn write_calls(&mut self, choice: u32, out: &mut Vec<u8>) {
        let first = |parts: &[Growing]| {
            let is_call =
                |part: &Growing| part.choice == choice && matches!(part.what, What::Call { .. });
            parts.iter().position(is_call)
        };
        while let Some(at) = first(&self.parts) {
            if !matches!(
                self.parts.get(at),
                Some(Growing {
                    what: What::Call { closed: true, .. },
                    ..
                })
            ) {
                return;
            }
            if let What::Call {
                id,
                name,
                custom,
                arguments,
                proof,
                closed: _,
            } = self.parts.remove(at).what
            {
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

    fn fail(&mut self, failure: &ApiError, out: &mut Vec<u8>) {
        self.over = true;
        self.begin(out);
        error::write(out, failure, "");
        self.end(out);
        if self.framing == Framing::JsonArray {
            out.push(b']');
        }
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
                    &choice.queries,
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
                let failure = finish.failure().filter(|_| !finish::is_own(finish));
                match (failure, self.choice(*choice)) {
                    (Some(failure), _) => self.fail(&failure, out),
                    (None, Some(choice)) => choice.finish = Some(finish.clone()),
                    (None, None) => {}
                }
            }
            Event::Error(failure) => self.fail(failure, out),
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
    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiError, ErrorKind, Mint};

    fn reply(enum_output: bool) -> Reply {
        Reply {
            model: "m".into(),
            mint: Mint { now: 0, id: 0 },
            include_usage: false,
            show_reasoning: true,
            legacy_function_call: false,
            enum_output,
            responses: None,
        }
    }

    fn write(reply: &Reply, framing: Framing, events: &[Event]) -> String {
        let mut encoder = GeminiEncoder::new(reply, framing);
        let mut out = Vec::new();
        for event in events {
            encoder.event(event, &mut out);
        }
        encoder.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// `parts`: what stands in the chunks' parts, one chunk per line; then the rest of the last chunk.
    fn check(events: &[Event], expect: &[&str]) {
        let text = write(&reply(false), Framing::Sse, &started(events));
        let shown: Vec<&str> = text
            .split("\n\n")
            .filter(|frame| !frame.is_empty())
            .map(|frame| {
                let frame = frame.strip_prefix("data: ").unwrap();
                let frame = frame
                    .strip_suffix(r#","modelVersion":"m","responseId":"r"}"#)
                    .unwrap();
                frame
                    .strip_prefix(r#"{"candidates":[{"content":{"role":"model","parts":["#)
                    .unwrap_or(frame)
            })
            .collect();
        assert_eq!(shown, expect);
    }

    fn started(events: &[Event]) -> Vec<Event> {
        let mut all = vec![Event::Start {
            id: Some("r".into()),
            model: "upstream".into(),
            created: None,
        }];
        all.extend_from_slice(events);
        all
    }

    fn open(index: u32, part: Open) -> Event {
        Event::Open {
            index,
            choice: 0,
            part,
        }
    }

    fn call(index: u32, name: &str) -> Event {
        open(
            index,
            Open::ToolCall {
                id: format!("id{index}"),
                name: name.into(),
                custom: false,
            },
        )
    }

    fn delta(index: u32, delta: Delta) -> Event {
        Event::Delta { index, delta }
    }

    fn text(index: u32, text: &str) -> Event {
        delta(index, Delta::Text(text.into()))
    }

    fn arguments(index: u32, text: &str) -> Event {
        delta(index, Delta::Arguments(text.into()))
    }

    fn close(index: u32) -> Event {
        Event::Close { index }
    }

    fn finish(reason: FinishReason) -> Event {
        Event::Finish {
            choice: 0,
            finish: Finish::from(reason),
        }
    }

    const STOP: &str = r#"{"text":""}]},"finishReason":"STOP","index":0}]"#;

    #[test]
    fn texts_and_thoughts_are_chunks() {
        let usage = Usage {
            input: 5,
            output: 2,
            ..Usage::default()
        };
        check(
            &[
                open(0, Open::Reasoning { redacted: false }),
                delta(0, Delta::Reasoning("h\nm".into())),
                close(0),
                open(1, Open::Text),
                text(1, "a"),
                text(1, ""),
                text(1, "\"b\""),
                close(1),
                finish(FinishReason::Stop),
                Event::Usage(usage),
            ],
            &[
                r#"{"text":"h\nm","thought":true}]},"index":0}]"#,
                r#"{"text":"a"}]},"index":0}]"#,
                r#"{"text":"\"b\""}]},"index":0}]"#,
                r#"{"text":""}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}"#,
            ],
        );
    }

    #[test]
    fn calls_are_whole_and_in_the_order_of_opening() {
        check(
            &[
                call(0, "f"),
                call(1, "g"),
                arguments(0, "{\"a\":\n"),
                arguments(1, ""),
                close(1),
                arguments(0, "1}"),
                close(0),
                call(2, "h"),
                arguments(2, "{\"cut"),
                close(2),
                finish(FinishReason::ToolCalls),
            ],
            &[
                r#"{"functionCall":{"id":"id0","name":"f","args":{"a":1}},"thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="}]},"index":0}]"#,
                r#"{"functionCall":{"id":"id1","name":"g","args":{}}}]},"index":0}]"#,
                r#"{"functionCall":{"id":"id2","name":"h","args":{"_raw_arguments":"{\"cut"}}}]},"index":0}]"#,
                STOP,
            ],
        );
    }

    #[test]
    fn a_refusal_without_a_word_has_no_candidate() {
        let refused = Event::Finish {
            choice: 0,
            finish: Finish {
                message: Some("No.".into()),
                ..Finish::from(FinishReason::Refusal)
            },
        };
        check(
            std::slice::from_ref(&refused),
            &[r#"{"promptFeedback":{"blockReason":"OTHER","blockReasonMessage":"No."}"#],
        );
        check(
            &[open(0, Open::Text), text(0, "a"), close(0), refused],
            &[
                r#"{"text":"a"}]},"index":0}]"#,
                r#"{"text":""}]},"finishReason":"SAFETY","finishMessage":"No.","index":0}]"#,
            ],
        );
    }

    #[test]
    fn sources_come_last_in_bytes() {
        let citation = Citation {
            url: Some("u".into()),
            title: None,
            cited_text: None,
            span: Some((1, 2)),
            source: None,
        };
        check(
            &[
                open(0, Open::Text),
                text(0, "中文"),
                delta(0, Delta::Citation(citation)),
                close(0),
                finish(FinishReason::Stop),
            ],
            &[
                r#"{"text":"中文"}]},"index":0}]"#,
                r#"{"text":""}]},"finishReason":"STOP","index":0,"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}],"groundingSupports":[{"segment":{"startIndex":3,"endIndex":6,"text":"文"},"groundingChunkIndices":[0]}]}}]"#,
            ],
        );
    }

    #[test]
    fn enumerations_are_unwrapped() {
        let events = [
            open(0, Open::Text),
            text(0, "{\"value\":"),
            text(0, "\"red\"}"),
            close(0),
        ];
        let out = write(&reply(true), Framing::Sse, &started(&events));
        assert!(
            out.starts_with(
                r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"red"}]}"#
            ),
            "{out}"
        );
    }

    #[test]
    fn both_framings_end_as_their_clients_expect() {
        let failure = Event::Error(ApiError::new(ErrorKind::Overloaded, "busy"));
        let error = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
        let chunk = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},"index":0}],"modelVersion":"m","responseId":"r"}"#;
        let begun = started(&[open(0, Open::Text), text(0, "a")]);
        let failed: Vec<Event> = begun
            .iter()
            .cloned()
            .chain([failure.clone(), close(0)])
            .collect();
        let ended: Vec<Event> = begun
            .iter()
            .cloned()
            .chain([close(0), finish(FinishReason::Stop)])
            .collect();
        let write = |framing, events: &[Event]| write(&reply(false), framing, events);
        assert_eq!(
            write(Framing::Sse, std::slice::from_ref(&failure)),
            format!("data: {error}\n\n")
        );
        assert_eq!(write(Framing::JsonArray, &[failure]), format!("[{error}]"));
        assert_eq!(
            write(Framing::Sse, &failed),
            format!("data: {chunk}\n\ndata: {error}\n\n")
        );
        assert_eq!(
            write(Framing::JsonArray, &failed),
            format!("[{chunk},\r\n{error}]")
        );
        assert_eq!(write(Framing::JsonArray, &[]), "[]");
        assert_eq!(write(Framing::Sse, &[]), "");
        let array = write(Framing::JsonArray, &ended);
        assert!(
            array.starts_with(&format!("[{chunk},\r\n{{\"candidates\"")) && array.ends_with("}]"),
            "{array}"
        );
    }
}
