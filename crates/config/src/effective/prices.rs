//! Prices, plans and currencies as they are in effect.

use lingate_catalog::{Price, Rates, When, dollars};
use lingate_metering::pricing::{Override, Plan, Prices};
use serde_json::{Map, Number, Value, json};

/// Adds the sections of the configuration that say something.
pub(super) fn sections(prices: &Prices, root: &mut Value) {
    if !prices.general().is_empty() {
        root["prices"] = overrides(prices.general());
    }
    let mut plans: Vec<&str> = prices.plans().collect();
    plans.sort_unstable();
    let plans: Map<String, Value> = plans
        .into_iter()
        .filter_map(|name| {
            let Plan { multiplier, prices } = prices.plan(name)?;
            let mut plan = Map::new();
            plan.insert("multiplier".to_owned(), number(&multiplier.to_string()));
            if !prices.is_empty() {
                plan.insert("prices".to_owned(), overrides(prices));
            }
            Some((name.to_owned(), Value::Object(plan)))
        })
        .collect();
    if !plans.is_empty() {
        root["plans"] = Value::Object(plans);
    }
    let currencies: Map<String, Value> = prices
        .currencies()
        .iter()
        .map(|(currency, rate)| (currency.to_string(), number(&rate.to_string())))
        .collect();
    if !currencies.is_empty() {
        root["currencies"] = Value::Object(currencies);
    }
}

/// A provider's own prices, without those of all.
pub(super) fn own(prices: &Prices, provider: &str) -> Option<Value> {
    let own = prices.own(provider);
    let rows = own.iter().map(|(pattern, said)| {
        let mut row = Map::new();
        price(said, &mut row);
        (pattern.clone(), Value::Object(row))
    });
    (!own.is_empty()).then(|| Value::Object(rows.collect()))
}

fn overrides(overrides: &[Override]) -> Value {
    let row = |one: &Override| {
        let mut row = Map::new();
        if let Some(provider) = &one.provider {
            row.insert("provider".to_owned(), json!(provider));
        }
        row.insert("model".to_owned(), json!(one.model));
        price(&one.price, &mut row);
        Value::Object(row)
    };
    overrides.iter().map(row).collect::<Vec<_>>().into()
}

fn price(price: &Price, out: &mut Map<String, Value>) {
    let Price {
        rates: base,
        tiers,
        off_peak,
        factors,
        search_once,
        formula,
    } = price;
    rates(base, out);
    if *search_once {
        out.insert("search_once".to_owned(), json!(true));
    }
    if let Some(hours) = off_peak {
        out.insert("off_peak".to_owned(), json!(hours.to_string()));
    }
    if !factors.is_empty() {
        let times: Map<String, Value> = factors
            .iter()
            .map(|(name, factor)| (name.to_string(), number(&factor.to_string())))
            .collect();
        out.insert("times".to_owned(), Value::Object(times));
    }
    if let Some(formula) = formula {
        out.insert("formula".to_owned(), json!(formula.text()));
    }
    let tier = |tier: &lingate_catalog::Tier| {
        let mut out = Map::new();
        match &tier.when {
            When::Always => {}
            When::OffPeak => {
                out.insert("off_peak".to_owned(), json!(true));
            }
            When::Service(service) => {
                out.insert("service".to_owned(), json!(service));
            }
        }
        if tier.above > 0 {
            out.insert("above".to_owned(), json!(tier.above));
        }
        rates(&tier.rates, &mut out);
        Value::Object(out)
    };
    if !tiers.is_empty() {
        let tiers: Vec<Value> = tiers.iter().map(tier).collect();
        out.insert("tiers".to_owned(), tiers.into());
    }
}

fn rates(rates: &Rates, out: &mut Map<String, Value>) {
    for (column, rate) in rates.iter() {
        out.insert(column.name().to_owned(), number(&dollars(rate)));
    }
}

/// Digits that JSON takes as they are: a float would not be what is in effect.
pub(super) fn number(decimal: &str) -> Value {
    decimal
        .parse::<Number>()
        .map_or_else(|_| json!(decimal), Value::Number)
}
