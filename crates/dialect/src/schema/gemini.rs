//! Schemas as Gemini takes them: its OpenAPI form read as JSON Schema, and JSON Schema cut to what each of its fields accepts.
//!
//! Nesting is bounded by the JSON parser (128 levels), what references unfold to by [`MOST_INLINED`] and [`DEEPEST_REF`].

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::Malformed;
use crate::json::Node;

/// How many definitions may lie inside each other when references are unfolded.
const DEEPEST_REF: usize = 8;
/// How many references one schema may unfold.
const MOST_INLINED: usize = 500;

/// Told of each keyword that could not be sent: its path below the schema, and what became of it.
pub type Report<'r> = &'r mut dyn FnMut(String, &'static str);

/// Reads Gemini's `Schema`: types in capitals or as numbers, `nullable`, keys in either case, numbers as strings.
pub fn to_json_schema(schema: Node<'_>) -> Result<Box<RawValue>, Malformed> {
    if !schema.is_object() {
        return Err(Malformed::new(
            "",
            format!("expected a schema object, got {}", schema.kind()),
        ));
    }
    let mut value: Value = serde_json::from_str(schema.raw())
        .map_err(|error| Malformed::new("", format!("not a readable schema: {error}")))?;
    let mut changed = false;
    translate(&mut value, &mut changed);
    if !changed {
        return Ok(schema.to_raw());
    }
    to_raw(&value).ok_or_else(|| Malformed::new("", "not a readable schema"))
}

/// Cuts JSON Schema to what `parametersJsonSchema` and `responseJsonSchema` accept (protocols.md §2.7). A schema that needs no
/// change keeps its exact text.
pub fn for_json_schema_field(schema: &RawValue, report: Report<'_>) -> Box<RawValue> {
    let Some(mut value) = parse(schema, report) else {
        return RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| schema.to_owned());
    };
    let mut cutter = Cutter::new(schema, &value, report);
    cutter.schema(&mut value, "");
    if !cutter.changed {
        return schema.to_owned();
    }
    to_raw(&value).unwrap_or_else(|| schema.to_owned())
}

/// Turns JSON Schema into the OpenAPI subset of `parameters` and `responseSchema`, for models that know nothing else.
/// `None`: an object without properties, which that field refuses.
pub fn for_openapi_field(schema: &RawValue, report: Report<'_>) -> Option<Box<RawValue>> {
    let mut value = parse(schema, report)?;
    Cutter::new(schema, &value, report).schema(&mut value, "");
    let definitions = match value
        .as_object_mut()
        .and_then(|map| map.shift_remove("$defs"))
    {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    let mut opener = Opener {
        definitions,
        unfolding: Vec::new(),
        unfolded: 0,
        report,
    };
    opener.schema(&mut value, "");
    let map = value.as_object()?;
    let properties = map.get("properties").and_then(Value::as_object);
    if map.get("type").and_then(Value::as_str) == Some("OBJECT")
        && properties.is_none_or(Map::is_empty)
    {
        return None;
    }
    to_raw(&value)
}

fn parse(schema: &RawValue, report: Report<'_>) -> Option<Value> {
    let value = serde_json::from_str(schema.get()).ok();
    if value.is_none() {
        report(String::new(), "dropped: nested too deeply");
    }
    value
}

fn to_raw(value: &Value) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// What describes a schema rather than limits it; stays outside when the schema becomes one branch of a union.
fn is_note(key: &str) -> bool {
    matches!(
        key,
        "title"
            | "description"
            | "default"
            | "example"
            | "examples"
            | "deprecated"
            | "$comment"
            | "$schema"
            | "$id"
            | "$anchor"
            | "$defs"
    )
}

fn is_null_type(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// Makes a schema accept `null` too, as a union.
fn allow_null(map: &mut Map<String, Value>) {
    let nothing = json!({"type": "null"});
    if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
        if !branches.iter().any(is_null_type) {
            branches.push(nothing);
        }
        return;
    }
    let (outer, inner): (Map<_, _>, Map<_, _>) = std::mem::take(map)
        .into_iter()
        .partition(|(key, _)| is_note(key));
    *map = outer;
    if !inner.is_empty() {
        map.insert("anyOf".into(), json!([inner, nothing]));
    }
}

/// The schemas directly inside one, with their keys: every place where a schema may stand.
fn children<'v>(map: &'v mut Map<String, Value>) -> Vec<(String, &'v mut Value)> {
    let mut found: Vec<(String, &'v mut Value)> = Vec::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions",
                Value::Object(schemas),
            ) => {
                for (name, schema) in schemas {
                    found.push((format!("{key}.{name}"), schema));
                }
            }
            ("items" | "anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                for (index, schema) in schemas.iter_mut().enumerate() {
                    found.push((format!("{key}.{index}"), schema));
                }
            }
            ("items" | "additionalProperties" | "not", schema @ Value::Object(_)) => {
                found.push((key.clone(), schema));
            }
            _ => {}
        }
    }
    found
}

// --- Gemini's form to JSON Schema -------------------------------------------------------------------------------------------

/// Keywords that Gemini also takes in other words.
fn json_schema_key(key: &str) -> Option<&'static str> {
    Some(match key {
        "any_of" => "anyOf",
        "one_of" => "oneOf",
        "all_of" => "allOf",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "additional_properties" => "additionalProperties",
        "property_ordering" => "propertyOrdering",
        "prefix_items" => "prefixItems",
        "defs" => "$defs",
        "ref" => "$ref",
        _ => return None,
    })
}

/// The name of a type, given as a word in either case or as the number that stands for it in protocol buffers.
fn type_name(value: &Value) -> Option<String> {
    if let Some(number) = value.as_u64() {
        let name = match number {
            1 => "string",
            2 => "number",
            3 => "integer",
            4 => "boolean",
            5 => "array",
            6 => "object",
            7 => "null",
            _ => return None,
        };
        return Some(name.to_owned());
    }
    let name = value.as_str()?.to_ascii_lowercase();
    (name != "type_unspecified").then_some(name)
}

fn translate(value: &mut Value, changed: &mut bool) {
    let Value::Object(map) = value else { return };
    if map.keys().any(|key| json_schema_key(key).is_some()) {
        *changed = true;
        *map = std::mem::take(map)
            .into_iter()
            .map(|(key, value)| match json_schema_key(&key) {
                Some(name) => (name.to_owned(), value),
                None => (key, value),
            })
            .collect();
    }
    if let Some(kind) = map.get("type").filter(|kind| !kind.is_array()) {
        let name = type_name(kind);
        if name.as_deref() != kind.as_str() {
            *changed = true;
            match name {
                Some(name) => map.insert("type".into(), Value::String(name)),
                None => map.shift_remove("type"),
            };
        }
    } else if let Some(Value::Array(kinds)) = map.get_mut("type") {
        for kind in kinds {
            if let Some(name) = type_name(kind).filter(|name| Some(name.as_str()) != kind.as_str())
            {
                *changed = true;
                *kind = Value::String(name);
            }
        }
    }
    for key in [
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
    ] {
        let number = map
            .get(key)
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str::<serde_json::Number>(text).ok());
        if let Some(number) = number {
            *changed = true;
            map.insert(key.to_owned(), Value::Number(number));
        }
    }
    if map.get("format").and_then(Value::as_str) == Some("enum") {
        *changed = true;
        map.shift_remove("format");
    }
    if let Some(Value::Array(order)) = map.get("propertyOrdering").cloned() {
        *changed = true;
        map.shift_remove("propertyOrdering");
        // JSON Schema has no such keyword; the order of the properties themselves says the same.
        if let Some(Value::Object(properties)) = map.get_mut("properties") {
            let mut ordered = Map::new();
            for name in order.iter().filter_map(Value::as_str) {
                if let Some(schema) = properties.shift_remove(name) {
                    ordered.insert(name.to_owned(), schema);
                }
            }
            ordered.append(properties);
            *properties = ordered;
        }
    }
    for (_, schema) in children(map) {
        translate(schema, changed);
    }
    if let Some(nullable) = map.shift_remove("nullable") {
        *changed = true;
        if nullable == Value::Bool(true) && (map.contains_key("type") || map.contains_key("anyOf"))
        {
            allow_null(map);
        }
    }
}

// --- JSON Schema to Gemini's JSON Schema fields -------------------------------------------------------------------------------

/// Keywords that may stay. All but the first line are documented or taken by the server without effect.
fn may_stay(key: &str) -> bool {
    matches!(
        key,
        "type"
            | "format"
            | "enum"
            | "items"
            | "prefixItems"
            | "properties"
            | "required"
            | "anyOf"
            | "oneOf"
            | "$ref"
            | "$defs"
            | "additionalProperties"
            | "propertyOrdering"
            | "minItems"
            | "maxItems"
            | "minimum"
            | "maximum"
            | "pattern"
            | "minLength"
            | "maxLength"
            | "minProperties"
            | "maxProperties"
            | "multipleOf"
            | "uniqueItems"
            | "title"
            | "description"
            | "default"
            | "example"
            | "examples"
            | "deprecated"
            | "$comment"
            | "$schema"
            | "$id"
            | "$anchor"
    )
}

/// Formats that Gemini knows; it refuses others.
fn is_known_format(format: &str) -> bool {
    matches!(
        format,
        "date-time" | "date" | "time" | "duration" | "int32" | "int64" | "float" | "double"
    )
}

struct Cutter<'r> {
    /// The schema's own definitions, kept only where `allOf` may have to merge them.
    definitions: Map<String, Value>,
    /// Branches of `allOf` merged so far.
    merged: usize,
    changed: bool,
    report: Report<'r>,
}

impl<'r> Cutter<'r> {
    fn new(source: &RawValue, value: &Value, report: Report<'r>) -> Self {
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

    fn schema(&mut self, value: &mut Value, path: &str) {
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
        let unknown: Vec<String> = map.keys().filter(|key| !may_stay(key)).cloned().collect();
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

fn definition_name(reference: &str) -> Option<&str> {
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

// --- to the OpenAPI fields ------------------------------------------------------------------------------------------------------

struct Opener<'r> {
    definitions: Map<String, Value>,
    /// Definitions that are being unfolded, outermost first.
    unfolding: Vec<String>,
    unfolded: usize,
    report: Report<'r>,
}

impl Opener<'_> {
    /// Takes a schema that [`Cutter`] has been through.
    fn schema(&mut self, value: &mut Value, path: &str) {
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
                !may_stay(key) && *key != "nullable"
                    || key.starts_with('$')
                    || matches!(
                        key.as_str(),
                        "oneOf"
                            | "prefixItems"
                            | "additionalProperties"
                            | "multipleOf"
                            | "uniqueItems"
                            | "examples"
                            | "deprecated"
                    )
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

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn read(schema: &str, expect: &str) {
        let node = Node::parse(schema.as_bytes()).unwrap();
        assert_eq!(to_json_schema(node).unwrap().get(), expect, "{schema}");
    }

    /// `losses`: the paths reported, joined by spaces.
    fn cut(schema: &str, expect: &str, losses: &str) {
        let mut told = Vec::new();
        let cut = for_json_schema_field(&raw(schema), &mut |path, _| told.push(path));
        assert_eq!(
            (cut.get(), told.join(" ").as_str()),
            (expect, losses),
            "{schema}"
        );
    }

    fn open(schema: &str, expect: Option<&str>, losses: &str) {
        let mut told = Vec::new();
        let opened = for_openapi_field(&raw(schema), &mut |path, _| told.push(path));
        assert_eq!(
            (
                opened.as_deref().map(RawValue::get),
                told.join(" ").as_str()
            ),
            (expect, losses),
            "{schema}"
        );
    }

    #[test]
    fn the_openapi_form_becomes_json_schema() {
        read(
            r#"{"type":"OBJECT","properties":{"any_of":{"type":"STRING","nullable":true,"description":"d"}},"required":["any_of"]}"#,
            r#"{"type":"object","properties":{"any_of":{"description":"d","anyOf":[{"type":"string"},{"type":"null"}]}},"required":["any_of"]}"#,
        );
        read(
            r#"{"type":6,"properties":{"x":{"type":1}}}"#,
            r#"{"type":"object","properties":{"x":{"type":"string"}}}"#,
        );
        read(
            r#"{"type":"ARRAY","min_items":"1","maxItems":"9007199254740993","items":{"type":"NUMBER","minimum":0.50}}"#,
            r#"{"type":"array","minItems":1,"maxItems":9007199254740993,"items":{"type":"number","minimum":0.50}}"#,
        );
        read(
            r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"propertyOrdering":["b"]}"#,
            r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"string"}}}"#,
        );
        read(
            r#"{"type":"STRING","format":"enum","enum":["OBJECT"]}"#,
            r#"{"type":"string","enum":["OBJECT"]}"#,
        );
        read(r#"{ "type": "object" }"#, r#"{ "type": "object" }"#);
    }

    #[test]
    fn what_gemini_takes_stays_as_it_is_written() {
        for schema in [
            r#"{ "type":"object", "properties":{"x":{"type":"number","minimum":1.50,"default":null}}, "required":["x"], "additionalProperties":false, "$schema":"s" }"#,
            r##"{"$defs":{"N":{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}}}},"$ref":"#/$defs/N"}"##,
            r#"{"anyOf":[{"type":"string","pattern":"a"},{"type":"null"}]}"#,
            r#"{"type":"string","enum":["const","type"]}"#,
        ] {
            cut(schema, schema, "");
        }
    }

    #[test]
    fn json_schema_is_cut_to_what_gemini_takes() {
        cut(r#"{"const":"x"}"#, r#"{"enum":["x"]}"#, "");
        cut(
            r#"{"type":["string","null"],"description":"d","minLength":1}"#,
            r#"{"description":"d","anyOf":[{"minLength":1,"type":"string"},{"type":"null"}]}"#,
            "",
        );
        cut(
            r#"{"type":["string","integer"],"title":"t","enum":["a",1]}"#,
            r#"{"title":"t","anyOf":[{"type":"string","enum":["a"]},{"type":"integer","enum":[1]}]}"#,
            "",
        );
        cut(
            r#"{"type":"integer","exclusiveMinimum":4,"exclusiveMaximum":9}"#,
            r#"{"type":"integer","minimum":5,"maximum":8}"#,
            "exclusiveMinimum exclusiveMaximum",
        );
        cut(
            r#"{"type":"number","exclusiveMinimum":true,"minimum":4}"#,
            r#"{"type":"number","minimum":4}"#,
            "exclusiveMinimum",
        );
        cut(
            r#"{"type":"object","properties":{"a":{"type":"string","format":"uri","strict":true}},"required":["a","b"],"patternProperties":{}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
            "patternProperties required properties.a.format properties.a.strict",
        );
        cut(
            r#"{"enum":["a","",null,true]}"#,
            r#"{"anyOf":[{"enum":["a"]},{"type":"null"}]}"#,
            "enum",
        );
        cut(
            r#"{"type":"array","items":[{"type":"string"}]}"#,
            r#"{"type":"array","prefixItems":[{"type":"string"}]}"#,
            "",
        );
        cut(
            r#"{"type":"object","properties":{"a":true},"required":[]}"#,
            r#"{"type":"object","properties":{"a":{}}}"#,
            "",
        );
    }

    #[test]
    fn references_stand_alone_and_branches_are_merged() {
        cut(
            r##"{"properties":{"a":{"$ref":"#/definitions/A","description":"d"}},"definitions":{"A":{"type":"string"}}}"##,
            r##"{"properties":{"a":{"description":"d","anyOf":[{"$ref":"#/$defs/A"}]}},"$defs":{"A":{"type":"string"}}}"##,
            "",
        );
        cut(
            r##"{"allOf":[{"$ref":"#/$defs/A"},{"properties":{"b":{"type":"string"}},"required":["b"]}],"$defs":{"A":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}}"##,
            r##"{"$defs":{"A":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}},"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]}"##,
            "",
        );
        cut(
            r##"{"allOf":[{"$ref":"#/$defs/A"},{"type":"string"}],"$defs":{"A":{"allOf":[{"$ref":"#/$defs/A"}]}}}"##,
            r##"{"$defs":{"A":{"$ref":"#/$defs/A"}}}"##,
            "allOf",
        );
        cut(
            r##"{"properties":{"a":{"$ref":"#"}}}"##,
            r#"{"properties":{"a":{"type":"object"}}}"#,
            "properties.a.$ref",
        );
    }

    #[test]
    fn older_models_get_the_openapi_subset() {
        open(
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"n":{"enum":[1,2]},"l":{"type":"array"},"s":{"type":["string","null"]}},"additionalProperties":false,"$defs":{"A":{"type":"object","properties":{"next":{"$ref":"#/$defs/A"}}}}}"##,
            Some(
                r#"{"type":"OBJECT","properties":{"a":{"type":"OBJECT","properties":{"next":{"type":"OBJECT"}}},"n":{"enum":["1","2"],"type":"STRING"},"l":{"type":"ARRAY","items":{}},"s":{"nullable":true,"type":"STRING"}}}"#,
            ),
            "additionalProperties properties.a.properties.next.$ref properties.n.enum",
        );
        open(r#"{"type":"object","properties":{}}"#, None, "");
        open(
            r##"{"anyOf":[{"$ref":"#/$defs/A"}],"description":"d","$defs":{"A":{"anyOf":[{"$ref":"#/$defs/A"}],"title":"t"}}}"##,
            Some(r#"{"description":"d","anyOf":[{"type":"OBJECT"}],"title":"t"}"#),
            "anyOf.0.$ref",
        );
    }

    #[test]
    fn deep_nesting_is_cut() {
        let deep = format!(
            "{}{}",
            r#"{"items":"#.repeat(500),
            "{}".to_owned() + &"}".repeat(500)
        );
        cut(&deep, "{}", "");
        open(&deep, None, "");
        assert!(to_json_schema(Node::parse(deep.as_bytes()).unwrap()).is_err());
    }
}
