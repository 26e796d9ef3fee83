//! Writing: objects and arrays that close themselves.
//!
//! ```
//! # use lingate_dialect::json::Object;
//! let mut out = Vec::new();
//! let mut object = Object::new(&mut out);
//! object.string("model", "m");
//! object.array("stop").string("END");
//! drop(object);
//! assert_eq!(out, br#"{"model":"m","stop":["END"]}"#);
//! ```

use serde_json::value::RawValue;

use crate::envelope::string_end;

/// An object being written; its brace closes when it goes out of scope.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// An array being written; its bracket closes when it goes out of scope.
#[derive(Debug)]
pub struct Array<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Writes the key and hands out the place for its value, which the caller must write.
    pub fn value(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        escape_into(self.out, key);
        self.out.push(b':');
        self.out
    }

    pub fn string(&mut self, key: &str, text: &str) {
        escape_into(self.value(key), text);
    }

    pub fn some_string(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.string(key, text);
        }
    }

    pub fn u64(&mut self, key: &str, number: u64) {
        integer(self.value(key), number);
    }

    pub fn some_u64(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.u64(key, number);
        }
    }

    pub fn i64(&mut self, key: &str, number: i64) {
        let out = self.value(key);
        if number < 0 {
            out.push(b'-');
        }
        integer(out, number.unsigned_abs());
    }

    /// The shortest text that reads back as `number`; whole numbers without a fraction. Not finite: `null`.
    pub fn f64(&mut self, key: &str, number: f64) {
        float(self.value(key), number);
    }

    pub fn some_f64(&mut self, key: &str, number: Option<f64>) {
        if let Some(number) = number {
            self.f64(key, number);
        }
    }

    pub fn bool(&mut self, key: &str, value: bool) {
        self.value(key)
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub fn null(&mut self, key: &str) {
        self.value(key).extend_from_slice(b"null");
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, key: &str, json: &RawValue) {
        self.value(key).extend_from_slice(json.get().as_bytes());
    }

    pub fn object(&mut self, key: &str) -> Object<'_> {
        Object::new(self.value(key))
    }

    pub fn array(&mut self, key: &str) -> Array<'_> {
        Array::new(self.value(key))
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        self.out.push(b'}');
    }
}

impl<'a> Array<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, first: true }
    }

    /// Hands out the place for the next value, which the caller must write.
    pub fn value(&mut self) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out
    }

    pub fn string(&mut self, text: &str) {
        escape_into(self.value(), text);
    }

    pub fn u64(&mut self, number: u64) {
        integer(self.value(), number);
    }

    pub fn f64(&mut self, number: f64) {
        float(self.value(), number);
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &RawValue) {
        self.value().extend_from_slice(json.get().as_bytes());
    }

    pub fn object(&mut self) -> Object<'_> {
        Object::new(self.value())
    }

    pub fn array(&mut self) -> Array<'_> {
        Array::new(self.value())
    }

    pub fn is_empty(&self) -> bool {
        self.first
    }
}

impl Drop for Array<'_> {
    fn drop(&mut self) {
        self.out.push(b']');
    }
}

/// Writes `text` as a JSON string, quotes included. Only what JSON demands is escaped.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = special(rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((special, tail)) = tail.split_first() else {
            break;
        };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(control >> 4),
                    digit(control & 15),
                ]);
            }
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first byte that cannot stand in a JSON string as it is, searched for in eight bytes at a time.
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        // Sets the high bit of each byte that is below 0x20, a quote or a backslash; above the lowest of them a borrow may set
        // others too.
        let hits = (word.wrapping_sub(ONES * 0x20) & !word
            | quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash)
            & HIGH;
        if hits != 0 {
            return Some(bytes.len() - rest.len() + hits.trailing_zeros() as usize / 8);
        }
        rest = tail;
    }
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let at = rest.iter().position(is_special)?;
    Some(bytes.len() - rest.len() + at)
}

fn integer(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

fn float(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend_from_slice(number.to_string().as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Valid JSON text without the white space between its tokens.
pub fn compact(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut out = String::with_capacity(json.len());
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at).unwrap_or(bytes.len()),
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.push_str(json.get(copied..at).unwrap_or_default());
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_as_they_were() {
        for text in [
            "",
            "plain",
            "\"quoted\" \\ and \n\r\t\u{8}\u{c}\u{1f}",
            "中文 😀 \u{2028}\u{7f}",
            "eight by\"te words\\, and \u{1f} in each of\nthem: ÿ\u{80}\u{a0}\u{a2} é\"",
        ] {
            let mut out = Vec::new();
            escape_into(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn numbers_are_short() {
        let mut out = Vec::new();
        let mut array = Array::new(&mut out);
        array.f64(1.0);
        array.f64(0.7);
        array.f64(f64::NAN);
        array.u64(0);
        array.u64(u64::MAX);
        drop(array);
        assert_eq!(out, b"[1,0.7,null,0,18446744073709551615]");
    }

    #[test]
    fn compacting_spares_strings() {
        assert_eq!(
            compact("{ \"a b\" : \"c \\\" d\\\\\" ,\n\t\"e\": [1, 2.50] }"),
            r#"{"a b":"c \" d\\","e":[1,2.50]}"#
        );
    }
}
