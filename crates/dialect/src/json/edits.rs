//! Edits to places deep inside of a JSON text; every other byte stays as it came.

use std::ops::Range;

use super::Node;

/// Edits to the text that was parsed, gathered and then made at once. Nodes that are handed in must be cut out of that text.
#[derive(Debug, Clone)]
pub(crate) struct Edits<'a> {
    text: &'a str,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            text,
            edits: Vec::new(),
        }
    }

    /// The text with the edits; `None`: there are none.
    pub(crate) fn apply(mut self) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut body = Vec::with_capacity(self.text.len());
        let mut at = 0;
        for (range, with) in &self.edits {
            // What lies inside of something that is gone needs no edit of its own.
            if range.start < at {
                continue;
            }
            body.extend_from_slice(self.text.get(at..range.start)?.as_bytes());
            body.extend_from_slice(with.as_bytes());
            at = range.end;
        }
        body.extend_from_slice(self.text.get(at..)?.as_bytes());
        Some(body)
    }

    /// Puts other JSON in the place of a value.
    pub(crate) fn replace(&mut self, value: Node<'_>, json: impl Into<String>) {
        let place = self.place(value);
        self.edits.push((place, json.into()));
    }

    /// Takes out a range of the text.
    pub(crate) fn cut(&mut self, range: Range<usize>) {
        self.edits.push((range, String::new()));
    }

    /// Where a node of the body stands in it.
    pub(crate) fn place(&self, node: Node<'_>) -> Range<usize> {
        let raw = node.raw();
        let start = (raw.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + raw.len()
    }

    /// Puts a field, with its comma, in front of those of an object that has some.
    pub(crate) fn insert_first(&mut self, object: Node<'_>, field: String) {
        let start = self.place(object).start + 1;
        self.edits.push((start..start, field));
    }

    /// Removes elements of one array, given in order, with the commas that go with them.
    pub(crate) fn remove_elements(&mut self, elements: &[Node<'a>], gone: &[usize]) {
        let last_kept = (0..elements.len()).rev().find(|at| !gone.contains(at));
        for &at in gone {
            let Some(element) = elements.get(at) else {
                continue;
            };
            let place = self.place(*element);
            let next = elements.get(at + 1).map(|next| self.place(*next).start);
            let range = match (next, last_kept) {
                (Some(next), Some(kept)) if at < kept => place.start..next,
                // Behind the last one that stays: from its end on, once.
                (_, Some(kept)) if at == kept + 1 => {
                    let Some(kept) = elements.get(kept) else {
                        continue;
                    };
                    let end = elements
                        .last()
                        .map_or(place.end, |last| self.place(*last).end);
                    self.place(*kept).end..end
                }
                (_, Some(_)) => continue,
                (Some(next), None) => place.start..next,
                (None, None) => place,
            };
            self.edits.push((range, String::new()));
        }
    }

    /// Removes a field by its value. Its name holds no escapes.
    pub(crate) fn remove_field(&mut self, value: Node<'_>) {
        let place = self.place(value);
        let before = self.text.get(..place.start).unwrap_or_default();
        let Some(key) = before
            .rfind('"')
            .and_then(|close| before.get(..close)?.rfind('"'))
        else {
            return;
        };
        let after = self.text.get(place.end..).unwrap_or_default();
        let rest = after.trim_ascii_start();
        let range = if let Some(rest) = rest.strip_prefix(',') {
            let next = self.text.len() - rest.trim_ascii_start().len();
            key..next
        } else {
            let head = before.get(..key).unwrap_or_default().trim_ascii_end();
            match head.strip_suffix(',') {
                Some(head) => head.len()..place.end,
                None => key..place.end,
            }
        };
        self.edits.push((range, String::new()));
    }
}
