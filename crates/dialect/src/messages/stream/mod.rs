//! Streamed answers, both ways.

mod decode;
mod encode;

pub(super) use decode::MessagesDecoder;
pub(super) use encode::MessagesEncoder;
