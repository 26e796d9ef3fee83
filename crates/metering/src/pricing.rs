//! Which price a request has: the configuration's, else the catalogue's; what it costs, and what the tenant is charged.

mod lately;

use std::fmt::Write as _;
use std::sync::Arc;

use lingate_catalog::{
    Circumstances, Column, Exact, Factor, Line, Money, OwnPrices, Price, builtin, glob, prices,
};
use lingate_dialect::hub::Usage;
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};

use crate::currency::Currencies;
use lately::{Found, Lately, Tenant};

/// All prices and plans of one configuration. Immutable: it is made with the snapshot, and replaced with it.
#[derive(Debug)]
pub struct Prices {
    version: Arc<str>,
    /// By the name of a provider: its own prices, then those of [`Prices::general`] that are for it.
    providers: FxHashMap<Box<str>, OfProvider>,
    general: Vec<Override>,
    plans: FxHashMap<Box<str>, Plan>,
    currencies: Currencies,
    lately: Lately,
}

#[derive(Debug)]
struct OfProvider {
    all: Arc<OwnPrices>,
    /// So many of them are its own.
    own: usize,
}

/// A price for some models at some providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// A name or a pattern of names of the configuration's providers; `None`: any.
    pub provider: Option<String>,
    /// A name or a pattern of models, as the upstream or the caller calls them.
    pub model: String,
    pub price: Price,
}

/// What tenants of a plan are charged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What costs are multiplied with.
    pub multiplier: Factor,
    /// What some models are charged instead. These are not multiplied.
    pub prices: Vec<Override>,
}

/// What a price depends on.
#[derive(Debug, Clone, Copy)]
pub struct Priced<'a> {
    /// Its name in the configuration.
    pub provider: &'a str,
    /// The row of the catalogue that it follows.
    pub catalog_id: Option<&'a str>,
    pub upstream_model: &'a str,
    pub requested_model: &'a str,
    /// The tenant's; `None`: it is charged what the request costs.
    pub plan: Option<&'a str>,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// Of the prices that were used.
    pub version: Arc<str>,
    /// What the provider takes; `None`: nobody knows, which is not nothing.
    pub cost: Option<Money>,
    /// What the tenant is charged; `None`: what it costs is not known, or there is no such plan.
    pub price: Option<Money>,
    /// Why it costs so much.
    pub cost_lines: Vec<Line>,
    /// Why the plan charges so much, where it has a price of its own for the model; else it is the cost times `multiplier`.
    pub price_lines: Vec<Line>,
    pub multiplier: Factor,
}

/// The most that a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    pub cost: Option<Money>,
    pub price: Option<Money>,
}

impl Default for Prices {
    /// The catalogue's, without plans.
    fn default() -> Self {
        Self::new([], Vec::new(), [], Currencies::default())
    }
}

impl Prices {
    /// `providers`: the name of each, and its own prices, which come before all others.
    pub fn new(
        providers: impl IntoIterator<Item = (String, OwnPrices)>,
        mut general: Vec<Override>,
        plans: impl IntoIterator<Item = (String, Plan)>,
        currencies: Currencies,
    ) -> Self {
        sort(&mut general);
        let mut all: Vec<(String, OwnPrices)> = providers.into_iter().collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut plans: Vec<(String, Plan)> = plans.into_iter().collect();
        plans.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (_, plan) in &mut plans {
            sort(&mut plan.prices);
        }
        let version = version(&all, &general, &plans);
        let of_provider = |(name, own): (String, OwnPrices)| {
            let shared = general.iter().filter(|general| general.is_for(&name));
            let shared = shared.map(|general| (general.model.clone(), general.price.clone()));
            let rows = own.rows().iter().cloned().chain(shared);
            let all = OfProvider {
                all: Arc::new(OwnPrices::new(rows)),
                own: own.rows().len(),
            };
            (name.clone().into(), all)
        };
        Self {
            version,
            providers: all.into_iter().map(of_provider).collect(),
            general,
            plans: plans
                .into_iter()
                .map(|(name, plan)| (name.into(), plan))
                .collect(),
            currencies,
            lately: Lately::default(),
        }
    }

    /// The day of the catalogue's prices and a hash of all that they are reckoned with: `2026-11-30-1a2b3c4d`, and with prices or plans
    /// of one's own `2026-11-30-1a2b3c4d+5e6f7a8b`.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.get(name)
    }

    /// For showing amounts.
    pub fn currencies(&self) -> &Currencies {
        &self.currencies
    }

    /// Prices for all providers, the most precise first.
    pub fn general(&self) -> &[Override] {
        &self.general
    }

    /// The names of all plans, in no order.
    pub fn plans(&self) -> impl Iterator<Item = &str> {
        self.plans.keys().map(|name| &**name)
    }

    /// The configuration's prices for a provider that it names, shared with whoever compares providers.
    pub fn of_provider(&self, name: &str) -> Option<&Arc<OwnPrices>> {
        self.providers.get(name).map(|provider| &provider.all)
    }

    /// A provider's own prices, without those that are for all.
    pub fn own(&self, name: &str) -> &[(String, Price)] {
        let provider = self.providers.get(name);
        let own = provider.and_then(|provider| provider.all.rows().get(..provider.own));
        own.unwrap_or_default()
    }

    /// What a provider takes for a model: as the configuration says for the upstream's name, then for the caller's; else as the
    /// catalogue says for the upstream's.
    pub fn cost_price(&self, of: &Priced<'_>) -> Option<&Price> {
        let own = match self.providers.get(of.provider) {
            Some(OfProvider { all, .. }) => all
                .find(of.upstream_model)
                .or_else(|| all.find(of.requested_model)),
            None => find(&self.general, of),
        };
        own.or_else(|| builtin().price(of.catalog_id?, of.upstream_model))
    }

    /// What a request costs, and what its tenant is charged.
    pub fn charge(
        &self,
        of: &Priced<'_>,
        usage: &Usage,
        circumstances: &Circumstances<'_>,
    ) -> Charged {
        let found = self.found(of);
        let cost = found.cost.as_ref();
        let cost = cost.map(|price| price.bill(usage, circumstances));
        let exact = cost.as_ref().map(lingate_catalog::Bill::total);
        let (price, price_lines, multiplier) = match &found.tenant {
            Tenant::Times(multiplier) => {
                let price = exact.map(|exact| exact.times(*multiplier));
                (price, Vec::new(), *multiplier)
            }
            Tenant::Own(price) => {
                let bill = price.bill(usage, circumstances);
                (Some(bill.total()), bill.lines, Factor::ONE)
            }
            Tenant::NoPlan => (None, Vec::new(), Factor::ONE),
        };
        Charged {
            version: Arc::clone(&self.version),
            cost: exact.map(Exact::rounded),
            price: price.map(Exact::rounded),
            cost_lines: cost.map(|bill| bill.lines).unwrap_or_default(),
            price_lines,
            multiplier,
        }
    }

    /// The most that a prompt of so many tokens and an answer of at most so many may cost, whether or not a cache takes the
    /// prompt in and the answer is all reasoning.
    pub fn estimate(
        &self,
        of: &Priced<'_>,
        input: u64,
        max_output: u64,
        circumstances: &Circumstances<'_>,
    ) -> Estimate {
        let found = self.found(of);
        let most = |price: &Price| dearest(price, input, max_output, circumstances);
        let cost = found.cost.as_ref().map(most);
        let price = match &found.tenant {
            Tenant::Times(multiplier) => cost.map(|cost| cost.times(*multiplier)),
            Tenant::Own(price) => Some(most(price.as_ref())),
            Tenant::NoPlan => None,
        };
        Estimate {
            cost: cost.map(Exact::rounded),
            price: price.map(Exact::rounded),
        }
    }

    fn found(&self, of: &Priced<'_>) -> Arc<Found> {
        self.lately.find(of, || {
            let tenant = match of.plan.map(|name| self.plans.get(name)) {
                None => Tenant::Times(Factor::ONE),
                Some(None) => Tenant::NoPlan,
                Some(Some(plan)) => match find(&plan.prices, of) {
                    Some(price) => Tenant::Own(Box::new(price.clone())),
                    None => Tenant::Times(plan.multiplier),
                },
            };
            Found::new(of, self.cost_price(of).cloned(), tenant)
        })
    }
}

/// Of all ways in which a cache may take in a prompt, and an answer be reasoning, the one that costs most.
fn dearest(price: &Price, input: u64, max_output: u64, circumstances: &Circumstances<'_>) -> Exact {
    let plain = Usage {
        input,
        output: max_output,
        ..Usage::default()
    };
    // Where a column says nothing, its tokens cost what the others do.
    let prompts = [
        (true, plain),
        (
            price.names(Column::CacheWrite),
            Usage {
                input: 0,
                cache_write_5m: input,
                ..plain
            },
        ),
        (
            price.names(Column::CacheWriteLong),
            Usage {
                input: 0,
                cache_write_1h: input,
                ..plain
            },
        ),
    ];
    let reasons = price.names(Column::Reasoning);
    let mut most = Exact::ZERO;
    for (_, usage) in prompts.into_iter().filter(|(differs, _)| *differs) {
        let thought = Usage {
            reasoning: Some(max_output),
            ..usage
        };
        for usage in std::iter::once(usage).chain(reasons.then_some(thought)) {
            let total = price.bill(&usage, circumstances).total();
            if total.is_more_than(most) {
                most = total;
            }
        }
    }
    most
}

impl Override {
    fn is_for(&self, provider: &str) -> bool {
        let pattern = self.provider.as_deref();
        pattern.is_none_or(|pattern| glob::matches(pattern, provider))
    }

    /// Greater for what says more precisely whom it is for.
    fn precision(&self) -> (usize, usize) {
        let of = |pattern: Option<&str>| match pattern {
            None => 0,
            Some(pattern) if pattern.contains('*') => 1 + pattern.replace('*', "").len(),
            Some(_) => usize::MAX,
        };
        (of(self.provider.as_deref()), of(Some(&self.model)))
    }
}

/// The most precise first; among equals, as they were written.
fn sort(overrides: &mut [Override]) {
    overrides.sort_by_key(|one| std::cmp::Reverse(one.precision()));
}

fn find<'a>(overrides: &'a [Override], of: &Priced<'_>) -> Option<&'a Price> {
    let by_model = |model: &str| {
        let name = model.to_lowercase();
        let last = name.rsplit('/').next().unwrap_or(&name);
        overrides.iter().find(|one| {
            let pattern = one.model.to_lowercase();
            one.is_for(of.provider)
                && (glob::matches(&pattern, &name) || glob::matches(&pattern, last))
        })
    };
    if overrides.is_empty() {
        return None;
    }
    by_model(of.upstream_model)
        .or_else(|| by_model(of.requested_model))
        .map(|found| &found.price)
}

fn version(
    providers: &[(String, OwnPrices)],
    general: &[Override],
    plans: &[(String, Plan)],
) -> Arc<str> {
    let mut said = String::new();
    let overrides = |said: &mut String, overrides: &[Override]| {
        for Override {
            provider,
            model,
            price,
        } in overrides
        {
            // Writing to a text cannot fail.
            let _ = writeln!(said, "{provider:?} {model:?}{price}");
        }
    };
    for (name, own) in providers {
        for (pattern, price) in own.rows() {
            let _ = writeln!(said, "{name:?} {pattern:?}{price}");
        }
    }
    overrides(&mut said, general);
    for (name, Plan { multiplier, prices }) in plans {
        let _ = writeln!(said, "plan {name:?} {multiplier}");
        overrides(&mut said, prices);
    }
    let mut version = prices().version().to_owned();
    if !said.is_empty() {
        version.push('+');
        for byte in Sha256::digest(said.as_bytes()).iter().take(4) {
            let _ = write!(version, "{byte:02x}");
        }
    }
    version.into()
}

#[cfg(test)]
mod tests;
