//! Whether a text is JSON, in one pass that makes nothing of it.

use super::write::special;

/// Levels of nesting that are followed.
const DEEPEST: usize = 512;

/// Whether `json` is one JSON value and nothing else, nested no deeper than [`DEEPEST`]. Half a surrogate pair is no fault.
pub(super) fn is_json(json: &str) -> bool {
    end(json.as_bytes()) == Some(json.len())
}

/// Where the value that `json` begins with ends, white space included.
fn end(json: &[u8]) -> Option<usize> {
    // One bit per open bracket: whether it is a brace.
    let mut open = [0_u64; DEEPEST / 64];
    let mut depth = 0_usize;
    let mut at = blank(json, 0);
    loop {
        // Here begins a value.
        let first = *json.get(at)?;
        match first {
            b'"' => at = string(json, at)?,
            b'{' | b'[' => {
                let word = open.get_mut(depth / 64)?;
                let bit = 1 << (depth % 64);
                *word = if first == b'{' {
                    *word | bit
                } else {
                    *word & !bit
                };
                depth += 1;
                at = blank(json, at + 1);
                match (first, *json.get(at)?) {
                    (b'{', b'}') | (b'[', b']') => {
                        depth -= 1;
                        at += 1;
                    }
                    (b'{', _) => {
                        at = key(json, at)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            b't' => at = word(json, at, b"true")?,
            b'f' => at = word(json, at, b"false")?,
            b'n' => at = word(json, at, b"null")?,
            _ => at = number(json, at)?,
        }
        // Here a value has ended, and with it maybe those around it.
        loop {
            at = blank(json, at);
            let Some(outer) = depth.checked_sub(1) else {
                return Some(at);
            };
            let brace = open.get(outer / 64)? >> (outer % 64) & 1 == 1;
            match (*json.get(at)?, brace) {
                (b',', true) => {
                    at = key(json, blank(json, at + 1))?;
                    break;
                }
                (b',', false) => {
                    at = blank(json, at + 1);
                    break;
                }
                (b'}', true) | (b']', false) => {
                    depth = outer;
                    at += 1;
                }
                _ => return None,
            }
        }
    }
}

/// Behind the white space.
fn blank(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind a key and its colon, where the value begins.
fn key(json: &[u8], at: usize) -> Option<usize> {
    let at = blank(json, string(json, at)?);
    (json.get(at) == Some(&b':')).then(|| blank(json, at + 1))
}

fn string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = (json.get(at) == Some(&b'"')).then_some(at + 1)?;
    loop {
        at += special(json.get(at..)?)?;
        match *json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *json.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    let digits = json.get(at + 2..at + 6)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    at += 6;
                }
                _ => return None,
            },
            _ => return None,
        }
    }
}

fn word(json: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    json.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn number(json: &[u8], at: usize) -> Option<usize> {
    let start = at + usize::from(json.get(at) == Some(&b'-'));
    let mut at = digits(json, start)?;
    if json.get(start) == Some(&b'0') && at > start + 1 {
        return None;
    }
    if json.get(at) == Some(&b'.') {
        at = digits(json, at + 1)?;
    }
    if let Some(b'e' | b'E') = json.get(at) {
        let sign = usize::from(matches!(json.get(at + 1), Some(b'+' | b'-')));
        at = digits(json, at + 1 + sign)?;
    }
    Some(at)
}

/// Behind one digit or more.
fn digits(json: &[u8], at: usize) -> Option<usize> {
    let rest = json.get(at..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(at + count)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn check(json: &str) {
        let expect = serde_json::from_str::<&RawValue>(json).is_ok();
        assert_eq!(is_json(json), expect, "{json:?}");
    }

    /// Every text that is one edit away from these is judged as `serde_json` judges it.
    #[test]
    fn judges_as_serde_json_does() {
        let signs = "\"\\{}[]:, \t\u{1}0195-+.eEtrufalsn/bé";
        for json in [
            "",
            r#" { "a" : [ 1 , -0.5e+10, 20E-3 ,0] , "b\"\\" : {} , "" :[ ]}"#,
            r#"[true,false,null,"\u00e9\ud83d \/\b\f\n\r\t 中文",[[{"a":{}}]]]"#,
            "-1.25",
            "\"a longer text with nothing special in it for some words\"",
        ] {
            check(json);
            for (at, c) in json.char_indices() {
                let (before, after) = (&json[..at], &json[at + c.len_utf8()..]);
                check(before);
                check(&format!("{before}{after}"));
                for sign in signs.chars() {
                    check(&format!("{before}{sign}{after}"));
                    check(&format!("{before}{sign}{c}{after}"));
                }
            }
        }
    }

    #[test]
    fn nesting_is_followed_so_far() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_json(&nested(DEEPEST)));
        assert!(!is_json(&nested(DEEPEST + 1)));
    }
}
