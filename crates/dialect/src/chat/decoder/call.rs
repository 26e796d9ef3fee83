//! One tool call of a streamed answer, from its first piece to its last.

use super::Sink;
use crate::Malformed;
use crate::chat::answer;
use crate::hub::{Delta, Event, Opaque, Open};

/// Bytes of arguments that may wait for the name of their call.
const MOST_HELD: usize = 1 << 20;
/// Letters of a name, which may come in pieces.
const MOST_NAME: usize = 1 << 10;

/// One tool call on its way.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// The server's index, which need not be dense or even its own.
    pub(super) wire: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) custom: bool,
    pub(super) state: CallState,
    /// Arguments that came before the name.
    pub(super) held: String,
    pub(super) balance: Balance,
    pub(super) proof: Option<Opaque>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallState {
    /// For its name, all of it.
    #[default]
    Waiting,
    Open(u32),
    Closed,
}

impl Call {
    /// Some servers tell a name in pieces; others tell it, or what they have of it, over and over.
    pub(super) fn hear_name(&mut self, piece: &str) {
        if self.state != CallState::Waiting || self.name == piece {
            return;
        }
        if piece.starts_with(&self.name) {
            self.name.clear();
        }
        let room = MOST_NAME.saturating_sub(self.name.len());
        self.name.extend(piece.chars().take(room));
    }

    /// Opens the call when it has its name and is not open yet.
    pub(super) fn open_named(&mut self, choice: u32, place: usize, sink: &mut Sink<'_>) {
        if self.state != CallState::Waiting || self.name.is_empty() {
            return;
        }
        let id = if self.id.is_empty() {
            answer::call_id(sink.answer, choice, place)
        } else {
            self.id.clone()
        };
        let part = Open::ToolCall {
            id,
            name: self.name.clone(),
            custom: self.custom,
        };
        let index = sink.open(choice, part);
        self.state = CallState::Open(index);
        if let Some(proof) = self.proof.take() {
            sink.push(Event::Delta {
                index,
                delta: Delta::Proof(proof),
            });
        }
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            sink.push(Event::Delta {
                index,
                delta: Delta::Arguments(held),
            });
        }
    }

    pub(super) fn add(&mut self, text: String, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.custom {
            self.balance.feed(&text);
        }
        match self.state {
            CallState::Open(index) => sink.push(Event::Delta {
                index,
                delta: Delta::Arguments(text),
            }),
            CallState::Waiting if self.held.len() + text.len() > MOST_HELD => {
                return Err(Malformed::new("tool_calls", "a tool call without a name"));
            }
            CallState::Waiting => self.held.push_str(&text),
            // Whole already: only white space can follow.
            CallState::Closed => {}
        }
        Ok(())
    }

    pub(super) fn prove(&mut self, proof: Opaque, sink: &mut Sink<'_>) {
        match self.state {
            CallState::Waiting => self.proof = Some(proof),
            CallState::Open(index) => sink.push(Event::Delta {
                index,
                delta: Delta::Proof(proof),
            }),
            CallState::Closed => {}
        }
    }

    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        let CallState::Open(index) = self.state else {
            return;
        };
        sink.push(Event::Close { index });
        self.state = CallState::Closed;
    }
}

/// Whether pieces of JSON text, one after the other, have come to the end of one object.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Balance {
    depth: u32,
    pub(super) begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Balance {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(super) fn complete(self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}
