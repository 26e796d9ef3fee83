//! What one model or provider cannot do, or does in its own way, as data. The catalogue fills it in; encoders obey it.

use serde::{Deserialize, Serialize};

/// Departures from a dialect's usual form. The default is the dialect as its first party serves its newest models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Chat: the name of the limit field.
    pub max_tokens_field: MaxTokensField,
    /// Chat: accepts the role `developer` (else it is sent as `system`).
    pub developer_role: bool,
    /// Whether `temperature`, `top_p` and `top_k` are accepted at all.
    pub sampling: bool,
    /// Where `sampling` is false: it is accepted all the same while the effort is `none`, asked for or by default
    /// (GPT-5.1 to 5.6).
    pub sampling_at_effort_none: bool,
    /// The effort of a request that names none, when it matters to know.
    pub default_effort: Option<String>,
    /// Chat: `stop` is accepted.
    pub stop: bool,
    /// Chat: accepts `top_k`, an extension of many OpenAI-compatible servers.
    pub top_k: bool,
    /// Chat: `reasoning_effort` is understood.
    pub reasoning_effort: bool,
    /// Chat: whether `reasoning_content` of earlier answers is given back.
    pub reasoning_replay: ReasoningReplay,
    /// Messages: how thinking is asked for.
    pub thinking: Thinking,
    /// Messages: accepts `output_config.format`.
    pub native_schema: bool,
    /// Messages: a last assistant message is continued instead of refused.
    pub prefill: bool,
    /// Messages: `any` and `tool` choices are accepted.
    pub forced_tool_choice: bool,
    /// Messages: `role: system` inside `messages` is accepted.
    pub system_in_messages: bool,
    /// Messages: a conversation with tool calls is refused unless tools are declared (not so at Anthropic itself).
    pub tools_beside_calls: bool,
    /// Gemini: `thinkingLevel` (Gemini 3 and newer) or `thinkingBudget` (2.5).
    pub thinking_field: ThinkingField,
    /// Gemini: function declarations and output take full JSON Schema (`parametersJsonSchema`, `responseJsonSchema`).
    pub json_schema_fields: bool,
    /// Gemini: function calls of history need a `thoughtSignature` (Gemini 3 and newer).
    pub thought_signatures: bool,
    /// Gemini: `functionCall.id` is accepted (not on Vertex).
    pub call_ids: bool,
    /// Gemini: `systemInstruction` is accepted (not by Gemma: there it goes in front of the first user turn).
    pub system_instruction: bool,
    /// Gemini: `presencePenalty` and `frequencyPenalty` are accepted.
    pub penalties: bool,
    /// Chat: free-form tools are accepted (else they are declared as functions). Off unless known: of all servers of this dialect,
    /// hardly any but OpenAI's own takes them.
    pub custom_tools: bool,
    /// Responses: parts take `prompt_cache_breakpoint`.
    pub cache_breakpoints: bool,
    /// Effort levels that the model knows, lowest first; empty: all.
    pub efforts: Vec<String>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            max_tokens_field: MaxTokensField::MaxCompletionTokens,
            developer_role: true,
            sampling: true,
            sampling_at_effort_none: false,
            default_effort: None,
            stop: true,
            top_k: false,
            reasoning_effort: true,
            reasoning_replay: ReasoningReplay::None,
            thinking: Thinking::Adaptive,
            native_schema: true,
            prefill: false,
            forced_tool_choice: true,
            system_in_messages: false,
            tools_beside_calls: false,
            thinking_field: ThinkingField::Level,
            json_schema_fields: true,
            thought_signatures: false,
            call_ids: true,
            system_instruction: true,
            penalties: true,
            custom_tools: false,
            cache_breakpoints: true,
            efforts: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    MaxTokens,
    MaxCompletionTokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningReplay {
    /// It is left out.
    None,
    /// Where it is known.
    Accepted,
    /// Beside every tool call; a blank where it is not known (DeepSeek, Kimi, MiniMax).
    Demanded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinking {
    /// `{type: adaptive}` with `output_config.effort`; off is `{type: disabled}`.
    Adaptive,
    /// As `Adaptive`, but it cannot be turned off.
    AlwaysAdaptive,
    /// `{type: enabled, budget_tokens}` (Claude 4.5 and older).
    Budget,
    /// No thinking at all.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingField {
    Level,
    Budget,
}
