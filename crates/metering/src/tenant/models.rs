//! Names of models against lists of names and globs, so that no other spelling of a name passes where the name itself would not.
//!
//! A list of what is *allowed* is held against the name as it is asked for, letter by letter, and against what stands behind
//! `models/`, which is how Google's clients write every name. `provider/model` is a name of its own: it goes past all routes, so it is
//! allowed where a list says so (`openai/*`). A list of what is *denied* is held against everything that a server might take the name
//! for: letters in any case, escapes undone, spaces and invisible characters left out, and without what stands in front of a slash.

use lingate_catalog::glob;

/// All that a model's name may stand for.
#[derive(Debug)]
pub(super) struct Name {
    readings: Vec<String>,
}

/// How often escapes are undone: doors undo one, a server may undo another.
const UNDONE: usize = 3;

/// Parts between slashes that are looked at, from the last.
const PARTS: usize = 16;

impl Name {
    pub(super) fn of(name: &str) -> Self {
        let mut readings = Vec::new();
        let mut text = name.to_owned();
        for _ in 0..=UNDONE {
            read(&text, &mut readings);
            let next = unescaped(&text);
            if next == text {
                break;
            }
            text = next;
        }
        Self { readings }
    }
}

/// Adds the name and what stands behind each of its slashes.
fn read(text: &str, readings: &mut Vec<String>) {
    let plain: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c == '\\' { '/' } else { c })
        .flat_map(char::to_lowercase)
        .collect();
    let parts: Vec<&str> = plain
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    let least = parts.len().saturating_sub(PARTS);
    for from in least..parts.len() {
        let reading = parts.get(from..).unwrap_or_default().join("/");
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
}

/// No name has spaces, and what cannot be seen is no part of one.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// With one layer of `%41` undone.
fn unescaped(text: &str) -> String {
    let digit = |byte: Option<&u8>| {
        let digit = char::from(*byte?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| Some(digit(bytes.get(at + 1))? << 4 | digit(bytes.get(at + 2))?))
            .flatten();
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a list of what is denied has the name, in whatever spelling.
pub(super) fn denies(list: &[String], name: &Name) -> bool {
    list.iter().any(|pattern| {
        let pattern = pattern.trim().to_lowercase();
        let pattern = pattern.strip_prefix("models/").unwrap_or(&pattern);
        name.readings
            .iter()
            .any(|reading| glob::matches(pattern, reading))
    })
}

/// Whether a list of what is allowed has the name.
pub(super) fn allows(list: &[String], name: &str) -> bool {
    let bare = name.strip_prefix("models/").unwrap_or(name);
    list.iter().any(|pattern| {
        let pattern = pattern.trim();
        let pattern = pattern.strip_prefix("models/").unwrap_or(pattern);
        glob::matches(pattern, bare)
    })
}
