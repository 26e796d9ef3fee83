//! Prices, plans and currencies: from decimals in `lingate.yml` to integers.

use std::sync::Arc;

use lingate_catalog::{Column, Formula, Hours, OwnPrices, Price, Rates, Tier, When};
use lingate_metering::currency::{Currencies, Currency};
use lingate_metering::pricing::{Override, Plan, Prices};
use lingate_routing::Provider;

use crate::place::did_you_mean;
use crate::read::{Reader, Value};

impl Reader<'_> {
    /// A provider's own prices, in the order written. A price that is not whole is a problem: half of one would make a provider
    /// look cheap.
    pub(crate) fn own_prices(&mut self, provider: &Value) -> OwnPrices {
        let said = provider.get("prices").map_or(&[][..], Value::entries);
        let rows: Vec<(String, Price)> = said
            .iter()
            .filter_map(|(pattern, said)| Some((pattern.clone(), self.price(said)?)))
            .collect();
        OwnPrices::new(rows)
    }

    /// All prices there are; each provider gets its share of them.
    pub(crate) fn all_prices(&mut self, root: &Value, providers: &mut [Arc<Provider>]) -> Prices {
        let general = self.overrides(root.get("prices"), providers);
        let said = root.get("plans").map_or(&[][..], Value::entries);
        let mut plans = Vec::with_capacity(said.len());
        for (name, said) in said {
            let multiplier = said.get("multiplier").and_then(Value::factor);
            let plan = Plan {
                multiplier: multiplier.unwrap_or_default(),
                prices: self.overrides(said.get("prices"), providers),
            };
            plans.push((name.clone(), plan));
        }
        let currencies = self.currencies(root.get("currencies"));
        let own = providers
            .iter()
            .map(|provider| (provider.name.clone(), (*provider.prices).clone()));
        let prices = Prices::new(own, general, plans, currencies);
        for provider in providers {
            let all = prices.of_provider(&provider.name);
            // Nobody else has them yet.
            if let (Some(all), Some(provider)) = (all, Arc::get_mut(provider)) {
                provider.prices = Arc::clone(all);
            }
        }
        prices
    }

    /// Whoever is charged by a plan is charged by one that is there.
    pub(crate) fn check_plans(&mut self, root: &Value) {
        fn within<'v>(value: &'v Value, name: &str) -> &'v [(String, Value)] {
            value.get(name).map_or(&[], Value::entries)
        }
        let plans = within(root, "plans");
        let mut named: Vec<&Value> = Vec::new();
        for (_, organization) in within(root, "organizations") {
            named.extend(organization.get("plan"));
            for inner in ["projects", "users"] {
                let inner = within(organization, inner).iter();
                named.extend(inner.filter_map(|(_, value)| value.get("plan")));
            }
        }
        let keys = root.get("api_keys").map_or(&[][..], Value::items);
        named.extend(keys.iter().filter_map(|key| key.get("plan")));
        for value in named {
            let name = value.text().unwrap_or_default();
            let known = plans.iter().map(|(plan, _)| plan.as_str());
            if !known.clone().any(|plan| plan == name) {
                let message = format!("there is no plan `{name}`{}", did_you_mean(name, known));
                self.problem(&value.place, &value.path, message);
            }
        }
    }

    fn overrides(&mut self, said: Option<&Value>, providers: &[Arc<Provider>]) -> Vec<Override> {
        let mut overrides: Vec<Override> = Vec::new();
        for said in said.map(Value::items).unwrap_or_default() {
            let text = |name: &str| said.get(name).and_then(Value::text).map(str::to_owned);
            let Some(model) = text("model") else {
                if !self.told(&said.path) {
                    let message = "needs a `model`: a name, or a pattern such as gpt-4o*";
                    self.problem(&said.place, &said.path, message);
                }
                continue;
            };
            let Some(price) = self.price(said) else {
                continue;
            };
            let one = Override {
                provider: text("provider"),
                model: model.to_lowercase(),
                price,
            };
            let twice =
                |other: &Override| other.provider == one.provider && other.model == one.model;
            if overrides.iter().any(twice) {
                let message = format!("there is a price for `{model}` of the same provider before");
                self.problem(&said.place, &said.path, message);
                continue;
            }
            let somebody = |pattern: &str| {
                let mut names = providers.iter().map(|provider| provider.name.as_str());
                names.any(|name| lingate_catalog::glob::matches(pattern, name))
            };
            if let Some(pattern) = one.provider.as_deref()
                && !somebody(pattern)
            {
                let message = format!("has no effect: there is no provider `{pattern}`");
                self.note(&said.place, &said.path, message);
            }
            overrides.push(one);
        }
        overrides
    }

    fn price(&mut self, said: &Value) -> Option<Price> {
        let before = self.problems.len();
        let mut price = Price {
            rates: rates(said),
            search_once: said.get("search_once").and_then(Value::flag) == Some(true),
            ..Price::default()
        };
        for (name, factor) in said.get("times").map_or(&[][..], Value::entries) {
            if let Some(factor) = factor.factor() {
                price.factors.push((name.as_str().into(), factor));
            }
        }
        if let Some(value) = said.get("off_peak") {
            match Hours::parse(value.text().unwrap_or_default()) {
                Ok(hours) => price.off_peak = Some(hours),
                Err(message) => self.problem(&value.place, &value.path, message),
            }
        }
        if let Some(value) = said.get("formula") {
            match Formula::compile(value.text().unwrap_or_default()) {
                Ok(formula) => price.formula = Some(formula),
                Err(message) => self.problem(&value.place, &value.path, message),
            }
        }
        for tier in said.get("tiers").map(Value::items).unwrap_or_default() {
            let service = tier.get("service").and_then(Value::text);
            let off_peak = tier.get("off_peak").and_then(Value::flag) == Some(true);
            let when = match service {
                Some(_) if off_peak => {
                    let message = "a tier is of a `service` or `off_peak`, not both";
                    self.problem(&tier.place, &tier.path, message);
                    continue;
                }
                Some(service) => When::Service(service.into()),
                None if off_peak => When::OffPeak,
                None => When::Always,
            };
            let above = tier.get("above").and_then(Value::number).unwrap_or(0);
            if when == When::Always && above == 0 {
                if !self.told(&tier.path) {
                    let message = "a tier says for what: `above`, `service` or `off_peak`";
                    self.problem(&tier.place, &tier.path, message);
                }
                continue;
            }
            let rates = rates(tier);
            price.tiers.push(Tier { when, above, rates });
        }
        if self.problems.len() > before || self.told(&said.path) {
            return None;
        }
        if let Err(message) = price.check() {
            self.problem(&said.place, &said.path, message);
            return None;
        }
        Some(price)
    }

    pub(crate) fn currencies(&mut self, said: Option<&Value>) -> Currencies {
        let mut currencies = Currencies::default();
        for (code, said) in said.map_or(&[][..], Value::entries) {
            let Some(rate) = said.factor() else { continue };
            let Some(currency) = Currency::from_code(code) else {
                let message = "is no currency: expected a code of ISO 4217 such as CNY";
                self.problem(&said.place, &said.path, message);
                continue;
            };
            if rate.is_zero() {
                let message = "a dollar is worth something: the rate is more than 0";
                self.problem(&said.place, &said.path, message);
            } else if !currencies.insert(currency, rate) {
                self.problem(&said.place, &said.path, "this currency is here twice");
            }
        }
        currencies
    }
}

fn rates(said: &Value) -> Rates {
    let mut rates = Rates::default();
    let dollars = |name: &str| said.get(name).and_then(Value::dollars);
    for column in Column::SEARCHES {
        rates.set(column, dollars("search"));
    }
    for column in Column::ALL {
        if let Some(rate) = dollars(column.name()) {
            rates.set(column, Some(rate));
        }
    }
    rates
}
