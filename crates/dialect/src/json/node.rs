//! Reading: spans of a JSON text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::check::is_json;
use super::walk::Walk;
use crate::Malformed;

/// A valid piece of JSON text; copying it copies a reference. As a field of a `Deserialize` type it holds the value unread.
///
/// The text is checked once, when a node is made of a whole body; its parts are cut out of it without being checked again.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a>(&'a str);

impl<'a> From<&'a RawValue> for Node<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::from)
    }
}

/// The fields of one object, in order. Looking up is linear: objects of these dialects are small.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Node<'a> {
    /// Checks that `json` is one JSON value and nothing else.
    pub fn parse(json: &'a [u8]) -> Result<Self, Malformed> {
        if json.iter().all(u8::is_ascii_whitespace) {
            return Err(Malformed::new(
                "",
                "the body is empty; a JSON object is expected",
            ));
        }
        if let Ok(text) = simdutf8::basic::from_utf8(json)
            && is_json(text)
        {
            return Ok(Self(text.trim_ascii()));
        }
        // Says what is wrong, and reads what is nested deeper.
        serde_json::from_slice::<&RawValue>(json)
            .map(Self::from)
            .map_err(|error| not_valid(&error))
    }

    /// The text as it stands in the source.
    pub fn raw(self) -> &'a str {
        self.0
    }

    pub fn to_raw(self) -> Box<RawValue> {
        // Never `null` in its place: the text of a node is valid JSON.
        RawValue::from_string(self.0.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    pub fn is_null(self) -> bool {
        self.raw() == "null"
    }

    pub fn is_object(self) -> bool {
        self.raw().starts_with('{')
    }

    pub fn is_array(self) -> bool {
        self.raw().starts_with('[')
    }

    pub fn is_string(self) -> bool {
        self.raw().starts_with('"')
    }

    /// A word for error messages: what kind of value this is.
    pub fn kind(self) -> &'static str {
        match self.raw().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    fn wrong(self, expected: &str) -> Malformed {
        Malformed::new("", format!("expected {expected}, got {}", self.kind()))
    }

    /// The fields of an object. A field given twice keeps its last value, as JSON parsers do.
    pub fn fields(self) -> Result<Fields<'a>, Malformed> {
        if !self.is_object() {
            return Err(self.wrong("an object"));
        }
        let mut walk = Walk::into(self.0);
        let mut fields = Vec::with_capacity(8);
        while let Some(key) = walk.value() {
            let key = plain(key).map_or_else(
                || {
                    serde_json::from_str(key)
                        .map(Cow::Owned)
                        .map_err(|error| not_valid(&error))
                },
                |key| Ok(Cow::Borrowed(key)),
            )?;
            let Some(value) = walk.value() else {
                break;
            };
            fields.push((key, Self(value)));
        }
        Ok(Fields(fields))
    }

    pub fn elements(self) -> Result<Vec<Self>, Malformed> {
        if !self.is_array() {
            return Err(self.wrong("an array"));
        }
        let mut walk = Walk::into(self.0);
        Ok(std::iter::from_fn(|| walk.value()).map(Self).collect())
    }

    /// The elements of an array, or the value itself as the only one: lenient servers accept `x` for `[x]`.
    pub fn one_or_many(self) -> Result<Vec<Self>, Malformed> {
        if self.is_array() {
            self.elements()
        } else {
            Ok(vec![self])
        }
    }

    /// The value of a string; `None` for anything else. Half a surrogate pair, which JavaScript writes when it cuts a text in
    /// the middle of an emoji, becomes U+FFFD.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if !self.is_string() {
            return None;
        }
        if let Some(plain) = plain(self.raw()) {
            return Some(Cow::Borrowed(plain));
        }
        serde_json::from_str::<String>(self.raw())
            .or_else(|_| serde_json::from_str::<Lossy>(self.raw()).map(|lossy| lossy.0))
            .ok()
            .map(Cow::Owned)
    }

    pub fn string(self) -> Result<String, Malformed> {
        self.text()
            .map(Cow::into_owned)
            .ok_or_else(|| self.wrong("a string"))
    }

    pub fn bool(self) -> Option<bool> {
        match self.raw() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A whole number; `5.0` and `5e0` count as one.
    pub fn u64(self) -> Option<u64> {
        self.raw().parse().ok().or_else(|| {
            let number: f64 = self.f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked: whole and in range"
            )]
            (number.fract() == 0.0 && (0.0..9.007_199_254_740_992e15).contains(&number))
                .then_some(number as u64)
        })
    }

    pub fn i64(self) -> Option<i64> {
        self.raw().parse().ok().or_else(|| {
            let number = self.f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked: whole and in range"
            )]
            (number.fract() == 0.0 && number.abs() < 9.007_199_254_740_992e15)
                .then_some(number as i64)
        })
    }

    pub fn f64(self) -> Option<f64> {
        match self.raw().as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => self
                .raw()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The text of a number.
    pub fn number_text(self) -> Option<String> {
        self.f64().map(|_| self.raw().to_owned())
    }

    pub fn require_u64(self) -> Result<u64, Malformed> {
        self.u64()
            .ok_or_else(|| self.wrong("a whole number of 0 or more"))
    }

    pub fn require_i64(self) -> Result<i64, Malformed> {
        self.i64().ok_or_else(|| self.wrong("a whole number"))
    }

    pub fn require_f64(self) -> Result<f64, Malformed> {
        self.f64().ok_or_else(|| self.wrong("a number"))
    }

    pub fn require_bool(self) -> Result<bool, Malformed> {
        self.bool().ok_or_else(|| self.wrong("true or false"))
    }
}

impl<'a> Fields<'a> {
    /// The value of `key`; `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, node)| *node)
            .filter(|node| !node.is_null())
    }

    /// Takes `key` out, so that what remains at the end is what nobody knew; `null` counts as absent.
    pub fn take(&mut self, key: &str) -> Option<Node<'a>> {
        let mut found = None;
        self.0.retain(|(name, node)| {
            let hit = name == key;
            if hit {
                found = Some(*node);
            }
            !hit
        });
        found.filter(|node| !node.is_null())
    }

    /// Takes `key` and reads it; a fault names the key.
    pub fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        self.take(key)
            .map(|node| read(node).map_err(|fault| fault.inside(key)))
            .transpose()
    }

    /// As [`Self::read`], for a key that must be there.
    pub fn require<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        self.read(key, read)?
            .ok_or_else(|| Malformed::new(key, "is required"))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Node<'a>)> {
        self.0.iter().map(|(name, node)| (&**name, *node))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Renames every key; for Gemini, which takes `snake_case` for `camelCase`.
    pub fn rename(&mut self, rename: impl Fn(&str) -> Option<String>) {
        for (name, _) in &mut self.0 {
            if let Some(new) = rename(name) {
                *name = Cow::Owned(new);
            }
        }
    }
}

fn not_valid(error: &serde_json::Error) -> Malformed {
    Malformed::new("", format!("not valid JSON: {error}"))
}

/// The value of a JSON string without escapes.
fn plain(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    memchr::memchr(b'\\', inner.as_bytes())
        .is_none()
        .then_some(inner)
}

/// A string whose escapes need not be whole characters.
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LossyVisitor;
        impl Visitor<'_> for LossyVisitor {
            type Value = Lossy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(LossyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_the_source_as_it_is() {
        let body = br#" {"b": 1.50, "a" : "x\u00e9", "b\"": [1, {"c":null}], "n": null} "#;
        let mut fields = Node::parse(body).unwrap().fields().unwrap();
        assert_eq!(fields.take("b").unwrap().raw(), "1.50");
        assert_eq!(fields.take("a").unwrap().text().unwrap(), "xé");
        assert!(fields.take("n").is_none());
        assert_eq!(
            fields.take("b\"").unwrap().elements().unwrap()[1].raw(),
            r#"{"c":null}"#
        );
        assert!(fields.is_empty());
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        let number = |json: &'static str| Node::parse(json.as_bytes()).unwrap().u64();
        assert_eq!(number("5.0"), Some(5));
        assert_eq!(number("5e2"), Some(500));
        assert_eq!(number("5.5"), None);
        assert_eq!(number("-5"), None);
        assert_eq!(number("true"), None);
        assert_eq!(number("\"5\""), None);
    }

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_text() {
        let text = |json: &'static str| Node::parse(json.as_bytes()).unwrap().text().unwrap();
        assert_eq!(text(r#""a\ud83d\ude00b""#), "a😀b");
        assert_eq!(text(r#""a\ud83d b\n""#), "a\u{fffd}\u{fffd}\u{fffd} b\n");
    }

    #[test]
    fn faults_name_their_path() {
        let mut fields = Node::parse(br#"{"a":{"b":7}}"#).unwrap().fields().unwrap();
        let fault = fields
            .read("a", |a| a.fields()?.require("b", Node::string))
            .unwrap_err();
        assert_eq!(fault.to_string(), "a.b: expected a string, got a number");
        assert_eq!(
            fields.require("c", Node::string).unwrap_err().to_string(),
            "c: is required"
        );
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in [
            "",
            "  ",
            "{",
            "{}{}",
            "nul",
            "{\"a\":\"\u{1}\"}",
            "\u{feff}",
        ] {
            assert!(Node::parse(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(Node::parse(b"{\"a\":\"\xff\"}").is_err());
    }
}
