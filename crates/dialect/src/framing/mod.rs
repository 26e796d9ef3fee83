//! Framing: how a stream of bytes, cut anywhere, becomes frames.

mod array;
mod sse;

use std::fmt;

/// How a streamed answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// Gemini without `alt=sse`: one JSON array whose elements arrive one by one.
    JsonArray,
}

/// One frame: an event of SSE, or an element of a JSON array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field; empty when absent.
    pub event: &'a str,
    /// The `data:` lines joined by line feeds, or the element.
    pub data: &'a str,
}

/// Cuts one stream into frames. Holds no more than one unfinished frame, and no byte of a frame that lies within one chunk.
///
/// ```
/// # use lingate_dialect::framing::{FrameReader, Framing};
/// let mut reader = FrameReader::new(Framing::Sse);
/// let mut data = String::new();
/// for chunk in [&b"data: a\n\nda"[..], b"ta: b\n\n"] {
///     let mut rest = chunk;
///     while let Some(frame) = reader.next_frame(&mut rest).unwrap() {
///         data.push_str(frame.data);
///     }
/// }
/// assert_eq!(data, "ab");
/// ```
#[derive(Debug)]
pub struct FrameReader {
    lines: Lines,
    limit: usize,
}

#[derive(Debug)]
enum Lines {
    Sse(sse::Reader),
    Array(array::Reader),
}

/// Why bytes are not frames. The stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingError {
    /// A frame is longer than the reader's limit, in bytes.
    TooLong {
        limit: usize,
    },
    NotUtf8,
    /// Something other than an object where an element of the JSON array is due.
    Unexpected {
        byte: u8,
    },
}

impl FrameReader {
    /// The longest frame that [`Self::new`] takes, in bytes. Generated images and films arrive as one frame.
    pub const LIMIT: usize = 64 << 20;

    pub fn new(framing: Framing) -> Self {
        Self::with_limit(framing, Self::LIMIT)
    }

    /// A reader that refuses frames of more than `limit` bytes.
    pub fn with_limit(framing: Framing, limit: usize) -> Self {
        let lines = match framing {
            Framing::Sse => Lines::Sse(sse::Reader::default()),
            Framing::JsonArray => Lines::Array(array::Reader::default()),
        };
        Self { lines, limit }
    }

    /// The next frame that `chunk` completes. What was read is taken off the front of `chunk`; call it again with the same
    /// slice until it says `None`, which means that all of it was taken.
    pub fn next_frame<'f, 'c: 'f>(
        &'f mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Frame<'f>>, FramingError> {
        match &mut self.lines {
            Lines::Sse(reader) => reader.next_frame(chunk, self.limit),
            Lines::Array(reader) => reader.next_frame(chunk, self.limit),
        }
    }

    /// The bytes ended. An SSE event that lacks only its blank line is handed out; half an element is not a frame.
    pub fn end(&mut self) -> Result<Option<Frame<'_>>, FramingError> {
        match &mut self.lines {
            Lines::Sse(reader) => reader.end(),
            Lines::Array(_) => Ok(None),
        }
    }

    /// Where the bytes read so far leave off.
    pub fn place(&self) -> Place {
        match &self.lines {
            Lines::Sse(reader) => reader.place(),
            Lines::Array(reader) => reader.place(),
        }
    }
}

/// Where a stream leaves off, for whoever has to add to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing came yet.
    Start,
    /// A frame may begin right here.
    Ready,
    /// A JSON array, after an element: a comma has to come first.
    Comma,
    /// Within a frame.
    Inside,
    /// The JSON array was closed.
    Closed,
}

/// Bytes of a frame that more than one chunk makes up.
#[derive(Debug, Default)]
struct Held(Vec<u8>);

impl Held {
    /// What stays allocated when a frame longer than this has passed.
    const KEEP: usize = 64 << 10;

    fn push(&mut self, bytes: &[u8], limit: usize) -> Result<(), FramingError> {
        if self.0.len().saturating_add(bytes.len()) > limit {
            return Err(FramingError::TooLong { limit });
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) {
        self.0.clear();
        if self.0.capacity() > Self::KEEP {
            self.0.shrink_to(Self::KEEP);
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, FramingError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| FramingError::NotUtf8)
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "a frame is longer than {limit} bytes"),
            Self::NotUtf8 => f.write_str("a frame is not UTF-8"),
            Self::Unexpected { byte } => write!(
                f,
                "expected an element of a JSON array, got '{}'",
                byte.escape_ascii()
            ),
        }
    }
}

impl std::error::Error for FramingError {}
