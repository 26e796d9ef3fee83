//! The data files are whole, and the lookups answer as the documents say.

use lingate_dialect::quirks::{MaxTokensField, Thinking, ThinkingField};
use lingate_dialect::{DialectId, Quirks};

use crate::{Catalog, Kind, builtin};

#[test]
fn every_row_is_read() {
    let catalog = Catalog::parse(
        include_str!("../data/providers.toml"),
        include_str!("../data/models.toml"),
        include_str!("../data/facts.toml"),
        include_str!("../data/tokens.toml"),
    )
    .unwrap();
    assert!(catalog.providers().len() > 80);
    for provider in catalog.providers() {
        let id = &provider.id;
        assert!(!id.contains('/'), "{id}: a slash would hide in model names");
        assert!(!provider.title.is_empty(), "{id}");
        if provider.kind == Kind::Demo {
            assert!(provider.endpoints.is_empty(), "{id}");
            continue;
        }
        assert!(!provider.endpoints.is_empty(), "{id} speaks nothing");
        assert!(!provider.env.is_empty(), "{id} has no variable");
        let regional = provider.regions.iter().flat_map(|(_, list)| list);
        for endpoint in provider.endpoints.iter().chain(regional) {
            let url = &endpoint.base_url;
            assert!(
                url.starts_with("https://")
                    || (provider.keyless && url.starts_with("http://localhost")),
                "{id}: {url}"
            );
            assert!(!url.ends_with('/') && !url.contains('?'), "{id}: {url}");
            assert!(endpoint.auth.format.contains("{key}"), "{id}");
            for suffix in ["/chat/completions", "/messages", "/models"] {
                assert!(!url.ends_with(suffix), "{id}: {url} holds the path");
            }
            if endpoint.dialect == DialectId::Messages {
                assert!(
                    endpoint
                        .headers
                        .contains(&("anthropic-version".into(), "2023-06-01".into())),
                    "{id}"
                );
            }
        }
    }
}

#[test]
fn listed_models_have_a_family_or_a_list_of_their_own() {
    let catalog = builtin();
    for provider in catalog.providers() {
        for model in catalog.models_of(&provider.id) {
            assert_eq!(model.provider.as_deref(), Some(provider.id.as_str()));
            let serving: Vec<&str> = catalog
                .providers_of_model(&model.id)
                .map(|provider| provider.id.as_str())
                .collect();
            assert!(
                serving.contains(&provider.id.as_str()),
                "{}: {serving:?}",
                model.id
            );
            if let (Some(context), Some(output)) = (model.context, model.max_output) {
                assert!(output <= context && output >= 4_096, "{}", model.id);
            }
        }
    }
}

#[test]
fn models_find_their_provider() {
    for (name, expect) in [
        ("gpt-6.1-sol", Some("openai")),
        ("gpt-4o-2024-08-06", Some("openai")),
        ("o3", Some("openai")),
        ("o3x", None),
        ("claude-opus-5-5", Some("anthropic")),
        ("claude-sonnet-9", Some("anthropic")),
        ("models/gemini-4-carbon", Some("gemini")),
        ("gemma-4-31b-it", Some("gemini")),
        ("deepseek-v4-pro", Some("deepseek")),
        ("MiniMax-M3", Some("minimax")),
        ("kimi-k3", Some("moonshot")),
        ("glm-5.3", Some("zai")),
        ("qwen3.8-max", Some("dashscope")),
        ("gpt-oss-120b", Some("cerebras")),
        ("openai/gpt-oss-120b", Some("groq")),
        ("anthropic/claude-opus-5", None),
        ("mercury-2", Some("inception")),
        ("qwen3-32b", None),
        ("replay-1", None),
        ("", None),
    ] {
        let found = builtin()
            .provider_of_model(name)
            .map(|provider| provider.id.as_str());
        assert_eq!(found, expect, "{name}");
    }
}

#[test]
fn limits_come_from_the_entry_or_the_family() {
    for (name, id, max_output) in [
        ("claude-haiku-4-5", "claude-haiku-4-5", 64_000),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5*", 64_000),
        ("anthropic/claude-3.5-haiku", "claude-3-5-*", 8_192),
        ("gpt-5.4-nano-2026-03-17", "gpt-5.4-mini*", 128_000),
        ("gemini-2.5-flash", "gemini-2.5-flash", 65_536),
    ] {
        let model = builtin().model(name).unwrap();
        assert_eq!(
            (model.id.as_str(), model.max_output),
            (id, Some(max_output)),
            "{name}"
        );
    }
    assert_eq!(builtin().model("replay-1"), None);
}

fn quirks(provider: &str, model: &str, dialect: DialectId) -> Quirks {
    builtin().quirks((!provider.is_empty()).then_some(provider), model, dialect)
}

#[test]
fn an_unknown_model_is_told_everything_that_was_said() {
    for (provider, dialect) in [
        ("", DialectId::Chat),
        ("", DialectId::Messages),
        ("", DialectId::Gemini),
        ("my-vllm", DialectId::Chat),
        ("openai", DialectId::Chat),
        ("anthropic", DialectId::Messages),
        ("gemini", DialectId::Gemini),
    ] {
        let said = quirks(provider, "replay-1", dialect);
        assert!(
            said.sampling && said.stop && said.reasoning_effort && said.penalties,
            "{provider}"
        );
        assert!(said.forced_tool_choice && said.native_schema && said.json_schema_fields);
        assert_eq!(said.thinking, Thinking::Adaptive);
        assert_eq!(said.thinking_field, ThinkingField::Level);
        assert!(said.efforts.is_empty());
    }
}

#[test]
fn chat_servers_differ_from_the_first_party() {
    for (provider, model, field, developer, top_k) in [
        (
            "openai",
            "x",
            MaxTokensField::MaxCompletionTokens,
            true,
            false,
        ),
        (
            "azure-openai",
            "x",
            MaxTokensField::MaxCompletionTokens,
            true,
            false,
        ),
        ("deepseek", "x", MaxTokensField::MaxTokens, false, false),
        ("vllm", "x", MaxTokensField::MaxTokens, false, true),
        ("", "x", MaxTokensField::MaxTokens, false, false),
        (
            "openrouter",
            "openai/gpt-5.4",
            MaxTokensField::MaxCompletionTokens,
            false,
            true,
        ),
        (
            "openrouter",
            "openai/gpt-oss-120b",
            MaxTokensField::MaxTokens,
            false,
            true,
        ),
    ] {
        let said = quirks(provider, model, DialectId::Chat);
        assert_eq!(
            (said.max_tokens_field, said.developer_role, said.top_k),
            (field, developer, top_k),
            "{provider} {model}"
        );
    }
}

#[test]
fn claude_families_follow_the_table() {
    use Thinking::{Adaptive, AlwaysAdaptive, BetweenTools, Budget, None};
    // model, sampling, thinking, forced tool choice, prefill, system in messages, native schema
    for (model, expect) in [
        (
            "claude-fable-5-2",
            (false, AlwaysAdaptive, false, false, true, true),
        ),
        (
            "claude-fable-5",
            (false, AlwaysAdaptive, true, false, true, true),
        ),
        (
            "claude-opus-5-5",
            (false, AlwaysAdaptive, false, false, true, true),
        ),
        (
            "claude-sonnet-5-5-20261001",
            (false, BetweenTools, false, false, true, true),
        ),
        (
            "claude-haiku-5-5",
            (false, Adaptive, true, false, true, true),
        ),
        ("claude-opus-5", (false, Adaptive, true, false, true, true)),
        (
            "claude-opus-4-7",
            (false, Adaptive, true, false, false, true),
        ),
        (
            "claude-sonnet-4-6",
            (true, Adaptive, true, false, false, true),
        ),
        ("claude-sonnet-4.5", (true, Budget, true, true, false, true)),
        (
            "claude-opus-4-20250514",
            (true, Budget, true, true, false, false),
        ),
        (
            "claude-3-7-sonnet-20250219",
            (true, Budget, true, true, false, false),
        ),
        (
            "claude-3-5-haiku-20241022",
            (true, None, true, true, false, false),
        ),
        ("claude-opus-7", (false, Adaptive, true, false, false, true)),
    ] {
        for provider in ["anthropic", "openrouter", ""] {
            let said = quirks(provider, model, DialectId::Messages);
            let found = (
                said.sampling,
                said.thinking,
                said.forced_tool_choice,
                said.prefill,
                said.system_in_messages,
                said.native_schema,
            );
            assert_eq!(found, expect, "{model} at {provider}");
        }
    }
}

#[test]
fn gpt_families_follow_the_table() {
    // model, sampling, at effort none, stop, effort understood, default, lowest effort
    for (model, expect) in [
        (
            "gpt-6.1-sol",
            (false, false, false, true, Some("medium"), Some("low")),
        ),
        (
            "gpt-6-luna",
            (false, false, false, true, Some("medium"), Some("none")),
        ),
        (
            "gpt-5.6-terra",
            (false, true, false, true, Some("medium"), Some("none")),
        ),
        (
            "gpt-5.4",
            (false, true, false, true, Some("none"), Some("none")),
        ),
        (
            "gpt-5.1",
            (false, true, false, true, Some("none"), Some("none")),
        ),
        (
            "gpt-5-mini",
            (false, false, false, true, Some("medium"), Some("minimal")),
        ),
        (
            "gpt-5.2-chat-latest",
            (true, false, true, false, None, None),
        ),
        ("o4-mini", (false, false, false, true, None, Some("low"))),
        ("gpt-4o", (true, false, true, false, None, None)),
        ("gpt-oss-20b", (true, false, true, true, None, Some("low"))),
    ] {
        let said = quirks("openai", model, DialectId::Chat);
        let found = (
            said.sampling,
            said.sampling_at_effort_none,
            said.stop,
            said.reasoning_effort,
            said.default_effort.as_deref(),
            said.efforts.first().map(String::as_str),
        );
        assert_eq!(found, expect, "{model}");
    }
}

#[test]
fn gemini_families_follow_the_table() {
    use ThinkingField::{Budget, Level};
    // model, sampling, field, signatures, penalties, system instruction, JSON Schema fields
    for (model, expect) in [
        ("gemini-4-hydrogen", (false, Level, true, false, true, true)),
        ("gemini-3.8-flash", (false, Level, true, false, true, true)),
        ("gemini-3.5-flash", (true, Level, true, false, true, true)),
        (
            "gemini-3.5-flash-lite",
            (false, Level, true, false, true, true),
        ),
        ("gemini-2.5-flash", (true, Budget, false, false, true, true)),
        ("gemini-2.0-flash", (true, Budget, false, true, true, true)),
        ("gemma-4-31b-it", (true, Budget, false, false, false, false)),
        (
            "gemini-flash-latest",
            (true, Level, true, false, true, true),
        ),
    ] {
        let said = quirks("gemini", model, DialectId::Gemini);
        let found = (
            said.sampling,
            said.thinking_field,
            said.thought_signatures,
            said.penalties,
            said.system_instruction,
            said.json_schema_fields,
        );
        assert_eq!(found, expect, "{model}");
    }
}

#[test]
fn quirks_of_a_first_party_stay_there() {
    assert!(!quirks("moonshot", "kimi-k3", DialectId::Chat).sampling);
    assert!(quirks("together", "moonshotai/Kimi-K3", DialectId::Chat).sampling);
    assert_eq!(
        quirks("deepseek", "deepseek-v4-pro", DialectId::Messages).thinking,
        Thinking::Budget
    );
    assert!(!quirks("vertex-express", "x", DialectId::Gemini).call_ids);
}

#[test]
fn other_names_lead_to_the_same_row() {
    for (name, expect) in [
        ("google", Some("gemini")),
        ("gemini", Some("gemini")),
        ("nobody", None),
    ] {
        let found = builtin().named(name).map(|provider| provider.id.as_str());
        assert_eq!(found, expect);
    }
    assert_eq!(builtin().provider("google"), None);
}

#[test]
fn placeholders_are_named() {
    let azure = builtin().provider("azure-openai").unwrap();
    let names: Vec<&str> = azure
        .endpoints
        .iter()
        .flat_map(crate::Endpoint::placeholders)
        .collect();
    assert_eq!(names, ["AZURE_RESOURCE_NAME", "AZURE_RESOURCE_NAME"]);
    let openai = builtin().provider("openai").unwrap();
    assert_eq!(openai.endpoints[0].placeholders().count(), 0);
}

#[test]
fn broken_data_is_refused() {
    let providers = include_str!("../data/providers.toml");
    let models = include_str!("../data/models.toml");
    for (providers, models, expect) in [
        (
            providers.to_owned() + "\n[[provider]]\nid = \"openai\"\ntitle = \"x\"\n",
            models.to_owned(),
            "twice",
        ),
        (
            providers.to_owned() + "\n[[provider]]\nid = \"y\"\ntitle = \"x\"\nquirk = {}\n",
            models.to_owned(),
            "quirk",
        ),
        (
            providers.to_owned(),
            models.to_owned() + "\n[[list]]\nprovider = \"nobody\"\nmodels = []\n",
            "nobody",
        ),
        (
            providers.to_owned(),
            models.to_owned() + "\n[[list]]\nprovider = \"openai\"\nmodels = []\n",
            "listed twice",
        ),
        (
            providers.to_owned(),
            models.to_owned() + "\n[[family]]\nnames = []\n",
            "at least one name",
        ),
        (
            providers.to_owned(),
            models.to_owned() + "\n[[family]]\nnames = [\"X\"]\n",
            "lower case",
        ),
        (
            providers.to_owned(),
            models.to_owned() + "\n[[family]]\nnames = [\"x\"]\nowner = \"nobody\"\n",
            "nobody",
        ),
    ] {
        let error = Catalog::parse(
            &providers,
            &models,
            include_str!("../data/facts.toml"),
            include_str!("../data/tokens.toml"),
        )
        .unwrap_err();
        assert!(error.0.contains(expect), "{error}");
    }
}

/// What a row says, as the data files write it: `provider model dialect` and the quirks that must hold there.
fn check(provider: &str, model: &str, dialect: DialectId, expect: &str) {
    let said = serde_json::to_value(quirks(provider, model, dialect)).unwrap();
    let expect: serde_json::Value = serde_json::from_str(expect).unwrap();
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(&said[name], value, "{provider} {model} {dialect}: {name}");
    }
}

#[test]
fn the_table_of_openai_models() {
    use DialectId::{Chat, Responses};
    for dialect in [Chat, Responses] {
        let never = r#"{"sampling":false,"sampling_at_effort_none":false,"stop":false,"penalties":false,"logprobs":false}"#;
        let with_none = r#"{"sampling":false,"sampling_at_effort_none":true,"stop":false,"penalties":false,"logprobs":false}"#;
        let yes = r#"{"sampling":true,"stop":true,"penalties":true,"logprobs":true,"refuses":[]}"#;
        for (models, expect) in [
            (
                "gpt-6-astra gpt-6-rosalind gpt-6-astra-law gpt-6.1-sol gpt-6-sol gpt-6-luna gpt-6.1-terra gpt-5 gpt-5-mini gpt-5-nano gpt-5.5-pro gpt-5.1-codex o3",
                never,
            ),
            (
                "gpt-5.6-sol gpt-5.6 gpt-5.5 gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.2 gpt-5.1",
                with_none,
            ),
            ("gpt-4.1 gpt-4o", yes),
        ] {
            for model in models.split(' ') {
                check("openai", model, dialect, expect);
            }
        }
        check(
            "openai",
            "gpt-6-astra",
            dialect,
            r#"{"efforts":["low","medium","high","xhigh","max"],"default_effort":"medium","refuses":["logit_bias","prompt_cache_retention"]}"#,
        );
        check(
            "openai",
            "gpt-5.1",
            dialect,
            r#"{"efforts":["none","low","medium","high"],"default_effort":"none","refuses":["logit_bias"]}"#,
        );
    }
    let marks = |known: bool| format!(r#"{{"cache_breakpoints":{known}}}"#);
    for (models, known) in [
        ("gpt-6-sol gpt-5.6", true),
        ("gpt-5.5 gpt-5 o3 gpt-4o", false),
    ] {
        for model in models.split(' ') {
            check("openai", model, Responses, &marks(known));
        }
    }
    check(
        "openai",
        "gpt-4o",
        Responses,
        r#"{"reasoning_effort":false}"#,
    );
    check("openai", "gpt-5", Chat, r#"{"custom_tools":true}"#);
    check(
        "openai",
        "gpt-4o",
        Chat,
        r#"{"custom_tools":false,"reasoning_effort":false}"#,
    );
    check(
        "openai",
        "gpt-5.4",
        Chat,
        r#"{"max_tokens_field":"max_completion_tokens","call_id_form":"short"}"#,
    );
}

#[test]
fn the_table_of_claude_models() {
    let messages = DialectId::Messages;
    for (model, expect) in [
        (
            "claude-fable-5-2",
            r#"{"thinking":"always_adaptive","forced_tool_choice":false,"effort_when_off":null}"#,
        ),
        (
            "claude-mythos-5",
            r#"{"thinking":"always_adaptive","forced_tool_choice":true}"#,
        ),
        (
            "claude-opus-5-5",
            r#"{"thinking":"always_adaptive","forced_tool_choice":false,"default_effort":"medium"}"#,
        ),
        (
            "claude-sonnet-5-5",
            r#"{"thinking":"between_tools","forced_tool_choice":false,"effort_when_off":"high"}"#,
        ),
        (
            "claude-haiku-5-5",
            r#"{"thinking":"adaptive","effort_when_off":"high","forced_tool_choice":true}"#,
        ),
        (
            "claude-opus-5",
            r#"{"thinking":"adaptive","effort_when_off":"high","system_in_messages":true}"#,
        ),
        (
            "claude-sonnet-5",
            r#"{"thinking":"adaptive","effort_when_off":null,"system_in_messages":true}"#,
        ),
        (
            "claude-opus-4-8",
            r#"{"thinking":"adaptive","effort_when_off":null,"system_in_messages":true}"#,
        ),
        (
            "claude-opus-4-7",
            r#"{"thinking":"adaptive","sampling":false,"system_in_messages":false}"#,
        ),
        (
            "claude-sonnet-4-6",
            r#"{"sampling":true,"temperature_xor_top_p":true,"forced_with_thinking":false,"efforts":["low","medium","high","max"],"prefill":false}"#,
        ),
        (
            "claude-opus-4-5",
            r#"{"thinking":"budget","temperature_xor_top_p":true,"forced_with_thinking":false,"efforts":["low","medium","high"],"prefill":true}"#,
        ),
        (
            "claude-haiku-4-5",
            r#"{"thinking":"budget","temperature_xor_top_p":true,"efforts":[],"prefill":true}"#,
        ),
    ] {
        check("anthropic", model, messages, expect);
    }
}

#[test]
fn the_table_of_gemini_models() {
    for (model, expect) in [
        (
            "gemini-4-hydrogen",
            r#"{"sampling":false,"penalties":false,"efforts":["low","medium","high","xhigh"],"most_output_whole":0}"#,
        ),
        (
            "gemini-4-carbon",
            r#"{"sampling":false,"efforts":["low","medium","high"],"most_output_whole":32768}"#,
        ),
        (
            "gemini-4-argon",
            r#"{"sampling":false,"most_output_whole":32768}"#,
        ),
        (
            "gemini-3.6-flash",
            r#"{"sampling":false,"efforts":["minimal","low","medium","high"]}"#,
        ),
        (
            "gemini-3.5-flash",
            r#"{"sampling":true,"thought_signatures":true}"#,
        ),
        (
            "gemini-3.1-pro-preview",
            r#"{"sampling":true,"efforts":["low","medium","high"]}"#,
        ),
        (
            "gemini-2.5-pro",
            r#"{"thinking_field":"budget","least_budget":128,"most_budget":32768,"json_with_tools":false}"#,
        ),
        (
            "gemini-2.5-flash",
            r#"{"thinking_field":"budget","least_budget":0,"most_budget":24576,"json_with_tools":false}"#,
        ),
        (
            "gemini-2.5-flash-lite",
            r#"{"least_budget":512,"most_budget":24576}"#,
        ),
        ("gemma-4-31b-it", r#"{"system_instruction":false}"#),
    ] {
        check("gemini", model, DialectId::Gemini, expect);
    }
}

#[test]
fn the_table_of_compatible_servers() {
    for (provider, model, expect) in [
        (
            "deepseek",
            "deepseek-v4-pro",
            r#"{"thinking_switch":"thinking_type","reasoning_effort":true,"reasoning_replay":"demanded","sampling_with_thinking":false,"penalties":false,"native_schema":false,"json_object":true,"strict_tools":false,"plain_user":true,"renames":{"user":"user_id"},"max_tokens_field":"max_tokens"}"#,
        ),
        (
            "moonshot",
            "kimi-k3",
            r#"{"sampling":false,"penalties":false,"most_candidates":1,"reasoning_effort":true,"thinking_switch":"none","efforts":["low","high","max"],"default_effort":"max","reasoning_replay":"demanded","prefill_flag":"partial"}"#,
        ),
        (
            "moonshot",
            "kimi-k2.6",
            r#"{"thinking_switch":"thinking_type","reasoning_effort":false,"sampling":false}"#,
        ),
        (
            "moonshot",
            "kimi-k2.7-code",
            r#"{"thinking_switch":"none","reasoning_effort":false}"#,
        ),
        ("moonshot", "kimi-k2", r#"{"forced_tool_choice":false}"#),
        (
            "moonshot",
            "moonshot-v1-8k",
            r#"{"sampling":true,"temperature_max":1.0}"#,
        ),
        (
            "zai",
            "glm-5.3",
            r#"{"thinking_switch":"thinking_type","temperature_min":0.01,"temperature_max":1.0,"most_stops":1,"forced_tool_choice":false}"#,
        ),
        (
            "dashscope",
            "qwen3.8-max",
            r#"{"thinking_switch":"enable_thinking","thinking_budget":true,"frequency_penalty":false,"penalties":true,"top_k":true,"cache_control":true}"#,
        ),
        (
            "minimax",
            "MiniMax-M3",
            r#"{"think_tags":true,"reasoning_replay":"demanded","most_candidates":1,"penalties":false,"temperature_max":1.0}"#,
        ),
        (
            "volcengine-ark",
            "doubao-seed-2-1-pro-260915",
            r#"{"thinking_switch":"thinking_type","reasoning_effort":true}"#,
        ),
        (
            "stepfun",
            "step-4",
            r#"{"efforts":["low","medium","high"]}"#,
        ),
        (
            "siliconflow",
            "x",
            r#"{"thinking_switch":"enable_thinking","thinking_budget":true}"#,
        ),
        (
            "modelscope",
            "x",
            r#"{"thinking_switch":"enable_thinking"}"#,
        ),
        (
            "xiaomi-mimo",
            "mimo-v2.6-pro",
            r#"{"thinking_switch":"thinking_type","reasoning_replay":"demanded"}"#,
        ),
        (
            "iflytek-spark",
            "x",
            r#"{"most_top_k":6,"top_k":true,"thinking_switch":"thinking_type","temperature_max":1.0}"#,
        ),
        (
            "xai",
            "grok-4.7",
            r#"{"stop":false,"penalties":false,"top_k":false,"most_logprobs":8}"#,
        ),
        (
            "xai",
            "grok-4.20-non-reasoning",
            r#"{"stop":true,"penalties":true}"#,
        ),
        (
            "groq",
            "openai/gpt-oss-120b",
            r#"{"most_candidates":1,"logprobs":false,"temperature_min":1e-8,"reasoning_field":"reasoning","refuses":["logit_bias","messages.*.name"],"service_tiers":["auto","on_demand","flex","performance"]}"#,
        ),
        (
            "mistral",
            "mistral-large-4",
            r#"{"renames":{"seed":"random_seed"},"call_id_form":"alnum9","user_after_tool":false,"prefill_flag":"prefix","efforts":["none","high"]}"#,
        ),
        (
            "openrouter",
            "x",
            r#"{"thinking_switch":"reasoning","thinking_budget":true,"cache_control":true,"top_k":true}"#,
        ),
        (
            "cerebras",
            "x",
            r#"{"penalties":false,"refuses":["logit_bias","service_tier"]}"#,
        ),
        (
            "nebius",
            "x",
            r#"{"thinking_switch":"chat_template_kwargs","reasoning_effort":false}"#,
        ),
        (
            "perplexity",
            "sonar-pro",
            r#"{"tools":false,"stop":false,"strict_alternation":true,"think_tags":true}"#,
        ),
        (
            "cohere",
            "command-a-03-2025",
            r#"{"efforts":["none","high"],"most_candidates":1}"#,
        ),
        (
            "vllm",
            "x",
            r#"{"thinking_switch":"chat_template_kwargs","reasoning_effort":true,"top_k":true}"#,
        ),
        (
            "ollama",
            "x",
            r#"{"reasoning_effort":true,"reasoning_field":"reasoning"}"#,
        ),
    ] {
        check(provider, model, DialectId::Chat, expect);
    }
}

#[test]
fn a_pattern_of_a_family_is_reached() {
    let catalog = builtin();
    for family in &catalog.families {
        for pattern in family.names() {
            let name = pattern.replace('*', "q");
            let found = catalog.family(&name).map(|found| found.model.id.as_str());
            assert_eq!(
                found,
                Some(family.model.id.as_str()),
                "{pattern} is hidden by a family before it"
            );
        }
    }
}
