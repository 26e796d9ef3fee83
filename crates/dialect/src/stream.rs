//! Streams: decoders turn frames into events, encoders turn events into bytes.

use std::fmt;

use crate::framing::Frame;
use crate::hub::{Event, Usage};
use crate::{ApiError, Malformed};

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
}

/// Writes one streamed answer in its dialect and framing.
pub trait Encoder: fmt::Debug {
    /// Whether parts must come one after the other. Then the caller puts a sequencer in front of this encoder.
    fn sequential(&self) -> bool;

    /// Appends what the client is owed for this event. After [`Event::Error`] it writes nothing more.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>);

    /// The answer is complete: appends what ends a stream in this dialect.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// What keeps a silent connection alive without being taken for content; may be empty.
    fn heartbeat(&self) -> &'static [u8];
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
        }
    }
}

/// What a stream told about itself, once it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub outcome: Outcome,
    /// `None`: the upstream did not tell.
    pub usage: Option<Usage>,
}
