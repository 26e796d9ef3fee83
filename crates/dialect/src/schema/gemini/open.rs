//! JSON Schema turned in place into the OpenAPI subset: references unfolded, unions with null as a flag.

use serde_json::{Map, Value, json};

use super::cut::definition_name;
use super::{DEEPEST_REF, MOST_INLINED, Report, below, children, is_null_type};

pub(super) struct Opener<'r> {
    definitions: Map<String, Value>,
    /// Definitions that are being unfolded, outermost first.
    unfolding: Vec<String>,
    unfolded: usize,
    report: Report<'r>,
}

impl<'r> Opener<'r> {
    pub(super) fn new(definitions: Map<String, Value>, report: Report<'r>) -> Self {
        Self {
            definitions,
            unfolding: Vec::new(),
            unfolded: 0,
            report,
        }
    }

    /// Takes a schema that [`Cutter`] has been through.
    pub(super) fn schema(&mut self, value: &mut Value, path: &str) {
        let Value::Object(map) = value else { return };
        let reference = map
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(definition_name)
            .map(str::to_owned);
        if let Some(name) = reference {
            self.unfold(value, name, path);
            return;
        }
        let open = self.unfolding.len();
        self.unite(map, path);
        if let Some(Value::Array(values)) = map.get_mut("enum")
            && values.iter().any(|value| !value.is_string())
        {
            for value in values.iter_mut().filter(|value| !value.is_string()) {
                *value = Value::String(value.to_string());
            }
            map.insert("type".into(), json!("string"));
            (self.report)(
                below(path, "enum"),
                "numbers written as strings: this model takes no others",
            );
        }
        if map.contains_key("properties") && !map.contains_key("type") {
            map.insert("type".into(), json!("object"));
        }
        if map.get("type").and_then(Value::as_str) == Some("array") && !map.contains_key("items") {
            map.insert("items".into(), json!({}));
        }
        if let Some(Value::String(kind)) = map.get_mut("type") {
            kind.make_ascii_uppercase();
        }
        let unknown: Vec<String> = map
            .keys()
            .filter(|key| {
                key.starts_with('$')
                    || matches!(key.as_str(), "prefixItems" | "additionalProperties")
            })
            .cloned()
            .collect();
        for key in unknown {
            map.shift_remove(&key);
            (self.report)(
                below(path, &key),
                "dropped: this model knows no such keyword",
            );
        }
        for (key, child) in children(map) {
            self.schema(child, &below(path, &key));
        }
        self.unfolding.truncate(open);
    }

    /// The definition of that name, unless it is unfolding already or there was too much of that.
    fn definition(&mut self, name: &str) -> Option<Value> {
        self.unfolded += 1;
        let endless = self.unfolding.len() >= DEEPEST_REF
            || self.unfolded > MOST_INLINED
            || self.unfolding.iter().any(|open| open == name);
        self.definitions.get(name).filter(|_| !endless).cloned()
    }

    fn endless(&mut self, path: &str) -> Value {
        (self.report)(
            below(path, "$ref"),
            "replaced by any object: it refers to itself, too deeply, or to nothing",
        );
        json!({"type": "object"})
    }

    /// Puts a definition in the place of its reference.
    fn unfold(&mut self, value: &mut Value, name: String, path: &str) {
        *value = match self.definition(&name) {
            Some(target) => target,
            None => self.endless(path),
        };
        self.unfolding.push(name);
        self.schema(value, path);
        self.unfolding.pop();
    }

    /// Unions: one word for them, and `null` as a flag. Definitions that it unfolds are left in `unfolding`.
    fn unite(&mut self, map: &mut Map<String, Value>, path: &str) {
        if let Some(one_of) = map.shift_remove("oneOf") {
            map.entry("anyOf").or_insert(one_of);
        }
        let Some(Value::Array(branches)) = map.get_mut("anyOf") else {
            return;
        };
        let before = branches.len();
        branches.retain(|branch| !is_null_type(branch));
        if branches.len() < before {
            map.insert("nullable".into(), json!(true));
        }
        let only = match map.get_mut("anyOf") {
            Some(Value::Array(branches)) if branches.len() < 2 => branches.pop(),
            _ => return,
        };
        map.shift_remove("anyOf");
        let mut only = only.unwrap_or_default();
        // A reference in a union of one is the schema itself, so that its siblings can be kept.
        while let Some(name) = only
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(definition_name)
        {
            let name = name.to_owned();
            only = match self.definition(&name) {
                Some(target) => target,
                None => self.endless(path),
            };
            self.unfolding.push(name);
        }
        if let Value::Object(only) = only {
            for (key, value) in only {
                map.entry(key).or_insert(value);
            }
        }
    }
}
