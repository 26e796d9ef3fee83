//! Gemini's OpenAPI form of a schema, turned into JSON Schema in place.

use serde_json::{Map, Value};

use super::{allow_null, children};

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
pub(super) fn type_name(value: &Value) -> Option<String> {
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

pub(super) fn translate(value: &mut Value, changed: &mut bool) {
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
