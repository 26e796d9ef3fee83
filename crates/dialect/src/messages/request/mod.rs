//! Requests, both ways.

mod content;
mod decode;
mod encode;
mod settings;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

pub(super) use decode::decode;
pub(super) use encode::encode;
