//! Reads along a stream that is forwarded as it is: what it used and how it ended, at little cost and without a say.

use memchr::memmem::{self, Finder};

use super::account::Account;
use super::source::{Ending, Look, Source};
use super::{Encoder, End, Outcome, Summary, Told};
use crate::framing::{Frame, Framing, Place};
use crate::hub::Event;
use crate::json::Node;
use crate::vault::Witness;
use crate::{ApiError, Dialect, DialectId, Reply};

/// Fed a copy of each chunk; never fails and never changes a byte.
///
/// The dialect's own decoder sees the frames up to the first content, and of the rest only those that tell something about the
/// answer as a whole; most frames are passed over after a few searches.
#[derive(Debug)]
pub struct Tap {
    dialect: &'static dyn Dialect,
    source: Source,
    marks: Marks,
    account: Account,
    trail: Option<Trail>,
    events: Vec<Event>,
    witness: Option<Witness>,
    /// Something could not be read, and the tap no longer looks.
    blind: bool,
    /// The last error was told in a form that the dialect's clients know.
    heard: bool,
}

impl Tap {
    /// Bytes of one frame; after a longer one, the tap no longer looks.
    pub const LIMIT: usize = 16 << 20;

    pub fn new(dialect: &'static dyn Dialect, framing: Framing) -> Self {
        Self {
            dialect,
            source: Source::new(dialect, framing, Self::LIMIT),
            marks: Marks::of(dialect.id()),
            account: Account::default(),
            trail: (dialect.id() == DialectId::Responses).then(Trail::default),
            events: Vec::new(),
            witness: None,
            blind: false,
            heard: true,
        }
    }

    /// `witness` is told of the proofs of reasoning that go by.
    #[must_use]
    pub fn with_witness(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    pub fn push(&mut self, chunk: &[u8]) {
        if self.blind {
            return;
        }
        let Self {
            source,
            marks,
            account,
            trail,
            events,
            witness,
            heard,
            ..
        } = self;
        let dialect = self.dialect.id();
        let mut noted = 0;
        let look = |frame: &Frame<'_>, read: &[Event]| {
            for event in read.get(noted..).unwrap_or_default() {
                account.look(event);
            }
            noted = read.len();
            // Whether it is decoded or not.
            account.tally.frame(dialect, frame.data);
            let says = |word: &str| memmem::find(frame.data.as_bytes(), word.as_bytes()).is_some();
            match dialect {
                // Its clients go by the event's name and pass over a bare error.
                DialectId::Messages if says("\"error\"") => *heard = frame.event == "error",
                // Codex knows an answer that failed, and passes over an event of the type `error`.
                DialectId::Responses if says("\"error\"") => *heard = says("\"response.failed\""),
                DialectId::Messages
                | DialectId::Responses
                | DialectId::Chat
                | DialectId::Gemini => {}
            }
            if let Some(trail) = trail {
                trail.follow(frame);
            }
            if let Some(witness) = witness {
                witness.tell(dialect, frame.data.as_bytes());
            }
            if !account.content || account.is_silent() || marks.are_in(frame.data, account) {
                Look::Decode
            } else if marks.usage.is_in(frame.data) {
                // Some upstreams tell it in each frame, and only the last one counts.
                Look::Keep
            } else {
                Look::Skip
            }
        };
        let read = source.push(chunk, look, events);
        for event in events.drain(..).skip(noted) {
            account.look(&event);
        }
        if let Err(error) = read {
            self.blind = true;
            if !account.content {
                account.error.get_or_insert(error.to_api_error());
            }
        }
    }

    /// As [`super::Transcoder::has_content`].
    pub fn has_content(&self) -> bool {
        self.account.content
    }

    /// As [`super::Transcoder::is_silent`].
    pub fn is_silent(&self) -> bool {
        self.account.is_silent()
    }

    /// As [`super::Transcoder::has_begun`].
    pub fn has_begun(&self) -> bool {
        self.account.begun
    }

    /// Appends what keeps the connection alive where the client has whole frames only.
    pub fn heartbeat(&self, reply: &Reply, framing: Framing, out: &mut Vec<u8>) {
        self.encoder(reply, framing).heartbeat(out);
    }

    /// What the upstream said in place of an answer, or that it did not answer in its dialect.
    pub fn error(&self) -> Option<&ApiError> {
        self.account.error.as_ref()
    }

    /// What is known so far, as of an answer that ends now. What the upstream repeats in each frame is only known at the end.
    pub fn so_far(&self) -> Summary {
        Summary {
            served: self.source.served(),
            ..self.account.so_far()
        }
    }

    /// Whether the upstream has said how the answer ends.
    pub fn has_ended(&self) -> bool {
        self.account.has_ended()
    }

    fn encoder(&self, reply: &Reply, framing: Framing) -> Box<dyn Encoder + Send> {
        let mut encoder = self.dialect.encoder(reply, framing);
        if let Some(trail) = self.trail.as_ref().filter(|trail| trail.told.next > 0) {
            encoder.resume(&trail.told);
        }
        encoder
    }

    /// The upstream's bytes are over. When they stop in the middle of the answer, appends an error in the dialect's own form,
    /// as far as the place where they stop leaves room for one.
    pub fn end(mut self, how: End, reply: &Reply, shown: Shown, out: &mut Vec<u8>) -> Summary {
        let gone = how == End::ClientGone;
        let failed = self.account.error.is_some();
        let framed = self.source.place().is_some();
        let half_frame = matches!(self.source.place(), Some((Framing::Sse, Place::Inside)));
        let place = match (self.source.place(), shown) {
            (Some((Framing::Sse, Place::Inside)), Shown::WholeFrames) => {
                Some((Framing::Sse, Place::Ready))
            }
            (place, _) => place,
        };
        let ending = if !self.blind {
            self.source.end(how, &mut self.events)
        } else if let End::Broken(error) = how {
            Ending::Cut(error)
        } else {
            Ending::Complete
        };
        self.account.served = self.source.served();
        self.account.told_at_the_end = self.source.told_at_the_end();
        for event in self.events.drain(..) {
            if framed {
                self.account.look(&event);
            } else {
                self.account.note(&event);
            }
        }
        if gone {
            return self.account.with(Outcome::ClientGone);
        }
        if let Some(error) = &self.account.error {
            // An error in the last frame, which nothing ends, is one that clients may not have seen. A failure that the
            // upstream put into the words of its dialect's endings is one that they have.
            let unheard = if failed { !self.heard } else { half_frame };
            if unheard && let Some(place) = place {
                self.write_error(reply, error, place, out);
            }
            return self.account.with(Outcome::UpstreamError);
        }
        match ending {
            Ending::Complete => self.account.complete(),
            Ending::Failed(error) => {
                self.account.error = Some(error);
                self.account.with(Outcome::UpstreamError)
            }
            Ending::Cut(error) => {
                if let Some(place) = place {
                    self.write_error(reply, &error, place, out);
                }
                self.account.error = Some(error);
                self.account.with(Outcome::Truncated)
            }
        }
    }

    /// Tells of `error` in the dialect's own form, behind bytes that leave off at `place`.
    fn write_error(
        &self,
        reply: &Reply,
        error: &ApiError,
        (framing, place): (Framing, Place),
        out: &mut Vec<u8>,
    ) {
        let mut bytes = Vec::new();
        let event = Event::Error(error.clone());
        self.encoder(reply, framing).event(&event, &mut bytes);
        append(self.dialect.id(), framing, place, &bytes, out);
    }
}

/// What the client has of the upstream's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Each of them.
    All,
    /// Nothing of the frame that they stop in.
    WholeFrames,
}

/// What an encoder needs that is to add to a stream of Responses: it names the answer, and counts its events.
#[derive(Debug)]
struct Trail {
    told: Told,
    number: Finder<'static>,
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            told: Told::default(),
            number: Finder::new("\"sequence_number\""),
        }
    }
}

impl Trail {
    /// Bytes of a response object that are kept; it repeats the tools of its request.
    const MOST: usize = 1 << 20;

    fn follow(&mut self, frame: &Frame<'_>) {
        let data = frame.data;
        let mut marks = self.number.find_iter(data.as_bytes());
        let number = marks.find_map(|at| {
            let after = data.get(at + self.number.needle().len()..)?;
            let digits = after.trim_start().strip_prefix(':')?.trim_start();
            let end = digits.find(|c: char| !c.is_ascii_digit())?;
            digits.get(..end)?.parse::<u64>().ok()
        });
        self.told.next = number.unwrap_or(self.told.next).saturating_add(1);
        // The first two events, and those that only say that the answer is still being made.
        if self.told.answer.is_none() && data.len() <= Self::MOST {
            let answer = Node::parse(data.as_bytes()).and_then(Node::fields);
            let answer = answer.ok().and_then(|fields| fields.get("response"));
            self.told.answer = answer.filter(|node| node.is_object()).map(Node::to_raw);
        }
    }
}

/// Appends `error`, a frame as it would stand in a stream of its own, to bytes that leave off at `place`.
fn append(dialect: DialectId, framing: Framing, place: Place, error: &[u8], out: &mut Vec<u8>) {
    match (framing, place) {
        (_, Place::Start) | (Framing::Sse, Place::Ready | Place::Comma | Place::Closed) => {
            out.extend_from_slice(error);
        }
        (Framing::Sse, Place::Inside) => {
            // Anthropic's SDKs go by the event's name and pass over names that they do not know, so half an event is closed
            // under such a name. Where there are no names it can only be closed, and the client finds that it is not JSON.
            out.extend_from_slice(match dialect {
                DialectId::Messages | DialectId::Responses => b"\nevent: cut\n\n",
                DialectId::Chat | DialectId::Gemini => b"\n\n",
            });
            out.extend_from_slice(error);
        }
        (Framing::JsonArray, Place::Ready | Place::Comma) => {
            if place == Place::Comma {
                out.push(b',');
            }
            let element = error.trim_ascii();
            let element = element.strip_prefix(b"[").unwrap_or(element);
            out.extend_from_slice(element);
            if !element.ends_with(b"]") {
                out.push(b']');
            }
        }
        // Nothing can follow half an element, or the array's end.
        (Framing::JsonArray, Place::Inside | Place::Closed) => {}
    }
}

/// What tells that a frame says something about the answer as a whole.
#[derive(Debug)]
struct Marks {
    endings: Vec<Mark>,
    /// Some upstreams end a turn of tool calls in the same words as any other, so one call has to be seen.
    call: Mark,
    /// A choice other than the first has an ending of its own, so one of its frames has to be seen.
    choice: Option<Mark>,
    usage: Mark,
}

impl Marks {
    /// Frames of fewer bytes are looked into: `[DONE]`, `{"type":"message_stop"}`.
    const SHORT: usize = 32;

    fn of(dialect: DialectId) -> Self {
        let told = |key| Mark::new(key, Stands::Told);
        match dialect {
            DialectId::Chat => Self {
                endings: vec![told("\"finish_reason\""), told("\"error\"")],
                call: told("\"tool_calls\""),
                choice: Some(Mark::new("\"index\"", Stands::NotZero)),
                usage: told("\"usage\""),
            },
            DialectId::Responses => Self {
                endings: vec![
                    told("\"usage\""),
                    Mark::new("\"error\"", Stands::Anywhere),
                    // Some endings do not repeat the searches, which are counted.
                    Mark::new("\"web_search_call\"", Stands::Anywhere),
                ],
                call: Mark::new("\"function_call\"", Stands::Anywhere),
                choice: None,
                usage: told("\"usage\""),
            },
            DialectId::Messages => Self {
                endings: vec![told("\"stop_reason\""), told("\"error\"")],
                call: Mark::new("\"tool_use\"", Stands::Anywhere),
                choice: None,
                usage: told("\"usage\""),
            },
            DialectId::Gemini => Self {
                endings: vec![
                    told("\"finishReason\""),
                    told("\"blockReason\""),
                    told("\"error\""),
                ],
                call: told("\"functionCall\""),
                choice: Some(Mark::new("\"index\"", Stands::NotZero)),
                usage: told("\"usageMetadata\""),
            },
        }
    }

    fn are_in(&self, data: &str, account: &Account) -> bool {
        data.len() < Self::SHORT
            || self.endings.iter().any(|mark| mark.is_in(data))
            || !account.tool_call && self.call.is_in(data)
            || !account.several_choices && self.choice.as_ref().is_some_and(|mark| mark.is_in(data))
    }
}

/// A word with its quotes: quotes inside a string are escaped, so it is only ever found as a whole string.
#[derive(Debug)]
struct Mark {
    quoted: Finder<'static>,
    stands: Stands,
}

#[derive(Debug, Clone, Copy)]
enum Stands {
    Anywhere,
    /// As a key, with a value other than `null`.
    Told,
    /// As a key, with a value other than 0.
    NotZero,
}

impl Mark {
    fn new(quoted: &'static str, stands: Stands) -> Self {
        let quoted = Finder::new(quoted);
        Self { quoted, stands }
    }

    fn is_in(&self, data: &str) -> bool {
        let data = data.as_bytes();
        let value = |at: usize| {
            let after = data.get(at + self.quoted.needle().len()..)?;
            let value = after.trim_ascii_start().strip_prefix(b":")?;
            value.trim_ascii_start().first().copied()
        };
        self.quoted.find_iter(data).any(|at| match self.stands {
            Stands::Anywhere => true,
            Stands::Told => value(at).is_some_and(|first| first != b'n'),
            Stands::NotZero => value(at).is_some_and(|first| first != b'0'),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::stream::toy::{FREE, reply};

    fn check(input: &str, how: &End, expect: &str, outcome: Outcome) {
        for size in [1, input.len().max(1)] {
            let mut tap = Tap::new(&FREE, Framing::Sse);
            for chunk in input.as_bytes().chunks(size) {
                tap.push(chunk);
            }
            let mut out = Vec::new();
            let summary = tap.end(how.clone(), &reply(), Shown::All, &mut out);
            let out = String::from_utf8(out).unwrap();
            assert_eq!(
                (out.as_str(), summary.outcome),
                (expect, outcome),
                "{input}"
            );
        }
    }

    #[test]
    fn only_a_cut_stream_gets_an_addition() {
        let error = "data: e:upstream_stream_truncated\n\n";
        check("data: s o0 d0:a c0 f\n\n", &End::Eof, "", Outcome::Complete);
        check("data: s o0 d0:a\n\n", &End::Eof, error, Outcome::Truncated);
        check(
            "data: s o0 d0:a\n\nda",
            &End::Eof,
            &format!("\n\n{error}"),
            Outcome::Truncated,
        );
        check(
            "data: s o0 d0:a\n\n",
            &End::ClientGone,
            "",
            Outcome::ClientGone,
        );
        check(
            "data: s o0 e:busy\n\n",
            &End::Eof,
            "",
            Outcome::UpstreamError,
        );
        check("", &End::Eof, error, Outcome::Truncated);
        check(
            "{\"error\":\"busy\"}",
            &End::Eof,
            "",
            Outcome::UpstreamError,
        );
        check("{\"answer\":\"x\"}", &End::Eof, "", Outcome::Complete);
        check("<html>", &End::Eof, "", Outcome::UpstreamError);
        check("data: ?\n\n", &End::Eof, "", Outcome::UpstreamError);
    }

    #[test]
    fn a_failure_in_the_words_of_the_dialect_is_not_told_again() {
        let stream = include_str!("../../fixtures/gemini/streams/gave_up_without_a_word.sse");
        let mut tap = Tap::new(DialectId::Gemini.dialect(), Framing::Sse);
        tap.push(stream.as_bytes());
        let mut out = Vec::new();
        let summary = tap.end(End::Eof, &reply(), Shown::All, &mut out);
        assert_eq!(
            (summary.outcome, out.as_slice()),
            (Outcome::UpstreamError, &b""[..])
        );
    }

    #[test]
    fn what_cannot_be_read_after_content_is_let_through() {
        let odd = format!("data: s o0 d0:a\n\ndata: ?{}\n\n", "\"error\":1".repeat(9));
        let tap = |how| {
            let mut tap = Tap::new(&FREE, Framing::Sse);
            tap.push(odd.as_bytes());
            assert_eq!(tap.error(), None);
            tap.end(how, &reply(), Shown::All, &mut Vec::new()).outcome
        };
        assert_eq!(tap(End::Eof), Outcome::Complete);
        let broken = ApiError::new(ErrorKind::Upstream, "reset");
        assert_eq!(tap(End::Broken(broken)), Outcome::Truncated);
    }

    #[test]
    fn keys_are_told_from_words_and_from_nothing() {
        let check = |data: &str, expect| {
            let mark = Mark::new("\"usage\"", Stands::Told);
            assert_eq!(mark.is_in(data), expect, "{data}");
        };
        check(r#"{"usage":{"x":1}}"#, true);
        check(r#"{"usage" : {"x":1}}"#, true);
        check(r#"{"usage":null,"x_groq":{"usage":{}}}"#, true);
        check(r#"{"usage":null}"#, false);
        check(r#"{"usage": null}"#, false);
        check(r#"{"text":"\"usage\":1"}"#, false);
        check(r#"{"text":"usage"}"#, false);
        check(r#"{"usage"#, false);
    }

    #[test]
    fn an_error_is_added_where_there_is_room_for_one() {
        let check = |dialect, framing, place, error: &str, expect: &str| {
            let mut out = Vec::new();
            append(dialect, framing, place, error.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect, "{place:?}");
        };
        let gemini = DialectId::Gemini;
        let array = Framing::JsonArray;
        check(gemini, array, Place::Start, "[{}]", "[{}]");
        check(gemini, array, Place::Ready, "[{}]", "{}]");
        check(gemini, array, Place::Comma, "[{}\n]", ",{}\n]");
        check(gemini, array, Place::Comma, "{}", ",{}]");
        check(gemini, array, Place::Inside, "[{}]", "");
        check(gemini, array, Place::Closed, "[{}]", "");
        let messages = DialectId::Messages;
        check(
            messages,
            Framing::Sse,
            Place::Ready,
            "event: error\n",
            "event: error\n",
        );
        check(
            messages,
            Framing::Sse,
            Place::Inside,
            "event: error\n",
            "\nevent: cut\n\nevent: error\n",
        );
    }
}
