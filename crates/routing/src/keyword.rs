//! Words that a condition looks for in a text.

use std::fmt;

/// A word or a phrase, whatever its case.
///
/// It must stand as a word of its own: `translate` is in "Translate, please" and not in "translated". `translate*` is in both,
/// `*translate` in "mistranslate", too. What scripts without spaces between words say (`翻译`), and Korean with the endings of
/// its words, is found anywhere; so is a Latin word between their letters ("请translate一下").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    /// In lower case, without the stars.
    text: String,
    /// It may go on before the text, because a star says so or because its first letter needs no space before it.
    open_before: bool,
    open_after: bool,
    written: String,
}

/// What cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadKeyword(pub String);

impl fmt::Display for BadKeyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadKeyword {}

impl Keyword {
    /// A word with a star at its beginning, its end, both or neither.
    pub fn parse(written: &str) -> Result<Self, BadKeyword> {
        let trimmed = written.trim();
        let after = trimmed.strip_prefix('*').unwrap_or(trimmed);
        let bare = after.strip_suffix('*').unwrap_or(after);
        let text = bare.to_lowercase();
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(BadKeyword(format!(
                "the keyword `{written}` is empty, and would be found in every text: leave it out"
            )));
        };
        if text.contains('*') {
            return Err(BadKeyword(format!(
                "the keyword `{written}` has a `*` inside: only its beginning and its end may be open; write two keywords"
            )));
        }
        Ok(Self {
            open_before: after.len() < trimmed.len() || !is_spaced(first),
            open_after: bare.len() < after.len() || !is_spaced(last),
            text,
            written: trimmed.to_owned(),
        })
    }

    /// Whether a text has it. The text is in lower case already: it is looked through for many keywords.
    pub fn is_in(&self, lowercase: &str) -> bool {
        lowercase.match_indices(&self.text).any(|(at, found)| {
            let before = lowercase
                .get(..at)
                .and_then(|rest| rest.chars().next_back());
            let after = lowercase
                .get(at + found.len()..)
                .and_then(|rest| rest.chars().next());
            (self.open_before || !before.is_some_and(is_spaced))
                && (self.open_after || !after.is_some_and(is_spaced))
        })
    }
}

/// As it was written.
impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Whether a character is part of a word that spaces or signs set off from the next.
fn is_spaced(letter: char) -> bool {
    // Thai and Lao, Burmese, Khmer; Hangul jamo; kana, Hangul compatibility jamo, Han, Hangul; what lies beyond the first plane.
    let runs_on = matches!(letter,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{1100}'..='\u{11FF}'
        | '\u{2E80}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FFDC}' | '\u{1B000}'..='\u{1B16F}'
        | '\u{20000}'..='\u{3FFFF}');
    (letter.is_alphanumeric() || letter == '_') && !runs_on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_people_expect() {
        for (keyword, text, expect) in [
            ("translate", "Translate this, please", true),
            ("translate", "please (translate)", true),
            ("translate", "translate", true),
            ("translate", "it was translated", false),
            ("translate", "mistranslate", false),
            ("translate", "translate_all()", false),
            ("translate", "translated, no: translate!", true),
            ("translate", "请translate一下", true),
            ("Translate*", "it was TRANSLATED", true),
            ("translate*", "mistranslate", false),
            ("*translate", "mistranslate", true),
            ("*translate*", "mistranslated", true),
            ("翻译", "请翻译成英文", true),
            ("翻译", "请译成英文", false),
            ("번역", "이 글을 번역해줘", true),
            ("翻訳", "これを翻訳して", true),
            ("แปล", "ช่วยแปลให้หน่อย", true),
            ("code review", "A Code Review of this", true),
            ("c++", "in C++, not C", true),
            ("c++", "c++20", true),
            ("c", "in C++", true),
            ("c", "cc", false),
            ("перевод", "Перевод текста", true),
            ("перевод", "переводчик", false),
            ("straße", "STRASSE", false),
            ("é", "É", true),
        ] {
            let keyword = Keyword::parse(keyword).unwrap();
            assert_eq!(
                keyword.is_in(&text.to_lowercase()),
                expect,
                "{keyword} in {text}"
            );
        }
    }

    #[test]
    fn what_would_be_everywhere_is_refused() {
        for (written, expect) in [
            ("", "empty"),
            ("  ", "empty"),
            ("*", "empty"),
            ("**", "empty"),
            ("a*b", "inside"),
            ("***", "inside"),
        ] {
            let error = Keyword::parse(written).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert_eq!(
            Keyword::parse(" Übersetz* ").unwrap().to_string(),
            "Übersetz*"
        );
    }
}
