//! Arguments of a call that Vertex streams value by value, each under its JSONPath.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::Malformed;

/// Bounds on what one call may build up.
const MOST_BYTES: usize = 8 << 20;
const DEEPEST: usize = 64;
const LONGEST_LIST: usize = 100_000;

/// The arguments so far.
#[derive(Debug)]
pub(super) struct PartialArgs {
    root: Value,
    bytes: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    json_path: String,
    string_value: Option<String>,
    number_value: Option<Number>,
    bool_value: Option<bool>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl PartialArgs {
    pub(super) fn new() -> Self {
        Self {
            root: Value::Object(Map::new()),
            bytes: 0,
        }
    }

    /// Adds the pieces of one chunk. Texts under one path are joined.
    pub(super) fn add(&mut self, pieces: &RawValue) -> Result<(), Malformed> {
        let wrong = |message: &str| Malformed::new("functionCall.partialArgs", message);
        self.bytes = self.bytes.saturating_add(pieces.get().len());
        if self.bytes > MOST_BYTES {
            return Err(wrong("the arguments of one call grow without end"));
        }
        let pieces: Vec<Piece> = serde_json::from_str(pieces.get())
            .map_err(|error| Malformed::new("functionCall.partialArgs", error.to_string()))?;
        for piece in pieces {
            let steps = steps(&piece.json_path)
                .filter(|steps| steps.len() <= DEEPEST)
                .ok_or_else(|| wrong("a jsonPath that cannot be followed"))?;
            let place = place(&mut self.root, steps)
                .ok_or_else(|| wrong("a jsonPath that does not fit the ones before it"))?;
            let value = match (piece.string_value, piece.number_value, piece.bool_value) {
                (Some(text), ..) => match place {
                    Value::String(present) => {
                        present.push_str(&text);
                        continue;
                    }
                    _ => Value::String(text),
                },
                (None, Some(number), _) => Value::Number(number),
                (None, None, Some(flag)) => Value::Bool(flag),
                (None, None, None) => Value::Null,
            };
            *place = value;
        }
        Ok(())
    }

    /// The arguments as JSON text.
    pub(super) fn text(&self) -> String {
        self.root.to_string()
    }
}

/// `$.a[0]['b c']` taken apart; `None` for anything else.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (key, tail) = tail.split_at_checked(end)?;
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
            continue;
        }
        let tail = rest.strip_prefix('[')?;
        if let Some(quote @ ('\'' | '"')) = tail.chars().next() {
            let tail = tail.strip_prefix(quote)?;
            let (key, tail) = tail.split_once(quote)?;
            steps.push(Step::Key(key.to_owned()));
            rest = tail.strip_prefix(']')?;
        } else {
            let (index, tail) = tail.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = tail;
        }
    }
    Some(steps)
}

/// The place under `steps`, made where it is missing.
fn place(root: &mut Value, steps: Vec<Step>) -> Option<&mut Value> {
    let mut at = root;
    for step in steps {
        at = match step {
            Step::Key(key) => {
                if at.is_null() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut()?;
                if index >= list.len() {
                    // One past the end, as lists are written in order; a little more is forgiven.
                    if index > LONGEST_LIST || index > list.len() + 16 {
                        return None;
                    }
                    list.resize(index + 1, Value::Null);
                }
                list.get_mut(index)?
            }
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], expect: &str) {
        let mut args = PartialArgs::new();
        let built = chunks
            .iter()
            .try_for_each(|chunk| args.add(&RawValue::from_string((*chunk).to_owned()).unwrap()));
        match built {
            Ok(()) => assert_eq!(args.text(), expect),
            Err(fault) => assert_eq!(fault.message, expect),
        }
    }

    #[test]
    fn values_land_under_their_paths() {
        check(&[], "{}");
        check(
            &[
                r#"[{"jsonPath":"$.list[0].name","stringValue":"ap","willContinue":true}]"#,
                r#"[{"jsonPath":"$.list[0].name","stringValue":"ple"},{"jsonPath":"$.list[0].price","numberValue":0.50}]"#,
                r#"[{"jsonPath":"$.list[1]['a b']","boolValue":true},{"jsonPath":"$.none","nullValue":"NULL_VALUE"}]"#,
            ],
            r#"{"list":[{"name":"apple","price":0.50},{"a b":true}],"none":null}"#,
        );
        check(
            &[r#"[{"jsonPath":"a","boolValue":true}]"#],
            "a jsonPath that cannot be followed",
        );
        check(
            &[r#"[{"jsonPath":"$.a","boolValue":true},{"jsonPath":"$.a.b","boolValue":true}]"#],
            "a jsonPath that does not fit the ones before it",
        );
        check(
            &[r#"[{"jsonPath":"$.a[99999999]","boolValue":true}]"#],
            "a jsonPath that does not fit the ones before it",
        );
    }
}
