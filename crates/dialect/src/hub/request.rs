//! A request: instructions, turns of parts, tools and settings.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::Citation;
use crate::{At, DialectId};

/// A request for one or more answers.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// As the caller named it, with any `provider/` prefix.
    pub model: String,
    /// Leading instructions, one part per message or block. Text only.
    pub system: Vec<Part>,
    /// One turn per message of the source, in its order; neighbours of one role are not merged here.
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// `Some(false)`: at most one call per answer.
    pub parallel_tool_calls: Option<bool>,
    pub sampling: Sampling,
    /// The most tokens to produce, reasoning included.
    pub max_output: Option<u64>,
    pub stop: Vec<String>,
    /// How many answers to give.
    pub candidates: Option<u64>,
    /// Log probabilities asked for, with so many alternatives per token.
    pub logprobs: Option<u64>,
    pub output: Output,
    pub reasoning: Reasoning,
    /// Identifies the end user to the vendor.
    pub user: Option<String>,
    /// Free-form labels, in order.
    pub metadata: Vec<(String, String)>,
    /// In OpenAI's words: `auto`, `default`, `flex`, `scale`, `priority`, `fast`; Anthropic's `standard_only` and Gemini's
    /// `standard` are `default`.
    pub service_tier: Option<String>,
    pub store: Option<bool>,
    /// `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    pub stream: bool,
    /// Chat: the caller wants a usage chunk at the end of the stream. Other dialects always tell.
    pub include_usage: bool,
    /// Chat: tools came as `functions` and the answer is to hold `function_call`.
    pub legacy_functions: bool,
    /// Responses: what the answer repeats of this request, and the forms in which its tools are called.
    pub responses: Option<Arc<crate::responses::Echo>>,
    pub extra: Extra,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    User,
    Assistant,
    /// Instructions in the middle of the conversation (`system` and `developer` messages after the first turn).
    System,
}

/// One message. Tool results are parts of a user turn.
#[derive(Debug, Clone)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
    pub extra: Extra,
}

/// A piece of a turn.
#[derive(Debug, Clone)]
pub struct Part {
    pub body: PartBody,
    pub cache: Option<CacheMark>,
    /// Where it stood in the source.
    pub at: At,
    pub extra: Extra,
}

impl Part {
    pub fn new(body: PartBody, at: At) -> Self {
        Self {
            body,
            cache: None,
            at,
            extra: Extra::default(),
        }
    }

    pub fn text(text: impl Into<String>, at: At) -> Self {
        Self::new(
            PartBody::Text(Text {
                text: text.into(),
                citations: Vec::new(),
            }),
            at,
        )
    }

    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        match &self.body {
            PartBody::Text(text) => text.text.is_empty(),
            PartBody::Refusal(text) => text.is_empty(),
            PartBody::Reasoning(thought) => thought.text.is_empty() && thought.proof.is_none(),
            PartBody::Media(_)
            | PartBody::ToolCall(_)
            | PartBody::ToolResult(_)
            | PartBody::Opaque(_) => false,
        }
    }
}

#[derive(Debug, Clone)]
pub enum PartBody {
    Text(Text),
    Media(Media),
    Reasoning(Thought),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Refusal(String),
    /// Known to one dialect only: a server tool's call or result, an executable code part.
    Opaque(Opaque),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    pub text: String,
    pub citations: Vec<Citation>,
}

/// An image, a sound, a film or a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    pub source: Source,
    /// `image/png`; known for bytes, often unknown for addresses.
    pub mime: Option<String>,
    /// File name or title.
    pub name: Option<String>,
    /// How closely to look at an image.
    pub detail: Option<Detail>,
    /// Anthropic documents: `context` beside the text.
    pub context: Option<String>,
    /// Anthropic documents: citations are asked for.
    pub citations: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    Document,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Standard base64, without white space or line breaks.
    Base64(String),
    /// `https://…`, `gs://…`: an address that the vendor fetches.
    Url(String),
    /// An id in one vendor's file store; never sent to another vendor.
    File(String),
    /// A text document.
    Text(String),
    /// A document made of parts (Anthropic `content` sources): texts and images.
    Parts(Vec<Media>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Auto,
    Low,
    Medium,
    High,
    /// OpenAI `original`, Gemini `ULTRA_HIGH`.
    Original,
}

/// Reasoning of the model: its text, and the vendor's proof of it.
#[derive(Debug, Clone, Default)]
pub struct Thought {
    pub text: String,
    /// Signature, encrypted content, `thoughtSignature`, redacted data. Returns only to the dialect that made it.
    pub proof: Option<Opaque>,
    /// Anthropic `redacted_thinking`: there is a proof and no text.
    pub redacted: bool,
}

#[derive(Debug, Clone)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON text as the source said it, numbers and key order untouched; free text for a custom tool. May be empty
    /// (no arguments) or broken (an answer cut short).
    pub arguments: String,
    /// A free-form tool of OpenAI (`type: custom`): `arguments` is not JSON.
    pub custom: bool,
    /// Gemini `thoughtSignature` on the call.
    pub proof: Option<Opaque>,
}

#[derive(Debug, Clone)]
pub struct ToolResult {
    /// Id of the call that it answers.
    pub call: String,
    /// Name of the tool, where the source says it; encoders that need it look the call up by id.
    pub name: Option<String>,
    /// Texts and media.
    pub parts: Vec<Part>,
    pub is_error: bool,
}

/// A value that only `of` understands, as its exact JSON text.
#[derive(Debug, Clone)]
pub struct Opaque {
    pub of: DialectId,
    /// What it is, for the loss report: `server_tool_use`, `thinking.signature`.
    pub kind: String,
    pub json: Box<RawValue>,
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && self.kind == other.kind && self.json.get() == other.json.get()
    }
}

/// Fields that only one dialect has, in source order.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    pub fields: Vec<ExtraField>,
}

/// One field of [`Extra`].
#[derive(Debug, Clone)]
pub struct ExtraField {
    pub of: DialectId,
    /// Path below the object that holds it: `top_k`, `generationConfig.speechConfig`.
    pub key: String,
    pub json: Box<RawValue>,
    /// Means nothing elsewhere: an item's id or state, a cache's key. That it goes nowhere else is no loss.
    pub private: bool,
}

impl Extra {
    pub fn push(&mut self, of: DialectId, key: impl Into<String>, json: Box<RawValue>) {
        self.fields.push(ExtraField {
            of,
            key: key.into(),
            json,
            private: false,
        });
    }

    /// As [`Self::push`], for what says nothing in other dialects.
    pub fn push_private(&mut self, of: DialectId, key: impl Into<String>, json: Box<RawValue>) {
        self.fields.push(ExtraField {
            of,
            key: key.into(),
            json,
            private: true,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields of one dialect, which its own encoder writes back.
    pub fn of(&self, dialect: DialectId) -> impl Iterator<Item = (&str, &RawValue)> {
        self.fields
            .iter()
            .filter(move |field| field.of == dialect)
            .map(|field| (field.key.as_str(), &*field.json))
    }

    pub fn get(&self, dialect: DialectId, key: &str) -> Option<&RawValue> {
        self.of(dialect)
            .find(|(name, _)| *name == key)
            .map(|(_, json)| json)
    }
}

/// Prompt-cache mark on a part or a tool: cache everything up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMark {
    /// The vendor's default life (Anthropic 5 minutes, OpenAI 30 minutes).
    Short,
    /// Anthropic `1h`, OpenAI `12h`.
    Long,
}

#[derive(Debug, Clone)]
pub struct Tool {
    pub body: ToolBody,
    pub cache: Option<CacheMark>,
    pub at: At,
    pub extra: Extra,
}

#[derive(Debug, Clone)]
pub enum ToolBody {
    Function {
        name: String,
        description: Option<String>,
        /// JSON Schema of the arguments (Gemini's OpenAPI form is translated by its decoder); `None`: no arguments.
        parameters: Option<Box<RawValue>>,
        strict: Option<bool>,
    },
    /// OpenAI free-form tool.
    Custom {
        name: String,
        description: Option<String>,
        format: Option<CustomFormat>,
    },
    WebSearch(WebSearch),
    /// Fetches pages: Anthropic `web_fetch_*`, Gemini `urlContext`.
    WebFetch,
    /// Runs code at the vendor: Anthropic `code_execution_*`, Gemini `codeExecution`.
    CodeExecution,
    /// Anything else that the vendor runs, or a typed client tool of one vendor.
    Opaque(Opaque),
}

/// Grammar of a free-form tool, as OpenAI writes it (`{"type":"grammar",…}`).
#[derive(Debug, Clone)]
pub struct CustomFormat(pub Box<RawValue>);

/// Web search run by the vendor.
#[derive(Debug, Clone, Default)]
pub struct WebSearch {
    pub max_uses: Option<u64>,
    pub allowed_domains: Vec<String>,
    pub blocked_domains: Vec<String>,
    /// `low`, `medium`, `high`.
    pub context_size: Option<String>,
    /// Country, city, region, time zone, as a JSON object with those keys.
    pub user_location: Option<Box<RawValue>>,
    /// The tool as its source wrote it, version and all; returns only to that dialect.
    pub source: Option<Opaque>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Tool(String),
    /// Only these may be called.
    Allowed {
        required: bool,
        names: Vec<String>,
    },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub seed: Option<i64>,
}

/// The form that the text of the answer must have.
#[derive(Debug, Clone, Default)]
pub enum Output {
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        name: Option<String>,
        description: Option<String>,
        schema: Box<RawValue>,
        strict: Option<bool>,
    },
    /// Gemini `text/x.enum`: one of the words of `schema`, bare.
    Enum { schema: Box<RawValue> },
}

/// What the caller says about reasoning. All empty: nothing was said, and nothing is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// `Some(false)`: off. `Some(true)`: on, without saying how much (Anthropic `adaptive`, Gemini budget −1).
    pub enabled: Option<bool>,
    pub effort: Option<Effort>,
    /// Tokens (Anthropic `budget_tokens`, Gemini `thinkingBudget`).
    pub budget: Option<u64>,
    /// The caller wants to see it (Anthropic thinking that is not omitted, Gemini `includeThoughts`).
    pub show: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::XHigh,
        Self::Max,
    ];

    /// OpenAI's and Anthropic's word; Gemini's is the same in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads the word in either case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|effort| effort.name().eq_ignore_ascii_case(name))
    }

    /// The number of thinking tokens that stands for this level; [`Self::from_budget`] leads back.
    pub fn tokens(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1024,
            Self::Low => 1536,
            Self::Medium => 8192,
            Self::High => 16384,
            Self::XHigh => 32000,
            Self::Max => 48000,
        }
    }

    /// The level that a number of thinking tokens stands for (protocols.md §2.8).
    pub fn from_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..2048 => Self::Low,
            2048..8193 => Self::Medium,
            8193..24577 => Self::High,
            _ => Self::XHigh,
        }
    }
}
