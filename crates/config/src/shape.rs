//! What may stand at a place of the configuration. One description serves reading, environment variables and the schema.

use serde_json::{Map, Value, json};

/// What may stand at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    /// A text that is never shown; `file:/path` reads it from a file.
    Secret,
    /// One secret or several in one text, with commas or on lines; `file:/path` reads them from a file.
    Secrets,
    Number {
        least: u64,
        most: u64,
    },
    /// A number that may have a fraction.
    Decimal,
    /// An amount of money with at most nine digits after the point, read exactly. Never negative.
    Dollars,
    /// A decimal with at most six digits after the point, read exactly. Never negative.
    Factor,
    Flag,
    /// `600s`, `2m`, `1h30m`, `250ms`; a bare number is seconds. Never zero.
    Duration,
    /// `90d`, `6w`, `3y`, or `forever`: how long something is kept. Never zero.
    Age,
    /// `64MiB`, `10MB`; a bare number is bytes. Never zero.
    Size,
    Choice(&'static [Choice]),
    /// A list, or one value in place of a list of one. Of texts, also one text with commas.
    List(&'static Self),
    /// Names that the user chooses.
    Map(&'static Self),
    Record(&'static [Field]),
    /// A text or something with keys.
    Either(&'static Self, &'static Self),
}

/// A word of a choice; the first spelling is the one that is shown.
pub(crate) type Choice = &'static [&'static str];

/// A key of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// A closing `*` stands for any further characters: `header.*`.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
    /// Read and checked, but without effect in this version: why, as a sentence.
    pub(crate) later: Option<&'static str>,
    /// It narrows something down: empty, as a variable may leave it, it would let in everything.
    pub(crate) narrows: bool,
}

impl Field {
    pub(crate) fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.len() > start.len() && name.starts_with(start),
            None => self.name == name,
        }
    }
}

/// The JSON Schema (2020-12) of a configuration. A key without a value counts as not written, so null is always allowed.
pub(crate) fn json_schema(root: &Shape) -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lingate.yml",
        "$defs": {
            "text": {"type": ["string", "number", "boolean", "null"]},
            "texts": {"anyOf": [{"$ref": "#/$defs/text"}, {"type": "array", "items": {"$ref": "#/$defs/text"}}]},
            "flag": {"anyOf": [{"type": ["boolean", "null"]}, {"$ref": "#/$defs/variable"}]},
            "duration": {"anyOf": [
                {"type": ["number", "null"], "exclusiveMinimum": 0},
                {"type": "string", "pattern": "^([0-9]+(ms|s|m|min|h|d) ?)+$"},
                {"$ref": "#/$defs/variable"},
            ]},
            "age": {"anyOf": [
                {"type": "string", "pattern": "^(forever|([0-9]+(s|m|min|h|d|w|y) ?)+)$"},
                {"type": "null"},
                {"$ref": "#/$defs/variable"},
            ]},
            "size": {"anyOf": [
                {"type": ["integer", "null"], "minimum": 1},
                {"type": "string", "pattern": "^[0-9]+ ?([KkMmGg]i?)?[Bb]?$"},
                {"$ref": "#/$defs/variable"},
            ]},
            "variable": {"type": "string", "pattern": "\\$\\{"},
        },
    });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, describe(root)) {
        schema.extend(root);
    }
    schema
}

fn describe(shape: &Shape) -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    match shape {
        Shape::Text | Shape::Secret | Shape::Secrets => reference("text"),
        Shape::List(Shape::Text | Shape::Secret) => reference("texts"),
        Shape::Flag => reference("flag"),
        Shape::Duration => reference("duration"),
        Shape::Age => reference("age"),
        Shape::Size => reference("size"),
        Shape::Number { least, most } => json!({"anyOf": [
            {"type": ["integer", "null"], "minimum": least, "maximum": most},
            reference("variable"),
        ]}),
        Shape::Decimal => json!({"anyOf": [{"type": ["number", "null"]}, reference("variable")]}),
        Shape::Factor | Shape::Dollars => json!({"anyOf": [
            {"type": ["number", "null"], "minimum": 0},
            {"type": "string", "pattern": "^[0-9.]+([eE][+-]?[0-9]+)?$"},
            reference("variable"),
        ]}),
        Shape::Choice(choices) => {
            let words: Vec<&str> = choices.iter().copied().flatten().copied().collect();
            json!({"anyOf": [{"enum": words}, {"type": "null"}, reference("variable")]})
        }
        // A single record in place of a list is read, too, but would be written here twice.
        Shape::List(item @ Shape::Record(_)) => {
            json!({"type": ["array", "null"], "items": describe(item)})
        }
        Shape::List(item) => {
            json!({"anyOf": [{"type": "array", "items": describe(item)}, reference("text")]})
        }
        Shape::Map(value) => {
            json!({"type": ["object", "null"], "additionalProperties": describe(value)})
        }
        Shape::Either(one, other) => json!({"anyOf": [describe(one), describe(other)]}),
        Shape::Record(fields) => {
            let mut properties = Map::new();
            let mut patterns = Map::new();
            for field in *fields {
                let mut schema = json!({"description": field.about});
                if let (Value::Object(schema), Value::Object(shape)) =
                    (&mut schema, describe(&field.shape))
                {
                    schema.extend(shape);
                }
                match field.name.strip_suffix('*') {
                    Some(start) => {
                        patterns.insert(format!("^{}", start.replace('.', "\\.")), schema)
                    }
                    None => properties.insert(field.name.to_owned(), schema),
                };
            }
            let mut schema = json!({
                "type": ["object", "null"],
                "properties": properties,
                "additionalProperties": false,
            });
            if !patterns.is_empty() {
                schema["patternProperties"] = Value::Object(patterns);
            }
            schema
        }
    }
}
