//! The proof vault: what vendors demand back unchanged travels through clients that have no place for it.
//!
//! Signatures, encrypted reasoning and thought signatures are sealed into the client's own slot ([`Sealer`]) and opened again when
//! they come back ([`Vault::open`], [`Vault::scrub`]): for the route that made them as the same bytes, for any other not at
//! all. A client that has no slot, or loses it, is helped by a store that knows proofs by the tool call behind them ([`Keep`]).

mod form;
mod open;
mod seal;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::sync::Arc;

pub use open::State;
pub use seal::{Sealer, Slot};

use crate::DialectId;

/// Whose answer a proof came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The provider's name in the configuration.
    pub provider: String,
    pub dialect: DialectId,
    /// As the upstream names it.
    pub model: String,
}

/// A bounded store of proofs, of one caller.
pub trait Keep: fmt::Debug + Send + Sync {
    fn put(&self, name: &str, value: &[u8]);
    fn get(&self, name: &str) -> Option<Vec<u8>>;
}

/// What seals and opens the proofs of one caller.
#[derive(Clone)]
pub struct Vault {
    key: token::Key,
    keep: Option<Arc<dyn Keep>>,
}

impl Vault {
    /// `master`: the gateway's secret. `caller`: what tells this caller from others; a proof sealed for one is worth nothing to
    /// another.
    pub fn new(master: &[u8; 32], caller: &str, keep: Option<Arc<dyn Keep>>) -> Self {
        Self {
            key: token::Key::new(master, caller),
            keep,
        }
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

/// The name under which what belongs to a tool call is kept.
fn kept_name(call: &str) -> String {
    format!("call:{call}")
}
