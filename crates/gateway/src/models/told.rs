//! The list of models as operators read it: who serves each, how it can be asked, and what is known of it.

use lingate_dialect::DialectId;
use lingate_metering::tenant::Principal;
use lingate_routing::Snapshot;
use serde_json::{Map, Value, json};

use super::served::{Listed, served};

pub(crate) fn tell(snapshot: &Snapshot, anyone: &Principal) -> Value {
    let models = served(snapshot, anyone, &DialectId::ALL);
    json!({"items": models.iter().map(one).collect::<Vec<_>>()})
}

fn one(model: &Listed) -> Value {
    let mut told = Map::new();
    let dialects: Vec<&str> = model.dialects().map(DialectId::name).collect();
    told.insert("id".to_owned(), json!(model.id));
    told.insert("provider".to_owned(), json!(model.owner));
    told.insert("dialects".to_owned(), json!(dialects));
    let facts = &model.facts;
    for (name, value) in [
        ("display_name", json!(facts.display_name)),
        ("context_tokens", json!(facts.context)),
        ("max_output_tokens", json!(facts.max_output)),
        ("reasoning", json!(facts.reasoning)),
        ("released", json!(facts.released)),
    ] {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    }
    Value::Object(told)
}
