//! The JSON Schema that Anthropic takes for structured output, made from any other.
//!
//! What it takes (the schema transform of anthropic-python 2.11, and protocols.md §2.7): seven types, closed objects, literals,
//! `anyOf`, `allOf`, `$ref` alone into `$defs`, ten string formats, `minItems` of 0 or 1, no recursion. Every other
//! keyword moves into the description, where the model may follow it, and is reported.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// A schema that Anthropic takes.
#[derive(Debug, Clone)]
pub struct Fitted {
    pub schema: Box<RawValue>,
    /// What the schema no longer enforces: the path of the keyword, `properties.age.minimum`, and what became of it.
    pub losses: Vec<(String, &'static str)>,
    /// Whether `schema` is the source's own text.
    pub untouched: bool,
}

const MOVED: &str = "moved into the description: Anthropic does not enforce it";
const DROPPED: &str = "dropped: Anthropic does not take it";
const NOT_OPEN: &str = "dropped: objects are closed for Anthropic";
const CYCLE: &str = "cut here: Anthropic takes no recursive schema";
const NO_TARGET: &str = "dropped: it leads to no definition of this schema";
const ANY_VALUE: &str =
    "any value became a text, number, boolean or null: Anthropic demands a type";

const TYPES: [&str; 7] = [
    "object", "array", "string", "number", "integer", "boolean", "null",
];
const STRING_FORMATS: [&str; 10] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
];
/// Keywords about the schema document, which mean nothing to a model.
const ABOUT_THE_DOCUMENT: [&str; 6] = [
    "$schema",
    "$id",
    "$comment",
    "$anchor",
    "propertyOrdering",
    "property_ordering",
];

/// Fits `schema`; `None` when it nests deeper than a schema may (128 levels).
pub fn fit(schema: &RawValue) -> Option<Fitted> {
    let source: Value = serde_json::from_str(schema.get()).ok()?;
    let mut fitter = Fitter {
        cuts: cycle_cuts(&source),
        definitions: definition_names(&source),
        losses: Vec::new(),
    };
    let result = fitter.schema(&source, "", None);
    let untouched = fitter.losses.is_empty() && result == source;
    let schema = if untouched {
        schema.to_owned()
    } else {
        serde_json::value::to_raw_value(&result).ok()?
    };
    Some(Fitted {
        schema,
        losses: fitter.losses,
        untouched,
    })
}

struct Fitter {
    /// References that would close a cycle: from inside this definition to that one.
    cuts: BTreeSet<(String, String)>,
    definitions: BTreeSet<String>,
    losses: Vec<(String, &'static str)>,
}

impl Fitter {
    /// `inside` is the definition that `source` is part of.
    fn schema(&mut self, source: &Value, path: &str, inside: Option<&str>) -> Value {
        let Value::Object(source) = source else {
            self.lose(path, "", ANY_VALUE);
            return json!({"anyOf": any_value()});
        };
        let mut out = Map::new();
        let mut used: Vec<&str> = vec!["type", "title", "description", "$defs", "definitions"];
        let definitions: Map<String, Value> = ["$defs", "definitions"]
            .iter()
            .filter_map(|key| {
                source
                    .get(*key)
                    .and_then(Value::as_object)
                    .map(|defs| (key, defs))
            })
            .flat_map(|(key, defs)| defs.iter().map(move |(name, schema)| (key, name, schema)))
            .map(|(key, name, schema)| {
                let path = join(path, &format!("{key}.{name}"));
                (name.clone(), self.schema(schema, &path, Some(name)))
            })
            .collect();
        if !definitions.is_empty() {
            out.insert("$defs".into(), Value::Object(definitions));
        }

        if let Some(reference) = source.get("$ref") {
            used.push("$ref");
            let bare = self.reference(reference, path, inside);
            let alone = source
                .keys()
                .all(|key| used.contains(&key.as_str()) && key != "description" && key != "title");
            if alone {
                out.extend(bare);
                return Value::Object(out);
            }
            // A reference takes no siblings; in a union of one it may have a description beside it.
            out.insert("anyOf".into(), json!([bare]));
        } else {
            self.shape(source, path, inside, &mut out, &mut used);
        }

        if let Some(draft) = source.get("$schema").filter(|draft| {
            draft
                .as_str()
                .is_some_and(|draft| draft.contains("2020-12"))
        }) {
            used.push("$schema");
            out.insert("$schema".into(), draft.clone());
        }
        if let Some(title) = source.get("title") {
            out.insert("title".into(), title.clone());
        }
        let mut description = source
            .get("description")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut moved: Vec<String> = Vec::new();
        for (key, value) in source {
            if used.contains(&key.as_str()) {
                continue;
            }
            if ABOUT_THE_DOCUMENT.contains(&key.as_str()) {
                self.lose(path, key, DROPPED);
            } else {
                self.lose(path, key, MOVED);
                moved.push(format!("{key}: {value}"));
            }
        }
        if !moved.is_empty() {
            let moved = format!("{{{}}}", moved.join(", "));
            description = Some(match description {
                Some(text) => format!("{text}\n\n{moved}"),
                None => moved,
            });
        }
        if let Some(description) = description {
            out.insert("description".into(), Value::String(description));
        }
        Value::Object(out)
    }

    /// Unions, literals and types: all that says which values fit.
    fn shape<'a>(
        &mut self,
        source: &'a Map<String, Value>,
        path: &str,
        inside: Option<&str>,
        out: &mut Map<String, Value>,
        used: &mut Vec<&'a str>,
    ) {
        let union = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| {
            Some((
                key,
                source
                    .get(key)?
                    .as_array()
                    .filter(|list| !list.is_empty())?,
            ))
        });
        if let Some((key, members)) = union {
            used.push(key);
            let members: Vec<Value> = members
                .iter()
                .enumerate()
                .map(|(index, member)| {
                    self.schema(member, &join(path, &format!("{key}.{index}")), inside)
                })
                .collect();
            // `allOf` takes no references; of one member it says the same as `anyOf`.
            let key = if key == "allOf" && members.len() > 1 {
                "allOf"
            } else {
                "anyOf"
            };
            out.insert(key.into(), Value::Array(members));
        }

        let types: Vec<&'a str> = match source.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let types: Vec<&str> = types
            .iter()
            .filter_map(|kind| {
                TYPES
                    .into_iter()
                    .find(|known| known.eq_ignore_ascii_case(kind))
            })
            .collect();
        match *types.as_slice() {
            [kind] => {
                out.insert("type".into(), kind.into());
                self.typed(kind, source, path, inside, out, used);
                literals(source, None, out, used);
            }
            [] if literals(source, None, out, used) || union.is_some() => {}
            [] => {
                if let Some(kind) = guess_type(source) {
                    out.insert("type".into(), kind.into());
                    self.typed(kind, source, path, inside, out, used);
                } else {
                    self.lose(path, "", ANY_VALUE);
                    out.insert("anyOf".into(), any_value());
                }
            }
            _ => {
                let variants = types.iter().map(|kind| {
                    let mut variant = Map::new();
                    variant.insert("type".into(), (*kind).into());
                    self.typed(kind, source, path, inside, &mut variant, used);
                    literals(source, Some(kind), &mut variant, used);
                    Value::Object(variant)
                });
                let variants: Vec<Value> = variants.collect();
                if union.is_none() {
                    out.insert("anyOf".into(), Value::Array(variants));
                }
            }
        }
    }

    /// The keywords that belong to one type.
    fn typed<'a>(
        &mut self,
        kind: &str,
        source: &'a Map<String, Value>,
        path: &str,
        inside: Option<&str>,
        out: &mut Map<String, Value>,
        used: &mut Vec<&'a str>,
    ) {
        match kind {
            "object" => {
                let properties: Map<String, Value> = source
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| {
                        let path = join(path, &format!("properties.{name}"));
                        (name.clone(), self.schema(schema, &path, inside))
                    })
                    .collect();
                used.extend(["properties", "required"]);
                let required: Vec<Value> = source
                    .get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter(|name| {
                        name.as_str()
                            .is_some_and(|name| properties.contains_key(name))
                    })
                    .cloned()
                    .collect();
                let all = source.get("required").and_then(Value::as_array);
                if all.is_some_and(|all| all.len() != required.len()) {
                    self.lose(path, "required", "names of no property were dropped");
                }
                out.insert("properties".into(), Value::Object(properties));
                if all.is_some() {
                    out.insert("required".into(), Value::Array(required));
                }
                out.insert("additionalProperties".into(), Value::Bool(false));
                match source.get("additionalProperties") {
                    None | Some(Value::Bool(false)) => used.push("additionalProperties"),
                    Some(Value::Object(schema)) if !schema.is_empty() => {}
                    Some(_) => {
                        used.push("additionalProperties");
                        self.lose(path, "additionalProperties", NOT_OPEN);
                    }
                }
            }
            "array" => {
                if let Some(items) = source.get("items") {
                    used.push("items");
                    let items = self.schema(items, &join(path, "items"), inside);
                    out.insert("items".into(), items);
                }
                if let Some(least) = source
                    .get("minItems")
                    .filter(|least| matches!(least.as_u64(), Some(0 | 1)))
                {
                    used.push("minItems");
                    out.insert("minItems".into(), least.clone());
                }
            }
            "string" => {
                if let Some(format) = source.get("format").filter(|format| {
                    format
                        .as_str()
                        .is_some_and(|format| STRING_FORMATS.contains(&format))
                }) {
                    used.push("format");
                    out.insert("format".into(), format.clone());
                }
            }
            _ => {}
        }
    }

    fn reference(
        &mut self,
        reference: &Value,
        path: &str,
        inside: Option<&str>,
    ) -> Map<String, Value> {
        let name = reference.as_str().and_then(definition);
        let known = name
            .as_ref()
            .filter(|name| self.definitions.contains(*name));
        let Some(name) = known else {
            let note = if reference.as_str() == Some("#") {
                CYCLE
            } else {
                NO_TARGET
            };
            self.lose(path, "$ref", note);
            return closed_object();
        };
        if inside.is_some_and(|from| self.cuts.contains(&(from.to_owned(), name.clone()))) {
            self.lose(path, "$ref", CYCLE);
            return closed_object();
        }
        let mut bare = Map::new();
        let escaped = name.replace('~', "~0").replace('/', "~1");
        bare.insert("$ref".into(), format!("#/$defs/{escaped}").into());
        bare
    }

    fn lose(&mut self, path: &str, key: &str, note: &'static str) {
        self.losses.push((join(path, key), note));
    }
}

/// `enum` and `const` of plain values, those of type `kind` where one is given; whether there were any.
fn literals<'a>(
    source: &'a Map<String, Value>,
    kind: Option<&str>,
    out: &mut Map<String, Value>,
    used: &mut Vec<&'a str>,
) -> bool {
    let plain = |value: &Value| !value.is_array() && !value.is_object();
    let mut found = false;
    if let Some(values) = source
        .get("enum")
        .and_then(Value::as_array)
        .filter(|values| !values.is_empty() && values.iter().all(plain))
    {
        found = true;
        used.push("enum");
        let values: Vec<Value> = values
            .iter()
            .filter(|value| kind.is_none_or(|kind| is_of(value, kind)))
            .cloned()
            .collect();
        if kind != Some("null") {
            out.insert("enum".into(), Value::Array(values));
        }
    }
    if let Some(value) = source.get("const").filter(|value| plain(value)) {
        found = true;
        used.push("const");
        if kind.is_none_or(|kind| is_of(value, kind) && kind != "null") {
            out.insert("const".into(), value.clone());
        }
    }
    found
}

fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path}.{key}"),
    }
}

/// The plain types, for a schema that names none.
fn any_value() -> Value {
    json!([{"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}])
}

fn closed_object() -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), Value::Object(Map::new()));
    object.insert("additionalProperties".into(), Value::Bool(false));
    object
}

/// The type that the keywords of a schema without one speak of.
fn guess_type(source: &Map<String, Value>) -> Option<&'static str> {
    let has = |keys: &[&str]| keys.iter().any(|key| source.contains_key(*key));
    Some(match () {
        () if has(&["properties", "required", "additionalProperties"]) => "object",
        () if has(&[
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "uniqueItems",
        ]) =>
        {
            "array"
        }
        () if has(&["pattern", "minLength", "maxLength", "format"]) => "string",
        () if has(&[
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ]) =>
        {
            "number"
        }
        () => return None,
    })
}

fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::String(_) => kind == "string",
        Value::Number(number) => {
            kind == "number" || kind == "integer" && (number.is_i64() || number.is_u64())
        }
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// The definition that `#/$defs/name` or `#/definitions/name` leads to.
fn definition(reference: &str) -> Option<String> {
    let name = reference
        .strip_prefix("#/$defs/")
        .or_else(|| reference.strip_prefix("#/definitions/"))?;
    Some(name.replace("~1", "/").replace("~0", "~"))
}

fn root_definitions(root: &Value) -> impl Iterator<Item = (&String, &Value)> {
    ["$defs", "definitions"]
        .into_iter()
        .filter_map(|key| root.get(key)?.as_object())
        .flatten()
}

fn definition_names(root: &Value) -> BTreeSet<String> {
    root_definitions(root)
        .map(|(name, _)| name.clone())
        .collect()
}

/// The references between definitions that a walk in depth finds leading back into its own path. Without them the schema
/// is finite.
fn cycle_cuts(root: &Value) -> BTreeSet<(String, String)> {
    let definitions: Vec<(&String, &Value)> = root_definitions(root).collect();
    let positions: BTreeMap<&str, usize> = definitions
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (name.as_str(), at))
        .collect();
    let edges: Vec<Vec<usize>> = definitions
        .iter()
        .map(|(_, schema)| {
            let mut names = Vec::new();
            references(schema, &mut names);
            let known = names.iter().filter_map(|name| positions.get(name.as_str()));
            known.copied().collect()
        })
        .collect();
    let mut cuts = BTreeSet::new();
    let mut walk = vec![Walk::Unseen; definitions.len()];
    for start in 0..definitions.len() {
        // The path from `start`, each step with the next edge to try.
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        if walk.get(start) != Some(&Walk::Unseen) {
            continue;
        }
        while let Some((node, edge)) = path.last_mut() {
            let node = *node;
            let next = edges.get(node).and_then(|edges| edges.get(*edge)).copied();
            *edge += 1;
            let now = if next.is_some() {
                Walk::OnPath
            } else {
                Walk::Done
            };
            if let Some(walk) = walk.get_mut(node) {
                *walk = now;
            }
            let Some(next) = next else {
                path.pop();
                continue;
            };
            match walk.get(next) {
                Some(Walk::OnPath) => {
                    let name = |at: usize| definitions.get(at).map(|(name, _)| (*name).clone());
                    cuts.extend(name(node).zip(name(next)));
                }
                Some(Walk::Unseen) => path.push((next, 0)),
                Some(Walk::Done) | None => {}
            }
        }
    }
    cuts
}

/// How far a definition is in the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    Unseen,
    OnPath,
    Done,
}

/// The names of all definitions that `schema` refers to.
fn references(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            names.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .and_then(definition),
            );
            fields.values().for_each(|value| references(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lost`: paths of the reported keywords.
    fn check(source: &str, expect: &str, lost: &[&str]) {
        let raw: Box<RawValue> = serde_json::from_str(source).unwrap();
        let fitted = fit(&raw).unwrap();
        let expect: Value = serde_json::from_str(expect).unwrap();
        let got: Value = serde_json::from_str(fitted.schema.get()).unwrap();
        assert_eq!(got, expect, "{source}");
        let paths: Vec<&str> = fitted
            .losses
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(paths, lost, "{source}");
    }

    #[test]
    fn what_fits_stays_as_it_is_written() {
        let source = r#"{ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"n": {"type":"integer","enum":[1, 2]}},
            "required": ["n"], "additionalProperties": false }"#;
        let raw: Box<RawValue> = serde_json::from_str(source).unwrap();
        let fitted = fit(&raw).unwrap();
        assert!(fitted.untouched);
        assert_eq!(fitted.schema.get(), source);
    }

    #[test]
    fn what_is_not_enforced_moves_into_the_description() {
        check(
            r#"{"type":"integer","minimum":1,"maximum":10,"description":"A number"}"#,
            r#"{"type":"integer","description":"A number\n\n{minimum: 1, maximum: 10}"}"#,
            &["minimum", "maximum"],
        );
        check(
            r#"{"$schema":"x","type":"array","items":{"type":"string","format":"enum"},"minItems":2}"#,
            r#"{"type":"array","items":{"type":"string","description":"{format: \"enum\"}"},"description":"{minItems: 2}"}"#,
            &["items.format", "$schema", "minItems"],
        );
    }

    #[test]
    fn objects_are_closed() {
        check(
            r#"{"type":"object","properties":{"a":{"type":"string","format":"date"}},"required":["a","b"]}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","format":"date"}},"required":["a"],"additionalProperties":false}"#,
            &["required"],
        );
        check(
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            r#"{"type":"object","properties":{},"additionalProperties":false,"description":"{additionalProperties: {\"type\":\"string\"}}"}"#,
            &["additionalProperties"],
        );
    }

    #[test]
    fn unions_and_lists_of_types_become_any_of() {
        check(
            r#"{"oneOf":[{"type":"string"},{"type":"null"}],"default":null}"#,
            r#"{"anyOf":[{"type":"string"},{"type":"null"}],"description":"{default: null}"}"#,
            &["default"],
        );
        check(
            r#"{"type":["integer","null"],"enum":[1,2,null],"description":"d"}"#,
            r#"{"anyOf":[{"type":"integer","enum":[1,2]},{"type":"null"}],"description":"d"}"#,
            &[],
        );
        check(
            "{}",
            r#"{"anyOf":[{"type":"string"},{"type":"number"},{"type":"boolean"},{"type":"null"}]}"#,
            &[""],
        );
        check(
            r#"{"items":true}"#,
            r#"{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"number"},{"type":"boolean"},{"type":"null"}]}}"#,
            &["items"],
        );
    }

    #[test]
    fn references_stand_alone() {
        check(
            r##"{"type":"object","properties":{"a":{"$ref":"#/definitions/A","description":"d"},"b":{"$ref":"#/$defs/none"}},"definitions":{"A":{"type":"string"}}}"##,
            r##"{"$defs":{"A":{"type":"string"}},"type":"object","properties":{"a":{"anyOf":[{"$ref":"#/$defs/A"}],"description":"d"},"b":{"type":"object","properties":{},"additionalProperties":false}},"additionalProperties":false}"##,
            &["properties.b.$ref"],
        );
    }

    #[test]
    fn recursion_is_cut() {
        check(
            r##"{"$ref":"#/$defs/Node","$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"}},"additionalProperties":false}}}"##,
            r##"{"$ref":"#/$defs/Node","$defs":{"Node":{"type":"object","properties":{"next":{"type":"object","properties":{},"additionalProperties":false}},"additionalProperties":false}}}"##,
            &["$defs.Node.properties.next.$ref"],
        );
        let deep = format!("{}1{}", r#"{"items":"#.repeat(2000), "}".repeat(2000));
        assert!(fit(&RawValue::from_string(deep).unwrap()).is_none());
    }
}
