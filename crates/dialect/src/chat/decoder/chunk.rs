//! A chunk of a stream, as servers write it.

use serde::Deserialize;

use crate::json::Node;

/// Keys whose values are rarely there, and texts of any shape, are left as spans and read where they are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) created: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) x_groq: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) base_resp: Option<Node<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    pub(super) index: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) delta: Option<Delta<'a>>,
    /// A whole answer in place of a piece.
    #[serde(borrow, default)]
    pub(super) message: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) logprobs: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<Node<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_details: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<Piece<'a>>>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub(super) annotations: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) images: Option<Node<'a>>,
}

/// A piece of a tool call.
#[derive(Debug, Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow, default)]
    pub(super) index: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Node<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub(super) custom: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub(super) extra_content: Option<Node<'a>>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Node<'a>>,
    #[serde(borrow, default)]
    pub(super) input: Option<Node<'a>>,
}
