//! Which model names a route is for.

use std::fmt;

use lingate_catalog::glob;
use regex::{Regex, RegexBuilder};

/// A model name, a pattern with `*`, or a regular expression between slashes.
#[derive(Debug, Clone)]
pub enum Pattern {
    Exact(String),
    Glob(String),
    Regex(Regex),
}

/// A regular expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl Pattern {
    /// `gpt-4o`, `gpt-*`, or `/^claude-3/`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if let Some(expression) = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .filter(|expression| !expression.is_empty())
        {
            return RegexBuilder::new(expression)
                .size_limit(1 << 20)
                .build()
                .map(Self::Regex)
                .map_err(|error| {
                    // The last line says what is wrong; those before it draw the expression.
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    BadPattern(last.trim_start_matches("error: ").to_owned())
                });
        }
        Ok(if text.contains('*') {
            Self::Glob(text.to_owned())
        } else {
            Self::Exact(text.to_owned())
        })
    }

    pub fn matches(&self, model: &str) -> bool {
        match self {
            Self::Exact(name) => name == model,
            Self::Glob(pattern) => glob::matches(pattern, model),
            Self::Regex(expression) => expression.is_match(model),
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
        assert!(
            Pattern::parse("/(/")
                .unwrap_err()
                .0
                .contains("unclosed group")
        );
        assert!(Pattern::parse("/(a{1000}){1000}/").is_err());
    }
}
