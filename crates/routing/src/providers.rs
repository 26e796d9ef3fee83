//! The providers of a configuration, with an index of which serves a name.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::names::{Names, Sorter};
use crate::{Pattern, Provider};

/// Providers in the order in which they are written, found by name, by the catalogue's row that they follow, and by the models
/// that they declare, among thousands as among two.
#[derive(Default)]
pub struct Providers {
    list: Vec<Arc<Provider>>,
    by_name: FxHashMap<Box<str>, usize>,
    by_catalog_id: FxHashMap<Box<str>, Vec<usize>>,
    models: Names,
    /// By group of `models`.
    declaring: FxHashMap<u32, Vec<usize>>,
}

impl Providers {
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        self.position(name).and_then(|index| self.list.get(index))
    }

    /// Those that follow a row of the catalogue, in order.
    pub fn following(&self, catalog_id: &str) -> impl Iterator<Item = &Arc<Provider>> {
        let found = self.by_catalog_id.get(catalog_id);
        found
            .into_iter()
            .flatten()
            .filter_map(|index| self.list.get(*index))
    }

    /// Those that declare to serve a model, in order.
    pub fn declaring<'p, 'm>(
        &'p self,
        model: &'m str,
    ) -> impl Iterator<Item = &'p Arc<Provider>> + use<'p, 'm> {
        let groups = self.models.groups(model).into_iter();
        let mut found: Vec<usize> = groups
            .filter_map(|group| self.declaring.get(&group))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .filter_map(|index| self.list.get(index))
            .filter(|provider| provider.declares(model))
    }
}

impl From<Vec<Arc<Provider>>> for Providers {
    fn from(list: Vec<Arc<Provider>>) -> Self {
        let mut providers = Self::default();
        let mut sorter = Sorter::default();
        for (index, provider) in list.iter().enumerate() {
            let name = provider.name.as_str().into();
            providers.by_name.entry(name).or_insert(index);
            if let Some(id) = &provider.catalog_id {
                let following = providers.by_catalog_id.entry(id.as_str().into());
                following.or_default().push(index);
            }
            for model in &provider.models {
                for group in sorter.sort(&Pattern::glob(model)) {
                    providers.declaring.entry(group).or_default().push(index);
                }
            }
        }
        providers.models = sorter.finish();
        providers.list = list;
        providers
    }
}

impl FromIterator<Arc<Provider>> for Providers {
    fn from_iter<I: IntoIterator<Item = Arc<Provider>>>(providers: I) -> Self {
        providers.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Providers {
    type Target = [Arc<Provider>];

    fn deref(&self) -> &[Arc<Provider>] {
        &self.list
    }
}

impl<'p> IntoIterator for &'p Providers {
    type Item = &'p Arc<Provider>;
    type IntoIter = std::slice::Iter<'p, Arc<Provider>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

// The index says nothing that the providers do not.
impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, catalog_id: Option<&str>, models: &[&str]) -> Arc<Provider> {
        Arc::new(Provider {
            name: name.to_owned(),
            catalog_id: catalog_id.map(str::to_owned),
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            ..Provider::default()
        })
    }

    #[test]
    fn providers_are_found_without_a_search() {
        let providers = Providers::from(vec![
            provider("a", Some("openai"), &["qwen3-32b", "qwen3-*"]),
            provider("b", None, &["*"]),
            provider("c", Some("openai"), &["*-32b", "/literally/"]),
        ]);
        let names = |found: Vec<&Arc<Provider>>| -> String {
            found
                .iter()
                .map(|provider| provider.name.as_str())
                .collect()
        };
        assert_eq!(providers.position("c"), Some(2));
        assert_eq!(providers.named("b").unwrap().name, "b");
        assert!(providers.named("openai").is_none());
        assert_eq!(names(providers.following("openai").collect()), "ac");
        assert_eq!(names(providers.following("b").collect()), "");
        for (model, expect) in [
            ("qwen3-32b", "abc"),
            ("qwen3-8b", "ab"),
            ("x-32b", "bc"),
            ("literally", "b"),
            ("/literally/", "bc"),
            ("", "b"),
        ] {
            assert_eq!(
                names(providers.declaring(model).collect()),
                expect,
                "{model}"
            );
        }
    }
}
