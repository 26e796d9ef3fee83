//! The laws of the core, over every fixture and every pair of dialects, and over recorded traffic where it is at hand.
//!
//! A fixture is a file in `fixtures/<dialect>/{requests,responses,streams}`; a new one is under every law without new code. Recorded
//! exchanges are not part of the repository: they are looked for in `$LINGATE_CORPUS` and in `shared/corpus` beside the checkout.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may fail, and read their material from files"
)]

mod breaches;
mod chance;
mod digest;
mod drive;
mod endings;
mod events;
mod fixtures;
mod identity;
mod round_trip;
mod split;
mod tools;
mod truncation;
mod usage;
mod well_formed;
mod whole;
mod wire;
mod wire_responses;
