//! A value that fits a JSON Schema, always the same for the same schema.

use serde_json::{Map, Value, json};

/// Deeper than any schema of the suites; a schema that refers to itself ends here.
const DEPTH: usize = 12;

/// A value that fits; `name` is the property it stands for, and the content of its strings.
pub(super) fn sample(schema: &Value, name: &str) -> Value {
    value(schema, schema, name, DEPTH)
}

fn value(schema: &Value, root: &Value, name: &str, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return value(target.unwrap_or(&Value::Null), root, name, depth - 1);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[union].get(0) {
            return value(first, root, name, depth - 1);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str).unwrap_or_default(),
        kind => kind.as_str().unwrap_or_default(),
    };
    // Gemini's own schemas name types in capitals.
    match kind.to_ascii_lowercase().as_str() {
        "string" => json!(format!("{name} ✓")),
        "integer" => json!(7),
        "number" => json!(2.5),
        "boolean" => json!(true),
        "array" => json!([value(&schema["items"], root, name, depth - 1)]),
        "null" => Value::Null,
        _ => {
            let properties = schema["properties"].as_object();
            let fields = properties.into_iter().flatten();
            let fields =
                fields.map(|(key, inner)| (key.clone(), value(inner, root, key, depth - 1)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": { "type": "string" },
                "unit": { "enum": ["c", "f"] },
                "days": { "type": ["integer", "null"] },
                "where": { "$ref": "#/$defs/place" },
                "tags": { "type": "ARRAY", "items": { "type": "STRING" } },
            },
            "$defs": { "place": { "type": "object", "properties": { "far": { "type": "boolean" } } } },
        });
        let expected = json!({
            "city": "city ✓", "unit": "c", "days": 7, "where": { "far": true }, "tags": ["tags ✓"],
        });
        assert_eq!(sample(&schema, "root"), expected);
    }

    #[test]
    fn ends_on_a_schema_that_refers_to_itself() {
        let schema = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } });
        assert_eq!(sample(&schema, "root"), Value::Null);
    }
}
