//! A JSON object of a request, read field by field, so that all that is wrong with it is told at once, each with its place.

use jiff::Timestamp;
use lingate_metering::Millis;
use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem};

/// What is left to be read of an object, and what is wrong with what was.
#[derive(Debug)]
pub(crate) struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn of(body: Value) -> Result<Self, Problem> {
        match body {
            Value::Object(left) => Ok(Self {
                left,
                known: Vec::new(),
                errors: Vec::new(),
            }),
            _ => Err(Problem::invalid("", "expected an object")),
        }
    }

    /// `place`: the name of a field, or of it and a JSON pointer into it: `limits/0/per`.
    pub(crate) fn wrong(&mut self, place: &str, detail: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("/{place}"),
            detail: detail.into(),
        });
    }

    /// Null is the same as nothing.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        if let Value::String(text) = self.value(name)? {
            return Some(text);
        }
        self.wrong(name, "expected a text");
        None
    }

    /// A text that says something: what is unset is null or left out.
    pub(crate) fn word(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name)?;
        let problem = if text.trim() != text || text.is_empty() {
            "expected a text that is not empty and does not begin or end with a space; null unsets it"
        } else if text.chars().any(char::is_control) {
            "expected a text without control characters"
        } else if text.chars().count() > 200 {
            "expected a text of at most 200 characters"
        } else {
            return Some(text);
        };
        self.wrong(name, problem);
        None
    }

    /// A text that there must be.
    pub(crate) fn needed(&mut self, name: &'static str) -> String {
        let told = self.errors.len();
        if let Some(text) = self.text(name) {
            return text;
        }
        if self.errors.len() == told {
            self.wrong(name, "is missing");
        }
        String::new()
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        if let Value::Bool(flag) = self.value(name)? {
            return Some(flag);
        }
        self.wrong(name, "expected true or false");
        None
    }

    pub(crate) fn number(&mut self, name: &'static str, least: u64, most: u64) -> Option<u64> {
        let number = self.value(name)?.as_u64();
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(
                name,
                format!("expected a whole number from {least} to {most}"),
            );
        }
        number
    }

    /// Texts that each say something; none twice.
    pub(crate) fn words(&mut self, name: &'static str) -> Vec<String> {
        let values = match self.value(name) {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
            Some(_) => {
                self.wrong(name, "expected a list of texts");
                return Vec::new();
            }
        };
        let mut words: Vec<String> = Vec::with_capacity(values.len());
        for (place, value) in values.into_iter().enumerate() {
            let problem = match value {
                Value::String(word) if words.contains(&word) => "is here twice",
                Value::String(word) if word.trim() != word || word.is_empty() => {
                    "expected a text that is not empty and does not begin or end with a space"
                }
                Value::String(word) if word.chars().any(char::is_control) => {
                    "expected a text without control characters"
                }
                Value::String(word) => {
                    words.push(word);
                    continue;
                }
                _ => "expected a text",
            };
            self.wrong(&format!("{name}/{place}"), problem);
        }
        words
    }

    /// One of some words.
    pub(crate) fn choice<T>(
        &mut self,
        name: &'static str,
        known: impl IntoIterator<Item = T> + Clone,
        word: impl Fn(&T) -> &'static str,
    ) -> Option<T> {
        let text = self.text(name)?;
        let found = known.clone().into_iter().find(|known| word(known) == text);
        if found.is_none() {
            let words: Vec<&str> = known.into_iter().map(|known| word(&known)).collect();
            self.wrong(name, format!("expected one of {}", words.join(", ")));
        }
        found
    }

    /// A moment as RFC 3339 writes it, with its zone.
    pub(crate) fn moment(&mut self, name: &'static str) -> Option<Millis> {
        let text = self.text(name)?;
        let moment = text.parse::<Timestamp>().ok();
        if moment.is_none() {
            self.wrong(name, "expected a moment such as 2027-01-31T18:00:00Z");
        }
        moment.map(Timestamp::as_millisecond)
    }

    /// Names and what they stand for, in the order of the text.
    pub(crate) fn pairs(&mut self, name: &'static str) -> Vec<(String, String)> {
        let map = match self.value(name) {
            None => return Vec::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                self.wrong(name, "expected an object of texts");
                return Vec::new();
            }
        };
        let mut pairs = Vec::with_capacity(map.len());
        for (key, value) in map {
            match value {
                Value::String(value) => pairs.push((key, value)),
                _ => self.wrong(&format!("{name}/{}", in_pointer(&key)), "expected a text"),
            }
        }
        pairs
    }

    /// What cannot be changed, and is not.
    pub(crate) fn fixed(&mut self, name: &'static str, is: Option<&Value>) {
        let said = self.value(name);
        if said.as_ref() != is.filter(|is| !is.is_null()) {
            self.wrong(name, "cannot be changed");
        }
    }

    /// What is left is not known.
    pub(crate) fn done(mut self) -> Result<(), Problem> {
        let left: Vec<String> = self.left.keys().cloned().collect();
        for name in left {
            let detail = format!("unknown field; expected {}", self.known.join(", "));
            self.wrong(&in_pointer(&name), detail);
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_fields(self.errors))
        }
    }
}

/// As JSON pointers write a name.
pub(crate) fn in_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Lays a JSON merge patch (RFC 7396) over a value.
pub(crate) fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(map) = into else { return };
    for (name, value) in patch {
        if value.is_null() {
            map.shift_remove(&name);
        } else {
            merge(map.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn patches_are_merged() {
        for (original, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let mut merged = original.clone();
            merge(&mut merged, patch.clone());
            assert_eq!(merged, result, "{original} {patch}");
        }
    }
}
