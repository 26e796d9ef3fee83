//! A part of the quirks: what a row of the catalogue says, laid over what is known so far.

use lingate_dialect::quirks::{MaxTokensField, Quirks, ReasoningReplay, Thinking, ThinkingField};
use serde::Deserialize;

/// The quirks that a row names; the others stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patch {
    pub max_tokens_field: Option<MaxTokensField>,
    pub developer_role: Option<bool>,
    pub sampling: Option<bool>,
    pub sampling_at_effort_none: Option<bool>,
    pub default_effort: Option<String>,
    pub stop: Option<bool>,
    pub top_k: Option<bool>,
    pub reasoning_effort: Option<bool>,
    pub reasoning_replay: Option<ReasoningReplay>,
    pub thinking: Option<Thinking>,
    pub native_schema: Option<bool>,
    pub prefill: Option<bool>,
    pub forced_tool_choice: Option<bool>,
    pub system_in_messages: Option<bool>,
    pub tools_beside_calls: Option<bool>,
    pub thinking_field: Option<ThinkingField>,
    pub json_schema_fields: Option<bool>,
    pub thought_signatures: Option<bool>,
    pub call_ids: Option<bool>,
    pub system_instruction: Option<bool>,
    pub penalties: Option<bool>,
    pub custom_tools: Option<bool>,
    pub cache_breakpoints: Option<bool>,
    pub efforts: Option<Vec<String>>,
}

impl Patch {
    pub fn apply(&self, quirks: &mut Quirks) {
        // Named one by one, so that a new quirk without a patch does not compile.
        let Quirks {
            max_tokens_field,
            developer_role,
            sampling,
            sampling_at_effort_none,
            default_effort,
            stop,
            top_k,
            reasoning_effort,
            reasoning_replay,
            thinking,
            native_schema,
            prefill,
            forced_tool_choice,
            system_in_messages,
            tools_beside_calls,
            thinking_field,
            json_schema_fields,
            thought_signatures,
            call_ids,
            system_instruction,
            penalties,
            custom_tools,
            cache_breakpoints,
            efforts,
        } = quirks;
        set(self.max_tokens_field, max_tokens_field);
        set(self.developer_role, developer_role);
        set(self.custom_tools, custom_tools);
        set(self.cache_breakpoints, cache_breakpoints);
        set(self.sampling, sampling);
        set(self.sampling_at_effort_none, sampling_at_effort_none);
        if self.default_effort.is_some() {
            default_effort.clone_from(&self.default_effort);
        }
        set(self.stop, stop);
        set(self.top_k, top_k);
        set(self.reasoning_effort, reasoning_effort);
        set(self.reasoning_replay, reasoning_replay);
        set(self.thinking, thinking);
        set(self.native_schema, native_schema);
        set(self.prefill, prefill);
        set(self.forced_tool_choice, forced_tool_choice);
        set(self.system_in_messages, system_in_messages);
        set(self.tools_beside_calls, tools_beside_calls);
        set(self.thinking_field, thinking_field);
        set(self.json_schema_fields, json_schema_fields);
        set(self.thought_signatures, thought_signatures);
        set(self.call_ids, call_ids);
        set(self.system_instruction, system_instruction);
        set(self.penalties, penalties);
        if let Some(levels) = &self.efforts {
            efforts.clone_from(levels);
        }
    }
}

fn set<T>(said: Option<T>, field: &mut T) {
    if let Some(value) = said {
        *field = value;
    }
}
