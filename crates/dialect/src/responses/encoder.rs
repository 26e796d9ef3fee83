//! Writes a stream.

use crate::hub::Event;
use crate::{Encoder, Reply};

#[derive(Debug)]
pub(super) struct ResponsesEncoder {}

impl ResponsesEncoder {
    pub(super) fn new(_reply: &Reply) -> Self {
        Self {}
    }
}

impl Encoder for ResponsesEncoder {
    fn sequential(&self) -> bool {
        true
    }

    fn event(&mut self, _event: &Event, _out: &mut Vec<u8>) {}

    fn finish(&mut self, _out: &mut Vec<u8>) {}

    fn heartbeat(&self) -> &'static [u8] {
        b""
    }
}
