//! The upstream's half of a stream: bytes, cut anywhere, become events.

use super::{End, StreamError, TRUNCATED, replay, truncated};
use crate::framing::{Frame, FrameReader, Framing, FramingError, Place};
use crate::hub::{Event, Served};
use crate::{ApiError, BadAnswer, Decoder, Dialect, DialectId, Malformed};

#[derive(Debug)]
pub(super) struct Source {
    dialect: &'static dyn Dialect,
    framing: Framing,
    form: Form,
    decoder: Box<dyn Decoder + Send>,
    kept: Kept,
    /// Of an answer that came whole.
    served: Option<Served>,
    /// Bytes; of one frame, or of an answer that came whole.
    limit: usize,
}

/// What the upstream sends, whatever it was asked for.
#[derive(Debug)]
enum Form {
    /// Nothing but white space came yet.
    Unknown,
    Frames(FrameReader),
    /// One JSON object instead of a stream: an error with status 200, or a server that does not stream. Read at its end.
    Whole(Vec<u8>),
}

/// What is to be done with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Decode,
    Skip,
    /// It counts only if no later frame is kept: decoded before the next frame that is, or at the end.
    Keep,
}

/// A frame whose time has not come; without data, none.
#[derive(Debug, Default)]
struct Kept {
    event: String,
    data: String,
}

impl Kept {
    fn keep(&mut self, frame: &Frame<'_>) {
        self.event.clear();
        self.event.push_str(frame.event);
        self.data.clear();
        self.data.push_str(frame.data);
    }

    fn decode(&mut self, decoder: &mut dyn Decoder, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if self.data.is_empty() {
            return Ok(());
        }
        let frame = Frame {
            event: &self.event,
            data: &self.data,
        };
        let result = decoder.frame(&frame, out);
        self.data.clear();
        result
    }
}

/// What the end of the bytes means.
#[derive(Debug)]
pub(super) enum Ending {
    /// The answer is all there.
    Complete,
    /// It stops in the middle; the error that says so.
    Cut(ApiError),
    /// The upstream answered an error, or nothing that could be read.
    Failed(ApiError),
}

impl Source {
    pub(super) fn new(dialect: &'static dyn Dialect, framing: Framing, limit: usize) -> Self {
        Self {
            dialect,
            framing,
            form: Form::Unknown,
            decoder: dialect.decoder(),
            kept: Kept::default(),
            served: None,
            limit,
        }
    }

    /// See [`Decoder::served`].
    pub(super) fn served(&self) -> Served {
        let whole = self.served.clone();
        whole.unwrap_or_else(|| self.decoder.served())
    }

    /// See [`Decoder::told_at_the_end`]; what an answer in one piece tells is of all of it.
    pub(super) fn told_at_the_end(&self) -> bool {
        self.served.is_some() || self.decoder.told_at_the_end()
    }

    /// Decodes each frame that `look` wants, which is also shown what was decoded before it.
    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        mut look: impl FnMut(&Frame<'_>, &[Event]) -> Look,
        out: &mut Vec<Event>,
    ) -> Result<(), StreamError> {
        if let Form::Unknown = self.form {
            // A byte-order mark counts as white space.
            let blank = |byte: &u8| byte.is_ascii_whitespace() || b"\xef\xbb\xbf".contains(byte);
            let Some(at) = chunk.iter().position(|byte| !blank(byte)) else {
                return Ok(());
            };
            chunk = chunk.get(at..).unwrap_or_default();
            self.form = self.recognise(chunk)?;
        }
        match &mut self.form {
            Form::Unknown => {}
            Form::Whole(body) => {
                if body.len().saturating_add(chunk.len()) > self.limit {
                    let limit = self.limit;
                    return Err(FramingError::TooLong { limit }.into());
                }
                body.extend_from_slice(chunk);
            }
            Form::Frames(reader) => {
                while let Some(frame) = reader.next_frame(&mut chunk)? {
                    match look(&frame, out) {
                        Look::Decode => {
                            self.kept.decode(&mut *self.decoder, out)?;
                            self.decoder.frame(&frame, out)?;
                        }
                        Look::Skip => {}
                        Look::Keep => self.kept.keep(&frame),
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes ended: appends what they still held.
    pub(super) fn end(&mut self, how: End, out: &mut Vec<Event>) -> Ending {
        let (cut, broken) = match how {
            End::Eof | End::ClientGone => (truncated(), false),
            End::Broken(error) if error.code.is_none() => (error.code(TRUNCATED), true),
            End::Broken(error) => (error, true),
        };
        // The bytes stop within a frame, so more was to come whatever the frames before it say.
        let mut halved = false;
        match &mut self.form {
            Form::Unknown => {}
            Form::Frames(reader) => {
                // What cannot be read tells nothing; a last frame of that kind is one that was cut.
                let mut length = out.len();
                if self.kept.decode(&mut *self.decoder, out).is_err() {
                    out.truncate(length);
                }
                length = out.len();
                if let Ok(Some(frame)) = reader.end()
                    && self.decoder.frame(&frame, out).is_err()
                {
                    out.truncate(length);
                    halved = true;
                }
                halved |= self.framing == Framing::JsonArray && reader.place() != Place::Closed;
            }
            Form::Whole(body) => match self.dialect.decode_response(body) {
                Ok(response) => {
                    replay(&response, out);
                    self.served = Some(response.served);
                    return Ending::Complete;
                }
                Err(BadAnswer::Error(error)) => return Ending::Failed(error),
                // Half a JSON text.
                Err(BadAnswer::Malformed(_)) if broken => {}
                Err(BadAnswer::Malformed(malformed)) => {
                    return Ending::Failed(StreamError::from(malformed).to_api_error());
                }
            },
        }
        if self.decoder.end(out) && !halved {
            Ending::Complete
        } else {
            Ending::Cut(cut)
        }
    }

    /// Where the bytes leave off; `None` where they are no frames.
    pub(super) fn place(&self) -> Option<(Framing, Place)> {
        match &self.form {
            Form::Unknown => Some((self.framing, Place::Start)),
            Form::Frames(reader) => Some((self.framing, reader.place())),
            Form::Whole(_) => None,
        }
    }

    fn recognise(&mut self, begin: &[u8]) -> Result<Form, StreamError> {
        let framing = match (begin.first(), self.framing) {
            (Some(b'{'), Framing::Sse) => return Ok(Form::Whole(Vec::new())),
            (Some(b'{' | b'['), Framing::JsonArray) => Framing::JsonArray,
            (Some(b'['), Framing::Sse) if self.dialect.id() == DialectId::Gemini => {
                Framing::JsonArray
            }
            (Some(b':' | b'd' | b'e' | b'i' | b'r'), _) => Framing::Sse,
            _ => return Err(StreamError::NotAStream),
        };
        self.framing = framing;
        Ok(Form::Frames(FrameReader::with_limit(framing, self.limit)))
    }
}
