//! Limits, as `limits` takes them.

use lingate_metering::limit::{Enforcement, Limit, Raise, Unpriced, Window, length, plain};
use serde_json::{Map, Value, json};

use super::prices::number;
use super::tenants::moment;

pub(crate) fn limit(limit: &Limit) -> Value {
    let Limit {
        id: _,
        name,
        measure,
        amount: _,
        window,
        model,
        provider,
        each,
        enforcement,
        thresholds,
        downgrade,
        raise,
        unpriced,
    } = limit;
    let mut out = Map::new();
    let mut tell = |name: &str, value: Value| out.insert(name.to_owned(), value);
    let amount = |amount| number(&plain(*measure, amount));
    if let Some(name) = name {
        tell("name", json!(name));
    }
    tell(measure.name(), amount(limit.amount));
    match window {
        Window::Sliding(seconds) => {
            tell("per", json!(length(*seconds)));
            tell("window", json!("sliding"));
        }
        Window::Calendar { unit, zone } => {
            tell("per", json!(unit.name()));
            tell("window", json!("calendar"));
            tell("zone", json!(zone.name()));
        }
        Window::Total => {
            tell("per", json!("total"));
        }
        Window::Now => {}
    }
    for (name, text) in [("model", model), ("provider", provider)] {
        if let Some(text) = text {
            tell(name, json!(text));
        }
    }
    if !each.is_empty() {
        tell("each", each.iter().map(|each| each.name()).collect());
    }
    let enforcement = match enforcement {
        Enforcement::Hard => "hard",
        Enforcement::Soft => "soft",
        Enforcement::Shadow => "shadow",
    };
    tell("enforcement", json!(enforcement));
    if !thresholds.is_empty() {
        tell("thresholds", json!(thresholds));
    }
    if let Some(model) = downgrade {
        tell("downgrade", json!(model));
    }
    if *unpriced == Unpriced::Refuse {
        tell("unpriced", json!("refuse"));
    }
    if let Some(Raise {
        amount: raised,
        until,
    }) = raise
    {
        tell(
            "raise",
            json!({"amount": amount(*raised), "until": moment(*until)}),
        );
    }
    Value::Object(out)
}
