//! The wire dialects of LLM APIs and the one representation between them: bytes in, bytes out.
//!
//! This crate is pure. It opens no socket, reads no clock and rolls no dice; what an encoder may not
//! invent (the moment, an identifier) is handed to it as a [`Mint`].

pub mod arrange;
mod billing;
mod bound;
pub mod chat;
pub mod envelope;
pub mod error;
pub mod estimate;
mod fnv;
pub mod framing;
mod free_form;
pub mod gemini;
mod hint;
pub mod hub;
pub mod json;
pub mod loss;
pub mod media;
pub mod messages;
pub mod meter;
pub mod model_tag;
pub mod names;
mod prefix;
pub mod quirks;
pub mod recast;
pub mod responses;
pub mod restore;
pub mod schema;
mod search;
pub mod stream;
pub mod unwanted;
pub mod vault;

use std::fmt;
use std::sync::Arc;

pub use error::{ApiError, ErrorKind};
pub use loss::{At, Loss, Losses, Setting};
pub use prefix::prefix;
pub use quirks::Quirks;
pub use recast::TextIs;
pub use restore::ToolChanges;
pub use stream::{Decoder, Encoder};

/// A wire dialect: a way of saying requests, answers, streams and errors.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DialectId {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Google Gemini `generateContent`.
    Gemini,
}

impl DialectId {
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Gemini];

    /// The implementation of this dialect.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Chat => &chat::Chat,
            Self::Responses => &responses::Responses,
            Self::Messages => &messages::Messages,
            Self::Gemini => &gemini::Gemini,
        }
    }

    /// The name used in `lingate.yml`, on the command line and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }

    /// The word for it in `supported_endpoint_types`, an extension of model lists that desktop clients read.
    pub fn endpoint_type(self) -> &'static str {
        match self {
            Self::Chat => "openai",
            Self::Responses => "openai-response",
            Self::Messages => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

impl fmt::Display for DialectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One wire dialect, both ways. Implementations hold no state; streams do, in their [`Decoder`] and [`Encoder`].
pub trait Dialect: fmt::Debug + Sync {
    fn id(&self) -> DialectId;

    /// Reads a request body. What no field of the hub holds is kept in `extra`, never dropped.
    ///
    /// Gemini says the model and whether to stream in the path: there `model` is empty and `stream` false,
    /// and the caller fills both in.
    fn decode_request(&self, body: &[u8]) -> Result<hub::Request, Malformed>;

    /// Writes a request body for `target`. What this dialect or this target cannot say is noted in `losses`;
    /// what would change the meaning of the request is refused.
    fn encode_request(
        &self,
        request: &hub::Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Encoded, Refusal>;

    /// Reads a whole answer of status 2xx.
    fn decode_response(&self, body: &[u8]) -> Result<hub::Response, BadAnswer>;

    /// Writes a whole answer.
    fn encode_response(
        &self,
        response: &hub::Response,
        reply: &Reply,
        losses: &mut Losses,
    ) -> Vec<u8>;

    /// Writes the body of an error answer; its status is [`ApiError::status`].
    fn encode_error(&self, error: &ApiError, request_id: &str) -> Vec<u8>;

    /// A reader of one streamed answer.
    fn decoder(&self) -> Box<dyn Decoder + Send>;

    /// A writer of one streamed answer. `framing` is what the client asked for (only Gemini has a choice).
    fn encoder(&self, reply: &Reply, framing: framing::Framing) -> Box<dyn Encoder + Send>;

    /// Where a loss lies in a request body of this dialect, as its users write paths:
    /// `messages.3.content.0`, `generationConfig.topK`.
    fn locate(&self, at: &At) -> String;
}

/// A body that this dialect cannot read. Becomes a 400 that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Path of the field, `messages.3.content`; empty for the body as a whole.
    pub path: String,
    /// What is wrong and what is expected, without the path.
    pub message: String,
}

impl Malformed {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// The same fault seen from one level further out: `content` inside `messages.3` is `messages.3.content`.
    #[must_use]
    pub fn inside(mut self, outer: impl fmt::Display) -> Self {
        self.path = if self.path.is_empty() {
            outer.to_string()
        } else {
            format!("{outer}.{}", self.path)
        };
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for Malformed {}

/// Why a request cannot be said in the target's dialect at all. Becomes a 400 in the caller's dialect that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub at: At,
    /// What cannot be said, and what to do instead, without the path.
    pub message: String,
}

impl Refusal {
    pub fn new(at: At, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

/// Why an answer of status 2xx is not one.
#[derive(Debug, Clone, PartialEq)]
pub enum BadAnswer {
    /// Not an answer of this dialect: HTML, an empty body, half a JSON text.
    Malformed(Malformed),
    /// An error that came with status 200.
    Error(ApiError),
}

impl From<Malformed> for BadAnswer {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// A request body for an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoded {
    pub body: Vec<u8>,
    /// Undone on the answer by [`hub::Response::restore_tools`] and by the transcoder.
    pub tools: ToolChanges,
}

/// The upstream's model name, limits and quirks, as data.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub model: &'a str,
    pub quirks: &'a Quirks,
    /// The most tokens that this model can produce, when known.
    pub max_output: Option<u64>,
    /// What a dialect that demands a limit is told when the caller gave none (`defaults.max_tokens`).
    pub default_max_tokens: u64,
}

/// What a pure encoder may not invent: it is handed the moment and the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mint {
    /// Seconds since 1970.
    pub now: i64,
    /// 128 random or time-ordered bits; ids of answers and parts are derived from it.
    pub id: u128,
}

impl Mint {
    /// An identifier of 24 lower-case base-32 digits, behind `prefix`; `ordinal` tells several of one answer apart.
    pub fn id(&self, prefix: &str, ordinal: u32) -> String {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bits =
            self.id ^ (u128::from(ordinal).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let mut text = String::with_capacity(prefix.len() + 24);
        text.push_str(prefix);
        for _ in 0..24 {
            let digit = usize::try_from(bits & 31).unwrap_or(0);
            text.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
            bits >>= 5;
        }
        text
    }
}

/// What the caller's request says about the form of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The model as the caller named it; the answer names it so.
    pub model: String,
    pub mint: Mint,
    /// Chat: the caller asked for a usage chunk (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The caller asked to see reasoning. Chat shows it always, as `reasoning_content`.
    pub show_reasoning: bool,
    /// Chat: the caller used the deprecated `functions` pair and reads `function_call`.
    pub legacy_function_call: bool,
    /// Gemini: the caller asked for `text/x.enum`; the value arrives wrapped in a JSON object and is unwrapped.
    pub enum_output: bool,
    /// Responses: what the answer repeats of its request, and the forms in which its tools are called.
    pub responses: Option<Arc<responses::Echo>>,
}

impl Reply {
    pub fn to(request: &hub::Request, mint: Mint) -> Self {
        Self {
            model: request.model.clone(),
            mint,
            include_usage: request.include_usage,
            show_reasoning: request.reasoning.show == Some(true),
            legacy_function_call: request.legacy_functions,
            enum_output: matches!(request.output, hub::Output::Enum { .. }),
            responses: request.responses.clone(),
        }
    }
}
