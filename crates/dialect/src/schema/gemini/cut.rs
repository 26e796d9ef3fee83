//! JSON Schema cut in place to what Gemini's JSON Schema fields accept.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::read::type_name;
use super::{DEEPEST_REF, MOST_INLINED, Report, allow_null, below, children, is_note};

/// Keywords that Gemini documents for these fields, and some that it takes without effect.
const KEPT: [&str; 26] = [
    "type",
    "format",
    "enum",
    "items",
    "prefixItems",
    "properties",
    "required",
    "anyOf",
    "oneOf",
    "additionalProperties",
    "propertyOrdering",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "title",
    "description",
    "default",
    "$ref",
    "$defs",
    "$id",
    "$anchor",
    "$schema",
];

/// Formats that Gemini knows; it refuses others.
fn is_known_format(format: &str) -> bool {
    matches!(
        format,
        "date-time" | "date" | "time" | "duration" | "int32" | "int64" | "float" | "double"
    )
}

pub(super) struct Cutter<'r> {
    /// The schema's own definitions, kept only where `allOf` may have to merge them.
    definitions: Map<String, Value>,
    /// Branches of `allOf` merged so far.
    merged: usize,
    pub(super) changed: bool,
    report: Report<'r>,
}

impl<'r> Cutter<'r> {
    pub(super) fn new(source: &RawValue, value: &Value, report: Report<'r>) -> Self {
        let mut definitions = Map::new();
        if source.get().contains("\"allOf\"") {
            for key in ["definitions", "$defs"] {
                if let Some(Value::Object(found)) = value.get(key) {
                    definitions.extend(found.clone());
                }
            }
        }
        Self {
            definitions,
            merged: 0,
            changed: false,
            report,
        }
    }

    fn lose(&mut self, path: &str, key: &str, note: &'static str) {
        self.changed = true;
        (self.report)(below(path, key), note);
    }

    pub(super) fn schema(&mut self, value: &mut Value, path: &str) {
        let map = match value {
            Value::Object(map) => map,
            Value::Bool(true) => {
                self.changed = true;
                *value = json!({});
                return;
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                self.lose(path, "", "dropped: Gemini takes only objects as schemas");
                *value = json!({});
                return;
            }
        };
        if let Some(Value::Object(definitions)) = map.shift_remove("definitions") {
            self.changed = true;
            match map.get_mut("$defs") {
                Some(Value::Object(present)) => present.extend(definitions),
                _ => {
                    map.insert("$defs".into(), Value::Object(definitions));
                }
            }
        }
        if map.contains_key("allOf") {
            self.merge_all(map, path);
        }
        if map.contains_key("$ref") {
            self.reference(map, path);
        }
        let mut null = self.values(map, path);
        null |= self.types(map);
        let unknown: Vec<String> = map
            .keys()
            .filter(|key| !KEPT.contains(&key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            map.shift_remove(&key);
            self.lose(path, &key, "dropped: Gemini knows no such keyword");
        }
        self.shape(map, path);
        for (key, child) in children(map) {
            self.schema(child, &below(path, &key));
        }
        if null {
            self.changed = true;
            allow_null(map);
        }
    }

    /// `$ref`: only to definitions, and alone but for keys that begin with `$`.
    fn reference(&mut self, map: &mut Map<String, Value>, path: &str) {
        let Some(reference) = map.shift_remove("$ref") else {
            return;
        };
        let name = reference
            .as_str()
            .and_then(definition_name)
            .map(str::to_owned);
        let Some(name) = name else {
            self.lose(
                path,
                "$ref",
                "replaced by any object: Gemini follows only references to $defs",
            );
            map.entry("type").or_insert_with(|| json!("object"));
            return;
        };
        let target = format!("#/$defs/{name}");
        self.changed |= reference.as_str() != Some(&target);
        if map.keys().all(|key| key.starts_with('$')) {
            map.insert("$ref".into(), Value::String(target));
            return;
        }
        self.changed = true;
        let branch = json!({"$ref": target});
        match map.get_mut("anyOf") {
            // Both hold: the reference is the stricter and the more usual of the two.
            Some(any_of) => {
                *any_of = json!([branch]);
                self.lose(path, "anyOf", "dropped: it stands beside a $ref");
            }
            None => {
                map.insert("anyOf".into(), json!([branch]));
            }
        }
    }

    /// Folds `allOf` into the schema that holds it.
    fn merge_all(&mut self, map: &mut Map<String, Value>, path: &str) {
        let Some(all) = map.shift_remove("allOf") else {
            return;
        };
        self.changed = true;
        let Value::Array(branches) = all else {
            self.lose(path, "allOf", "dropped: not a list");
            return;
        };
        if let [Value::Object(only)] = branches.as_slice()
            && only.len() == 1
            && only.contains_key("$ref")
            && !map.contains_key("$ref")
        {
            map.extend(only.clone());
            return;
        }
        let mut left: Vec<(Value, usize)> = branches
            .into_iter()
            .rev()
            .map(|branch| (branch, 0))
            .collect();
        while let Some((branch, depth)) = left.pop() {
            self.merged += 1;
            if depth > DEEPEST_REF || self.merged > MOST_INLINED {
                self.lose(path, "allOf", "dropped in part: nested too deeply");
                return;
            }
            let Value::Object(mut branch) = branch else {
                continue;
            };
            if let Some(reference) = branch.shift_remove("$ref") {
                let target = reference
                    .as_str()
                    .and_then(definition_name)
                    .and_then(|name| self.definitions.get(name));
                match target {
                    Some(target) => left.push((target.clone(), depth + 1)),
                    None => self.lose(path, "allOf", "dropped in part: its $ref leads nowhere"),
                }
            }
            if let Some(Value::Array(inner)) = branch.shift_remove("allOf") {
                left.extend(inner.into_iter().rev().map(|branch| (branch, depth + 1)));
            }
            for (key, value) in branch {
                self.merge(map, key, value, path);
            }
        }
    }

    fn merge(&mut self, map: &mut Map<String, Value>, key: String, value: Value, path: &str) {
        let Some(present) = map.get_mut(&key) else {
            map.insert(key, value);
            return;
        };
        match (key.as_str(), present, value) {
            (
                "properties" | "$defs" | "definitions",
                Value::Object(present),
                Value::Object(more),
            ) => {
                for (name, schema) in more {
                    let kept = present.entry(&name).or_insert_with(|| schema.clone());
                    if *kept != schema {
                        let at = below(path, &format!("{key}.{name}"));
                        (self.report)(at, "the first of several branches of allOf is kept");
                    }
                }
            }
            ("required", Value::Array(present), Value::Array(more)) => {
                for name in more {
                    if !present.contains(&name) {
                        present.push(name);
                    }
                }
            }
            ("title" | "description" | "$comment", ..) => {}
            (_, present, value) => {
                if *present != value {
                    self.lose(path, &key, "the first of several branches of allOf is kept");
                }
            }
        }
    }

    /// `const`, `enum`, `format` and bounds. Returns whether `null` is among the values.
    fn values(&mut self, map: &mut Map<String, Value>, path: &str) -> bool {
        let mut null = false;
        if let Some(value) = map.shift_remove("const") {
            self.changed = true;
            map.insert("enum".into(), json!([value]));
        }
        if let Some(Value::Array(values)) = map.get_mut("enum") {
            let before = values.len();
            values.retain(|value| !value.is_null());
            null = values.len() < before;
            self.changed |= null;
            let only_null = values.is_empty() && null;
            let known = values.len();
            values.retain(|value| {
                value.is_number() || value.as_str().is_some_and(|text| !text.is_empty())
            });
            let (cut, empty) = (values.len() < known, values.is_empty());
            if cut {
                self.lose(
                    path,
                    "enum",
                    "dropped in part: Gemini takes only numbers and strings that are not empty",
                );
            }
            if empty {
                self.changed = true;
                map.shift_remove("enum");
            }
            if only_null {
                map.insert("type".into(), json!("null"));
                null = false;
            }
        }
        let unknown_format = map
            .get("format")
            .is_some_and(|format| !format.as_str().is_some_and(is_known_format));
        if unknown_format {
            map.shift_remove("format");
            self.lose(path, "format", "dropped: Gemini knows no such format");
        }
        for (exclusive, inclusive, step) in [
            ("exclusiveMinimum", "minimum", 1),
            ("exclusiveMaximum", "maximum", -1),
        ] {
            let Some(bound) = map.shift_remove(exclusive) else {
                continue;
            };
            self.lose(
                path,
                exclusive,
                "written as an inclusive bound: Gemini knows no other",
            );
            let bound = match bound {
                // JSON Schema of draft 4: the bound itself stands in the other keyword.
                Value::Bool(true) => map.get(inclusive).cloned(),
                Value::Number(_) => Some(bound),
                Value::Null
                | Value::Bool(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => None,
            };
            let Some(bound) = bound else { continue };
            let whole = map
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.eq_ignore_ascii_case("integer"));
            let bound = match bound.as_i64().and_then(|number| number.checked_add(step)) {
                Some(next) if whole => json!(next),
                _ => bound,
            };
            let stricter = match (map.get(inclusive).and_then(Value::as_f64), bound.as_f64()) {
                (Some(present), Some(bound)) if step > 0 => bound > present,
                (Some(present), Some(bound)) => bound < present,
                _ => true,
            };
            if stricter {
                map.insert(inclusive.into(), bound);
            }
        }
        null
    }

    /// One type per schema: lists become unions. Returns whether `null` is among the types.
    fn types(&mut self, map: &mut Map<String, Value>) -> bool {
        let mut null = false;
        if let Some(nullable) = map.shift_remove("nullable") {
            self.changed = true;
            null = nullable == Value::Bool(true);
        }
        match map.get("type") {
            None => {}
            Some(Value::Array(kinds)) => {
                self.changed = true;
                let mut names: Vec<String> = Vec::new();
                for name in kinds.iter().filter_map(type_name) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                if names.len() > 1 {
                    let before = names.len();
                    names.retain(|name| name != "null");
                    null |= names.len() < before;
                }
                map.shift_remove("type");
                if names.len() < 2 {
                    if let Some(name) = names.into_iter().next() {
                        map.insert("type".into(), Value::String(name));
                    }
                } else if !map.contains_key("anyOf") {
                    let branches = names.iter().map(|name| branch(map, name)).collect();
                    map.retain(|key, _| is_note(key));
                    map.insert("anyOf".into(), Value::Array(branches));
                }
            }
            Some(kind) => {
                let name = type_name(kind);
                if name.as_deref() != kind.as_str() {
                    self.changed = true;
                    match name {
                        Some(name) => map.insert("type".into(), Value::String(name)),
                        None => map.shift_remove("type"),
                    };
                }
            }
        }
        null
    }

    /// Lists, objects and their required properties.
    fn shape(&mut self, map: &mut Map<String, Value>, path: &str) {
        if matches!(map.get("items"), Some(Value::Array(_)))
            && let Some(items) = map.shift_remove("items")
        {
            self.changed = true;
            map.insert("prefixItems".into(), items);
        }
        if matches!(map.get("items"), Some(Value::Bool(_))) {
            self.changed = true;
            map.insert("items".into(), json!({}));
        }
        for (key, fits) in [
            ("properties", Value::is_object as fn(&Value) -> bool),
            ("$defs", Value::is_object),
            ("items", Value::is_object),
            ("anyOf", Value::is_array),
            ("oneOf", Value::is_array),
            ("prefixItems", Value::is_array),
            ("required", Value::is_array),
            ("enum", Value::is_array),
        ] {
            if map.get(key).is_some_and(|value| !fits(value)) {
                map.shift_remove(key);
                self.lose(
                    path,
                    key,
                    "dropped: not of the form that JSON Schema gives it",
                );
            }
        }
        let Some(Value::Array(mut required)) = map.shift_remove("required") else {
            return;
        };
        let properties = map.get("properties").and_then(Value::as_object);
        let before = required.len();
        required.retain(|name| {
            name.as_str().is_some_and(|name| {
                properties.is_some_and(|properties| properties.contains_key(name))
            })
        });
        if required.len() < before {
            self.lose(path, "required", "cut to the properties that are declared");
        }
        if required.is_empty() {
            self.changed = true;
        } else {
            map.insert("required".into(), Value::Array(required));
        }
    }
}

pub(super) fn definition_name(reference: &str) -> Option<&str> {
    reference
        .strip_prefix("#/$defs/")
        .or_else(|| reference.strip_prefix("#/definitions/"))
        .filter(|name| !name.contains('/'))
}

/// What of a schema with several types speaks of one of them.
fn branch(map: &Map<String, Value>, kind: &str) -> Value {
    let mut branch = Map::new();
    branch.insert("type".into(), json!(kind));
    for (key, value) in map {
        let speaks = match key.as_str() {
            "properties"
            | "required"
            | "additionalProperties"
            | "propertyOrdering"
            | "minProperties"
            | "maxProperties" => kind == "object",
            "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" => kind == "array",
            "minLength" | "maxLength" | "pattern" => kind == "string",
            "minimum" | "maximum" | "multipleOf" => matches!(kind, "number" | "integer"),
            "format" => !matches!(kind, "object" | "array" | "boolean"),
            "enum" => true,
            _ => false,
        };
        if !speaks {
            continue;
        }
        if let ("enum", Value::Array(values)) = (key.as_str(), value) {
            let own: Vec<Value> = values
                .iter()
                .filter(|value| match kind {
                    "string" => value.is_string(),
                    "number" | "integer" => value.is_number(),
                    _ => false,
                })
                .cloned()
                .collect();
            if !own.is_empty() {
                branch.insert(key.clone(), Value::Array(own));
            }
            continue;
        }
        branch.insert(key.clone(), value.clone());
    }
    Value::Object(branch)
}
