//! What OpenAI demands of a schema: of any tool's parameters, and of one that is sent with `strict: true`.
//!
//! Source: OpenAI's guide to structured outputs, and protocols of refused requests.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{Fields, Node};

/// Levels below the root after which nothing is strict; OpenAI allows ten.
const DEEPEST: u32 = 10;

/// Keywords that strict mode refuses wherever they stand.
const REFUSED: [&str; 14] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "uniqueItems",
    "contains",
    "default",
];

const FORMATS: [&str; 9] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
];

/// Why `schema` may not be sent with `strict: true`; `None` when it may.
///
/// Strict mode wants at each level every property required and no others allowed. When in doubt a schema is taken for
/// not strict: then it is sent without the promise, and the model still sees all of it.
pub fn strict_obstacle(schema: &RawValue) -> Option<String> {
    let node = Node::from(schema);
    let root = node.fields().ok().and_then(|fields| kind_of(&fields));
    if root.as_deref() != Some("object") {
        return Some("its root is not of type object".to_owned());
    }
    obstacle(node, "", 0)
}

fn obstacle(schema: Node<'_>, path: &str, depth: u32) -> Option<String> {
    let place = if path.is_empty() { "its root" } else { path };
    let Ok(fields) = schema.fields() else {
        return Some(format!("{place} is not an object"));
    };
    if depth > DEEPEST {
        return Some(format!("{place} is nested too deeply"));
    }
    if let Some(keyword) = REFUSED.iter().find(|keyword| fields.get(keyword).is_some()) {
        return Some(format!("{place} has '{keyword}'"));
    }
    if fields.get("$ref").is_some() {
        return (fields.len() > 1).then(|| format!("{place} has keywords beside '$ref'"));
    }
    if let Some(format) = fields.get("format").and_then(Node::text)
        && !FORMATS.contains(&&*format)
    {
        return Some(format!("{place} has the format '{format}'"));
    }
    let kind = kind_of(&fields);
    if kind.is_none()
        && ["anyOf", "enum", "const"]
            .iter()
            .all(|key| fields.get(key).is_none())
    {
        return Some(format!("{place} has no type"));
    }
    if kind.as_deref() == Some("object") || fields.get("properties").is_some() {
        if fields.get("additionalProperties").and_then(Node::bool) != Some(false) {
            return Some(format!("{place} allows additional properties"));
        }
        let required: Vec<Cow<'_, str>> = fields
            .get("required")
            .and_then(|required| required.elements().ok())
            .unwrap_or_default()
            .into_iter()
            .filter_map(Node::text)
            .collect();
        if let Some(found) = each(&fields, "properties", path, |name, property, path| {
            if required.iter().any(|required| required == name) {
                obstacle(property, path, depth + 1)
            } else {
                Some(format!("{path} is not required"))
            }
        }) {
            return Some(found);
        }
    }
    for key in ["$defs", "definitions"] {
        if let Some(found) = each(&fields, key, path, |_, schema, path| {
            obstacle(schema, path, depth + 1)
        }) {
            return Some(found);
        }
    }
    if let Some(items) = fields.get("items")
        && let Some(found) = obstacle(items, &join(path, "items"), depth + 1)
    {
        return Some(found);
    }
    fields
        .get("anyOf")
        .and_then(|any| any.elements().ok())
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .find_map(|(at, schema)| obstacle(schema, &join(path, &format!("anyOf.{at}")), depth + 1))
}

/// The first obstacle among the members of the object `key`.
fn each(
    fields: &Fields<'_>,
    key: &str,
    path: &str,
    find: impl Fn(&str, Node<'_>, &str) -> Option<String>,
) -> Option<String> {
    let members = fields.get(key)?.fields().ok()?;
    members
        .iter()
        .find_map(|(name, member)| find(name, member, &join(path, &format!("{key}.{name}"))))
}

/// The type; of several that are one and `null`, the one.
fn kind_of<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let kind = fields.get("type")?;
    if kind.is_array() {
        return kind
            .elements()
            .ok()?
            .into_iter()
            .filter_map(Node::text)
            .find(|kind| kind != "null");
    }
    kind.text()
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() {
        step.to_owned()
    } else {
        format!("{path}.{step}")
    }
}

/// The schema of a function's arguments as OpenAI takes it: its root must say `type: object`, which other vendors let go unsaid.
pub fn parameters(schema: &RawValue) -> Cow<'_, str> {
    let text = schema.get();
    let Ok(fields) = Node::from(schema).fields() else {
        return Cow::Borrowed(text);
    };
    let said = ["type", "anyOf", "oneOf", "allOf", "$ref"]
        .iter()
        .any(|key| fields.get(key).is_some());
    match text.strip_prefix('{') {
        Some(_) if fields.is_empty() => Cow::Borrowed(r#"{"type":"object","properties":{}}"#),
        Some(rest) if !said => Cow::Owned(format!(r#"{{"type":"object",{rest}"#)),
        Some(_) | None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        crate::json::raw(json).unwrap()
    }

    fn check(json: &str, expect: Option<&str>) {
        assert_eq!(strict_obstacle(&raw(json)).as_deref(), expect, "{json}");
    }

    #[test]
    fn strict_wants_every_property_required_and_no_others() {
        check(
            r#"{"type":"object","properties":{},"additionalProperties":false}"#,
            None,
        );
        check(
            r##"{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":"array","items":{"$ref":"#/$defs/x"}}},
                "required":["a","b"],"additionalProperties":false,
                "$defs":{"x":{"type":"object","properties":{},"additionalProperties":false}}}"##,
            None,
        );
        check(
            r#"{"type":"object","properties":{}}"#,
            Some("its root allows additional properties"),
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
            Some("properties.a is not required"),
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{}}}},"required":["a"],
                "additionalProperties":false}"#,
            Some("properties.a.items allows additional properties"),
        );
        check(
            r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"string","default":"x"}]}},"required":["a"],
                "additionalProperties":false}"#,
            Some("properties.a.anyOf.1 has 'default'"),
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}},"required":["a"],"additionalProperties":false}"#,
            Some("properties.a has the format 'uri'"),
        );
        check(
            r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
            Some("properties.a has no type"),
        );
        check(r#"{"anyOf":[]}"#, Some("its root is not of type object"));
        check("true", Some("its root is not of type object"));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!(
            r#"{{"type":"object","properties":{{}},"additionalProperties":false,"items":{}{}}}"#,
            r#"{"type":"array","items":"#.repeat(5000),
            "{}".to_owned() + &"}".repeat(5000)
        );
        assert!(
            strict_obstacle(&raw(&deep))
                .unwrap()
                .ends_with("is nested too deeply")
        );
    }

    #[test]
    fn parameters_say_their_type() {
        for (given, sent) in [
            ("{}", r#"{"type":"object","properties":{}}"#),
            (
                r#"{"properties":{}}"#,
                r#"{"type":"object","properties":{}}"#,
            ),
            (r#"{"type":"object"}"#, r#"{"type":"object"}"#),
            ("null", "null"),
        ] {
            assert_eq!(parameters(&raw(given)), sent);
        }
    }
}
