//! `fields=id,name,limits.per`: of an answer only what is asked for.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::problem::Problem;

/// More are no list of a few fields any more.
const MOST: usize = 100;
/// Names in one path. No answer is as deep, and what is nested without end takes the stack when it is dropped.
const DEEPEST: usize = 16;

/// Fields, each with those below it that are wanted; none below: all of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sparse {
    wanted: BTreeMap<String, Self>,
}

impl Sparse {
    /// What a query asks for; `None`: everything.
    pub(crate) fn of(query: &str) -> Result<Option<Self>, Problem> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut named = pairs.filter(|(name, _)| name == "fields");
        let Some((_, list)) = named.next() else {
            return Ok(None);
        };
        if named.next().is_some() {
            return Err(Problem::invalid("fields", "is here twice"));
        }
        let mut whole = Self::default();
        let paths: Vec<&str> = list.split(',').map(str::trim).collect();
        if paths.len() > MOST {
            let detail = format!("expected at most {MOST} names");
            return Err(Problem::invalid("fields", detail));
        }
        for path in paths {
            if path.split('.').count() > DEEPEST {
                let detail = format!("expected at most {DEEPEST} names with dots between them");
                return Err(Problem::invalid("fields", detail));
            }
            let mut at = &mut whole;
            for name in path.split('.') {
                if name.is_empty() {
                    return Err(Problem::invalid(
                        "fields",
                        "expected names of fields with commas between them, such as id,name",
                    ));
                }
                at = at.wanted.entry(name.to_owned()).or_default();
            }
        }
        Ok(Some(whole))
    }

    /// Of a page, it is the items that have the fields.
    pub(crate) fn keep(&self, value: &mut Value) {
        match value.get_mut("items") {
            Some(items @ Value::Array(_)) => self.keep_in(items),
            Some(_) | None => self.keep_in(value),
        }
    }

    fn keep_in(&self, value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(|one| self.keep_in(one)),
            Value::Object(fields) => {
                fields.retain(|name, value| match self.wanted.get(name) {
                    None => false,
                    Some(below) => {
                        if !below.wanted.is_empty() {
                            below.keep_in(value);
                        }
                        true
                    }
                });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_for_stays() {
        let check = |query: &str, value: Value, expect: Value| {
            let mut value = value;
            Sparse::of(query).unwrap().unwrap().keep(&mut value);
            assert_eq!(value, expect, "{query}");
        };
        let thing = json!({"id": 1, "name": "a", "limits": [{"per": "day", "most": 2}]});
        check("fields=id", thing.clone(), json!({"id": 1}));
        check(
            "fields=id%2Cname",
            thing.clone(),
            json!({"id": 1, "name": "a"}),
        );
        check(
            "limit=1&fields=limits.per",
            thing.clone(),
            json!({"limits": [{"per": "day"}]}),
        );
        check("fields=none", thing.clone(), json!({}));
        check(
            "fields=name",
            json!({"items": [thing], "next": "x"}),
            json!({"items": [{"name": "a"}], "next": "x"}),
        );
        assert_eq!(Sparse::of("limit=1").unwrap(), None);
        let deep = |names: usize| format!("fields={}a", "a.".repeat(names - 1));
        assert!(Sparse::of(&deep(DEEPEST)).is_ok());
        let bad = ["fields=", "fields=a,,b", "fields=a.", "fields=a&fields=b"];
        let deeper = [deep(DEEPEST + 1), deep(30_000)];
        for bad in bad.into_iter().chain(deeper.iter().map(String::as_str)) {
            assert!(Sparse::of(bad).is_err(), "{bad}");
        }
    }
}
