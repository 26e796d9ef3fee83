//! The raw-span envelope: edits to named top-level fields of a JSON body; every other byte stays as it came.
//!
//! A scan looks at the top level alone. What lies deeper is only checked to be balanced, so that an edit cannot end up inside a
//! string; whoever receives the body judges the rest.
//!
//! ```
//! # use lingate_dialect::envelope::Envelope;
//! let mut envelope = Envelope::scan(br#"{"model": "a/b",  "n":1.50}"#).unwrap();
//! assert_eq!(envelope.text("model").unwrap(), "a/b");
//! envelope.set_text("model", "b");
//! assert_eq!(envelope.apply(), br#"{"model": "b",  "n":1.50}"#);
//! ```

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use serde_json::value::RawValue;

use crate::Malformed;
use crate::json::{Node, escape_into};

/// The top level of a JSON object. A field given twice is read as its last value, as JSON parsers do, and edited in every place.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    body: &'a str,
    fields: Vec<Field<'a>>,
    /// Fields that the body does not have: key and value.
    added: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Field<'a> {
    key: Cow<'a, str>,
    /// From the key's first quote to the value's end.
    span: Range<usize>,
    /// Where the value begins.
    value: usize,
    edit: Edit,
}

#[derive(Debug, Clone)]
enum Edit {
    Keep,
    Replace(String),
    Remove,
}

/// More fields than any API has; a body of millions must not cost memory for each.
const MOST_FIELDS: usize = 4096;

/// Levels of nesting.
const DEEPEST: usize = 512;

impl<'a> Envelope<'a> {
    /// Checks that `body` is one JSON object and nothing else, down to balanced brackets and closed strings.
    pub fn scan(body: &'a [u8]) -> Result<Self, Malformed> {
        let text = simdutf8::basic::from_utf8(body)
            .map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
        let mut scan = Scan { body: text, at: 0 };
        let mut fields = Vec::with_capacity(16);
        match scan.next() {
            None => {
                let message = "the body is empty; a JSON object is expected";
                return Err(Malformed::new("", message));
            }
            Some(b'{') => scan.at += 1,
            Some(_) => return Err(scan.fault("a JSON object")),
        }
        if scan.next() == Some(b'}') {
            scan.at += 1;
        } else {
            loop {
                fields.push(scan.field()?);
                if fields.len() > MOST_FIELDS {
                    let message = format!("more than {MOST_FIELDS} fields");
                    return Err(Malformed::new("", message));
                }
                let more = match scan.next() {
                    Some(b',') => true,
                    Some(b'}') => false,
                    _ => return Err(scan.fault("',' or '}'")),
                };
                scan.at += 1;
                if !more {
                    break;
                }
            }
        }
        if scan.next().is_some() {
            return Err(scan.fault("the end of the body"));
        }
        Ok(Self {
            body: text,
            fields,
            added: Vec::new(),
        })
    }

    /// The JSON text of a field's value, as it is after the edits so far. Balanced, and not checked any further.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some((_, json)) = self.added.iter().find(|(name, _)| name == key) {
            return Some(json);
        }
        let field = self.fields.iter().rev().find(|field| field.key == key)?;
        match &field.edit {
            Edit::Keep => self.body.get(field.value..field.span.end),
            Edit::Replace(json) => Some(json),
            Edit::Remove => None,
        }
    }

    /// Every field as it came, also one that is given twice: its key, and the JSON text of its value.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| {
            let json = self.body.get(field.value..field.span.end);
            (field.key.as_ref(), json.unwrap_or_default())
        })
    }

    /// As [`Self::get`], checked; `null` counts as absent.
    pub fn node(&self, key: &str) -> Result<Option<Node<'_>>, Malformed> {
        let Some(json) = self.get(key) else {
            return Ok(None);
        };
        let node = Node::parse(json.as_bytes()).map_err(|fault| fault.inside(key))?;
        Ok(Some(node).filter(|node| !node.is_null()))
    }

    /// The value of a string field; `None` when the field is absent or something else.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.node(key).ok()??.text()
    }

    /// The value of a boolean field; `None` when the field is absent or something else.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Where the value of a field that is given once stands in the scanned body. Whoever keeps the place and the body can put
    /// another value there without scanning again.
    pub fn place(&self, key: &str) -> Option<Range<usize>> {
        let mut given = self.fields.iter().filter(|field| field.key == key);
        let field = given.next()?;
        given
            .next()
            .is_none()
            .then_some(field.value..field.span.end)
    }

    /// Gives a field another value, or adds it behind the others.
    pub fn set(&mut self, key: &str, json: &RawValue) {
        self.replace(key, json.get().to_owned());
    }

    /// As [`Self::set`], with a string.
    pub fn set_text(&mut self, key: &str, text: &str) {
        self.replace(key, quoted(text));
    }

    /// Sets a field of the object `key`, which is made when it is absent, `null` or no object.
    pub fn set_inside(&mut self, key: &str, inner: &str, json: &RawValue) {
        let outer = self.get(key).unwrap_or_default();
        let edited = Envelope::scan(outer.as_bytes()).map(|mut outer| {
            outer.set(inner, json);
            outer.text_after_edits()
        });
        let edited = edited.unwrap_or_else(|_| format!("{{{}:{}}}", quoted(inner), json.get()));
        self.replace(key, edited);
    }

    pub fn remove(&mut self, key: &str) {
        self.added.retain(|(name, _)| name != key);
        for field in self.fields.iter_mut().filter(|field| field.key == key) {
            field.edit = Edit::Remove;
        }
    }

    /// Whether [`Self::apply`] would give other bytes than those scanned.
    pub fn is_edited(&self) -> bool {
        !self.added.is_empty()
            || self
                .fields
                .iter()
                .any(|field| !matches!(field.edit, Edit::Keep))
    }

    /// The body with its edits. Outside the edited fields every byte is as it came; a removed field takes along one comma
    /// and the white space before its neighbour.
    pub fn apply(&self) -> Vec<u8> {
        self.text_after_edits().into_bytes()
    }

    fn replace(&mut self, key: &str, json: String) {
        let mut found = false;
        for field in self.fields.iter_mut().filter(|field| field.key == key) {
            found = true;
            field.edit = Edit::Replace(json.clone());
        }
        if found {
            return;
        }
        match self.added.iter_mut().find(|(name, _)| name == key) {
            Some((_, value)) => *value = json,
            None => self.added.push((key.to_owned(), json)),
        }
    }

    fn text_after_edits(&self) -> String {
        let slice = |span: Range<usize>| self.body.get(span).unwrap_or_default();
        let grown: usize = self
            .added
            .iter()
            .map(|(key, json)| key.len() + json.len() + 8)
            .sum();
        let mut out = String::with_capacity(self.body.len() + grown + 64);
        let open = self.body.find('{').map_or(0, |at| at + 1);
        let start = self.fields.first().map_or(open, |field| field.span.start);
        out.push_str(slice(0..start));
        let mut end = start;
        let mut empty = true;
        for field in &self.fields {
            let gap = slice(end..field.span.start);
            end = field.span.end;
            let value = match &field.edit {
                Edit::Keep => slice(field.value..end),
                Edit::Replace(json) => json,
                Edit::Remove => continue,
            };
            if !empty {
                out.push_str(gap);
            }
            empty = false;
            out.push_str(slice(field.span.start..field.value));
            out.push_str(value);
        }
        for (key, json) in &self.added {
            if !empty {
                out.push(',');
            }
            empty = false;
            out.push_str(&quoted(key));
            out.push(':');
            out.push_str(json);
        }
        out.push_str(slice(end..self.body.len()));
        out
    }
}

fn quoted(text: &str) -> String {
    let mut json = Vec::with_capacity(text.len() + 2);
    escape_into(&mut json, text);
    String::from_utf8(json).unwrap_or_default()
}

/// A place in the body.
struct Scan<'a> {
    body: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        self.body.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not white space; the place is there afterwards.
    fn next(&mut self) -> Option<u8> {
        let rest = self.rest();
        let offset = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        self.at += offset.unwrap_or(rest.len());
        offset.and_then(|offset| rest.get(offset)).copied()
    }

    fn fault(&self, expected: &str) -> Malformed {
        let got = self
            .body
            .get(self.at..)
            .and_then(|rest| rest.chars().next());
        let got = got.map_or("the end".to_owned(), |got| {
            format!("'{}'", got.escape_debug())
        });
        let message = format!(
            "not valid JSON: expected {expected}, got {got} at byte {}",
            self.at
        );
        Malformed::new("", message)
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        if self.next() != Some(b'"') {
            return Err(self.fault("a key"));
        }
        let start = self.at;
        self.string()?;
        let quoted = self.body.get(start..self.at).unwrap_or_default();
        let key = if memchr(b'\\', quoted.as_bytes()).is_none() {
            Cow::Borrowed(
                quoted
                    .get(1..quoted.len().saturating_sub(1))
                    .unwrap_or_default(),
            )
        } else {
            let key: Result<String, _> = serde_json::from_str(quoted);
            Cow::Owned(key.map_err(|error| Malformed::new("", format!("not valid JSON: {error}")))?)
        };
        if self.next() != Some(b':') {
            return Err(self.fault("':'"));
        }
        self.at += 1;
        let first = self.next();
        let value = self.at;
        match first {
            Some(b'"') => self.string()?,
            Some(b'{' | b'[') => self.nested()?,
            _ => self.scalar()?,
        }
        Ok(Field {
            key,
            span: start..self.at,
            value,
            edit: Edit::Keep,
        })
    }

    /// Goes past the string that begins here.
    fn string(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.at = string_end(self.body.as_bytes(), start).ok_or_else(|| {
            let message = format!("not valid JSON: the string at byte {start} does not end");
            Malformed::new("", message)
        })?;
        Ok(())
    }

    /// Goes past the object or array that begins here.
    fn nested(&mut self) -> Result<(), Malformed> {
        // One bit per open bracket: whether it is a brace.
        let mut open = [0_u64; DEEPEST / 64];
        let mut depth = 0_usize;
        let bytes = self.body.as_bytes();
        let mut at = self.at;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    if let Some(end) = string_end(bytes, at) {
                        at = end;
                        continue;
                    }
                    self.at = at;
                    return self.string();
                }
                b'{' | b'[' => {
                    let Some(word) = open.get_mut(depth / 64) else {
                        let message = format!("nested deeper than {DEEPEST} levels");
                        return Err(Malformed::new("", message));
                    };
                    let bit = 1 << (depth % 64);
                    if *byte == b'{' {
                        *word |= bit;
                    } else {
                        *word &= !bit;
                    }
                    depth += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    let word = open.get(depth / 64).copied().unwrap_or_default();
                    let brace = (word >> (depth % 64)) & 1 == 1;
                    if brace != (*byte == b'}') {
                        self.at = at;
                        return Err(self.fault(if brace { "'}'" } else { "']'" }));
                    }
                    if depth == 0 {
                        self.at = at + 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.at = at;
        Err(self.fault("'}' or ']'"))
    }

    /// Goes past the number or word that begins here.
    fn scalar(&mut self) -> Result<(), Malformed> {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E'))
            .unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        if serde_json::from_slice::<&RawValue>(word).is_err() {
            return Err(self.fault("a value"));
        }
        self.at += length;
        Ok(())
    }
}

/// Where the string that begins at `start` ends, its quote included.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += quote(bytes.get(at..)?)?;
        // Escaped when an odd number of backslashes stands before it. Each run of them is counted once.
        let before = bytes.get(start + 1..at)?;
        at += 1;
        if before.last() != Some(&b'\\') {
            return Some(at);
        }
        let slashes = before.iter().rev().take_while(|byte| **byte == b'\\');
        if slashes.count() % 2 == 0 {
            return Some(at);
        }
    }
}

/// The place of the first quote. Keys and words are short, so eight bytes at a time are tried before the search that takes
/// longer to begin.
fn quote(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut rest = bytes;
    for tried in [0, 8, 16] {
        let Some((word, tail)) = rest.split_first_chunk::<8>() else {
            break;
        };
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'"'));
        // The lowest set bit belongs to the first byte that is zero.
        let hits = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if hits != 0 {
            return Some(tried + hits.trailing_zeros() as usize / 8);
        }
        rest = tail;
    }
    memchr(b'"', rest).map(|offset| bytes.len() - rest.len() + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, edit: impl Fn(&mut Envelope<'_>), expect: &str) {
        let mut envelope = Envelope::scan(body.as_bytes()).unwrap();
        edit(&mut envelope);
        let applied = String::from_utf8(envelope.apply()).unwrap();
        assert_eq!(applied, expect);
        assert_eq!(envelope.is_edited(), applied != body);
        serde_json::from_str::<serde_json::Value>(&applied).unwrap();
    }

    #[test]
    fn without_an_edit_nothing_changes() {
        for body in [
            "{}",
            " {\n} ",
            "\r\n{ \"a\" :\t1.50 , \"b\":[{\"}\":\"]\\\\\"}]}\n",
        ] {
            check(body, |_| {}, body);
        }
    }

    #[test]
    fn an_edit_changes_its_span_alone() {
        let body = r#"{ "model" : "a" ,"messages":[ {"content":"\"model\": \\"} ], "n":1E+2 }"#;
        check(
            body,
            |envelope| envelope.set_text("model", "b\"c"),
            r#"{ "model" : "b\"c" ,"messages":[ {"content":"\"model\": \\"} ], "n":1E+2 }"#,
        );
        check(
            body,
            |envelope| envelope.set("stream", RawValue::TRUE),
            r#"{ "model" : "a" ,"messages":[ {"content":"\"model\": \\"} ], "n":1E+2,"stream":true }"#,
        );
        check(
            body,
            |envelope| envelope.remove("model"),
            r#"{ "messages":[ {"content":"\"model\": \\"} ], "n":1E+2 }"#,
        );
        check(
            body,
            |envelope| envelope.remove("messages"),
            r#"{ "model" : "a", "n":1E+2 }"#,
        );
        check(
            body,
            |envelope| {
                envelope.remove("n");
                envelope.remove("nothing");
            },
            r#"{ "model" : "a" ,"messages":[ {"content":"\"model\": \\"} ] }"#,
        );
    }

    #[test]
    fn edits_follow_on_each_other() {
        check(
            r#"{"a":1,"b":2}"#,
            |envelope| {
                envelope.remove("a");
                envelope.remove("b");
                envelope.set_text("c", "x");
                envelope.set_text("c", "y");
                assert_eq!(envelope.text("c").unwrap(), "y");
                assert_eq!(envelope.get("a"), None);
            },
            r#"{"c":"y"}"#,
        );
        check(
            r#"{"a":1}"#,
            |envelope| {
                envelope.remove("a");
                envelope.set("a", RawValue::NULL);
                envelope.set("b", RawValue::TRUE);
                envelope.remove("b");
            },
            r#"{"a":null}"#,
        );
        check(
            " {\n}",
            |envelope| envelope.set("a", RawValue::TRUE),
            " {\"a\":true\n}",
        );
    }

    #[test]
    fn a_field_given_twice_reads_as_the_last_and_is_edited_everywhere() {
        let body = r#"{"model":"a","x":1,"mod\u0065l":"b"}"#;
        let envelope = Envelope::scan(body.as_bytes()).unwrap();
        assert_eq!(envelope.text("model").unwrap(), "b");
        check(
            body,
            |envelope| envelope.set_text("model", "c"),
            r#"{"model":"c","x":1,"mod\u0065l":"c"}"#,
        );
        check(body, |envelope| envelope.remove("model"), r#"{"x":1}"#);
    }

    #[test]
    fn fields_inside_an_object_can_be_set() {
        let require = |envelope: &mut Envelope<'_>| {
            envelope.set_inside("stream_options", "include_usage", RawValue::TRUE);
        };
        check(
            "{}",
            require,
            r#"{"stream_options":{"include_usage":true}}"#,
        );
        check(
            r#"{"stream_options":null}"#,
            require,
            r#"{"stream_options":{"include_usage":true}}"#,
        );
        check(
            r#"{"stream_options": { "include_usage": false, "x": 1 }}"#,
            require,
            r#"{"stream_options": { "include_usage": true, "x": 1 }}"#,
        );
    }

    #[test]
    fn reads_values() {
        let body = br#"{"s":"x\u00e9","t":true,"n":null,"o":{"a":[1]},"bad":[1 2]}"#;
        let envelope = Envelope::scan(body).unwrap();
        assert_eq!(envelope.text("s").unwrap(), "xé");
        assert_eq!(envelope.text("t"), None);
        assert_eq!(envelope.bool("t"), Some(true));
        assert_eq!(envelope.bool("s"), None);
        assert!(envelope.node("n").unwrap().is_none());
        assert_eq!(envelope.node("o").unwrap().unwrap().raw(), r#"{"a":[1]}"#);
        assert_eq!(envelope.node("bad").unwrap_err().path, "bad");
        assert_eq!(envelope.get("none"), None);
    }

    fn refuse(body: &[u8], expect: &str) {
        assert_eq!(
            Envelope::scan(body).unwrap_err().message,
            expect,
            "{}",
            body.escape_ascii()
        );
    }

    #[test]
    fn refuses_what_is_no_object() {
        refuse(b" ", "the body is empty; a JSON object is expected");
        refuse(
            b"[]",
            "not valid JSON: expected a JSON object, got '[' at byte 0",
        );
        refuse(
            b"{",
            "not valid JSON: expected a key, got the end at byte 1",
        );
        refuse(
            b"{}x",
            "not valid JSON: expected the end of the body, got 'x' at byte 2",
        );
        refuse(
            b"{\"a\":1,}",
            "not valid JSON: expected a key, got '}' at byte 7",
        );
        refuse(
            b"{\"a\" 1}",
            "not valid JSON: expected ':', got '1' at byte 5",
        );
        refuse(
            b"{\"a\":1 2}",
            "not valid JSON: expected ',' or '}', got '2' at byte 7",
        );
        refuse(
            b"{\"a\":nul}",
            "not valid JSON: expected a value, got 'n' at byte 5",
        );
        refuse(
            b"{\"a\":01}",
            "not valid JSON: expected a value, got '0' at byte 5",
        );
        refuse(
            b"{\"a\":}",
            "not valid JSON: expected a value, got '}' at byte 5",
        );
        refuse(
            b"{\"a\":[}",
            "not valid JSON: expected ']', got '}' at byte 6",
        );
        refuse(
            b"{\"a\":{]}",
            "not valid JSON: expected '}', got ']' at byte 6",
        );
        refuse(
            b"{\"a\":[1",
            "not valid JSON: expected '}' or ']', got the end at byte 7",
        );
        refuse(
            br#"{"a":"\\\"}"#,
            "not valid JSON: the string at byte 5 does not end",
        );
        refuse(b"{\"a\":\"\xff\"}", "the body is not UTF-8");
        let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
        refuse(deep.as_bytes(), "nested deeper than 512 levels");
        let wide = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(5000));
        refuse(wide.as_bytes(), "more than 4096 fields");
    }
}
