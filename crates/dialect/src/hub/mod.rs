//! The hub: one representation of requests, answers and streams, made of turns, parts and events.
//!
//! A field enters the hub only when two dialects have it. What only one dialect has travels as [`Extra`] or
//! [`PartBody::Opaque`], tagged with its dialect, and returns only to that dialect.

mod event;
mod request;
mod response;
mod usage;

pub use event::{Delta, Event, Open};
pub use request::{
    CacheMark, CustomFormat, Detail, Effort, Extra, ExtraField, Media, MediaKind, Opaque, Output,
    Part, PartBody, Reasoning, Request, Role, Sampling, Source, Text, Thought, Tool, ToolBody,
    ToolCall, ToolChoice, ToolResult, Turn, WebSearch,
};
pub use response::{
    Choice, Citation, Finish, FinishReason, Response, Served, TokenLogprob, TopLogprob,
};
pub use usage::Usage;
