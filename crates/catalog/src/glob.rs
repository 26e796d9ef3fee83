//! Name patterns with `*`: any run of characters, also none. Everything else stands for itself.

/// A pattern that many names are held against: one that does not fit is mostly told by its first characters.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: Box<str>,
    /// Bytes before the first `*`; all of them when there is none.
    head: usize,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            head: text.find('*').unwrap_or(text.len()),
        }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// As [`matches`].
    pub(crate) fn matches(&self, name: &str) -> bool {
        let head = self.text.get(..self.head).unwrap_or_default();
        name.starts_with(head) && matches(&self.text, name)
    }
}

/// Whether `pattern` covers the whole of `name`. Letters are compared as they are.
///
/// Time is bounded by the product of both lengths, whatever the pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(head) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        // The earliest place is always good enough: it leaves the most for the pieces that follow.
        let Some(at) = left.find(piece) else {
            return false;
        };
        left = left.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Pattern, matches};

    #[test]
    fn covers_whole_names() {
        for (pattern, name, expect) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4*", "gpt-4o-mini", true),
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "xgpt-4", false),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-2", false),
            ("claude-*-4-5*", "claude-sonnet-4-5-20250929", true),
            ("claude-*-4-5*", "claude-4-5", false),
            ("a*b*c", "abbc", true),
            ("a*bc", "abcbc", true),
            ("a*bc", "abcb", false),
            ("*", "", true),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("aa*aa", "aaa", false),
            ("名*", "名前", true),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} on {name}");
            assert_eq!(
                Pattern::new(pattern).matches(name),
                expect,
                "{pattern} on {name}"
            );
        }
    }
}
