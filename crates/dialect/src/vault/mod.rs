//! The proof vault: what vendors demand back unchanged travels through clients that have no place for it.
//!
//! Signatures, encrypted reasoning and thought signatures are sealed into the client's own slot ([`Sealer`]) and opened again when
//! they come back ([`Vault::open`], [`Vault::scrub`]): for the route that made them as the same bytes, for any other not at
//! all. A client that has no slot, or loses it, is helped by a store that knows proofs by the tool call behind them ([`Keep`]).

mod form;
mod native;
mod open;
mod refused;
mod scrub;
mod seal;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use native::{Witness, fingerprint, proofs_in};
pub use open::{State, leave_out};
pub use refused::refused;
pub(crate) use scrub::THINKING_OFF;
pub use scrub::{Scrub, Scrubbed};
pub use seal::{Sealer, Slot};

use crate::DialectId;
use crate::json::{Node, escape_into};

/// Whose answer a proof came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The provider's name in the configuration.
    pub provider: String,
    pub dialect: DialectId,
    /// As the upstream names it.
    pub model: String,
}

/// Puts into a bounded store of one caller's proofs what no client can be trusted to bring back. Whoever puts does not wait; what
/// was put is found by the next request.
pub trait Keep: fmt::Debug + Send + Sync {
    fn put(&self, name: String, value: Vec<u8>);
}

/// What was found in that store, by name.
pub type Found = HashMap<String, Bytes>;

/// Gives the gateway's secret; asked when something is sealed or opened, and not before.
pub type Master = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;

/// What seals and opens the proofs of one caller.
pub struct Vault {
    master: Master,
    caller: String,
    key: OnceLock<token::Key>,
    keep: Option<Arc<dyn Keep>>,
}

impl Vault {
    /// `caller`: what tells this caller from others; a proof sealed for one is worth nothing to another.
    pub fn new(master: Master, caller: &str, keep: Option<Arc<dyn Keep>>) -> Self {
        Self {
            master,
            caller: caller.to_owned(),
            key: OnceLock::new(),
            keep,
        }
    }

    fn key(&self) -> &token::Key {
        self.key
            .get_or_init(|| token::Key::new(&(self.master)(), &self.caller))
    }
}

// By hand: the key is a secret.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// Something that was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Thought(Thought),
    /// The proof of a tool call, by the call's id as the client names it.
    Call {
        id: String,
        proof: Proof,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Thought {
    words: Words,
    /// `None`: the words alone are demanded back.
    proof: Option<Proof>,
    redacted: bool,
    /// The model had said something since the tool call before.
    after_text: bool,
}

/// The text of a thought.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Words {
    Whole(String),
    /// The client holds the text; this is its hash.
    Seen([u8; 16]),
}

/// A [`crate::hub::Opaque`] of the origin's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Proof {
    kind: String,
    json: String,
}

/// The name under which what belongs to the tool calls of an answer is kept: by the first of them. Some vendors number calls from 0
/// in every answer, so its arguments are a part of it.
fn kept_name(call: &str, arguments: &str) -> String {
    let mut said = Vec::with_capacity(arguments.len());
    match Node::parse(arguments.as_bytes()) {
        Ok(node) => canonical(node, &mut said),
        Err(_) if arguments.trim().is_empty() => said.extend_from_slice(b"{}"),
        Err(_) => said.extend_from_slice(arguments.trim().as_bytes()),
    }
    let hash = u128::from_be_bytes(token::hash(&said));
    format!("call:{call}:{hash:032x}")
}

/// The same text for the same value, however a client has written it.
fn canonical(node: Node<'_>, out: &mut Vec<u8>) {
    if let Ok(fields) = node.fields() {
        let mut fields: Vec<(&str, Node<'_>)> = fields.iter().collect();
        fields.sort_by_key(|(key, _)| *key);
        out.push(b'{');
        for (key, value) in fields {
            escape_into(out, key);
            canonical(value, out);
        }
        out.push(b'}');
    } else if let Ok(elements) = node.elements() {
        out.push(b'[');
        for element in elements {
            canonical(element, out);
            out.push(b',');
        }
        out.push(b']');
    } else if let Some(text) = node.text() {
        escape_into(out, &text);
    } else {
        out.extend_from_slice(node.raw().as_bytes());
    }
}

/// The name of a token that is too large to travel.
fn large_name(hash: &[u8; 16]) -> String {
    format!("token:{:032x}", u128::from_be_bytes(*hash))
}
