//! A whole answer from an upstream that streams it.

use super::account::Account;
use super::source::{Ending, Look, Source};
use super::{Accumulator, End, Mender, Outcome, StreamError, Summary};
use crate::framing::{FrameReader, Framing, FramingError};
use crate::hub::{Event, Request, Response, Usage};
use crate::{ApiError, Dialect};

/// Fed the upstream's bytes as they come, cut anywhere; gives the answer at the end.
#[derive(Debug)]
pub struct Collector {
    source: Source,
    account: Account,
    accumulator: Accumulator,
    mender: Option<Mender>,
    read: Vec<Event>,
    events: Vec<Event>,
    /// Bytes fed so far.
    length: usize,
}

impl Collector {
    /// The longest stream, in bytes.
    pub const LIMIT: usize = 2 * FrameReader::LIMIT;

    pub fn new(upstream: &'static dyn Dialect, framing: Framing) -> Self {
        Self {
            source: Source::new(upstream, framing, FrameReader::LIMIT),
            account: Account::default(),
            accumulator: Accumulator::default(),
            mender: None,
            read: Vec::new(),
            events: Vec::new(),
            length: 0,
        }
    }

    /// As [`super::Transcoder::with_mender`].
    #[must_use]
    pub fn with_mender(mut self, mender: Mender) -> Self {
        self.mender = Some(mender);
        self
    }

    /// Feeds one chunk of the upstream's bytes. `Err`: nothing more needs to be read.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), StreamError> {
        if self.account.error.is_some() {
            return Ok(());
        }
        self.length = self.length.saturating_add(chunk.len());
        let read = if self.length > Self::LIMIT {
            Err(FramingError::TooLong { limit: Self::LIMIT }.into())
        } else {
            self.source.push(chunk, |_, _| Look::Decode, &mut self.read)
        };
        self.take();
        if let Err(error) = &read {
            match &mut self.mender {
                Some(mender) => mender.fail(error.to_api_error()),
                None => {
                    self.account.error.get_or_insert(error.to_api_error());
                }
            }
        }
        read
    }

    /// Whether nothing more needs to be read: the present answer failed.
    pub fn is_over(&self) -> bool {
        let broken = self.mender.as_ref().and_then(Mender::failure);
        self.account.error.is_some() || broken.is_some()
    }

    /// As [`super::Transcoder::break_off`].
    pub fn break_off(&mut self, how: End) -> bool {
        if how == End::ClientGone {
            return false;
        }
        let ending = self.source.end(how, &mut self.read);
        self.take();
        self.mender
            .as_mut()
            .is_some_and(|mender| mender.ended(ending))
    }

    /// As [`super::Transcoder::rest`].
    pub fn rest(&self, original: &Request) -> Option<(Request, u32)> {
        let mender = self.mender.as_ref()?;
        Some((mender.request(original), mender.left()))
    }

    /// As [`super::Transcoder::refused`].
    pub fn refused(&mut self, error: ApiError) -> bool {
        self.mender
            .as_mut()
            .is_some_and(|mender| mender.refused(error))
    }

    /// As [`super::Transcoder::resume`].
    pub fn resume(&mut self, upstream: &'static dyn Dialect, framing: Framing) {
        self.source = Source::new(upstream, framing, FrameReader::LIMIT);
    }

    /// What the upstream told so far; `None`: nothing yet.
    pub fn usage(&self) -> Option<Usage> {
        let all = self.mender.as_ref().and_then(Mender::bill);
        all.or(self.account.usage)
    }

    /// The upstream's bytes are over. The answer is there when [`Summary::error`] is not.
    pub fn end(mut self, how: End) -> (Result<Response, ApiError>, Summary) {
        let gone = how == End::ClientGone;
        if self.mender.is_some() && !gone {
            return self.end_mended(how);
        }
        let ending = self.source.end(how, &mut self.read);
        self.take();
        self.account.served = self.source.served();
        self.account.told_at_the_end = self.source.told_at_the_end();
        let (error, outcome) = match (self.account.error.take(), ending) {
            (Some(error), _) | (None, Ending::Failed(error)) => (error, Outcome::UpstreamError),
            (None, Ending::Cut(error)) if gone => (error, Outcome::ClientGone),
            (None, Ending::Cut(error)) => (error, Outcome::Truncated),
            (None, Ending::Complete) => match self.accumulator.response() {
                Ok(response) => {
                    let summary = self.account.complete();
                    let answer = summary.error.clone().map_or(Ok(response), Err);
                    return (answer, summary);
                }
                Err(error) => (error, Outcome::Truncated),
            },
        };
        self.account.error = Some(error.clone());
        (Err(error), self.account.with(outcome))
    }

    fn end_mended(mut self, how: End) -> (Result<Response, ApiError>, Summary) {
        if let Some(mender) = &mut self.mender
            && !mender.is_settled()
        {
            mender.stop();
            self.break_off(how);
        }
        let usage = self.usage();
        let ended = self
            .mender
            .as_mut()
            .map_or(Ok(()), |mender| mender.finish(&mut self.events));
        self.take();
        self.account.served = self.source.served();
        self.account.told_at_the_end = self.source.told_at_the_end();
        let failed = match (ended, self.accumulator.response()) {
            (Ok(()), Ok(response)) => {
                let summary = self.account.complete();
                let summary = match &self.mender {
                    Some(mender) => mender.repaired(summary),
                    None => summary,
                };
                let answer = summary.error.clone().map_or(Ok(response), Err);
                return (answer, summary);
            }
            (Err(failed), _) => failed,
            (Ok(()), Err(error)) => (error, Outcome::Truncated),
        };
        let (error, outcome) = failed;
        let summary = Summary {
            usage,
            error: Some(error.clone()),
            ..self.account.with(outcome)
        };
        (Err(error), summary)
    }

    fn take(&mut self) {
        match &mut self.mender {
            Some(mender) => {
                for event in self.read.drain(..) {
                    mender.event(event, &mut self.events);
                }
            }
            None => self.events.append(&mut self.read),
        }
        for event in self.events.drain(..) {
            self.account.note(&event);
            self.accumulator.event(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::toy::{FREE, reply};
    use crate::{ErrorKind, Losses};

    fn check(input: &str, how: End, expect: &str, outcome: Outcome) {
        let mut collector = Collector::new(&FREE, Framing::Sse);
        for chunk in input.as_bytes().chunks(3) {
            if collector.push(chunk).is_err() {
                break;
            }
        }
        let (answer, summary) = collector.end(how);
        let shown = match &answer {
            Ok(response) => FREE.encode_response(response, &reply(), &mut Losses::default()),
            Err(error) => error.message.clone().into_bytes(),
        };
        assert_eq!(
            (String::from_utf8(shown).unwrap().as_str(), summary.outcome),
            (expect, outcome),
            "{input}"
        );
        assert_eq!(summary.error, answer.err(), "{input}");
    }

    #[test]
    fn gives_the_answer_or_says_why_not() {
        let answer = "data: s k0:f o1 d1:x\n\ndata: a0:{ d1:y a0:} c0 c1 f u2\n\n";
        check(answer, End::Eof, "f({}) xy", Outcome::Complete);
        check("{\"answer\":\"x\"}", End::Eof, "x", Outcome::Complete);
        let cut = "the upstream's stream ended before the answer was complete";
        check("data: s o0 d0:x\n\n", End::Eof, cut, Outcome::Truncated);
        check(
            "data: s o0 d0:x\n\n",
            End::ClientGone,
            cut,
            Outcome::ClientGone,
        );
        let slow = End::Broken(ApiError::new(ErrorKind::Timeout, "slow"));
        check("data: s o0 d0:x\n\n", slow, "slow", Outcome::Truncated);
        check(
            "data: s e:busy f\n\n",
            End::Eof,
            "busy",
            Outcome::UpstreamError,
        );
        let html = "the upstream's answer is neither a stream nor JSON";
        check("<html>", End::Eof, html, Outcome::UpstreamError);
    }
}
