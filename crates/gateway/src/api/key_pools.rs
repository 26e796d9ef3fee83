//! `GET /api/v1/key-pools`: the providers, their keys counted, and their circuit breakers.

use lingate_routing::{BreakerState, Moment, Snapshot};
use serde_json::{Map, Value, json};

use super::key_stats::totals;
use super::wall::Wall;

pub(super) fn tell(snapshot: &Snapshot, now: Moment) -> Value {
    let wall = Wall::at(now);
    let pools = snapshot.providers.iter().map(|provider| {
        let mut pool = Map::new();
        pool.insert("provider".to_owned(), json!(provider.name));
        totals(&provider.keys.census(now), wall, &mut pool);
        let own = breaker(&provider.health.state(now), wall);
        pool.insert("breaker".to_owned(), own);
        let models = provider.health.models();
        let open = models.iter().filter_map(|model| {
            let state = provider.health.state_of(model, now);
            if let BreakerState::Closed(_) = state {
                return None;
            }
            let mut told = breaker(&state, wall);
            if let Value::Object(told) = &mut told {
                told.insert("model".to_owned(), json!(model.name()));
            }
            Some(told)
        });
        let open: Vec<Value> = open.collect();
        pool.insert("model_breakers".to_owned(), json!(open));
        Value::Object(pool)
    });
    json!({"key_pools": pools.collect::<Vec<_>>()})
}

/// How a breaker stands.
pub(crate) fn breaker(state: &BreakerState, wall: Wall) -> Value {
    match state {
        BreakerState::Closed(_) => json!({"state": "closed"}),
        BreakerState::Open(open) => json!({
            "state": "open",
            "reason": open.why.cause.to_string(),
            "since": wall.time(open.why.since),
            "until": wall.time(open.until),
        }),
        BreakerState::HalfOpen { probing, why } => json!({
            "state": "half_open",
            "reason": why.cause.to_string(),
            "since": wall.time(why.since),
            "probing": probing,
        }),
    }
}
