//! Requests, both ways.

mod content;
mod decode;
mod encode;
mod items;
mod names;
#[cfg(test)]
mod tests;
mod tools;
mod write_items;
mod write_tools;

pub(super) use decode::decode;
pub(super) use encode::encode;

/// Under this key a part or a tool keeps its source whole, so that it returns as it came.
const WHOLE: &str = "#whole";
/// Under this key the first part of a message keeps the fields that the message has beside its content, as an object.
const MESSAGE: &str = "#message";
/// Marks a tool that is declared in another place of its request: in a namespace, or in an item of the conversation.
const ELSEWHERE: &str = "#elsewhere";
/// An item that only names another one, in OpenAI's store.
const REFERENCE: &str = "item_reference";
