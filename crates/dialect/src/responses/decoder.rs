//! Reads a stream.

use crate::framing::Frame;
use crate::hub::Event;
use crate::{Decoder, Malformed};

#[derive(Debug, Default)]
pub(super) struct ResponsesDecoder {}

impl Decoder for ResponsesDecoder {
    fn frame(&mut self, _frame: &Frame<'_>, _out: &mut Vec<Event>) -> Result<(), Malformed> {
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<Event>) -> bool {
        false
    }
}
