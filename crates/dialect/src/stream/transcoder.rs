//! One streamed answer from the upstream's dialect into the client's.

use super::account::Account;
use super::source::{Ending, Look, Source};
use super::{Encoder, End, Mender, Outcome, Sequencer, StreamError, Summary, truncated};
use crate::framing::{FrameReader, Framing};
use crate::hub::{Event, Request, Usage};
use crate::recast::Recaster;
use crate::restore::{Restorer, ToolChanges};
use crate::vault::Sealer;
use crate::{ApiError, Dialect, Reply};

/// Fed the upstream's bytes as they come, cut anywhere; appends what the client is owed.
///
/// An upstream that answers in one piece, although a stream was asked for, is read as such, up to [`FrameReader::LIMIT`] bytes,
/// and told at the end.
#[derive(Debug)]
pub struct Transcoder {
    source: Source,
    sequencer: Option<Sequencer>,
    encoder: Box<dyn Encoder + Send>,
    recaster: Recaster,
    restorer: Restorer,
    account: Account,
    sealer: Option<Sealer>,
    mender: Option<Mender>,
    /// Kept between calls for their memory alone.
    read: Vec<Event>,
    events: Vec<Event>,
    recast: Vec<Event>,
    sealed: Vec<Event>,
    ordered: Vec<Event>,
}

impl Transcoder {
    pub fn new(
        upstream: &'static dyn Dialect,
        client: &dyn Dialect,
        reply: &Reply,
        framing_in: Framing,
        framing_out: Framing,
        tools: ToolChanges,
    ) -> Self {
        let encoder = client.encoder(reply, framing_out);
        Self {
            source: Source::new(upstream, framing_in, FrameReader::LIMIT),
            sequencer: encoder.sequential().then(Sequencer::default),
            encoder,
            recaster: Recaster::new(tools.text_is.clone()),
            restorer: Restorer::new(tools),
            account: Account::default(),
            sealer: None,
            mender: None,
            read: Vec::new(),
            events: Vec::new(),
            recast: Vec::new(),
            sealed: Vec::new(),
            ordered: Vec::new(),
        }
    }

    /// Proofs of reasoning pass through `sealer` on their way.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// An answer that breaks off is gone on with ([`Self::break_off`]).
    #[must_use]
    pub fn with_mender(mut self, mender: Mender) -> Self {
        self.mender = Some(mender);
        self
    }

    /// Feeds one chunk of the upstream's bytes. `Err`: they are not a stream of its dialect; the client has been told
    /// ([`Self::error`]), and nothing more needs to be read.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
        if self.account.error.is_some() || self.has_broken() {
            return Ok(());
        }
        let read = self.source.push(chunk, |_, _| Look::Decode, &mut self.read);
        let told = self.mend().tell(out);
        match (&mut self.mender, read) {
            // The answer may be gone on with.
            (Some(mender), Err(error)) if told.is_ok() && mender.has_content() => {
                mender.fail(error.to_api_error());
                Ok(())
            }
            (_, read) => {
                let told = told.and(read);
                if let Err(error) = &told {
                    self.fail(error.to_api_error(), out);
                }
                told
            }
        }
    }

    /// Whether an answer that breaks off may be gone on with.
    pub fn mends(&self) -> bool {
        self.mender.is_some()
    }

    /// Whether the present answer cannot be read on, and may be gone on with.
    pub fn has_broken(&self) -> bool {
        self.mender
            .as_ref()
            .is_some_and(|mender| mender.failure().is_some())
    }

    /// The upstream's bytes are over: whether more is to be asked for, so that [`Self::resume`] follows. Otherwise,
    /// [`Self::end`] does.
    pub fn break_off(&mut self, how: End, out: &mut Vec<u8>) -> bool {
        if self.account.error.is_some() || how == End::ClientGone {
            return false;
        }
        let ending = self.source.end(how, &mut self.read);
        if let Err(error) = self.mend().tell(out) {
            self.fail(error.to_api_error(), out);
            return false;
        }
        self.mender
            .as_mut()
            .is_some_and(|mender| mender.ended(ending))
    }

    /// The request for the rest of the answer, and how many more there may be after it.
    pub fn rest(&self, original: &Request) -> Option<(Request, u32)> {
        let mender = self.mender.as_ref()?;
        Some((mender.request(original), mender.left()))
    }

    /// The rest could not be had; whether to ask for it once more.
    pub fn refused(&mut self, error: ApiError) -> bool {
        self.mender
            .as_mut()
            .is_some_and(|mender| mender.refused(error))
    }

    /// What follows are the bytes of the rest.
    pub fn resume(&mut self, upstream: &'static dyn Dialect, framing: Framing) {
        self.source = Source::new(upstream, framing, FrameReader::LIMIT);
    }

    /// Whether content has come: what a reader of the answer would see, or the answer's end. Until then another upstream can
    /// take over unseen, and what was written may be thrown away.
    pub fn has_content(&self) -> bool {
        let held = self.mender.as_ref().is_some_and(Mender::has_content);
        self.account.content || held
    }

    /// Whether the answer has ended, as far as was read, and nothing was said in it: its end is all that there is to see. One
    /// that may be gone on with has not ended.
    pub fn is_silent(&self) -> bool {
        self.mender.is_none() && self.account.is_silent()
    }

    /// Whether the upstream has begun to answer.
    pub fn has_begun(&self) -> bool {
        self.account.begun
    }

    /// What ended the stream early. The client has been told; before any content, the caller may do something else instead.
    pub fn error(&self) -> Option<&ApiError> {
        let broken = self.mender.as_ref().and_then(Mender::failure);
        let broken = broken.filter(|_| !self.has_content());
        self.account.error.as_ref().or(broken)
    }

    /// What the upstream told so far; `None`: nothing yet.
    pub fn usage(&self) -> Option<Usage> {
        let all = self.mender.as_ref().and_then(Mender::bill);
        all.or(self.account.usage)
    }

    /// What is known so far, as of an answer that ends now.
    pub fn so_far(&self) -> Summary {
        Summary {
            usage: self.usage(),
            served: self.source.served(),
            ..self.account.so_far()
        }
    }

    /// Whether the upstream has said how the answer ends, and nothing more is asked for.
    pub fn has_ended(&self) -> bool {
        self.account.has_ended()
    }

    /// See [`Encoder::expect_prompt`]; called before anything is read.
    pub fn expect_prompt(&mut self, tokens: u64) {
        self.encoder.expect_prompt(tokens);
    }

    /// Appends bytes for the client while the upstream is silent; may be none.
    pub fn heartbeat(&mut self, out: &mut Vec<u8>) {
        self.encoder.heartbeat(out);
    }

    /// The upstream's bytes are over: appends the client's ending, which is an error unless the answer is complete.
    pub fn end(mut self, how: End, out: &mut Vec<u8>) -> Summary {
        if how == End::ClientGone {
            return self.summary(Outcome::ClientGone);
        }
        if self.account.error.is_some() {
            return self.summary(Outcome::UpstreamError);
        }
        if self.mender.is_some() {
            return self.end_mended(how, out);
        }
        let ending = self.source.end(how, &mut self.read);
        if let Ending::Complete = ending {
            return self.complete(out);
        }
        // What was open is not closed for the client: half a tool call must not look whole.
        for event in self.read.drain(..) {
            if matches!(event, Event::Usage(_) | Event::Error(_)) {
                self.account.note(&event);
            }
        }
        let (error, outcome) = match (self.account.error.take(), ending) {
            (Some(error), _) | (None, Ending::Failed(error)) => (error, Outcome::UpstreamError),
            (None, Ending::Cut(error)) => (error, Outcome::Truncated),
            (None, Ending::Complete) => (truncated(), Outcome::Truncated),
        };
        self.fail(error, out);
        self.summary(outcome)
    }

    fn end_mended(mut self, how: End, out: &mut Vec<u8>) -> Summary {
        if let Some(mender) = &mut self.mender
            && !mender.is_settled()
        {
            mender.stop();
            self.break_off(how, out);
        }
        let Some(mender) = &mut self.mender else {
            return self.summary(Outcome::Truncated);
        };
        match mender.finish(&mut self.events) {
            Ok(()) => self.complete(out),
            Err((error, outcome)) => {
                if let Err(error) = self.tell(out) {
                    self.fail(error.to_api_error(), out);
                }
                self.fail(error, out);
                self.summary(outcome)
            }
        }
    }

    /// Tells what was read last, and the end of a complete answer.
    fn complete(mut self, out: &mut Vec<u8>) -> Summary {
        self.events.append(&mut self.read);
        if let Err(error) = self.tell(out) {
            self.fail(error.to_api_error(), out);
        }
        if self.account.error.is_some() {
            return self.summary(Outcome::UpstreamError);
        }
        self.encoder.finish(out);
        self.account.served = self.source.served();
        self.account.told_at_the_end = self.source.told_at_the_end();
        let Self {
            account, mender, ..
        } = self;
        let summary = account.complete();
        match mender {
            Some(mender) => mender.repaired(summary),
            None => summary,
        }
    }

    fn summary(self, outcome: Outcome) -> Summary {
        let usage = self.usage();
        Summary {
            usage,
            served: self.source.served(),
            ..self.account.with(outcome)
        }
    }

    /// Hands on what was read, by way of the mender if there is one.
    fn mend(&mut self) -> &mut Self {
        match &mut self.mender {
            Some(mender) => {
                for event in self.read.drain(..) {
                    mender.event(event, &mut self.events);
                }
            }
            None => self.events.append(&mut self.read),
        }
        self
    }

    /// Encodes what was read, up to an error.
    fn tell(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        for event in self.events.drain(..) {
            if self.account.error.is_some() {
                continue;
            }
            self.recaster.event(event, &mut self.recast);
            for event in self.recast.drain(..) {
                self.account.note(&event);
                for event in self.restorer.event(event).into_iter().flatten() {
                    match &mut self.sealer {
                        Some(sealer) => sealer.event(event, &mut self.sealed),
                        None => self.sealed.push(event),
                    }
                }
            }
            for event in self.sealed.drain(..) {
                let Some(sequencer) = &mut self.sequencer else {
                    self.encoder.event(&event, out);
                    continue;
                };
                sequencer.event(event, &mut self.ordered)?;
                for event in self.ordered.drain(..) {
                    self.encoder.event(&event, out);
                }
            }
            if let Some(error) = self.encoder.gave_up() {
                self.account.error.get_or_insert_with(|| error.clone());
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: ApiError, out: &mut Vec<u8>) {
        if self.account.error.is_none() {
            self.account.error = Some(error.clone());
            self.encoder.event(&Event::Error(error), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::stream::TRUNCATED;
    use crate::stream::Tap;
    use crate::stream::toy::{FREE, STRICT, Toy, reply};

    fn new(client: &Toy) -> Transcoder {
        let tools = ToolChanges {
            renamed: vec![("sent".to_owned(), "original".to_owned())],
            wrapped: vec!["free".to_owned()],
            ..ToolChanges::default()
        };
        Transcoder::new(&FREE, client, &reply(), Framing::Sse, Framing::Sse, tools)
    }

    fn words(out: &[u8]) -> String {
        let text = std::str::from_utf8(out).unwrap();
        text.replace("data: ", "").trim().replace("\n\n", " ")
    }

    /// `input`: frames of words separated by `/`, or bytes that are no such frames. Fed whole and in single bytes.
    fn check_to(client: &Toy, input: &str, how: &End, expect: &str, outcome: Outcome) {
        let frames = format!("data: {}\n\n", input.replace('/', "\n\ndata: "));
        let bytes = if input.starts_with(['<', '{', '[', ' ', 'I']) || input.is_empty() {
            input.as_bytes()
        } else {
            frames.as_bytes()
        };
        for size in [1, bytes.len().max(1)] {
            let mut transcoder = new(client);
            let mut out = Vec::new();
            for chunk in bytes.chunks(size) {
                if transcoder.push(chunk, &mut out).is_err() {
                    assert!(transcoder.error().is_some());
                }
            }
            let summary = transcoder.end(how.clone(), &mut out);
            assert_eq!(
                (words(&out).as_str(), summary.outcome),
                (expect, outcome),
                "{input}"
            );
            let failed = matches!(outcome, Outcome::Truncated | Outcome::UpstreamError);
            assert_eq!(summary.error.is_some(), failed, "{input}");
        }
    }

    fn check(input: &str, expect: &str, outcome: Outcome) {
        check_to(&FREE, input, &End::Eof, expect, outcome);
    }

    #[test]
    fn an_answer_that_ends_and_holds_nothing_is_known_as_such() {
        let check = |input: &str, expect: bool| {
            let frames = format!("data: {}\n\n", input.replace('/', "\n\ndata: "));
            let mut transcoder = new(&FREE);
            let mut tap = Tap::new(&FREE, Framing::Sse);
            transcoder.push(frames.as_bytes(), &mut Vec::new()).unwrap();
            tap.push(frames.as_bytes());
            assert_eq!(
                (transcoder.is_silent(), tap.is_silent()),
                (expect, expect),
                "{input}"
            );
            let summary = transcoder.end(End::Eof, &mut Vec::new());
            assert_eq!(summary.empty, expect, "{input}");
        };
        check("s/f", true);
        check("s/u5/f", true);
        check("s/f/u5", true);
        check("s o0/d0:/c0 f", true);
        check("s o0/d0:a/c0 f", false);
        check("s k0:sent/c0 f", false);
        check("s", false);
    }

    #[test]
    fn a_complete_answer_ends_cleanly() {
        check("s o0/d0:a/c0 f", "s o0 d0:a c0 f [DONE]", Outcome::Complete);
        check(
            "s o0/d0:a/c0 f/u5",
            "s o0 d0:a c0 f u5 [DONE]",
            Outcome::Complete,
        );
        check(
            "s k0:sent/a0:{}/c0 f",
            "s k0:original a0:{} c0 f [DONE]",
            Outcome::Complete,
        );
        check(
            "s k0:free/a0:{\"input\":\"x/a0:y\"}/c0 f",
            "s k0:free a0:x a0:y c0 f [DONE]",
            Outcome::Complete,
        );
    }

    #[test]
    fn a_cut_answer_ends_in_an_error_alone() {
        check(
            "s o0/d0:a",
            "s o0 d0:a e:upstream_stream_truncated",
            Outcome::Truncated,
        );
        check("", "e:upstream_stream_truncated", Outcome::Truncated);
        check(" \n", "e:upstream_stream_truncated", Outcome::Truncated);
        let broken = End::Broken(ApiError::new(ErrorKind::Timeout, "slow"));
        check_to(
            &FREE,
            "s/u3",
            &broken,
            "s u3 e:upstream_stream_truncated",
            Outcome::Truncated,
        );
        let coded = End::Broken(ApiError::new(ErrorKind::Timeout, "slow").code("late"));
        check_to(&FREE, "s", &coded, "s e:late", Outcome::Truncated);
        check_to(&FREE, "{\"answer\":", &coded, "e:late", Outcome::Truncated);
    }

    #[test]
    fn after_an_error_nothing_is_written() {
        check(
            "s o0/e:busy/d0:a/c0 f",
            "s o0 e:busy",
            Outcome::UpstreamError,
        );
        check("s o0 e:busy d0:a", "s o0 e:busy", Outcome::UpstreamError);
        check(
            "s o0/x/d0:a",
            "s o0 e:the upstream's stream cannot be read: unknown word x",
            Outcome::UpstreamError,
        );
    }

    #[test]
    fn what_is_no_stream_is_an_error_or_a_whole_answer() {
        for body in ["<html>busy</html>", "Internal Server Error", "[1]"] {
            let expect = "e:the upstream's answer is neither a stream nor JSON";
            check(body, expect, Outcome::UpstreamError);
        }
        check("{\"error\":\"busy\"}", "e:busy", Outcome::UpstreamError);
        check(
            "{\"x\":1}",
            "e:the upstream's stream cannot be read: answer: is required",
            Outcome::UpstreamError,
        );
        check(
            " {\"answer\":\"a\"}\n",
            "s o0 d0:a c0 f [DONE]",
            Outcome::Complete,
        );
    }

    #[test]
    fn a_client_that_left_is_owed_nothing() {
        check_to(
            &FREE,
            "s o0/d0:a",
            &End::ClientGone,
            "s o0 d0:a",
            Outcome::ClientGone,
        );
    }

    #[test]
    fn strict_clients_get_one_part_at_a_time() {
        let input = "s k0:x k1:sent/a1:{/a0:[/a1:}/c0 c1 f";
        let expect = "s k0:x a0:[ c0 k1:original a1:{} c1 f [DONE]";
        check_to(&STRICT, input, &End::Eof, expect, Outcome::Complete);
        let cut = "s k0:x e:upstream_stream_truncated";
        check_to(
            &STRICT,
            "s k0:x k1:y/a1:{}",
            &End::Eof,
            cut,
            Outcome::Truncated,
        );
    }

    #[test]
    fn content_is_what_a_reader_sees() {
        let check = |input: &str, content| {
            let mut transcoder = new(&FREE);
            let frame = format!("data: {input}\n\n");
            transcoder.push(frame.as_bytes(), &mut Vec::new()).unwrap();
            assert_eq!(transcoder.has_content(), content, "{input}");
        };
        check("s u1 o0", false);
        check("s e:busy", false);
        check("s o0 d0:a", true);
        check("s k0:name", true);
        check("s f", true);
    }

    #[test]
    fn the_summary_tells_what_was_used() {
        let mut transcoder = new(&FREE);
        let mut out = Vec::new();
        transcoder
            .push(b"data: s u3\n\ndata: u5", &mut out)
            .unwrap();
        assert_eq!(transcoder.usage().map(|usage| usage.output), Some(3));
        let summary = transcoder.end(End::Eof, &mut out);
        assert_eq!(summary.usage.map(|usage| usage.output), Some(5));
        assert_eq!(
            summary.error.and_then(|error| error.code).as_deref(),
            Some(TRUNCATED)
        );
    }
}
