//! Which language a text is in, as far as its script tells it.

use std::fmt;

/// A language, as far as its script tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Han, unless there are so many kana that it is Japanese.
    Chinese,
    Japanese,
    Korean,
    /// A language in Cyrillic letters.
    Russian,
    /// A language in Arabic letters.
    Arabic,
    /// A language in Latin letters, such as English.
    Latin,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chinese => "Chinese",
            Self::Japanese => "Japanese",
            Self::Korean => "Korean",
            Self::Russian => "Russian",
            Self::Arabic => "Arabic",
            Self::Latin => "Latin",
        })
    }
}

/// How much of a text is written in which script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scripts {
    han: usize,
    kana: usize,
    hangul: usize,
    cyrillic: usize,
    arabic: usize,
    latin: usize,
    other: usize,
}

/// A letter of Han, kana or Hangul says as much as so many of an alphabet: a question in Chinese that names a file and an error
/// is a question in Chinese.
const ALPHABETIC: usize = 3;

impl Scripts {
    pub(crate) fn of(text: &str) -> Self {
        let mut scripts = Self::default();
        for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
            let (count, by) = match letter {
                'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => {
                    (&mut scripts.latin, 1)
                }
                '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8F}' | '\u{2DE0}'..='\u{2DFF}' => {
                    (&mut scripts.cyrillic, 1)
                }
                '\u{600}'..='\u{6FF}'
                | '\u{750}'..='\u{77F}'
                | '\u{8A0}'..='\u{8FF}'
                | '\u{FB50}'..='\u{FDFF}'
                | '\u{FE70}'..='\u{FEFF}' => (&mut scripts.arabic, 1),
                '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9F}' => {
                    (&mut scripts.kana, ALPHABETIC)
                }
                '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}' | '\u{AC00}'..='\u{D7FF}' => {
                    (&mut scripts.hangul, ALPHABETIC)
                }
                '\u{3005}'..='\u{3007}'
                | '\u{3400}'..='\u{4DBF}'
                | '\u{4E00}'..='\u{9FFF}'
                | '\u{F900}'..='\u{FAFF}'
                | '\u{20000}'..='\u{3FFFF}' => (&mut scripts.han, ALPHABETIC),
                _ => (&mut scripts.other, 1),
            };
            *count += by;
        }
        scripts
    }

    /// Whether at least a third of it is in this language. A text may be in several, and one without letters is in none.
    pub(crate) fn are(&self, language: Language) -> bool {
        let Self {
            han,
            kana,
            hangul,
            cyrillic,
            arabic,
            latin,
            other,
        } = *self;
        let all = han + kana + hangul + cyrillic + arabic + latin + other;
        // Chinese may quote a word of Japanese, while no sentence of Japanese gets by without kana.
        let (chinese, japanese) = if kana > 0 && kana * 10 >= han {
            (0, han + kana)
        } else {
            (han, kana)
        };
        let share = match language {
            Language::Chinese => chinese,
            Language::Japanese => japanese,
            Language::Korean => hangul,
            Language::Russian => cyrillic,
            Language::Arabic => arabic,
            Language::Latin => latin,
        };
        share > 0 && share * 3 >= all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_script() {
        use Language::{Arabic, Chinese, Japanese, Korean, Latin, Russian};
        for (text, expect) in [
            ("Please translate this.", &[Latin][..]),
            ("Übersetze das, ça va ?", &[Latin]),
            ("请把这段话翻译成英文", &[Chinese]),
            (
                "请帮我修复 src/Button.tsx 里的 TypeError",
                &[Chinese, Latin],
            ),
            ("Explain what 好 means in this sentence, please", &[Latin]),
            ("これを英語に翻訳してください", &[Japanese]),
            ("東京特許許可局長、規定改正", &[Chinese]),
            (
                "日语里的「の」相当于汉语里的「的」，请解释它的几种用法",
                &[Chinese],
            ),
            ("이것을 번역해 주세요", &[Korean]),
            ("переведи это, пожалуйста", &[Russian]),
            ("ترجم هذا من فضلك", &[Arabic]),
            ("μετάφραση", &[]),
            ("12 + 30 = ?", &[]),
            ("", &[]),
        ] {
            let found: Vec<Language> = [Chinese, Japanese, Korean, Russian, Arabic, Latin]
                .into_iter()
                .filter(|language| Scripts::of(text).are(*language))
                .collect();
            assert_eq!(found, expect, "{text}");
        }
    }
}
