//! What the load generator and the mock upstream must agree on, and how they measure: bodies in three wire dialects, listeners,
//! `/proc` accounting.
//!
//! Both sides make their bodies here, so the load generator can tell whether the text that reaches it is, byte for byte, the
//! text that the upstream sent.

pub mod answer;
pub mod listen;
pub mod process;
pub mod reading;
pub mod request;
pub mod text;
pub mod wire;
