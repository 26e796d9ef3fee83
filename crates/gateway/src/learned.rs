//! What upstreams refused of a request: left out when they are asked again, and remembered for a day.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lingate_dialect::unwanted::Unwanted;
use lingate_dialect::vault::State;
use lingate_routing::{Moment, Target};
use rustc_hash::FxHashMap;

/// How long a refusal is remembered.
const REMEMBERED: Duration = Duration::from_hours(24);
/// Models of providers that are remembered, and fields of each.
const MODELS: usize = 512;
const FIELDS: usize = 16;
/// Times that one target is asked again for the sake of fields, in one request.
const ROUNDS: usize = 3;

/// Why the same target may be asked once more, with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Again {
    /// It does not take these fields.
    Fields(Vec<Unwanted>),
    /// It does not take the state of reasoning that it was sent, or misses some.
    Reasoning(State),
}

/// What is left out of a request, because its target has refused it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Without {
    pub(crate) fields: Vec<Unwanted>,
    pub(crate) reasoning: Option<State>,
    /// Those of `fields` that earlier requests have learned.
    known: usize,
    rounds: usize,
}

impl Without {
    /// Takes in a refusal; false when it tells nothing that has not been tried, so that asking again is of no use.
    pub(crate) fn add(&mut self, again: &Again) -> bool {
        match again {
            Again::Reasoning(state) => self.reasoning.replace(*state).is_none(),
            Again::Fields(fields) => {
                let new: Vec<Unwanted> = fields
                    .iter()
                    .filter(|field| !self.fields.iter().any(|known| known.path == field.path))
                    .cloned()
                    .collect();
                if new.is_empty() || self.rounds == ROUNDS {
                    return false;
                }
                self.rounds += 1;
                self.fields.extend(new);
                true
            }
        }
    }

    /// What this request has found out.
    pub(crate) fn found(&self) -> &[Unwanted] {
        self.fields.get(self.known..).unwrap_or_default()
    }
}

/// A bounded memory of what each model of each provider refuses. It outlives changes of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    models: Mutex<Models>,
}

/// By provider and model: fields, and until when they are left out.
type Models = FxHashMap<(String, String), Vec<(Unwanted, Moment)>>;

impl Learned {
    /// What this target is known to refuse.
    pub(crate) fn of(&self, target: &Target, now: Moment) -> Without {
        let models = self.models();
        if models.is_empty() {
            return Without::default();
        }
        let fields: Vec<Unwanted> = models
            .get(&key(target))
            .into_iter()
            .flatten()
            .filter(|(_, until)| *until > now)
            .map(|(field, _)| field.clone())
            .collect();
        Without {
            known: fields.len(),
            fields,
            reasoning: None,
            rounds: 0,
        }
    }

    /// The target answered without these. What it would take from others is not kept from them.
    pub(crate) fn remember(&self, target: &Target, fields: &[Unwanted], now: Moment) {
        let lasting = || fields.iter().filter(|field| !field.passing);
        if lasting().next().is_none() {
            return;
        }
        let until = now.after(REMEMBERED);
        let mut models = self.models();
        if models.len() >= MODELS && !models.contains_key(&key(target)) {
            models.retain(|_, list| list.iter().any(|(_, until)| *until > now));
            let newest = |list: &[(Unwanted, Moment)]| list.iter().map(|(_, until)| *until).max();
            let oldest = models
                .iter()
                .min_by_key(|(_, list)| newest(list))
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| models.len() >= MODELS) {
                models.remove(&oldest);
            }
        }
        let list = models.entry(key(target)).or_default();
        list.retain(|(field, until)| *until > now && !fields.contains(field));
        list.extend(lasting().map(|field| (field.clone(), until)));
        let over = list.len().saturating_sub(FIELDS);
        list.drain(..over);
    }

    fn models(&self) -> MutexGuard<'_, Models> {
        // A panic elsewhere leaves a whole entry or none.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(target: &Target) -> (String, String) {
    (target.provider.name.clone(), target.model.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lingate_routing::Provider;

    use super::*;

    fn target(model: &str) -> Target {
        let provider = Provider {
            name: "p".into(),
            ..Provider::default()
        };
        Target::at(&Arc::new(provider), 0, model)
    }

    #[test]
    fn a_field_is_remembered_for_a_day_and_for_its_model() {
        let learned = Learned::default();
        let start = Moment::from_millis(5);
        learned.remember(&target("a"), &[Unwanted::field("seed")], start);
        let known = |model: &str, hours: u64| {
            let now = start.after(Duration::from_hours(hours));
            learned.of(&target(model), now).fields.len()
        };
        assert_eq!([known("a", 0), known("a", 23), known("a", 24)], [1, 1, 0]);
        assert_eq!(known("b", 0), 0);
        let passing = Unwanted {
            passing: true,
            ..Unwanted::field("top_p")
        };
        learned.remember(&target("b"), &[passing], start);
        assert_eq!(known("b", 0), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let learned = Learned::default();
        for number in 0..2 * MODELS {
            let now = Moment::from_millis(number as u64);
            for field in 0..2 * FIELDS {
                let field = Unwanted::field(format!("f{field}"));
                learned.remember(&target(&number.to_string()), &[field], now);
            }
        }
        let models = learned.models();
        assert_eq!(models.len(), MODELS);
        assert!(models.values().all(|list| list.len() == FIELDS));
        // The last ones are those that are kept.
        assert!(models.contains_key(&key(&target(&(2 * MODELS - 1).to_string()))));
    }

    #[test]
    fn the_same_refusal_twice_is_the_end_of_it() {
        let mut without = Without::default();
        let field = |path: &str| Again::Fields(vec![Unwanted::field(path)]);
        assert!(without.add(&field("a")));
        assert!(!without.add(&field("a")));
        assert!(without.add(&field("b")));
        assert_eq!(without.found().len(), 2);
        assert!(without.add(&field("c")));
        assert!(!without.add(&field("d")), "three rounds are enough");
    }
}
