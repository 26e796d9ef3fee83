//! What differs between two states, field by field, for people to read.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::contents::escaped;

/// What is done to one thing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigurationChange)]
pub(crate) struct Changed {
    /// `create`, `update` or `delete`.
    #[schema(example = "update")]
    pub(crate) action: &'static str,
    #[schema(example = "provider")]
    pub(crate) kind: &'static str,
    #[schema(example = "openai")]
    pub(crate) name: String,
    /// Of an update: what differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<FieldChange>,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct FieldChange {
    /// A JSON pointer.
    #[schema(example = "/base_url")]
    pub(crate) path: String,
    /// Left out: it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) before: Option<Value>,
    /// Left out: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) after: Option<Value>,
}

/// The fields in which two values differ.
pub(crate) fn fields(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    descend(Some(before), Some(after), String::new(), &mut found);
    found
}

fn descend(
    before: Option<&Value>,
    after: Option<&Value>,
    path: String,
    found: &mut Vec<FieldChange>,
) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(left)), Some(Value::Object(right))) = (before, after) {
        let new = right.keys().filter(|name| !left.contains_key(*name));
        for name in left.keys().chain(new) {
            let path = format!("{path}/{}", escaped(name));
            descend(left.get(name), right.get(name), path, found);
        }
        return;
    }
    found.push(FieldChange {
        path,
        before: before.cloned(),
        after: after.cloned(),
    });
}

/// As lines: `+` is new, `~` differs, `-` is gone.
pub(crate) fn lines(changes: &[Changed]) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    for change in changes {
        let sign = match change.action {
            "create" => '+',
            "delete" => '-',
            _ => '~',
        };
        line(format!("{sign} {} {}", change.kind, change.name));
        for field in &change.fields {
            let path = match field.path.trim_start_matches('/') {
                "" => String::new(),
                path => format!("{}: ", path.replace('/', ".")),
            };
            line(match (&field.before, &field.after) {
                (Some(before), Some(after)) => format!("    {path}{before} -> {after}"),
                (None, Some(after)) => format!("  + {path}{after}"),
                (Some(before), None) => format!("  - {path}{before}"),
                (None, None) => continue,
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_field_by_field() {
        let before = json!({"a": 1, "b": {"c": [1], "d/e": "x"}, "gone": null});
        let after = json!({"a": 1, "b": {"c": [2], "d/e": "x", "new": true}});
        let changes = [
            Changed {
                action: "update",
                kind: "provider",
                name: "p".to_owned(),
                fields: fields(&before, &after),
            },
            Changed {
                action: "create",
                kind: "route",
                name: "r".to_owned(),
                fields: Vec::new(),
            },
            Changed {
                action: "delete",
                kind: "plan",
                name: "q".to_owned(),
                fields: Vec::new(),
            },
        ];
        assert_eq!(
            lines(&changes),
            "~ provider p\n    b.c: [1] -> [2]\n  + b.new: true\n  - gone: null\n+ route r\n- plan q\n"
        );
        assert!(fields(&before, &before).is_empty());
    }
}
