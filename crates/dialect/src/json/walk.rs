//! Cutting JSON text that was found valid before into the values it is made of, without looking inside them again.

use crate::envelope::string_end;

/// A place inside an object or array. Text that is not valid JSON only makes it end early.
pub(super) struct Walk<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// `json` begins with a bracket or a brace.
    pub(super) fn into(json: &'a str) -> Self {
        Self { json, at: 1 }
    }

    /// The next value, or key; what stands between two of them is passed over. `None` where the object or array closes.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let bytes = self.json.as_bytes();
        let between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':');
        while bytes.get(self.at).is_some_and(between) {
            self.at += 1;
        }
        let start = self.at;
        let end = match bytes.get(start)? {
            b'"' => string_end(bytes, start)?,
            b'{' | b'[' => nested_end(bytes, start)?,
            b'}' | b']' => return None,
            _ => word_end(bytes, start),
        };
        self.at = end;
        self.json.get(start..end)
    }
}

/// Where the object or array that begins at `start` ends.
fn nested_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where the number or word that begins at `start` ends.
fn word_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let ends = |byte: &u8| {
        matches!(
            byte,
            b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\r' | b'\n'
        )
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: &[&str]) {
        let mut walk = Walk::into(json);
        let values: Vec<&str> = std::iter::from_fn(|| walk.value()).collect();
        assert_eq!(values, expect, "{json}");
    }

    #[test]
    fn values_are_cut_as_they_stand() {
        check("[]", &[]);
        check("{ }", &[]);
        check("[1 ,-2.5e3,\ntrue ]", &["1", "-2.5e3", "true"]);
        check(
            r#"{"a":"b\"]","c" : null}"#,
            &["\"a\"", r#""b\"]""#, "\"c\"", "null"],
        );
        check(
            r#"[{"a":[{}, "}\\"]}, [ ], ["]"]]"#,
            &[r#"{"a":[{}, "}\\"]}"#, "[ ]", r#"["]"]"#],
        );
    }

    #[test]
    fn text_that_is_not_json_ends_early() {
        for json in ["[", "[\"", "[1,{", "[}", "{\"a\":[}", "[1"] {
            let mut walk = Walk::into(json);
            assert!(std::iter::from_fn(|| walk.value()).count() <= 2, "{json}");
        }
    }
}
