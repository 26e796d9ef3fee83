//! JSON without a tree: values are spans of the source, read one level at a time, and written in order.
//!
//! A [`Node`] is a piece of valid JSON text. Numbers, key order and unknown fields stay as the source wrote them, because
//! nothing is taken apart before someone asks for it.

mod check;
mod edits;
mod node;
mod walk;
mod write;

pub(crate) use edits::Edits;
pub use node::{Fields, Node};
pub use write::{Array, Object, compact, escape_into};

/// Text as an owned raw value; `None` when it is not valid JSON.
pub fn raw(json: impl Into<String>) -> Option<Box<serde_json::value::RawValue>> {
    serde_json::value::RawValue::from_string(json.into()).ok()
}
