//! Limits as JSON, as the administration takes and tells them: the keys and the checks of `lingate.yml`, with JSON's own types.

use lingate_metering::limit::Limit;
use serde_json::Value;

use crate::effective::limits::limit as told;
use crate::layout::LIMITS;
use crate::limits::limits;
use crate::shape::Shape;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// A JSON pointer into the value: `/0/per`; empty: the value as a whole.
    pub pointer: String,
    pub message: String,
}

/// Reads a list of limits. Unlike in a file nothing is replaced in texts, a list is a list, and a number is no text; money may be
/// either, since a number of JSON is not exact everywhere. `owner` is whose they are, as in
/// [`Id::declared`](lingate_metering::Id::declared).
pub fn limits_of_json(value: &Value, owner: &[&str]) -> Result<Vec<Limit>, Vec<Misfit>> {
    let mut misfits = Vec::new();
    strict(value, &LIMITS, "", &mut misfits);
    if !misfits.is_empty() {
        return Err(misfits);
    }
    // JSON is YAML.
    limits(&as_written(value).to_string(), "limits", owner).map_err(|problems| {
        let problems = problems.0.into_iter();
        problems
            .map(|problem| Misfit {
                pointer: problem.path.replace('.', "/"),
                message: problem.message,
            })
            .collect()
    })
}

/// Limits as [`limits_of_json`] reads them. Money is text.
pub fn limits_in_json(limits: &[Limit]) -> Vec<Value> {
    let text = |value: &mut Value| {
        if let Value::Number(number) = value {
            *value = Value::String(number.to_string());
        }
    };
    let tell = |limit: &Limit| {
        let mut limit = told(limit);
        for pointer in ["/cost", "/raise/amount"] {
            limit.pointer_mut(pointer).map(text);
        }
        limit
    };
    limits.iter().map(tell).collect()
}

/// Whether the types are those of the shape; what is in texts is for the reader to say.
fn strict(value: &Value, shape: &Shape, pointer: &str, misfits: &mut Vec<Misfit>) {
    let expected = match (shape, value) {
        (_, Value::Null)
        | (Shape::Text | Shape::Dollars | Shape::Choice(_), Value::String(_))
        | (Shape::Number { .. } | Shape::Dollars, Value::Number(_))
        | (Shape::Flag, Value::Bool(_)) => return,
        (Shape::List(item), Value::Array(values)) => {
            for (place, value) in values.iter().enumerate() {
                let pointer = format!("{pointer}/{place}");
                if value.is_null() {
                    let message = "is null: leave it out".to_owned();
                    misfits.push(Misfit { pointer, message });
                } else {
                    strict(value, item, &pointer, misfits);
                }
            }
            return;
        }
        (Shape::Record(fields), Value::Object(map)) => {
            for (name, value) in map {
                // Those that are not known are for the reader to tell.
                if let Some(field) = fields.iter().find(|field| field.is(name)) {
                    strict(value, &field.shape, &format!("{pointer}/{name}"), misfits);
                }
            }
            return;
        }
        (Shape::Text | Shape::Choice(_), _) => "a text",
        (Shape::Dollars, _) => "dollars, as a text such as \"12.5\"",
        (Shape::Number { .. }, _) => "a number",
        (Shape::Flag, _) => "true or false",
        (Shape::List(_), _) => "a list",
        (Shape::Record(_) | Shape::Map(_), _) => "an object",
        // Limits have none of these.
        _ => return,
    };
    misfits.push(Misfit {
        pointer: pointer.to_owned(),
        message: format!("expected {expected}"),
    });
}

/// `${` is nothing but these characters.
fn as_written(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(values) => values.iter().map(as_written).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), as_written(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_is_read_as_the_same() {
        for limit in [
            json!({"requests": 600, "per": "minute"}),
            json!({"concurrency": 5, "name": "a ${b} 'c': \"d\"\n…"}),
            json!({"cost": "12.5", "per": "month", "zone": "Asia/Shanghai", "thresholds": [50, 80], "downgrade": "gpt-4o-mini",
                   "unpriced": "refuse", "raise": {"amount": "20.000000001", "until": "2100-01-01T00:00:00Z"}}),
            json!({"cost": 0.1, "per": "total", "enforcement": "soft"}),
            json!({"tokens": 9, "per": "day", "window": "sliding", "model": "claude-*", "each": ["model", "end_user"]}),
        ] {
            let read = limits_of_json(&json!([limit]), &["key", "a"]).unwrap();
            let told = limits_in_json(&read);
            let again = limits_of_json(&Value::Array(told.clone()), &["key", "a"]).unwrap();
            assert_eq!(again, read, "{told:?}");
            if let Some(name) = limit.get("name") {
                assert_eq!(told[0]["name"], *name);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_pointer() {
        for (value, expect) in [
            (json!({}), "/ expected a list"),
            (json!("requests"), "/ expected a list"),
            (json!([5]), "/0 expected an object"),
            (json!([null]), "/0 is null: leave it out"),
            (
                json!([{"requests": "600", "per": "minute"}]),
                "/0/requests expected a number",
            ),
            (json!([{"requests": 5, "per": 5}]), "/0/per expected a text"),
            (
                json!([{"requests": 5, "per": "day", "thresholds": "50"}]),
                "/0/thresholds expected a list",
            ),
            (
                json!([{"requests": 5, "per": "day", "thresholds": [101]}]),
                "/0/thresholds/0 expected a whole number from 1 to 100",
            ),
            (
                json!([{"requests": 5, "per": "day", "each": "model"}]),
                "/0/each expected a list",
            ),
            (
                json!([{"cost": true, "per": "day"}]),
                "/0/cost expected dollars, as a text such as \"12.5\"",
            ),
            (
                json!([{"requests": 5, "per": "day"}, {"request": 5}]),
                "/1/request unknown key; did you mean `requests`?",
            ),
            (
                json!([{"requests": 1.5, "per": "day"}]),
                "/0/requests expected a whole number from 0 to 1000000000000000000",
            ),
            (
                json!([{"requests": 1, "per": "day", "name": "${HOME}", "zone": "${HOME}"}]),
                "/0/zone `${HOME}` is no time zone; expected an IANA name, such as Europe/Berlin or UTC",
            ),
        ] {
            let misfits = limits_of_json(&value, &["key", "a"]).unwrap_err();
            let first = &misfits[0];
            let pointer = if first.pointer.is_empty() {
                "/"
            } else {
                &first.pointer
            };
            assert_eq!(format!("{pointer} {}", first.message), expect, "{value}");
        }
    }
}
