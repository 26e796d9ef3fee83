//! Which models a caller can ask for by name, and what is known of them.

use std::collections::HashSet;
use std::sync::Arc;

use lingate_catalog::Facts;
use lingate_dialect::DialectId;
use lingate_metering::tenant::Principal;
use lingate_routing::{Auth, Kind, Mode, Provider, Snapshot};

/// A model of the list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) facts: Facts,
    /// What its provider speaks, first the one that is preferred.
    pub(super) spoken: Vec<DialectId>,
    /// Callers of every dialect are answered, not only those of `spoken`.
    pub(super) converts: bool,
}

impl Listed {
    /// Whether a caller of this dialect gets an answer.
    pub(super) fn answers(&self, dialect: DialectId) -> bool {
        self.converts || self.spoken.contains(&dialect)
    }

    /// The dialects in which it can be asked, its own first.
    pub(super) fn dialects(&self) -> impl Iterator<Item = DialectId> {
        let others = DialectId::ALL
            .into_iter()
            .filter(|dialect| self.converts && !self.spoken.contains(dialect));
        self.spoken.iter().copied().chain(others)
    }
}

/// Every model that a caller of one of `dialects` can and may ask for by name: those of routes, those that providers declare, the
/// catalogue's, and the names that its key has for any of these.
pub(super) fn served(
    snapshot: &Snapshot,
    principal: &Principal,
    dialects: &[DialectId],
) -> Vec<Listed> {
    let mut list = List {
        snapshot,
        names: HashSet::default(),
        models: Vec::new(),
    };
    for route in &snapshot.routes {
        let Some(name) = route.model.exact() else {
            continue;
        };
        let mut targets = route.targets.iter().filter_map(|target| {
            let provider = snapshot.providers.get(target.provider)?;
            usable(snapshot, provider).then_some((provider, target.model.as_deref()))
        });
        if let Some((provider, model)) = targets.next() {
            list.add(name, model.unwrap_or(name), provider);
        }
    }
    for provider in &snapshot.providers {
        if usable(snapshot, provider) {
            list.add_all(provider);
        }
    }
    list.models
        .retain(|model| dialects.iter().any(|dialect| model.answers(*dialect)));
    let map = principal.key.iter().flat_map(|key| &key.model_map);
    let mut names = Vec::new();
    for (name, model) in map.filter(|(name, _)| !name.contains('*')) {
        let known = list.models.iter().find(|known| known.id == *model);
        if let Some(known) = known.filter(|_| !list.names.contains(name)) {
            names.push(Listed {
                id: name.clone(),
                ..known.clone()
            });
        }
    }
    list.models.extend(names);
    if principal.is_choosy() {
        list.models
            .retain(|model| principal.may_ask_for(&model.id).is_ok());
    }
    list.models
}

fn usable(snapshot: &Snapshot, provider: &Provider) -> bool {
    !provider.keys.is_empty() || snapshot.auth == Auth::Passthrough
}

struct List<'a> {
    snapshot: &'a Snapshot,
    names: HashSet<String>,
    models: Vec<Listed>,
}

impl List<'_> {
    fn add_all(&mut self, provider: &Arc<Provider>) {
        if provider.kind == Kind::Demo {
            self.add("demo", "demo", provider);
        }
        let known = provider
            .catalog_id
            .as_deref()
            .map(|id| lingate_catalog::builtin().models_of(id))
            .unwrap_or_default();
        if provider.models.is_empty() {
            for model in known {
                self.add(&model.id, &model.id, provider);
            }
        }
        for declared in &provider.models {
            if !declared.contains('*') {
                self.add(declared, declared, provider);
                continue;
            }
            for model in known {
                if lingate_catalog::glob::matches(declared, &model.id) {
                    self.add(&model.id, &model.id, provider);
                }
            }
        }
    }

    /// `model` is the provider's own name of it.
    fn add(&mut self, name: &str, model: &str, provider: &Provider) {
        if !self.names.insert(name.to_owned()) {
            return;
        }
        let spoken: Vec<DialectId> = provider
            .endpoints
            .iter()
            .map(|endpoint| endpoint.dialect)
            .collect();
        let dialect = spoken.first().copied().unwrap_or(DialectId::Chat);
        self.models.push(Listed {
            id: name.to_owned(),
            owner: provider.name.clone(),
            facts: lingate_catalog::builtin().facts(provider.catalog_id.as_deref(), model, dialect),
            spoken,
            converts: self.snapshot.mode == Mode::Transform,
        });
    }
}
