//! Routes: which model names go where.

use std::fmt;

use lingate_catalog::glob;
use regex::{Regex, RegexBuilder};

use crate::{Handling, StreamPolicy};

/// A rule for model names. The first that matches is used.
#[derive(Debug, Clone)]
pub struct Route {
    pub model: Pattern,
    /// Tried by priority (lowest first), then as written.
    pub targets: Vec<RouteTarget>,
    /// Model names that are resolved on their own and tried after all targets.
    pub fallbacks: Vec<String>,
    /// Whether to ask for streams; `None`: as the defaults say.
    pub stream: Option<StreamPolicy>,
    /// As [`Handling::continuations`]; `None`: as the defaults say.
    pub continuations: Option<u32>,
}

impl Route {
    /// The defaults, but for what the route says.
    pub fn handling(&self, defaults: Handling) -> Handling {
        Handling {
            stream: self.stream.unwrap_or(defaults.stream),
            continuations: self.continuations.unwrap_or(defaults.continuations),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// Index into the snapshot's providers.
    pub provider: usize,
    /// The upstream's name; `None`: as asked for.
    pub model: Option<String>,
    /// Share among targets of one priority. Kept for the balancing strategies; the order does not depend on it yet.
    pub weight: u32,
    pub priority: u32,
}

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
