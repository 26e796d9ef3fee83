//! What one model or provider cannot do, or does in its own way, as data. The catalogue fills it in, `lingate.yml` lays its own
//! over it, and encoders obey it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A quirk as data: its name in the catalogue and in `lingate.yml`, what it means, and what may be said.
#[derive(Debug, Clone, Copy)]
pub struct Quirk {
    pub section: &'static str,
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
}

/// What may be said of a quirk.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Flag,
    Number,
    Decimal,
    Text,
    /// One of these words.
    Word(&'static [&'static [&'static str]]),
    Texts,
    /// Names, each with another.
    Names,
}

/// A type of quirk: its kind, and how one that is said is laid over one that was there.
trait Said: Clone {
    const KIND: Kind;

    fn lay(&self, under: &mut Self) {
        self.clone_into(under);
    }
}

/// Writes the quirks once and makes of them the struct, its defaults, the patch that rows of data are, and the table of names.
macro_rules! quirks {
    ($($section:literal { $($(#[doc = $about:literal])+ $name:ident: $type:ty = $default:expr,)+ })+) => {
        /// Departures from a dialect's usual form. The default is the dialect as its first party serves its newest models.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Quirks {
            $($($(#[doc = $about])+ pub $name: $type,)+)+
        }

        impl Default for Quirks {
            fn default() -> Self {
                Self { $($($name: $default,)+)+ }
            }
        }

        /// The quirks that a row of data names; the others stay as they are.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Patch {
            $($(#[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)+)+
        }

        impl Patch {
            pub fn apply(&self, quirks: &mut Quirks) {
                $($(if let Some(said) = &self.$name {
                    said.lay(&mut quirks.$name);
                })+)+
            }
        }

        /// All quirks, in the order of the documentation.
        pub const ALL: &[Quirk] = &[
            $($(Quirk {
                section: $section,
                name: stringify!($name),
                about: concat!($($about),+),
                kind: <$type as Said>::KIND,
            },)+)+
        ];
    };
}

quirks! {
    "Fields" {
        /// Fields that are refused, by their path in the upstream's dialect (`seed`, `messages.*.name`): they are left out. Adds to what is known.
        refuses: Paths = Paths::default(),
        /// Top-level fields that have another name: `{seed: random_seed}`. Adds to what is known.
        renames: Renames = Renames::default(),
        /// The words of `service_tier` that are known, in the upstream's own; empty: all.
        service_tiers: Vec<String> = Vec::new(),
        /// The end user may be named by letters, digits, `_` and `-` only; other names are sent as a hash.
        plain_user: bool = false,
        /// Chat: `cache_control` marks on content are understood.
        cache_control: bool = false,
        /// Responses: parts take `prompt_cache_breakpoint`.
        cache_breakpoints: bool = true,
    }
    "Limits" {
        /// Chat: the name of the limit of output tokens.
        max_tokens_field: MaxTokensField = MaxTokensField::MaxCompletionTokens,
        /// The smallest limit of output tokens; a smaller one is raised to it.
        least_output: u64 = 0,
        /// The largest limit of output tokens of an answer that is not streamed; 0: as of a stream.
        most_output_whole: u64 = 0,
        /// `stop` is accepted.
        stop: bool = true,
        /// How many stop sequences are accepted; 0: as many as the dialect allows.
        most_stops: u64 = 0,
        /// How many answers may be asked for at once; 0: any number.
        most_candidates: u64 = 0,
    }
    "Sampling" {
        /// Whether `temperature`, `top_p` and `top_k` are accepted at all.
        sampling: bool = true,
        /// Where `sampling` or `logprobs` is false: accepted all the same while the effort is `none`, asked for or by default.
        sampling_at_effort_none: bool = false,
        /// `temperature` and `top_p` have an effect while the model thinks.
        sampling_with_thinking: bool = true,
        /// The lowest temperature.
        temperature_min: f64 = 0.0,
        /// The highest temperature.
        temperature_max: f64 = 2.0,
        /// `temperature` and `top_p` exclude each other; the temperature is kept.
        temperature_xor_top_p: bool = false,
        /// Chat: accepts `top_k`, an extension of many OpenAI-compatible servers.
        top_k: bool = false,
        /// The highest `top_k`; 0: any.
        most_top_k: u64 = 0,
        /// Presence and frequency penalties are accepted.
        penalties: bool = true,
        /// The frequency penalty is accepted, where penalties are.
        frequency_penalty: bool = true,
        /// Log probabilities are accepted.
        logprobs: bool = true,
        /// The most alternatives per token that are told.
        most_logprobs: u64 = 20,
    }
    "Reasoning" {
        /// `reasoning_effort` (Chat) and `reasoning.effort` (Responses) are understood.
        reasoning_effort: bool = true,
        /// Effort levels that the model knows, lowest first; empty: all.
        efforts: Vec<String> = Vec::new(),
        /// The effort of a request that names none, when it matters to know.
        default_effort: Option<String> = None,
        /// Chat: the field that turns thinking on and off.
        thinking_switch: Switch = Switch::None,
        /// Chat: a number of thinking tokens may be said beside the switch.
        thinking_budget: bool = false,
        /// Chat: whether the reasoning of earlier turns is sent back.
        reasoning_replay: ReasoningReplay = ReasoningReplay::None,
        /// Chat: the field of a message that holds its reasoning.
        reasoning_field: ReasoningField = ReasoningField::ReasoningContent,
        /// Messages: how thinking is asked for.
        thinking: Thinking = Thinking::Adaptive,
        /// Messages: the highest effort of a request that turns thinking off.
        effort_when_off: Option<String> = None,
        /// Messages: a call may be forced while the model thinks.
        forced_with_thinking: bool = true,
        /// Gemini: `thinkingLevel` (Gemini 3 and newer) or `thinkingBudget` (2.5).
        thinking_field: ThinkingField = ThinkingField::Level,
        /// Gemini: the smallest thinking budget, but for 0; 0: any.
        least_budget: u64 = 0,
        /// Gemini: the largest thinking budget; 0: any.
        most_budget: u64 = 0,
        /// Gemini: function calls of history need a `thoughtSignature` (Gemini 3 and newer).
        thought_signatures: bool = false,
    }
    "Tools" {
        /// Tools are accepted at all.
        tools: bool = true,
        /// A call may be forced (`required`, `any`, or a tool by its name).
        forced_tool_choice: bool = true,
        /// A single tool may be forced by its name, where a call may be forced.
        named_tool_choice: bool = true,
        /// Chat: how a web search is asked for that callers of other dialects declare as a tool.
        web_search: SearchForm = SearchForm::None,
        /// Chat: free-form tools are accepted (else they are declared as functions). Off unless known: hardly any server but OpenAI's own takes them.
        custom_tools: bool = false,
        /// `strict` is accepted on tools.
        strict_tools: bool = true,
        /// The most bytes of a tool's name; 0: as the dialect has it.
        tool_name_longest: u64 = 0,
        /// The characters of tool names.
        tool_name_form: NameForm = NameForm::Usual,
        /// Chat: the form of the ids of tool calls.
        call_id_form: CallIdForm = CallIdForm::Usual,
        /// Gemini: `functionCall.id` is accepted (not on Vertex).
        call_ids: bool = true,
        /// Messages: a conversation with tool calls is refused unless tools are declared (not so at Anthropic itself).
        tools_beside_calls: bool = false,
        /// Chat: tool results may hold images.
        tool_result_images: bool = false,
        /// Chat: a message of the user may follow tool results at once.
        user_after_tool: bool = true,
    }
    "Content" {
        /// Output may be bound to a JSON Schema (`response_format`, `output_config.format`).
        native_schema: bool = true,
        /// Chat and Responses: output may be bound to JSON without a schema.
        json_object: bool = true,
        /// Gemini: JSON output goes together with functions (not with 2.5).
        json_with_tools: bool = true,
        /// Gemini: function declarations and output take full JSON Schema (`parametersJsonSchema`, `responseJsonSchema`).
        json_schema_fields: bool = true,
        /// Chat: what an assistant's message without text says beside its tool calls.
        empty_content: EmptyContent = EmptyContent::Null,
        /// Chat: messages of the user and of the assistant must alternate, the user first.
        strict_alternation: bool = false,
        /// Messages: a last assistant message is continued instead of refused.
        prefill: bool = false,
        /// Chat: the flag that lets a last assistant message be continued: `prefix`, `partial`.
        prefill_flag: Option<String> = None,
        /// Chat: accepts the role `developer` (else it is sent as `system`).
        developer_role: bool = true,
        /// Messages: `role: system` inside `messages` is accepted.
        system_in_messages: bool = false,
        /// Gemini: `systemInstruction` is accepted (not by Gemma: there it goes in front of the first user turn).
        system_instruction: bool = true,
    }
    "Answers" {
        /// Text of the answer may begin with reasoning between `<think>` and `</think>`.
        think_tags: bool = false,
    }
}

impl Said for bool {
    const KIND: Kind = Kind::Flag;
}

impl Said for u64 {
    const KIND: Kind = Kind::Number;
}

impl Said for f64 {
    const KIND: Kind = Kind::Decimal;
}

impl Said for Option<String> {
    const KIND: Kind = Kind::Text;
}

impl Said for Vec<String> {
    const KIND: Kind = Kind::Texts;
}

/// Paths of fields, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Paths(pub Vec<String>);

impl Said for Paths {
    const KIND: Kind = Kind::Texts;

    /// What is refused is refused, whoever says so.
    fn lay(&self, under: &mut Self) {
        for path in &self.0 {
            if !under.0.contains(path) {
                under.0.push(path.clone());
            }
        }
    }
}

/// Fields, each with the name that it has instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Renames(pub BTreeMap<String, String>);

impl Said for Renames {
    const KIND: Kind = Kind::Names;

    fn lay(&self, under: &mut Self) {
        let pairs = self.0.iter();
        under
            .0
            .extend(pairs.map(|(from, to)| (from.clone(), to.clone())));
    }
}

/// Writes an enum whose variants are words of data.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$line:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$line])* #[serde(rename = $word)] $variant,)+
        }

        impl Said for $name {
            const KIND: Kind = Kind::Word(&[$(&[$word]),+]);
        }
    };
}

words! {
    MaxTokensField {
        MaxTokens = "max_tokens",
        MaxCompletionTokens = "max_completion_tokens",
    }
}

words! {
    Thinking {
        /// `{type: adaptive}` with `output_config.effort`; off is `{type: disabled}`.
        Adaptive = "adaptive",
        /// As `Adaptive`, but it cannot be turned off.
        AlwaysAdaptive = "always_adaptive",
        /// As `AlwaysAdaptive`; least of all is `{type: between_tools}` at effort `high` and below.
        BetweenTools = "between_tools",
        /// `{type: enabled, budget_tokens}` (Claude 4.5 and older).
        Budget = "budget",
        /// No thinking at all.
        None = "none",
    }
}

words! {
    /// How a Chat server is asked to search the web.
    SearchForm {
        /// It cannot be asked.
        None = "none",
        /// `web_search_options: {…}`
        Options = "options",
        /// `plugins: [{id: web}]`
        Plugin = "plugin",
    }
}

words! {
    ThinkingField {
        Level = "level",
        Budget = "budget",
    }
}

words! {
    /// The field by which a Chat server turns thinking on and off.
    Switch {
        /// There is none, or the effort says it.
        None = "none",
        /// `thinking: {type: enabled | disabled}`
        ThinkingType = "thinking_type",
        /// `enable_thinking: true | false`
        EnableThinking = "enable_thinking",
        /// `chat_template_kwargs: {enable_thinking: true | false}`
        TemplateKwargs = "chat_template_kwargs",
        /// `reasoning: {enabled, effort, max_tokens, exclude}`
        Reasoning = "reasoning",
    }
}

words! {
    /// Whether the reasoning of earlier turns goes back to its model as text.
    ReasoningReplay {
        /// It is left out.
        None = "none",
        /// Where it is known.
        Accepted = "accepted",
        /// Beside every tool call; a blank where it is not known.
        Demanded = "demanded",
    }
}

words! {
    ReasoningField {
        ReasoningContent = "reasoning_content",
        Reasoning = "reasoning",
    }
}

impl ReasoningField {
    pub fn name(self) -> &'static str {
        match self {
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }
}

words! {
    NameForm {
        /// As the dialect's first party has it.
        Usual = "usual",
        /// Letters, digits, `_` and `-`.
        Word = "word",
        /// As `Word`, the first a letter or `_`.
        LetterFirst = "letter_first",
        /// As `LetterFirst`, with `.` and `:` inside.
        Dotted = "dotted",
    }
}

words! {
    CallIdForm {
        /// Up to 64 bytes.
        Usual = "usual",
        /// Up to 40 bytes.
        Short = "short",
        /// Nine letters and digits.
        Alnum9 = "alnum9",
    }
}

words! {
    EmptyContent {
        Null = "null",
        /// An empty text.
        Text = "text",
        /// The field is left out.
        Absent = "absent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_lays_over_and_lists_add_up() {
        let patch: Patch = serde_json::from_str(
            r#"{"stop":false,"refuses":["seed"],"renames":{"user":"user_id"},"efforts":["low"],"temperature_max":1.0}"#,
        )
        .unwrap();
        let mut quirks = Quirks::default();
        quirks.refuses.0.push("n".into());
        quirks.efforts.push("high".into());
        patch.apply(&mut quirks);
        assert!(!quirks.stop && quirks.sampling);
        assert_eq!(quirks.refuses.0, ["n", "seed"]);
        assert_eq!(quirks.efforts, ["low"]);
        assert!((quirks.temperature_max - 1.0).abs() < 1e-9);
        let written = serde_json::to_value(&patch).unwrap();
        assert_eq!(written.as_object().unwrap().len(), 5);
        assert!(serde_json::from_str::<Patch>(r#"{"stopp":true}"#).is_err());
    }

    #[test]
    fn every_quirk_says_what_it_means() {
        for quirk in ALL {
            assert!(quirk.about.trim().ends_with('.'), "{}", quirk.name);
        }
    }
}
