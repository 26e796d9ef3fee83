//! Streams: decoders turn frames into events, encoders turn events into bytes.

mod account;
mod accumulate;
mod collector;
mod mend;
mod replay;
mod seam;
mod sequencer;
mod source;
mod tap;
#[cfg(test)]
mod toy;
mod transcoder;

use std::fmt;

pub use accumulate::Accumulator;
pub use collector::Collector;
pub use mend::{Mender, may_mend};
pub use replay::{replay, told};
pub use sequencer::Sequencer;
pub use tap::{Shown, Tap};
pub use transcoder::Transcoder;

use serde_json::value::RawValue;

use crate::estimate::Tally;
use crate::framing::{Frame, FramingError};
use crate::hub::{Event, FinishReason, Response, Served, Usage};
use crate::{ApiError, ErrorKind, Malformed};

/// Reads one streamed answer. Fed each frame once, in order; appends the events that it stands for.
///
/// A decoder obeys the order of [`Event`] whatever its upstream sends: it opens before it grows, closes before it finishes,
/// gives missing ids, indexes and names, and never reuses an index.
pub trait Decoder: fmt::Debug {
    /// An `Err` means that the frame is not of this dialect; the stream cannot go on.
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed>;

    /// The upstream's bytes ended. Closes what is open and, when the upstream had said how the answer ended, finishes it.
    /// Returns whether the answer is complete; `false` means that it was cut, and that no `Finish` was appended for it.
    fn end(&mut self, out: &mut Vec<Event>) -> bool;

    /// Where and how fast the answer is made, as far as was told.
    fn served(&self) -> Served {
        Served::default()
    }

    /// Usage was told together with how the answer ends, so it is of all of it, whatever is appended after it.
    fn told_at_the_end(&self) -> bool {
        false
    }
}

/// Writes one streamed answer in its dialect and framing.
pub trait Encoder: fmt::Debug {
    /// Whether parts must come one after the other. Then the caller puts a sequencer in front of this encoder.
    fn sequential(&self) -> bool;

    /// Appends what the client is owed for this event. After [`Event::Error`] it writes nothing more.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>);

    /// The answer is complete: appends what ends a stream in this dialect.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// Why this encoder ended the answer by itself, with an error that it has told. Ask after [`Self::event`].
    fn gave_up(&self) -> Option<&ApiError> {
        None
    }

    /// An estimate of the prompt's tokens, for dialects that tell them before the upstream does. What the upstream tells replaces it.
    fn expect_prompt(&mut self, tokens: u64) {
        let _ = tokens;
    }

    /// Appends what keeps a silent connection alive without being taken for content; may be nothing. A dialect whose clients
    /// only count events begins its answer with it.
    fn heartbeat(&mut self, out: &mut Vec<u8>);

    /// Goes on with an answer that someone else began. Most dialects need not know.
    fn resume(&mut self, _told: &Told) {}
}

/// What a client was told of an answer by someone else, for an encoder that is to add to it.
#[derive(Debug, Default)]
pub struct Told {
    /// Responses: the response object of its first events.
    pub answer: Option<Box<RawValue>>,
    /// Responses: the number that the next event has.
    pub next: u64,
}

/// How the upstream's stream came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The upstream closed the body in good order. Whether the answer is complete is the decoder's to say.
    Eof,
    /// The connection broke, a limit was passed, or a time ran out.
    Broken(ApiError),
    /// The client left.
    ClientGone,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Complete,
    Length,
    Refusal,
    ToolUse,
    /// The upstream's stream ended without an ending.
    Truncated,
    UpstreamError,
    ClientGone,
    /// The answer broke off and was gone on with, to its end.
    Repaired,
}

impl Outcome {
    /// The word of logs, metrics and the console.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Length => "length",
            Self::Refusal => "refusal",
            Self::ToolUse => "tool_use",
            Self::Truncated => "truncated",
            Self::UpstreamError => "upstream_error",
            Self::ClientGone => "client_gone",
            Self::Repaired => "repaired",
        }
    }
}

impl From<FinishReason> for Outcome {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause => Self::Complete,
            FinishReason::ToolCalls => Self::ToolUse,
            FinishReason::Length | FinishReason::ContextExceeded | FinishReason::Continuation => {
                Self::Length
            }
            FinishReason::ContentFilter | FinishReason::Refusal => Self::Refusal,
            FinishReason::Error => Self::UpstreamError,
        }
    }
}

/// What a stream told about itself, once it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub outcome: Outcome,
    /// `None`: the upstream did not tell.
    pub usage: Option<Usage>,
    /// Nothing was said after usage was told, so that it is of the whole answer, as far as there is one.
    pub usage_is_whole: bool,
    /// The service tier that the upstream says it answered with, in OpenAI's words.
    pub tier: Option<String>,
    pub served: Served,
    /// What went by of the answer.
    pub produced: Tally,
    /// Why there is no complete answer, when there is none.
    pub error: Option<ApiError>,
    /// The answer ended of itself, or was refused, and holds nothing: no text, no call, no reasoning.
    pub empty: bool,
}

impl Summary {
    /// Of a whole answer.
    pub fn of(response: &Response) -> Self {
        let first = response.choices.iter().min_by_key(|choice| choice.index);
        let mut produced = Tally::default();
        produced.response(response);
        Self {
            outcome: first.map_or(Outcome::Complete, |choice| choice.finish.reason.into()),
            usage: response.usage,
            usage_is_whole: true,
            tier: response.service_tier.clone(),
            served: response.served.clone(),
            produced,
            error: None,
            empty: response.is_empty(),
        }
    }
}

/// Why bytes are not a stream of the dialect that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// Neither events nor JSON: HTML, plain text.
    NotAStream,
    Framing(FramingError),
    /// A frame that the dialect cannot read.
    Malformed(Malformed),
    /// Too many bytes of later parts wait for the first to end.
    TooMuchWaits,
}

impl StreamError {
    pub fn to_api_error(&self) -> ApiError {
        ApiError::new(ErrorKind::UpstreamMalformed, self.to_string())
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAStream => f.write_str("the upstream's answer is neither a stream nor JSON"),
            Self::Framing(error) => write!(f, "the upstream's stream cannot be read: {error}"),
            Self::Malformed(error) => write!(f, "the upstream's stream cannot be read: {error}"),
            Self::TooMuchWaits => write!(
                f,
                "the upstream's stream cannot be put in order within {} bytes",
                Sequencer::LIMIT
            ),
        }
    }
}

impl std::error::Error for StreamError {}

impl From<FramingError> for StreamError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

impl From<Malformed> for StreamError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// [`ApiError::code`] of an answer that stops in the middle.
pub const TRUNCATED: &str = "upstream_stream_truncated";

fn truncated() -> ApiError {
    let message = "the upstream's stream ended before the answer was complete";
    ApiError::new(ErrorKind::Upstream, message).code(TRUNCATED)
}
