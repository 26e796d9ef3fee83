//! `GET /v1/api-keys/stats`: what keys were used for, in the form that users of small gateways know.

use lingate_routing::{KeyCensus, Moment, Snapshot, Tally};
use serde_json::{Map, Value, json};

use super::page::{Page, providers};
use super::pool_keys::state;
use super::problem::Problem;
use super::query;
use super::wall::Wall;

pub(super) fn tell(
    snapshot: &Snapshot,
    query: &[(String, String)],
    now: Moment,
) -> Result<Value, Problem> {
    let wall = Wall::at(now);
    let asked = providers(snapshot, query::value(query, "provider"))?;
    let mut all = KeyCensus::default();
    let mut counted = Vec::new();
    for provider in &asked {
        let census = provider.keys.census(now);
        all.add(&census);
        counted.push((provider.name.as_str(), census));
    }
    let found = Page::of(query)?.find(&asked, now)?;
    let mut told = Map::new();
    for (provider, keys) in found.providers {
        let keys: Vec<Value> = keys
            .iter()
            .map(|standing| {
                let mut key = Map::new();
                key.insert("key".to_owned(), json!(standing.key.label()));
                key.insert("id".to_owned(), json!(standing.key.id()));
                counts(&standing.tally, wall, &mut key);
                state(&standing.state, wall, &mut key);
                Value::Object(key)
            })
            .collect();
        let mut one = Map::new();
        one.insert("keys".to_owned(), json!(keys));
        if let Some((_, census)) = counted.iter().find(|(name, _)| *name == provider.name) {
            totals(census, wall, &mut one);
        }
        told.insert(provider.name.clone(), Value::Object(one));
    }
    let mut sum = Map::new();
    totals(&all, wall, &mut sum);
    Ok(json!({"providers": told, "totals": sum, "next_cursor": found.next}))
}

/// How many keys there are, and what they were used for together.
pub(super) fn totals(census: &KeyCensus, wall: Wall, into: &mut Map<String, Value>) {
    into.insert("total_keys".to_owned(), json!(census.keys));
    into.insert("key_states".to_owned(), states(census));
    counts(&census.tally, wall, into);
}

/// How many keys are in which state.
pub(super) fn states(census: &KeyCensus) -> Value {
    let states = census
        .states()
        .map(|(state, count)| (state.to_owned(), json!(count)));
    Value::Object(states.collect())
}

/// What was done, counted.
pub(super) fn counts(tally: &Tally, wall: Wall, into: &mut Map<String, Value>) {
    let statuses = tally.statuses.iter().map(|(status, count)| {
        let name = match status {
            0 => "none".to_owned(),
            status => status.to_string(),
        };
        (name, json!(count))
    });
    into.insert("total_requests".to_owned(), json!(tally.total()));
    into.insert("successful_requests".to_owned(), json!(tally.successful));
    into.insert("failed_requests".to_owned(), json!(tally.failed));
    into.insert("success_rate".to_owned(), rate(tally));
    let used = tally.last_used.and_then(|used| wall.time(used));
    into.insert("last_used".to_owned(), json!(used));
    into.insert("status_codes".to_owned(), Value::Object(statuses.collect()));
}

/// From 0 to 1, to four places; null where nothing was done.
fn rate(tally: &Tally) -> Value {
    let (total, served) = (u128::from(tally.total()), u128::from(tally.successful));
    let Some(places) = (served * 10_000).checked_div(total) else {
        return Value::Null;
    };
    json!(f64::from(u16::try_from(places).unwrap_or(10_000)) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (successful, failed, expect) in [
            (0, 0, "null"),
            (0, 3, "0.0"),
            (3, 0, "1.0"),
            (2, 1, "0.6666"),
            (u64::MAX / 2, 0, "1.0"),
        ] {
            let tally = Tally {
                successful,
                failed,
                ..Tally::default()
            };
            assert_eq!(rate(&tally).to_string(), expect, "{successful} {failed}");
        }
    }
}
