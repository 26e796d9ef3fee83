//! Tool names as a target can spell them, and the way back. A pure function of the names, so history stays byte-stable.

use std::collections::{BTreeMap, BTreeSet};

use crate::Quirks;
use crate::ToolChanges;
use crate::hub::{PartBody, Request, ToolBody, ToolChoice};
use crate::quirks::NameForm;
use crate::recast::TextIs;

/// Between a namespace and a name in it, where an answer calls a tool that is not led back to its declaration yet. No name has it.
const INSIDE: char = '\u{1f}';

/// The name under which the hub knows a tool of a namespace in an answer, until it is led back.
pub(crate) fn spaced(space: &str, name: &str) -> String {
    format!("{space}{INSIDE}{name}")
}

/// The namespace and the name in it.
pub(crate) fn of_space(name: &str) -> Option<(&str, &str)> {
    name.split_once(INSIDE)
}

/// The name of a tool of a namespace where there are no namespaces.
pub(crate) fn flat(space: &str, name: &str) -> String {
    // A tool that was searched for has a namespace of its own, and no namespace in its declaration.
    if space == name {
        return name.to_owned();
    }
    let between = if space.ends_with("__") { "" } else { "__" };
    format!("{space}{between}{name}")
}

/// The name as callers know it whose dialect has no namespaces: they declared none, so it is the vendor that put the tool into one.
pub(crate) fn plain(name: &str) -> &str {
    of_space(name).map_or(name, |(_, name)| name)
}

/// Which names a dialect accepts.
#[derive(Debug, Clone, Copy)]
pub struct NameRule {
    pub first: fn(u8) -> bool,
    pub rest: fn(u8) -> bool,
    /// Bytes.
    pub longest: usize,
}

/// The names of one request that had to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames {
    /// `(sent, original)`, in order of appearance.
    renamed: Vec<(String, String)>,
    /// Where the original stands in the list.
    places: BTreeMap<String, usize>,
}

impl ToolNames {
    /// Looks at every name in declarations, history and tool choice.
    pub fn of(request: &Request, rule: NameRule) -> Self {
        let mut all: Vec<&str> = Vec::new();
        for tool in &request.tools {
            if let ToolBody::Function { name, .. } | ToolBody::Custom { name, .. } = &tool.body {
                all.push(name);
            }
        }
        for part in request.turns.iter().flat_map(|turn| &turn.parts) {
            match &part.body {
                PartBody::ToolCall(call) => all.push(&call.name),
                PartBody::ToolResult(result) => all.extend(result.name.as_deref()),
                PartBody::Text(_)
                | PartBody::Media(_)
                | PartBody::Reasoning(_)
                | PartBody::Refusal(_)
                | PartBody::Opaque(_) => {}
            }
        }
        match &request.tool_choice {
            Some(ToolChoice::Tool(name)) => all.push(name),
            Some(ToolChoice::Allowed { names, .. }) => all.extend(names.iter().map(String::as_str)),
            Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
        }
        let mut taken: BTreeSet<String> = all
            .iter()
            .filter(|name| rule.fits(name))
            .map(|name| (*name).to_owned())
            .collect();
        let mut names = Self::default();
        for name in all {
            if rule.fits(name) || names.places.contains_key(name) {
                continue;
            }
            let mut sent = rule.spell(name);
            if sent.len() > rule.longest || taken.contains(&sent) {
                let hash = format!("_{:08x}", crate::fnv::fnv32(name));
                sent.truncate(rule.longest.saturating_sub(hash.len()));
                sent.push_str(&hash);
            }
            taken.insert(sent.clone());
            names.places.insert(name.to_owned(), names.renamed.len());
            names.renamed.push((sent, name.to_owned()));
        }
        names
    }

    /// The name to send.
    pub fn sent<'a>(&'a self, name: &'a str) -> &'a str {
        let place = self.places.get(name);
        place
            .and_then(|place| self.renamed.get(*place))
            .map_or(name, |(sent, _)| sent)
    }

    /// What is to be undone on the answer; `wrapped` are free-form tools that were declared as functions.
    pub fn into_changes(self, wrapped: Vec<String>) -> ToolChanges {
        ToolChanges {
            renamed: self.renamed,
            wrapped,
            text_is: TextIs::Text,
        }
    }
}

impl NameRule {
    /// The rule as a model or provider has it, where it differs from its dialect.
    #[must_use]
    pub fn under(self, quirks: &Quirks) -> Self {
        let word: fn(u8) -> bool = |c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        let letter: fn(u8) -> bool = |c| c.is_ascii_alphabetic() || c == b'_';
        let (first, rest) = match quirks.tool_name_form {
            NameForm::Usual => (self.first, self.rest),
            NameForm::Word => (word, word),
            NameForm::LetterFirst => (letter, word),
            NameForm::Dotted => {
                let dotted: fn(u8) -> bool =
                    |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b':');
                (letter, dotted)
            }
        };
        let longest = match usize::try_from(quirks.tool_name_longest) {
            Ok(0) | Err(_) => self.longest,
            // Shorter than this there is no room for what tells two names apart.
            Ok(longest) => longest.max(16),
        };
        Self {
            first,
            rest,
            longest,
        }
    }

    pub fn fits(&self, name: &str) -> bool {
        name.len() <= self.longest
            && name.bytes().next().is_some_and(self.first)
            && name.bytes().all(self.rest)
    }

    fn spell(&self, name: &str) -> String {
        let mut spelled: String = name
            .chars()
            .map(|c| {
                if u8::try_from(c).is_ok_and(self.rest) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        if !spelled.bytes().next().is_some_and(self.first) {
            spelled.insert(0, '_');
        }
        spelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::At;
    use crate::hub::{Extra, Tool};

    const RULE: NameRule = NameRule {
        first: |c| c.is_ascii_alphanumeric() || c == b'_',
        rest: |c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-',
        longest: 20,
    };

    fn check(names: &[&str], expect: &[&str]) {
        let tool = |name: &&str| Tool {
            body: ToolBody::Function {
                name: (*name).to_owned(),
                description: None,
                parameters: None,
                strict: None,
            },
            cache: None,
            at: At::Request,
            extra: Extra::default(),
        };
        let request = Request {
            tools: names.iter().map(tool).collect(),
            ..Request::default()
        };
        let map = ToolNames::of(&request, RULE);
        let sent: Vec<&str> = names.iter().map(|name| map.sent(name)).collect();
        assert_eq!(sent, expect);
        assert!(sent.iter().all(|name| RULE.fits(name)));
    }

    #[test]
    fn only_what_must_change_changes_and_nothing_collides() {
        check(&["get_weather", "a.b"], &["get_weather", "a_b"]);
        check(
            &["a_b", "a.b", "a:b"],
            &["a_b", "a_b_108bf50c", "a_b_08bd8540"],
        );
        check(
            &["a_name_that_is_far_too_long", "中文"],
            &["a_name_that_7309ec9b", "__"],
        );
    }

    #[test]
    fn names_are_found_in_any_number() {
        let names: Vec<String> = (0..100_000).map(|number| format!("a.{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let sent: Vec<String> = names.iter().map(|name| name.replace('.', "_")).collect();
        let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        check(&names, &sent);
    }

    proptest::proptest! {
        /// Every name has a spelling that fits, no two share one, the way back is exact, and the same request gives the same.
        #[test]
        fn names_map_reversibly(names in proptest::collection::btree_set("[a-zA-Z0-9_.:/ -]{0,40}|\\PC{1,30}", 1..12), longest in 16_u64..70) {
            let quirks = crate::Quirks { tool_name_longest: longest, ..crate::Quirks::default() };
            let rule = RULE.under(&quirks);
            let tool = |name: &String| Tool {
                body: ToolBody::Function { name: name.clone(), description: None, parameters: None, strict: None },
                cache: None,
                at: At::Request,
                extra: Extra::default(),
            };
            let request = Request { tools: names.iter().map(tool).collect(), ..Request::default() };
            let map = ToolNames::of(&request, rule);
            assert_eq!(map, ToolNames::of(&request, rule));
            let sent: Vec<String> = names.iter().map(|name| map.sent(name).to_owned()).collect();
            let changes = map.into_changes(Vec::new());
            let mut seen: Vec<&str> = Vec::new();
            for (name, sent) in names.iter().zip(&sent) {
                assert!(rule.fits(sent), "{name:?} became {sent:?}");
                assert!(!seen.contains(&sent.as_str()), "{sent:?} twice");
                assert_eq!(changes.original(sent), name);
                seen.push(sent);
            }
        }
    }
}
