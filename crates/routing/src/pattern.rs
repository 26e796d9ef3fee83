//! Which model names a route is for.

use std::fmt;

use lingate_catalog::glob;
use regex::{Regex, RegexBuilder};

/// A name, a pattern with `*`, or a regular expression between slashes. Letters are compared as they are: `GPT-*` is not `gpt-*`;
/// an expression that begins with `(?i)` minds no case.
///
/// Time is bounded whatever a caller sends: expressions take time in proportion to the text, and texts longer than
/// [`Self::LONGEST`] match nothing.
#[derive(Debug, Clone)]
pub enum Pattern {
    Exact(String),
    Glob(String),
    /// It may match a part of the text: `^` and `$` hold it to the beginning and the end.
    Regex(Regex),
}

/// A pattern that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl Pattern {
    /// Bytes of a text; no model has a longer name, not even one that is a path.
    pub const LONGEST: usize = 2048;

    /// Bytes of an expression, as written and once compiled.
    const WRITTEN: usize = 2048;
    const COMPILED: usize = 1 << 20;
    /// Bytes that one thread keeps for an expression while it is used; with less it is slower and still right.
    const WORKSPACE: usize = 256 << 10;

    /// `gpt-4o`, `gpt-*`, or `/^claude-3/`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let expression = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .filter(|expression| !expression.is_empty());
        match expression {
            Some(expression) => Self::regex(expression),
            None if text.len() > Self::LONGEST => Err(BadPattern(format!(
                "it has {} bytes, and at most {} are compared",
                text.len(),
                Self::LONGEST
            ))),
            None => Ok(Self::glob(text)),
        }
    }

    /// `gpt-4o` or `gpt-*`, where there are no regular expressions.
    pub(crate) fn glob(text: &str) -> Self {
        if text.contains('*') {
            Self::Glob(text.to_owned())
        } else {
            Self::Exact(text.to_owned())
        }
    }

    fn regex(expression: &str) -> Result<Self, BadPattern> {
        if expression.len() > Self::WRITTEN {
            return Err(BadPattern(format!(
                "the regular expression has {} bytes, and may have {}: write several routes, or patterns with `*`",
                expression.len(),
                Self::WRITTEN
            )));
        }
        let built = RegexBuilder::new(expression)
            .size_limit(Self::COMPILED)
            .dfa_size_limit(Self::WORKSPACE)
            .build();
        built.map(Self::Regex).map_err(|error| {
            if let regex::Error::CompiledTooBig(limit) = &error {
                return BadPattern(format!(
                    "the regular expression needs more than {} KiB: repeat less often (`.*` in place of `.{{1000}}`), and do not repeat repetitions",
                    limit >> 10
                ));
            }
            // The last line says what is wrong; those before it draw the expression.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let wrong = last.trim_start_matches("error: ");
            let advice = if wrong.contains("look-around") {
                "; put a route for the names that are not meant before this one, the first that matches is taken"
            } else if wrong.contains("backreference") {
                "; write the alternatives out, as in `(a-a|b-b)`"
            } else {
                ""
            };
            BadPattern(format!("not a regular expression: {wrong}{advice}"))
        })
    }

    /// Whether it is for this name; of headers and tools, whether it is this value.
    pub fn matches(&self, text: &str) -> bool {
        if text.len() > Self::LONGEST {
            return false;
        }
        match self {
            Self::Exact(name) => name == text,
            Self::Glob(pattern) => glob::matches(pattern, text),
            Self::Regex(expression) => expression.is_match(text),
        }
    }

    /// The one name that it stands for, if it is no pattern.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Glob(_) | Self::Regex(_) => None,
        }
    }
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::Glob(text) => f.write_str(text),
            Self::Regex(expression) => write!(f, "/{expression}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_told_apart() {
        for (pattern, model, expect) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o-mini", true),
            ("/^claude-3/", "claude-3-opus", true),
            ("/^claude-3/", "my-claude-3", false),
            ("/mini$/", "gpt-4o-mini", true),
            ("meta/llama", "meta/llama", true),
            ("/", "/", true),
            ("//", "//", true),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(model),
                expect,
                "{pattern}"
            );
        }
    }

    #[test]
    fn case_is_minded_unless_an_expression_says_otherwise() {
        for (pattern, expect) in [
            ("gpt-4o", false),
            ("gpt-*", false),
            ("/^gpt/", false),
            ("/^(?i)gpt/", true),
            ("GPT-*", true),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches("GPT-4o"),
                expect,
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_costs_too_much_is_refused_and_says_what_to_do() {
        let long = format!("/{}/", "a".repeat(2049));
        let name = "a".repeat(2049);
        let deep = format!("/{}a{}/", "(".repeat(500), ")".repeat(500));
        for (pattern, expect) in [
            ("/(/", "not a regular expression: unclosed group"),
            ("/(a{1000}){1000}/", "repeat less often"),
            ("/((((a{99}){99}){99}){99}){99}/", "repeat less often"),
            (r"/\w{500}/", "repeat less often"),
            (
                "/^(?!gpt)/",
                "put a route for the names that are not meant before this one",
            ),
            ("/(?<=gpt-)4/", "put a route for"),
            (r"/^(a|b)-\1$/", "write the alternatives out"),
            ("/a**{/", "not a regular expression"),
            (&deep, "nest"),
            (&long, "has 2049 bytes"),
            (&name, "has 2049 bytes"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(expect), "{pattern}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn nothing_backtracks_and_long_names_match_nothing() {
        let evil = Pattern::parse("/^(a+)+$/").unwrap();
        let longest = "a".repeat(Pattern::LONGEST);
        assert!(evil.matches(&longest));
        assert!(!evil.matches(&format!("{}!", &longest[1..])));
        for pattern in ["*", "/a/", "/^(a+)+$/"] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert!(pattern.matches(&longest));
            assert!(!pattern.matches(&format!("{longest}a")), "{pattern}");
        }
    }

    #[test]
    fn patterns_are_shown_as_written() {
        for written in ["gpt-4o", "gpt-*", "/^claude-3/", "//"] {
            assert_eq!(Pattern::parse(written).unwrap().to_string(), written);
        }
    }
}
