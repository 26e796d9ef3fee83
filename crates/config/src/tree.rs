//! YAML as a tree in which every value knows its place.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;

use crate::place::{Place, Problem, Source};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Nothing, `~` or `null`.
    Null,
    /// The text as written; which type it has is for the reader to say.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the text; no key twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// Far more than a configuration has, and little enough to read recursively.
const DEEPEST: usize = 32;
/// Aliases (`*name`) copy what they refer to; copies of copies grow fast.
const MOST_NODES: usize = 1_000_000;

impl Node {
    pub(crate) fn scalar(place: Place, text: impl Into<String>) -> Self {
        Self {
            place,
            data: Data::Scalar(text.into()),
        }
    }

    pub(crate) fn map(place: Place) -> Self {
        Self {
            place,
            data: Data::Map(Vec::new()),
        }
    }

    /// The value of a key that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Data::Map(entries) = &self.data else {
            return None;
        };
        entries
            .iter()
            .find(|(key, value)| key.name == name && !matches!(value.data, Data::Null))
            .map(|(_, value)| value)
    }

    /// Takes the value of a key out, leaving null in its place; null if it is not there.
    pub(crate) fn take(&mut self, name: &str, place: &Place) -> Self {
        let mut taken = Self {
            place: place.clone(),
            data: Data::Null,
        };
        if let Data::Map(entries) = &mut self.data
            && let Some((_, value)) = entries.iter_mut().find(|(key, _)| key.name == name)
        {
            std::mem::swap(value, &mut taken);
        }
        taken
    }

    /// Puts a value behind the keys of `path`. What is no map on the way becomes one.
    pub(crate) fn put(&mut self, path: &[&str], place: &Place, value: Self) {
        let Some((name, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        let mut child = self.take(name, place);
        child.put(rest, place, value);
        if !matches!(self.data, Data::Map(_)) {
            *self = Self::map(place.clone());
        }
        let Data::Map(entries) = &mut self.data else {
            return;
        };
        match entries.iter_mut().find(|(key, _)| key.name == *name) {
            Some((_, value)) => *value = child,
            None => entries.push((
                Key {
                    name: (*name).to_owned(),
                    place: place.clone(),
                },
                child,
            )),
        }
    }

    /// Puts a value at the end of a list, which begins with it if there is none.
    pub(crate) fn append(&mut self, name: &str, place: &Place, value: Self) {
        let mut list = self.take(name, place);
        match &mut list.data {
            Data::List(items) => items.push(value),
            Data::Null => list.data = Data::List(vec![value]),
            Data::Scalar(_) | Data::Map(_) => {
                let single = Self {
                    place: list.place.clone(),
                    data: std::mem::replace(&mut list.data, Data::Null),
                };
                list.data = Data::List(vec![single, value]);
            }
        }
        self.put(&[name], place, list);
    }

    /// The value of a key, also where it is null.
    pub(crate) fn entry(&self, name: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(key, _)| key.name == name);
        found.map(|(_, value)| value)
    }

    pub(crate) fn entries(&self) -> &[(Key, Self)] {
        match &self.data {
            Data::Map(entries) => entries,
            Data::Null | Data::Scalar(_) | Data::List(_) => &[],
        }
    }

    /// Those of a list; what stands in place of a list is a list of one.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.data {
            Data::List(items) => items,
            Data::Null => &[],
            Data::Scalar(_) | Data::Map(_) => std::slice::from_ref(self),
        }
    }

    /// The text of a key, as written.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.data {
            Data::Scalar(text) => Some(text),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    fn size(&self) -> usize {
        1 + match &self.data {
            Data::Null | Data::Scalar(_) => 0,
            Data::List(items) => items.iter().map(Self::size).sum(),
            Data::Map(entries) => entries.iter().map(|(_, value)| value.size()).sum(),
        }
    }
}

/// A value of JSON as a tree; what is in it has places within `place`.
pub(crate) fn of_json(value: &Value, place: &Place) -> Result<Node, Problem> {
    descend(value, place, 0)
}

fn descend(value: &Value, place: &Place, depth: usize) -> Result<Node, Problem> {
    if depth == DEEPEST {
        return Err(Problem::new(place.clone(), "", "nested too deep"));
    }
    let data = match value {
        Value::Null => Data::Null,
        Value::Bool(flag) => Data::Scalar(flag.to_string()),
        Value::Number(number) => Data::Scalar(number.to_string()),
        Value::String(text) => Data::Scalar(text.clone()),
        Value::Array(items) => {
            let items = items
                .iter()
                .enumerate()
                .map(|(number, item)| descend(item, &place.within(&number.to_string()), depth + 1));
            Data::List(items.collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let place = place.within(name);
                let key = Key {
                    name: name.clone(),
                    place: place.clone(),
                };
                Ok((key, descend(value, &place, depth + 1)?))
            });
            Data::Map(entries.collect::<Result<_, _>>()?)
        }
    };
    Ok(Node {
        place: place.clone(),
        data,
    })
}

/// Reads one document. An empty text is null.
pub(crate) fn parse(text: &str, source: &Source) -> Result<Node, Vec<Problem>> {
    let mut builder = Builder {
        source,
        open: Vec::new(),
        root: None,
        anchors: BTreeMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                if builder.event(event, span).is_none() {
                    break;
                }
            }
            Err(error) => {
                let marker = error.marker();
                let place = source.at(marker.line(), marker.col() + 1);
                builder.problem(place, format!("not YAML: {}", error.info()));
                break;
            }
        }
    }
    if !builder.problems.is_empty() {
        return Err(builder.problems);
    }
    Ok(builder.root.unwrap_or(Node {
        place: source.at(1, 1),
        data: Data::Null,
    }))
}

struct Builder<'a> {
    source: &'a Source,
    /// Lists and maps that are not closed, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

struct Open {
    node: Node,
    anchor: usize,
    /// In a map: the key whose value comes next.
    key: Option<Key>,
}

impl Builder<'_> {
    fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, "", message));
    }

    /// `None` when it makes no sense to go on.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = self.source.at(span.start.line(), span.start.col() + 1);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    self.problem(place, "a second document; only one is read");
                    return None;
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    self.problem(place, "an alias inside of what it refers to");
                    return None;
                };
                self.add(node, 0)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
                    self.problem(place.clone(), "tags (`!…`) have no meaning here");
                }
                let null = style == ScalarStyle::Plain
                    && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let data = if null {
                    Data::Null
                } else {
                    Data::Scalar(text.into_owned())
                };
                self.add(Node { place, data }, anchor)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.start(
                    Node {
                        place,
                        data: Data::List(Vec::new()),
                    },
                    anchor,
                )?;
            }
            Event::MappingStart(anchor, _) => self.start(Node::map(place), anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                self.add(open.node, open.anchor)?;
            }
        }
        Some(())
    }

    fn start(&mut self, node: Node, anchor: usize) -> Option<()> {
        if self.open.len() == DEEPEST {
            self.problem(node.place, "nested too deep");
            return None;
        }
        self.open.push(Open {
            node,
            anchor,
            key: None,
        });
        Some(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Option<()> {
        self.nodes += node.size();
        if self.nodes > MOST_NODES {
            self.problem(node.place, "too many values");
            return None;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        match &mut open.node.data {
            Data::List(items) => items.push(node),
            Data::Map(entries) => match open.key.take() {
                Some(key) => {
                    if entries.iter().any(|(known, _)| known.name == key.name) {
                        let message = format!("the key `{}` is here twice", key.name);
                        self.problem(key.place, message);
                    } else {
                        entries.push((key, node));
                    }
                }
                None => match node.data {
                    Data::Scalar(name) => {
                        open.key = Some(Key {
                            name,
                            place: node.place,
                        });
                    }
                    Data::Null | Data::List(_) | Data::Map(_) => {
                        self.problem(node.place, "a key is a plain text");
                        return None;
                    }
                },
            },
            Data::Null | Data::Scalar(_) => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn show(node: &Node) -> String {
        match &node.data {
            Data::Null => "null".to_owned(),
            Data::Scalar(text) => format!("{text:?}"),
            Data::List(items) => {
                format!(
                    "[{}]",
                    items.iter().map(show).collect::<Vec<_>>().join(", ")
                )
            }
            Data::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {}", key.name, show(value)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    fn check(text: &str) -> String {
        match parse(text, &Source::file("x.yml")) {
            Ok(node) => show(&node),
            Err(problems) => problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    #[test]
    fn reads_values_and_tells_places() {
        for (text, expect) in [
            ("", "null"),
            ("# nothing\n", "null"),
            (
                "a: 1\nb: [x, 'y', ~]\nc:\n",
                r#"{a: "1", b: ["x", "y", null], c: null}"#,
            ),
            ("a: 'null'\n", r#"{a: "null"}"#),
            ("a: &x {k: v}\nb: *x\n", r#"{a: {k: "v"}, b: {k: "v"}}"#),
            ("\u{feff}a: 1", r#"{a: "1"}"#),
            ("a: 1\r\nb: 2\r\n", r#"{a: "1", b: "2"}"#),
            ("{\"a\": {\"b\": [1, true]}}", r#"{a: {b: ["1", "true"]}}"#),
            ("a: 1\nb: 2\na: 3\n", "x.yml:3:1: the key `a` is here twice"),
            (
                "a: !secret x\n",
                "x.yml:1:4: tags (`!…`) have no meaning here",
            ),
            (
                "a: 1\n---\nb: 2\n",
                "x.yml:2:1: a second document; only one is read",
            ),
            ("[a]: 1\n", "x.yml:1:1: a key is a plain text"),
        ] {
            assert_eq!(check(text), expect, "{text}");
        }
        for broken in [
            "a: [1, 2\n",
            "a: b: c\n",
            "a: \"x\n",
            "a: *nobody\n",
            "- a\nb: 1\n",
        ] {
            let problem = check(broken);
            assert!(
                problem.starts_with("x.yml:") && problem.contains("not YAML"),
                "{broken}: {problem}"
            );
        }
    }

    #[test]
    fn stays_small() {
        for (depth, expect) in [
            (40, "nested too deep"),
            (100_000, "recursion limit exceeded"),
        ] {
            let found = check(&"[".repeat(depth));
            assert!(found.contains(expect), "{depth}: {found}");
        }
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            let copies = vec![format!("*a{before}"); 6].join(", ");
            writeln!(laughs, "a{level}: &a{level} [{copies}]").unwrap();
        }
        assert!(check(&laughs).contains("too many values"));
    }
}
