//! YAML as plain values, with the line of each, and plain values as YAML: what is written is read as the same.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use crate::effective;
use crate::place::{Problem, Problems, Source};
use crate::tree;

/// Where values stand in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The line, from 1, of what a JSON pointer leads to, else of what it would be in.
    pub fn of(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.0.get(pointer) {
                return *line;
            }
            match pointer.rsplit_once('/') {
                Some((outer, _)) => pointer = outer,
                None => return 1,
            }
        }
    }
}

/// A value as YAML, one entry a line.
pub fn yaml(value: &Value) -> String {
    if value.as_object().is_some_and(Map::is_empty) {
        return "{}\n".to_owned();
    }
    let mut out = String::new();
    effective::write(value, 0, &mut out);
    out
}

/// Reads YAML, or JSON, which is YAML: unquoted numbers, `true`, `false` and `null` are those of JSON, and everything else is text.
/// `name` is what the text is called in problems.
pub fn parse_yaml(text: &str, name: &str) -> Result<(Value, Lines), Problems> {
    // Keys that are there twice, tags, depth, copies of copies.
    tree::parse(text, &Source::file(name)).map_err(Problems)?;
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let place = Source::file(name).at(error.marker().line(), error.marker().col() + 1);
            Problems(vec![Problem::new(place, "", error.info())])
        })?;
        builder.event(event, span);
    }
    Ok((builder.root.unwrap_or_default(), Lines(builder.lines)))
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Value>,
    anchors: BTreeMap<usize, Value>,
    lines: BTreeMap<String, usize>,
}

struct Open {
    value: Value,
    anchor: usize,
    pointer: String,
    key: Option<String>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) {
        let line = span.start.line();
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.add(value, 0, line);
            }
            Event::Scalar(text, style, anchor, _) => {
                let value = if style == ScalarStyle::Plain {
                    typed(&text)
                } else {
                    Value::String(text.into_owned())
                };
                self.add(value, anchor, line);
            }
            Event::SequenceStart(anchor, _) => self.start(Value::Array(Vec::new()), anchor, line),
            Event::MappingStart(anchor, _) => self.start(Value::Object(Map::new()), anchor, line),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.put(open.value, open.anchor);
                }
            }
        }
    }

    /// Where the next value goes.
    fn pointer(&self) -> String {
        let Some(open) = self.open.last() else {
            return String::new();
        };
        let step = match (&open.value, &open.key) {
            (Value::Array(items), _) => items.len().to_string(),
            (_, Some(key)) => key.replace('~', "~0").replace('/', "~1"),
            (_, None) => return open.pointer.clone(),
        };
        format!("{}/{step}", open.pointer)
    }

    fn start(&mut self, value: Value, anchor: usize, line: usize) {
        let pointer = self.pointer();
        self.lines.entry(pointer.clone()).or_insert(line);
        self.open.push(Open {
            value,
            anchor,
            pointer,
            key: None,
        });
    }

    fn add(&mut self, value: Value, anchor: usize, line: usize) {
        if let Some(open) = self.open.last_mut()
            && open.value.is_object()
            && open.key.is_none()
        {
            // The tree has seen that keys are texts; as they are written, not as what they look like.
            open.key = Some(match value {
                Value::String(text) => text,
                other => other.to_string(),
            });
            let pointer = self.pointer();
            self.lines.insert(pointer, line);
            return;
        }
        let pointer = self.pointer();
        self.lines.entry(pointer).or_insert(line);
        self.put(value, anchor);
    }

    fn put(&mut self, value: Value, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(open) => match &mut open.value {
                Value::Array(items) => items.push(value),
                Value::Object(entries) => {
                    if let Some(key) = open.key.take() {
                        entries.insert(key, value);
                    }
                }
                _ => {}
            },
        }
    }
}

fn typed(text: &str) -> Value {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for value in [
            json!({}),
            json!({"a": {"b": [1, 2.50, "2.50", "1e5", true, "true", null, "null", "", "~", {}, []]}}),
            json!({"a/b~c": "x: y # z", "12": "no", "-": "- a", "yes": "line\nbreak \"q\" \\", "é": "日本\u{7f}\u{85}\u{2028}"}),
            json!({"list": [{"a": 1, "b": {"c": [[1], [{"d": "e"}]]}}, ["x"]]}),
            json!({"t": ["0x10", "1_000", ".5", "+1", "0o7", "inf", "NaN", "=", "<<", "!x", "&a", "*a", "%", "@", "`", "?", "|", ">", "'", "a'b", " lead", "trail ", "2026-12-01", "${A}", "file:/x", "a,b", "[", "{"]}),
        ] {
            let text = yaml(&value);
            let (read, _) =
                parse_yaml(&text, "x").unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, value, "{text}");
            assert_eq!(yaml(&read), text);
        }
        let number: Value =
            serde_json::from_str("{\"n\": [0.1000, 1E-9, 123456789012345678901234567890]}")
                .unwrap();
        assert_eq!(parse_yaml(&yaml(&number), "x").unwrap().0, number);
        assert_eq!(parse_yaml(&number.to_string(), "x").unwrap().0, number);
    }

    #[test]
    fn lines_are_known() {
        let text = "a: 1\nb:\n  c:\n    - x\n    - d: 2\n\n      e/f: [\n        7]\n";
        let (_, lines) = parse_yaml(text, "x").unwrap();
        for (pointer, line) in [
            ("/a", 1),
            ("/b", 2),
            ("/b/c", 3),
            ("/b/c/0", 4),
            ("/b/c/1", 5),
            ("/b/c/1/d", 5),
            ("/b/c/1/e~1f", 7),
            ("/b/c/1/e~1f/0", 8),
            ("/b/c/1/nothing/at", 5),
            ("/z", 1),
            ("", 1),
        ] {
            assert_eq!(lines.of(pointer), line, "{pointer}");
        }
    }
}
