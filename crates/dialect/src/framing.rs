//! Framing: how a stream of bytes is cut into frames, and how frames are written.

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
