//! `GET /api/v1/routes`: the routes of the configuration, in the order in which they are tried.

use lingate_routing::{Provider, Route, Snapshot};
use serde_json::{Map, Value, json};

use super::explanation::{last_resort, retry};

/// The routes of a configuration, as `GET /api/v1/routes` tells them.
pub fn routes(snapshot: &Snapshot) -> Value {
    let told = snapshot.routes.iter().enumerate();
    let told = told.map(|(index, route)| one(snapshot, index, route));
    json!({"routes": told.collect::<Vec<_>>()})
}

fn one(snapshot: &Snapshot, index: usize, route: &Route) -> Value {
    let targets = route.targets.iter().map(|target| {
        let provider = snapshot.providers.get(target.provider);
        json!({
            "provider": provider.map(|provider| provider_name(provider)),
            "model": target.model,
            "weight": target.weight,
            "priority": target.priority,
            "keys": target.keys,
        })
    });
    let mut told = Map::new();
    told.insert("route".to_owned(), json!(index));
    told.insert("model".to_owned(), json!(route.model.to_string()));
    told.insert("when".to_owned(), json!(route.when.told()));
    told.insert("strategy".to_owned(), json!(route.strategy.name()));
    told.insert("targets".to_owned(), targets.collect());
    let split = route.split.as_ref().map(|split| {
        let arms = split
            .arms
            .iter()
            .map(|arm| json!({"model": arm.model, "weight": arm.weight}));
        json!({"name": split.name, "sticky": split.sticky.map(lingate_routing::By::name), "arms": arms.collect::<Vec<_>>()})
    });
    told.insert("split".to_owned(), json!(split));
    told.insert("fallbacks".to_owned(), json!(route.fallbacks));
    let on = &route.fallbacks_on;
    let on =
        json!({"context_length": on.context_length, "refusal": on.refusal, "timeout": on.timeout});
    told.insert("fallbacks_on".to_owned(), on);
    told.insert("retry".to_owned(), retry(route.retry));
    told.insert("last_resort".to_owned(), last_resort(&route.last_resort));
    let mirror = route.mirror.as_ref().map(|mirror| {
        let provider = snapshot.providers.get(mirror.provider);
        json!({
            "provider": provider.map(|provider| provider_name(provider)),
            "model": mirror.model,
            "share": f64::from(mirror.share) / 1e6,
        })
    });
    told.insert("mirror".to_owned(), json!(mirror));
    Value::Object(told)
}

fn provider_name(provider: &Provider) -> &str {
    &provider.name
}
