//! What probes ask: whether the process is up, whether it can serve, and how it fares. Why not is told to those only who may see how
//! the gateway works.
//!
//! A database or counters that are away, and a journal that fills up, make the gateway `degraded`, and no less alive or ready: requests
//! are served all the same, and another replica would fare no better.

use http::{Response, StatusCode};
use lingate_routing::{
    Auth, BreakerState, Hindrance, KeyCensus, Moment, Provider, Snapshot, Wanted,
};
use serde_json::{Map, Value, json};

use crate::Gateway;
use crate::answer::{self, Body};
use crate::api::access;
use crate::api::{key_pools, wall::Wall};
use crate::service::Visit;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthDoor {
    /// How it fares.
    Summary,
    /// The process is up.
    Live,
    /// It can serve: at least one provider has a key that can be used, and no open breaker.
    Ready,
}

/// How many reasons are told.
const REASONS: usize = 20;

pub(crate) fn answer(gateway: &Gateway, visit: &Visit, door: HealthDoor) -> Response<Body> {
    if door == HealthDoor::Live {
        return answer::json(StatusCode::OK, json!({"status": "ok"}).to_string());
    }
    let (snapshot, now) = (&visit.snapshot, gateway.moment());
    let ready = snapshot
        .providers
        .iter()
        .any(|provider| unready(snapshot, provider, now).is_none());
    let status = if ready || door == HealthDoor::Summary {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut told = Map::new();
    let word = match (ready, gateway.board.is_well()) {
        (false, _) => "unready",
        (true, false) => "degraded",
        (true, true) => "ok",
    };
    told.insert("status".to_owned(), json!(word));
    if access::may_look(&visit.gate(), &visit.parts) {
        let reasons = snapshot.providers.iter().filter_map(|provider| {
            let why = unready(snapshot, provider, now)?;
            Some(format!("{}: {why}", provider.name))
        });
        let reasons: Vec<String> = reasons.take(REASONS).collect();
        if door == HealthDoor::Summary {
            // What cannot be stored on disk is kept in memory, which is no reason to be taken out of service; why stands in the log.
            let in_memory_alone = gateway.responses.trouble().is_some();
            let storage = if in_memory_alone { "memory" } else { "disk" };
            told.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
            told.insert("storage".to_owned(), json!(storage));
            summary(snapshot, now, &mut told);
            told.extend(gateway.board.told());
        }
        told.insert("unready".to_owned(), json!(reasons));
    }
    answer::json(status, Value::Object(told).to_string())
}

/// Providers and keys, counted, and the breakers that are open.
fn summary(snapshot: &Snapshot, now: Moment, into: &mut Map<String, Value>) {
    let wall = Wall::at(now);
    let mut all = KeyCensus::default();
    let mut open = Vec::new();
    for provider in &snapshot.providers {
        all.add(&provider.keys.census(now));
        let own = std::iter::once((None, provider.health.state(now)));
        let models = provider.health.models();
        let models = models.iter().map(|model| {
            let state = provider.health.state_of(model, now);
            (Some(model.name()), state)
        });
        for (model, state) in own.chain(models) {
            if let BreakerState::Closed(_) = state {
                continue;
            }
            let mut told = key_pools::breaker(&state, wall);
            if let Value::Object(told) = &mut told {
                told.insert("provider".to_owned(), json!(provider.name));
                told.insert("model".to_owned(), json!(model));
            }
            open.push(told);
        }
    }
    let states = all
        .states()
        .map(|(state, count)| (state.to_owned(), json!(count)));
    into.insert("providers".to_owned(), json!(snapshot.providers.len()));
    into.insert("keys".to_owned(), Value::Object(states.collect()));
    into.insert("open_breakers".to_owned(), json!(open));
}

/// Why a provider cannot serve now. As many requests as its keys may have under way are no reason: more would only be sent elsewhere.
fn unready(snapshot: &Snapshot, provider: &Provider, now: Moment) -> Option<String> {
    if let BreakerState::Open(open) = provider.health.state(now) {
        return Some(format!("its circuit breaker is open: {}", open.why.cause));
    }
    if snapshot.auth == Auth::Passthrough {
        return None;
    }
    let unready = provider.keys.ready(&Wanted::of(""), now).err()?;
    (unready.why != Hindrance::AtCaps).then(|| format!("keys: {unready}"))
}
