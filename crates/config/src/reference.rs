//! Every key of `lingate.yml` as data, for the reference that people read.

use std::path::Path;

use serde_json::Value;

use crate::layout::ROOT;
use crate::shape::{Choice, Field, Shape};
use crate::{Environment, effective, read};

/// A key of `lingate.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The keys down to it: `defaults.max_tokens`, `providers.NAME.keys`, `routes[].model`. `NAME` is chosen by the user, `[]`
    /// stands for each entry of a list.
    pub path: String,
    /// The kind of its value, in words.
    pub kind: String,
    /// What holds when nobody says anything, as it would be written.
    pub default: Option<String>,
    pub about: &'static str,
    /// Read and checked, but without effect in this version: why.
    pub later: Option<&'static str>,
    /// The variable that sets it; `None` where no variable can be spelled.
    pub variable: Option<String>,
    /// It holds further keys, which follow in the list.
    pub holds_keys: bool,
}

/// All keys, each section before its keys, in the order of the layout.
pub fn reference() -> Vec<Key> {
    let defaults = read("", "", Path::new("."), &Environment::default())
        .map_or(Value::Null, |loaded| effective::tree(&loaded));
    let mut keys = Vec::new();
    descend(&ROOT, "", Some("LINGATE"), &defaults, &mut keys);
    keys
}

/// Adds the keys inside of `shape`. `variable` leads to it, `said` is what is in effect there without a configuration.
fn descend(shape: &Shape, path: &str, variable: Option<&str>, said: &Value, keys: &mut Vec<Key>) {
    match shape {
        Shape::Record(fields) => {
            for field in *fields {
                add(field, path, variable, said, keys);
            }
        }
        Shape::List(item) => {
            let variable = variable.map(|name| format!("{name}__0"));
            descend(
                item,
                &format!("{path}[]"),
                variable.as_deref(),
                &Value::Null,
                keys,
            );
        }
        Shape::Map(item) => {
            let variable = variable.map(|name| format!("{name}__NAME"));
            descend(
                item,
                &format!("{path}.NAME"),
                variable.as_deref(),
                &Value::Null,
                keys,
            );
        }
        Shape::Either(plain, other) => {
            descend(plain, path, variable, said, keys);
            descend(other, path, variable, said, keys);
        }
        Shape::Text
        | Shape::Secret
        | Shape::Secrets
        | Shape::Number { .. }
        | Shape::Decimal
        | Shape::Dollars
        | Shape::Factor
        | Shape::Flag
        | Shape::Duration
        | Shape::Age
        | Shape::Size
        | Shape::Choice(_) => {}
    }
}

fn add(field: &Field, path: &str, variable: Option<&str>, said: &Value, keys: &mut Vec<Key>) {
    let said = said.get(field.name).unwrap_or(&Value::Null);
    let path = if path.is_empty() {
        field.name.to_owned()
    } else {
        format!("{path}.{}", field.name)
    };
    let separator = if variable == Some("LINGATE") {
        "_"
    } else {
        "__"
    };
    let variable = variable
        // A variable's name holds no dot.
        .filter(|_| !field.name.contains('.'))
        .map(|outer| format!("{outer}{separator}{}", field.name.to_uppercase()));
    let place = keys.len();
    keys.push(Key {
        path: path.clone(),
        kind: kind(&field.shape),
        default: default(&field.shape, said),
        about: field.about,
        later: field.later,
        variable: variable.clone(),
        holds_keys: false,
    });
    // The same keys as of `quirks`, told there.
    if field.name != "model_quirks" {
        descend(&field.shape, &path, variable.as_deref(), said, keys);
    }
    let holds_keys = keys.len() > place + 1;
    if let Some(key) = keys.get_mut(place) {
        key.holds_keys = holds_keys;
    }
}

/// Of plain values only: what a section holds is told key by key.
fn default(shape: &Shape, said: &Value) -> Option<String> {
    match (shape, said) {
        (_, Value::String(text)) => Some(text.clone()),
        (_, Value::Number(_) | Value::Bool(_)) => Some(said.to_string()),
        (_, Value::Array(items)) => match items.as_slice() {
            [one] => default(shape, one),
            _ => None,
        },
        (Shape::Map(_) | Shape::Record(_), _) | (_, Value::Null | Value::Object(_)) => None,
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Secret => "secret".to_owned(),
        Shape::Secrets => "secrets".to_owned(),
        Shape::Number { least, most } if *most == u64::from(u32::MAX) => {
            format!("whole number from {least}")
        }
        Shape::Number { least, most } => format!("whole number, {least} to {most}"),
        Shape::Decimal => "number".to_owned(),
        Shape::Dollars => "dollars".to_owned(),
        Shape::Factor => "number from 0, exact".to_owned(),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Age => "duration or `forever`".to_owned(),
        Shape::Size => "size".to_owned(),
        Shape::Choice(choices) => words(choices),
        Shape::List(item) => match item {
            Shape::Text | Shape::Secret | Shape::Choice(_) => format!("list: {}", kind(item)),
            Shape::Secrets
            | Shape::Number { .. }
            | Shape::Decimal
            | Shape::Dollars
            | Shape::Factor
            | Shape::Flag
            | Shape::Duration
            | Shape::Age
            | Shape::Size
            | Shape::List(_)
            | Shape::Map(_)
            | Shape::Record(_)
            | Shape::Either(..) => format!("list of {}", kind(item)),
        },
        Shape::Map(item) => format!("names, each with {}", kind(item)),
        Shape::Record(_) => "keys".to_owned(),
        Shape::Either(plain, other) => format!("{} or {}", kind(plain), kind(other)),
    }
}

/// The first spelling of each word.
fn words(choices: &[Choice]) -> String {
    let words: Vec<String> = choices
        .iter()
        .filter_map(|words| words.first())
        .map(|word| format!("`{word}`"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[track_caller]
    fn check(path: &str, kind: &str, default: Option<&str>, variable: Option<&str>) {
        let keys = reference();
        let key = keys.iter().find(|key| key.path == path).unwrap();
        assert_eq!(key.kind, kind, "{path}");
        assert_eq!(key.default.as_deref(), default, "{path}");
        assert_eq!(key.variable.as_deref(), variable, "{path}");
    }

    #[test]
    fn keys_are_found_at_every_depth() {
        check(
            "listen",
            "list: text",
            Some("127.0.0.1:8080"),
            Some("LINGATE_LISTEN"),
        );
        check(
            "mode",
            "`transform`, `direct`",
            Some("transform"),
            Some("LINGATE_MODE"),
        );
        check(
            "defaults.body_limit",
            "size",
            Some("64MiB"),
            Some("LINGATE_DEFAULTS__BODY_LIMIT"),
        );
        check(
            "api_keys[].name",
            "text",
            None,
            Some("LINGATE_API_KEYS__0__NAME"),
        );
        check(
            "providers.NAME.auth.header",
            "text",
            None,
            Some("LINGATE_PROVIDERS__NAME__AUTH__HEADER"),
        );
        check(
            "providers.NAME.endpoints.chat",
            "text or keys",
            None,
            Some("LINGATE_PROVIDERS__NAME__ENDPOINTS__CHAT"),
        );
        check(
            "routes[].targets[].provider",
            "text",
            None,
            Some("LINGATE_ROUTES__0__TARGETS__0__PROVIDER"),
        );
        check("routes[].when.header.*", "text or list: text", None, None);
    }

    /// A default that the reference names is one that the reader takes, so that nobody has to keep two lists.
    #[test]
    fn every_limit_has_a_default() {
        for key in reference() {
            // What lies deeper belongs to a limit that is off by default.
            if key.path.starts_with("defaults.") && key.path.matches('.').count() == 1 {
                assert!(key.default.is_some(), "{}", key.path);
            }
        }
    }
}
