//! A count of what an answer is made of while it goes by, for when nobody tells how many tokens that was.

use memchr::memmem;

use super::text::{self, Runs};
use super::{Terms, Weights};
use crate::DialectId;
use crate::envelope::string_end;
use crate::hub::{Delta, Event, Media, MediaKind, Open, Part, PartBody, Response};
use crate::json::Node;

/// The pieces of an answer so far. Words that come in several deltas are counted as one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    terms: Terms,
    run: Runs,
    images: u32,
    /// Bytes of text.
    bytes: u64,
}

impl Tally {
    /// Counts what an event adds to the answer.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Open { part, .. } => match part {
                Open::ToolCall { name, .. } => self.call(name),
                Open::Media(media) => self.media(media),
                // What the vendor's own tools found is no output.
                Open::Opaque(_) | Open::Text | Open::Reasoning { .. } | Open::Refusal => {}
            },
            Event::Delta { delta, .. } => match delta {
                Delta::Text(text)
                | Delta::Reasoning(text)
                | Delta::Refusal(text)
                | Delta::Arguments(text) => self.text(text),
                // Proofs are no output: they stand for reasoning that is counted, or that nobody shows.
                Delta::Proof(_) | Delta::Citation(_) => {}
            },
            Event::Start { .. }
            | Event::Close { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Logprobs { .. }
            | Event::Finish { .. }
            | Event::Error(_) => {}
        }
    }

    /// Counts a whole answer.
    pub fn response(&mut self, response: &Response) {
        let choices = response.choices.iter();
        for part in choices.flat_map(|choice| &choice.parts) {
            self.part(part);
        }
    }

    fn part(&mut self, part: &Part) {
        match &part.body {
            PartBody::Text(said) => self.text(&said.text),
            PartBody::Refusal(said) => self.text(said),
            PartBody::Reasoning(thought) => self.text(&thought.text),
            PartBody::ToolCall(call) => {
                self.call(&call.name);
                self.text(&call.arguments);
            }
            PartBody::Media(media) => self.media(media),
            // What the vendor's own tools found is no output.
            PartBody::Opaque(_) | PartBody::ToolResult(_) => {}
        }
        self.run.end(&mut self.terms);
    }

    /// Counts what a frame of a stream adds to the answer without decoding it: the strings under the names that the dialect has
    /// for pieces of text.
    pub fn frame(&mut self, dialect: DialectId, data: &str) {
        match dialect {
            DialectId::Chat => {
                self.strings(data, "\"content\"");
                // Some servers say it under both names.
                if !self.strings(data, "\"reasoning_content\"") {
                    self.strings(data, "\"reasoning\"");
                }
                if self.strings(data, "\"arguments\"") | says(data, "\"tool_calls\"") {
                    self.names(data);
                }
            }
            DialectId::Responses => {
                let said = self.strings(data, "\"delta\"");
                if !said && says(data, "\"response.output_item.added\"") {
                    self.names(data);
                }
            }
            DialectId::Messages => {
                let said = self.strings(data, "\"text\"")
                    || self.strings(data, "\"partial_json\"")
                    || self.strings(data, "\"thinking\"");
                if !said && says(data, "\"tool_use\"") {
                    self.names(data);
                }
            }
            DialectId::Gemini => {
                self.strings(data, "\"text\"");
                if says(data, "\"functionCall\"") {
                    self.names(data);
                    self.arguments(data);
                }
            }
        }
    }

    /// Calls, each of which has a name.
    fn names(&mut self, data: &str) {
        let before = self.bytes;
        self.run.end(&mut self.terms);
        if self.strings(data, "\"name\"") && self.bytes > before {
            self.terms.call += 1.0;
            self.run.end(&mut self.terms);
        }
    }

    /// The objects that calls are made with, where they come whole.
    fn arguments(&mut self, data: &str) {
        const QUOTED: &str = "\"args\"";
        let mut rest = data;
        while let Some(at) = memmem::find(rest.as_bytes(), QUOTED.as_bytes()) {
            rest = rest.get(at + QUOTED.len()..).unwrap_or_default();
            let end = object_end(rest.as_bytes()).unwrap_or(rest.len());
            let (object, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            self.text(object);
            rest = after;
        }
    }

    /// The strings of a name; whether there is one that is not empty.
    fn strings(&mut self, data: &str, quoted: &str) -> bool {
        let mut rest = data;
        let mut found = false;
        while let Some(at) = memmem::find(rest.as_bytes(), quoted.as_bytes()) {
            rest = rest.get(at + quoted.len()..).unwrap_or_default();
            let Some(value) = rest.trim_start().strip_prefix(':').map(str::trim_start) else {
                continue;
            };
            if !value.starts_with('"') {
                continue;
            }
            let Some(end) = string_end(value.as_bytes(), 0) else {
                break;
            };
            let (string, after) = value.split_at_checked(end).unwrap_or((value, ""));
            rest = after;
            found |= string.len() > 2;
            if memchr::memchr(b'\\', string.as_bytes()).is_none() {
                self.text(string.trim_matches('"'));
            } else if let Some(text) = Node::parse(string.as_bytes()).ok().and_then(Node::text) {
                self.text(&text);
            }
        }
        found
    }

    fn text(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        text::go_on(text, &mut self.run, &mut self.terms);
    }

    fn call(&mut self, name: &str) {
        self.run.end(&mut self.terms);
        self.terms.call += 1.0;
        self.text(name);
        self.run.end(&mut self.terms);
    }

    fn media(&mut self, media: &Media) {
        match media.kind {
            MediaKind::Image => self.images = self.images.saturating_add(1),
            MediaKind::Audio | MediaKind::Video | MediaKind::Document => {}
        }
    }

    /// Nothing of an answer went by.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0 && self.images == 0 && self.terms.call == 0.0
    }

    /// Pictures that the answer holds.
    pub fn images(&self) -> u32 {
        self.images
    }

    /// About how many tokens all of it is, by a model's weights.
    pub fn tokens(&self, weights: &Weights) -> u64 {
        let Self { mut terms, run, .. } = self.clone();
        { run }.end(&mut terms);
        super::whole(terms.dot(&weights.terms))
    }
}

fn says(data: &str, quoted: &str) -> bool {
    memmem::find(data.as_bytes(), quoted.as_bytes()).is_some()
}

/// Where the first object ends that begins in `text`.
fn object_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_frames(dialect: DialectId, frames: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for frame in frames {
            tally.frame(dialect, frame);
        }
        tally
    }

    #[test]
    fn deltas_are_counted_as_the_text_that_they_make() {
        let whole = "The internationalisation of 12345 words,\n\n今日は   done";
        let mut expect = Terms::default();
        text::count(whole, &mut expect);
        for size in 1..whole.chars().count() {
            let mut tally = Tally::default();
            let chars: Vec<char> = whole.chars().collect();
            for piece in chars.chunks(size) {
                tally.text(&piece.iter().collect::<String>());
            }
            tally.run.end(&mut tally.terms);
            assert_eq!(tally.terms, expect, "{size}");
        }
    }

    #[test]
    fn frames_are_counted_without_decoding_them() {
        let check = |dialect: DialectId, frames: &[&str], text: &str| {
            let tally = of_frames(dialect, frames);
            let mut expect = Tally::default();
            expect.text(text);
            assert_eq!(
                (tally.bytes, tally.run),
                (expect.bytes, expect.run),
                "{frames:?}"
            );
        };
        check(
            DialectId::Chat,
            &[
                r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"choices":[{"delta":{"content" : "a \"b\"\n"},"logprobs":{"content":[{"token":"no"}]}}]}"#,
                r#"{"choices":[{"delta":{"content":null,"reasoning_content":"c","reasoning":"c"}}]}"#,
                "[DONE]",
            ],
            "a \"b\"\nc",
        );
        check(
            DialectId::Messages,
            &[
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"caf\u00e9"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1"}}"#,
            ],
            "café{\"a\":1",
        );
        check(
            DialectId::Responses,
            &[
                r#"{"type":"response.output_text.delta","delta":"one","obfuscation":"xxxxx"}"#,
                r#"{"type":"response.output_text.done","text":"one"}"#,
            ],
            "one",
        );
        check(
            DialectId::Gemini,
            &[r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]}}]}"#],
            "ab",
        );
        check(
            DialectId::Chat,
            &[r#"{"choices":[{"delta":{"content":"cut"#],
            "",
        );
    }
}
