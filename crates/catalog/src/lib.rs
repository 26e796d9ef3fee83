//! What Lingate knows about providers and models: data files in this crate and their typed lookups. Pure.
//!
//! ```
//! let catalog = lingate_catalog::builtin();
//! let owner = catalog.provider_of_model("claude-opus-5-5").map(|provider| provider.id.as_str());
//! assert_eq!(owner, Some("anthropic"));
//! ```

mod fact;
pub mod glob;
mod model;
mod money;
mod own_prices;
mod price;
mod price_book;
mod provider;
mod tokenizer;

use std::sync::LazyLock;

use lingate_dialect::{DialectId, Quirks};
use rustc_hash::FxHashMap;
use serde::Deserialize;

pub use fact::{Facts, Input};
pub use lingate_dialect::quirks::Patch;
pub use model::{Model, Served};
pub use money::{BadMoney, Money};
pub use own_prices::OwnPrices;
pub use price::{
    BadAmount, Bill, Circumstances, Column, Exact, Factor, Formula, Hours, Item, Line, Price,
    Rates, SearchContext, Tier, When, dollars, nano_dollars,
};
pub use price_book::{Entries, PriceBook, Row, prices};
pub use provider::{Auth, Endpoint, Kind, Provider};

use model::Family;
use provider::{Customs, Declared};

/// The catalogue that this version of Lingate was built with, read once.
///
/// # Panics
/// Never: the files are part of the crate, and a test reads them.
pub fn builtin() -> &'static Catalog {
    static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
        Catalog::parse(
            include_str!("../data/providers.toml"),
            include_str!("../data/models.toml"),
            include_str!("../data/facts.toml"),
            include_str!("../data/tokens.toml"),
        )
        // Cannot fail: `tests::every_row_is_read` reads the same text.
        .expect("the built-in catalogue is well-formed")
    });
    &BUILTIN
}

/// Providers, model families and model lists.
#[derive(Debug)]
pub struct Catalog {
    providers: Vec<Provider>,
    customs: Customs,
    declared: Declared,
    families: Vec<Family>,
    facts: Vec<fact::Fact>,
    countings: Vec<tokenizer::Counting>,
    /// Per provider, in the order of the file.
    lists: FxHashMap<String, Vec<Model>>,
    /// Where each listed id stands, first provider first.
    listed: FxHashMap<String, Vec<(String, usize)>>,
}

/// What somebody lays over the catalogue for one provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    pub all: Patch,
    /// Patterns of models in lower case, in order; later ones lie over earlier ones.
    pub models: Vec<(String, Patch)>,
}

impl Overrides {
    /// Lays what is said of all models and of this one over `quirks`. A pattern is held against the whole name and against its
    /// last path segment.
    pub fn apply(&self, model: &str, quirks: &mut Quirks) {
        self.all.apply(quirks);
        if self.models.is_empty() {
            return;
        }
        let name = model.to_lowercase();
        let last = name.rsplit('/').next().unwrap_or(&name);
        for (pattern, patch) in &self.models {
            if glob::matches(pattern, &name) || glob::matches(pattern, last) {
                patch.apply(quirks);
            }
        }
    }
}

/// Why a data file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadData(pub String);

impl std::fmt::Display for BadData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadData {}

impl Catalog {
    /// Reads the data files.
    pub fn parse(
        providers: &str,
        models: &str,
        facts: &str,
        tokens: &str,
    ) -> Result<Self, BadData> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Models {
            family: Vec<Family>,
            list: Vec<List>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct List {
            provider: String,
            models: Vec<Model>,
        }

        let (customs, declared, providers) = provider::parse(providers)?;
        let models: Models =
            toml::from_str(models).map_err(|error| BadData(format!("models: {error}")))?;
        let known = |id: &str| providers.iter().any(|provider| provider.id == id);
        for family in &models.family {
            for id in family.providers() {
                if !known(id) {
                    return Err(BadData(format!("models: no provider `{id}`")));
                }
            }
        }
        let mut lists = FxHashMap::default();
        let mut listed: FxHashMap<String, Vec<(String, usize)>> = FxHashMap::default();
        for List {
            provider,
            mut models,
        } in models.list
        {
            if !known(&provider) {
                return Err(BadData(format!("models: no provider `{provider}`")));
            }
            for (place, model) in models.iter_mut().enumerate() {
                model.provider = Some(provider.clone());
                listed
                    .entry(model.id.clone())
                    .or_default()
                    .push((provider.clone(), place));
            }
            if lists.insert(provider.clone(), models).is_some() {
                return Err(BadData(format!("models: `{provider}` is listed twice")));
            }
        }
        Ok(Self {
            providers,
            customs,
            declared,
            families: models.family,
            facts: fact::parse(facts)?,
            countings: tokenizer::parse(tokens)?,
            lists,
            listed,
        })
    }

    /// All providers, in the order of the file: the demo, first parties, clouds, self-hosted servers.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// The provider of this id, or of this other name.
    pub fn named(&self, name: &str) -> Option<&Provider> {
        self.provider(name).or_else(|| {
            let known = |provider: &&Provider| provider.aliases.iter().any(|alias| alias == name);
            self.providers.iter().find(known)
        })
    }

    /// How a credential and fixed headers are sent in a dialect, unless a provider says otherwise.
    pub fn endpoint_defaults(&self, dialect: DialectId) -> (&Auth, &[(String, String)]) {
        let custom = self.customs.of(dialect);
        (&custom.auth, &custom.headers)
    }

    /// The provider that serves a bare model name: the owner of its family, else the first that lists it.
    ///
    /// A name with a vendor in front (`anthropic/claude-opus-5`) belongs to whoever resells it under that name, so only an
    /// exact entry of a list counts there.
    pub fn provider_of_model(&self, name: &str) -> Option<&Provider> {
        self.providers_of_model(name).next()
    }

    /// All providers known to serve a model under exactly this name; the owner of its family first.
    pub fn providers_of_model(&self, name: &str) -> impl Iterator<Item = &Provider> {
        let bare = name.strip_prefix("models/").unwrap_or(name);
        let owner = if bare.contains('/') {
            None
        } else {
            self.family(bare)
                .and_then(|family| family.model.provider.as_deref())
        };
        let listed = self
            .listed
            .get(bare)
            .into_iter()
            .flatten()
            .map(|(provider, _)| provider.as_str())
            .filter(move |provider| Some(*provider) != owner);
        owner
            .into_iter()
            .chain(listed)
            .filter_map(|id| self.provider(id))
    }

    /// What is known of a model: the entry of that name, else its family (whose `id` is the pattern).
    pub fn model(&self, name: &str) -> Option<&Model> {
        let exact = self
            .listed
            .get(name)
            .and_then(|places| places.first())
            .and_then(|(provider, place)| self.lists.get(provider)?.get(*place));
        exact.or_else(|| self.family(name).map(|family| &family.model))
    }

    /// The models that a provider is known to serve today, newest first; empty for most resellers.
    pub fn models_of(&self, provider: &str) -> &[Model] {
        self.lists.get(provider).map_or(&[], Vec::as_slice)
    }

    /// How a model behaves at a provider in a dialect: the dialect's own defaults, overlaid by what its servers share, by
    /// the provider, and by the model's family. `None` and unknown names are providers that somebody declared.
    pub fn quirks(&self, provider: Option<&str>, model: &str, dialect: DialectId) -> Quirks {
        let mut quirks = Quirks::default();
        self.customs.of(dialect).quirks.apply(&mut quirks);
        match provider.and_then(|id| self.provider(id)) {
            Some(provider) => provider.quirks.apply(&mut quirks),
            None => self.declared.quirks.apply(&mut quirks),
        }
        if let Some(family) = self.family(model) {
            family.apply(provider, dialect, &mut quirks);
        }
        quirks
    }

    /// In which dialect a provider serves a model, where that is not the caller's to choose.
    pub fn served(&self, provider: &str, model: &str) -> Option<Served> {
        self.family(model)?.served(provider)
    }

    fn family(&self, name: &str) -> Option<&Family> {
        let last = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        self.families.iter().find(|family| family.covers(&last))
    }
}

#[cfg(test)]
mod tests;
