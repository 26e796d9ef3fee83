//! Schemas as Gemini takes them: its OpenAPI form read as JSON Schema, and JSON Schema cut to what each of its fields accepts.
//!
//! Nesting is bounded by the JSON parser (128 levels), what references unfold to by [`MOST_INLINED`] and [`DEEPEST_REF`].

mod cut;
mod open;
mod read;

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
    read::translate(&mut value, &mut changed);
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
    let mut cutter = cut::Cutter::new(schema, &value, report);
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
    cut::Cutter::new(schema, &value, report).schema(&mut value, "");
    let definitions = match value
        .as_object_mut()
        .and_then(|map| map.shift_remove("$defs"))
    {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    let mut opener = open::Opener::new(definitions, report);
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
            r#"{"$defs":{"A":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}},"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]}"#,
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
