//! Frames of a recorded stream, for tests: the whole text at once.

use crate::framing::{Frame, FrameReader, Framing};

/// Feeds each frame of `text` to `each`.
pub(super) fn frames(text: &str, mut each: impl FnMut(&Frame<'_>)) {
    let mut reader = FrameReader::new(Framing::Sse);
    let mut rest = text.as_bytes();
    while let Some(frame) = reader.next_frame(&mut rest).unwrap() {
        each(&frame);
    }
    if let Some(frame) = reader.end().unwrap() {
        each(&frame);
    }
}
