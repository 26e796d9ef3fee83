//! Models and their families.

use std::collections::BTreeMap;

use lingate_dialect::{DialectId, Quirks};
use serde::Deserialize;

use crate::glob::Pattern;
use lingate_dialect::quirks::Patch;

/// What is known of one model, or of all models of a family.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name that the provider knows; for a family its first pattern, such as `claude-opus-4-7*`.
    pub id: String,
    /// Who serves it; `None` for open weights without a home.
    #[serde(default)]
    pub provider: Option<String>,
    /// Tokens that a prompt may have.
    #[serde(default)]
    pub context: Option<u64>,
    /// Tokens that an answer may have.
    #[serde(default)]
    pub max_output: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Row")]
pub(crate) struct Family {
    pub(crate) model: Model,
    names: Vec<Pattern>,
    /// Where the quirks hold; empty: everywhere.
    pub(crate) at: Vec<String>,
    quirks: Patch,
    chat: Patch,
    responses: Patch,
    messages: Patch,
    gemini: Patch,
    only: BTreeMap<String, DialectId>,
    rather: BTreeMap<String, DialectId>,
}

/// In which dialect a provider serves a model, where it speaks several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// In this one alone.
    Only(DialectId),
    /// Better in this one, for whoever has to be converted anyway.
    Rather(DialectId),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    names: Vec<String>,
    owner: Option<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    #[serde(default)]
    at: Vec<String>,
    #[serde(default)]
    quirks: Patch,
    #[serde(default)]
    chat: Patch,
    #[serde(default)]
    responses: Patch,
    #[serde(default)]
    messages: Patch,
    #[serde(default)]
    gemini: Patch,
    #[serde(default)]
    only: BTreeMap<String, DialectId>,
    #[serde(default)]
    rather: BTreeMap<String, DialectId>,
}

impl TryFrom<Row> for Family {
    type Error = &'static str;

    fn try_from(row: Row) -> Result<Self, Self::Error> {
        let id = row
            .names
            .first()
            .cloned()
            .ok_or("a family needs at least one name")?;
        if row.names.iter().any(|name| *name != name.to_lowercase()) {
            return Err("the names of a family are in lower case");
        }
        Ok(Self {
            model: Model {
                id,
                provider: row.owner,
                context: row.context,
                max_output: row.max_output,
            },
            names: row.names.iter().map(|name| Pattern::new(name)).collect(),
            at: row.at,
            quirks: row.quirks,
            chat: row.chat,
            responses: row.responses,
            messages: row.messages,
            gemini: row.gemini,
            only: row.only,
            rather: row.rather,
        })
    }
}

impl Family {
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(Pattern::text)
    }

    pub(crate) fn served(&self, provider: &str) -> Option<Served> {
        let only = self.only.get(provider).copied().map(Served::Only);
        only.or_else(|| self.rather.get(provider).copied().map(Served::Rather))
    }

    /// The providers that it says something about.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &String> {
        let own = self.model.provider.iter().chain(&self.at);
        own.chain(self.only.keys()).chain(self.rather.keys())
    }

    /// `name` is a last path segment in lower case.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.matches(name))
    }

    pub(crate) fn apply(&self, provider: Option<&str>, dialect: DialectId, quirks: &mut Quirks) {
        let elsewhere =
            !self.at.is_empty() && !self.at.iter().any(|id| Some(id.as_str()) == provider);
        if elsewhere {
            return;
        }
        self.quirks.apply(quirks);
        match dialect {
            DialectId::Chat => &self.chat,
            DialectId::Responses => &self.responses,
            DialectId::Messages => &self.messages,
            DialectId::Gemini => &self.gemini,
        }
        .apply(quirks);
    }
}
