//! What a request takes of which counters.

use std::sync::Arc;

use lingate_catalog::glob;

use super::{Bound, Bounds, Demand, Each, Enforcement, Measure, Unpriced};
use crate::counter::{Charge, CounterKey};
use crate::{Id, Millis};

/// What limits want to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The model that will be asked, under the name that each model is counted by: the same for all names that it goes by.
    pub model: &'a str,
    /// Other names that globs may cover: as the caller wrote it, as routes call it.
    pub also: &'a [&'a str],
    /// `None`: at admission, whoever will be asked. Else the limits that are about this provider, and no others.
    pub provider: Option<&'a str>,
    /// Whom the request names.
    pub end_user: Option<&'a str>,
    /// The limits that have named another model already; they count the request, and do not refuse it.
    pub gave_way: &'a [Id],
    /// A guess.
    pub demand: Demand,
}

/// What one request takes, and why: the charges, for counters, and for each of them the limit that it is for.
#[derive(Debug, Clone, Default)]
pub struct Charges {
    pub list: Vec<Charge>,
    pub(super) of: Vec<Charged>,
}

/// Why there is a charge.
#[derive(Debug, Clone)]
pub struct Charged {
    pub bound: Arc<Bound>,
    /// The amount that holds now, also where nothing is refused for it.
    pub amount: u64,
    /// Nobody knows how much it is.
    pub unknown: bool,
}

impl Bounds {
    /// What a request takes of the limits that apply to it.
    pub fn charges(&self, facts: &Facts<'_>, now: Millis) -> Charges {
        let mut charges = Charges::default();
        if self.list.is_empty() || facts.provider.is_some() && !self.are_of_providers() {
            return charges;
        }
        charges.list.reserve_exact(self.list.len());
        charges.of.reserve_exact(self.list.len());
        for bound in &self.list {
            if bound.applies(facts) {
                charges.add(bound, facts, now);
            }
        }
        charges
    }
}

impl Bound {
    fn applies(&self, facts: &Facts<'_>) -> bool {
        let provider = match (&self.limit().provider, facts.provider) {
            (Some(only), Some(provider)) => glob::matches(only, provider),
            (None, Some(_)) => self.limit().each.contains(&Each::Provider),
            (_, None) => !self.is_of_provider(),
        };
        let names = std::iter::once(facts.model).chain(facts.also.iter().copied());
        provider && self.covers(names)
    }

    /// Whether requests for the model are refused at all.
    fn refuses(&self, facts: &Facts<'_>) -> bool {
        let limit = self.limit();
        let is_named =
            |model: &String| facts.model == model || facts.also.contains(&model.as_str());
        let gave_way = facts.gave_way.contains(&limit.id);
        match limit.enforcement {
            Enforcement::Hard => !gave_way && !self.steps().iter().any(is_named),
            Enforcement::Soft | Enforcement::Shadow => false,
        }
    }
}

impl Charges {
    fn add(&mut self, bound: &Arc<Bound>, facts: &Facts<'_>, now: Millis) {
        let amount = bound.limit().amount_at(now);
        let limit = bound.limit();
        let ask = facts.demand.of_measure(limit.measure);
        let refuses = bound.refuses(facts);
        let is_unwanted = refuses && ask.is_none() && limit.unpriced == Unpriced::Refuse;
        let (capacity, asks) = if is_unwanted {
            // Less room than is asked for, whatever is used.
            (Some(0), 1)
        } else {
            (refuses.then_some(amount), ask.unwrap_or(0))
        };
        self.list.push(Charge {
            counter: bound.counter(facts.model, facts.provider, facts.end_user),
            span: bound.span(now),
            capacity,
            ask: asks,
        });
        self.of.push(Charged {
            bound: Arc::clone(bound),
            amount,
            unknown: ask.is_none(),
        });
    }

    /// Both, as if they had been asked for at once.
    pub fn append(&mut self, other: Self) {
        self.list.extend(other.list);
        self.of.extend(other.of);
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The charges and what they are for, in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&Charge, &Charged)> + Clone {
        self.list.iter().zip(&self.of)
    }

    pub fn counters(&self) -> impl Iterator<Item = CounterKey> {
        self.list.iter().map(|charge| charge.counter)
    }

    /// The charges again, each with what was really used; where nobody knows, with what was reserved. What counts requests under way
    /// has nothing more.
    pub fn settle(&self, truth: &Demand) -> Vec<Charge> {
        self.iter()
            .map(|(charge, charged)| Charge {
                ask: match charged.bound.limit().measure {
                    Measure::Concurrency => 0,
                    measure => truth.of_measure(measure).unwrap_or(charge.ask),
                },
                ..*charge
            })
            .collect()
    }
}
