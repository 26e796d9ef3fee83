//! What lists of models say about one: its name for people, its limits, what it takes in, how it reasons.

use lingate_dialect::DialectId;
use serde::Deserialize;

use crate::glob::Pattern;
use crate::{BadData, Catalog};

/// A kind of media that a prompt may hold beside text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    Image,
    /// PDF.
    Document,
    Audio,
    Video,
}

/// What is known of a model. `None` and empty: nothing is known, and nothing is to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// For people: `Claude Opus 5.5`.
    pub display_name: Option<String>,
    /// Tokens that a prompt may have.
    pub context: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output: Option<u64>,
    pub inputs: Option<&'static [Input]>,
    pub reasoning: Option<bool>,
    /// The levels of reasoning that it knows, lowest first.
    pub efforts: Vec<String>,
    /// The level of a request that names none.
    pub default_effort: Option<String>,
    /// Obeys OpenAI's `verbosity`.
    pub verbosity: bool,
    /// `2026-07-24`.
    pub released: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Fact {
    names: Vec<Pattern>,
    row: Row,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    names: Vec<String>,
    inputs: Vec<Input>,
    reasoning: bool,
    #[serde(default)]
    verbosity: bool,
    #[serde(default)]
    released: Option<String>,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Fact>, BadData> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        fact: Vec<Row>,
    }
    let file: File = toml::from_str(text).map_err(|error| BadData(format!("facts: {error}")))?;
    file.fact
        .into_iter()
        .map(|row| {
            if row.names.iter().any(|name| *name != name.to_lowercase()) {
                return Err(BadData("facts: names are in lower case".to_owned()));
            }
            Ok(Fact {
                names: row.names.iter().map(|name| Pattern::new(name)).collect(),
                row,
            })
        })
        .collect()
}

impl Catalog {
    /// What is known of `model` at this provider, which speaks `dialect` to Lingate.
    pub fn facts(&'static self, provider: Option<&str>, model: &str, dialect: DialectId) -> Facts {
        let own = provider
            .and_then(|id| self.models_of(id).iter().find(|known| known.id == model))
            .or_else(|| self.model(model));
        let last = model.rsplit('/').next().unwrap_or(model);
        let lower = last.to_lowercase();
        let row = self
            .facts
            .iter()
            .find(|fact| fact.names.iter().any(|name| name.matches(&lower)))
            .map(|fact| &fact.row);
        let mut facts = Facts {
            display_name: (own.is_some() || row.is_some()).then(|| display_name(last)),
            context: self.context_window(provider, model),
            max_output: self.max_output(provider, model),
            ..Facts::default()
        };
        if let Some(row) = row {
            facts.inputs = Some(&row.inputs);
            facts.reasoning = Some(row.reasoning);
            facts.verbosity = row.verbosity;
            facts.released = row.released.as_deref();
        }
        if facts.reasoning == Some(true) {
            // A family may know its levels in one dialect only.
            let mut dialects = vec![dialect];
            dialects.extend(DialectId::ALL);
            for dialect in dialects {
                let quirks = self.quirks(provider, model, dialect);
                if facts.efforts.is_empty() {
                    facts.efforts = quirks.efforts;
                }
                facts.default_effort = facts.default_effort.or(quirks.default_effort);
            }
        }
        facts
    }
}

/// A model's id as people write it: `claude-opus-5-5` is Claude Opus 5.5, `gpt-5.4-mini` GPT 5.4 Mini.
fn display_name(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    let mut after_number = false;
    for word in id.split('-').filter(|word| !word.is_empty()) {
        let number = word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        if !name.is_empty() {
            name.push(if number && after_number { '.' } else { ' ' });
        }
        after_number = number;
        let initials = matches!(word, "gpt" | "glm" | "oss" | "it" | "vl" | "tts");
        if initials {
            name.push_str(&word.to_ascii_uppercase());
            continue;
        }
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    #[test]
    fn ids_become_names() {
        for (id, name) in [
            ("claude-opus-5-5", "Claude Opus 5.5"),
            ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5 20250929"),
            ("gpt-6.1-sol", "GPT 6.1 Sol"),
            ("gemini-2.5-flash-lite", "Gemini 2.5 Flash Lite"),
            ("MiniMax-M3", "MiniMax M3"),
            ("o3", "O3"),
            ("", ""),
        ] {
            assert_eq!(display_name(id), name);
        }
    }

    #[test]
    fn what_is_listed_is_known() {
        let check =
            |provider: &str, model: &str, expect: (Option<u64>, usize, Option<bool>, &str)| {
                let facts = builtin().facts(Some(provider), model, DialectId::Chat);
                let found = (
                    facts.context,
                    facts.inputs.map_or(0, <[Input]>::len),
                    facts.reasoning,
                    facts.efforts.join(" "),
                );
                let (context, inputs, reasoning, efforts) = expect;
                assert_eq!(
                    found,
                    (context, inputs, reasoning, efforts.to_owned()),
                    "{model}"
                );
            };
        check(
            "anthropic",
            "claude-opus-5-5",
            (Some(1_000_000), 2, Some(true), "low medium high xhigh max"),
        );
        check(
            "openai",
            "gpt-5.1",
            (Some(272_000), 2, Some(true), "none low medium high"),
        );
        check("openai", "gpt-4o", (Some(128_000), 2, Some(false), ""));
        check(
            "gemini",
            "gemini-3.8-flash",
            (Some(1_048_576), 4, Some(true), "low medium high"),
        );
        check(
            "together",
            "zai-org/GLM-5.3",
            (Some(1_048_575), 1, Some(true), ""),
        );
        check("together", "somebody/private", (None, 0, None, ""));
        let listed = builtin().providers().iter().flat_map(|provider| {
            let models = builtin().models_of(&provider.id);
            models
                .iter()
                .map(|model| (provider.id.as_str(), model.id.as_str()))
        });
        for (provider, model) in listed {
            let facts = builtin().facts(Some(provider), model, DialectId::Chat);
            assert!(
                facts.inputs.is_some() || model.starts_with("hy3"),
                "nothing is known of {model}"
            );
        }
    }
}
