//! `GET /api/v1/key-pools/{provider}/keys`: the keys of one provider, and how each of them stands.

use lingate_routing::{KeyState, Moment, Snapshot, Standing};
use serde_json::{Map, Value, json};

use super::key_stats::{counts, totals};
use super::page::{Page, provider};
use super::problem::Problem;
use super::wall::Wall;

pub(super) fn tell(
    snapshot: &Snapshot,
    name: &str,
    query: &[(String, String)],
    now: Moment,
) -> Result<Value, Problem> {
    let wall = Wall::at(now);
    let provider = provider(snapshot, name)?;
    let found = Page::of(query)?.find(&[provider], now)?;
    let keys = found.providers.iter().flat_map(|(_, keys)| keys);
    let keys: Vec<Value> = keys.map(|standing| key(standing, wall)).collect();
    let mut told = Map::new();
    told.insert("provider".to_owned(), json!(provider.name));
    told.insert("keys".to_owned(), json!(keys));
    told.insert("next_cursor".to_owned(), json!(found.next));
    totals(&provider.keys.census(now), wall, &mut told);
    Ok(Value::Object(told))
}

/// One key, without the key.
pub(super) fn key(standing: &Standing, wall: Wall) -> Value {
    let Standing {
        key,
        tags,
        account,
        weight,
        state: is,
        models,
        in_flight,
        quota,
        tally,
    } = standing;
    let mut told = Map::new();
    told.insert("id".to_owned(), json!(key.id()));
    told.insert("key".to_owned(), json!(key.label()));
    state(is, wall, &mut told);
    let models = models.iter().map(|(model, is)| {
        let mut told = Map::new();
        told.insert("model".to_owned(), json!(&**model));
        state(is, wall, &mut told);
        Value::Object(told)
    });
    told.insert("models".to_owned(), models.collect());
    told.insert("weight".to_owned(), json!(weight));
    let tags: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
    told.insert("tags".to_owned(), json!(tags));
    told.insert("account".to_owned(), json!(account.as_deref()));
    told.insert("in_flight".to_owned(), json!(in_flight));
    let quota = quota.map(|quota| {
        let left = (f64::from(quota.left) * 1000.0).round() / 1000.0;
        json!({"left": left, "reset_at": wall.time(quota.reset_at)})
    });
    told.insert("quota".to_owned(), json!(quota));
    counts(tally, wall, &mut told);
    Value::Object(told)
}

/// Whether a key is used, why not, and until when.
pub(super) fn state(state: &KeyState, wall: Wall, into: &mut Map<String, Value>) {
    into.insert("state".to_owned(), json!(state.name()));
    into.insert("reason".to_owned(), json!(state.reason()));
    let until = state.until().and_then(|until| wall.time(until));
    into.insert("until".to_owned(), json!(until));
}
