//! `reasoning_details`: the pieces of a stream, put together into the list that is given back.

use std::fmt::Write as _;

use super::{DETAILS, answer};
use crate::DialectId;
use crate::hub::Opaque;
use crate::json::{self, Array, Node};

/// The most bytes that are remembered of one thought.
const MOST: usize = 1 << 20;

/// Texts of a detail that come in pieces.
const GROWS: [&str; 4] = ["text", "summary", "data", "signature"];

/// The details of one thought so far.
#[derive(Debug, Default)]
pub(super) struct Details {
    list: Vec<Detail>,
    length: usize,
    /// More came than is remembered: half a proof is none.
    overflowed: bool,
}

#[derive(Debug, Default)]
struct Detail {
    /// What tells it from others: its type and its index.
    name: String,
    /// In the order in which they were first told.
    fields: Vec<(String, Field)>,
}

#[derive(Debug)]
enum Field {
    Grows(String),
    /// As first told.
    Json(String),
}

impl Details {
    pub(super) fn add(&mut self, pieces: Node<'_>) {
        for piece in pieces.elements().unwrap_or_default() {
            self.length = self.length.saturating_add(piece.raw().len());
            if self.length > MOST {
                self.overflowed = true;
                self.list.clear();
                return;
            }
            let Ok(fields) = piece.fields() else {
                continue;
            };
            let mut name = String::new();
            for key in ["type", "index"] {
                let value = fields.get(key).map_or("", Node::raw);
                // Writing to a string cannot fail.
                let _written = write!(name, "{value}/");
            }
            let indexed = fields.get("index").is_some_and(|index| !index.is_null());
            let known = self
                .list
                .iter()
                .rposition(|detail| detail.name == name)
                .filter(|at| indexed || at + 1 == self.list.len());
            let at = known.unwrap_or_else(|| {
                self.list.push(Detail {
                    name,
                    ..Detail::default()
                });
                self.list.len() - 1
            });
            let Some(detail) = self.list.get_mut(at) else {
                continue;
            };
            for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let text = value.text().filter(|_| GROWS.contains(&key));
                let known = detail.fields.iter_mut().find(|(known, _)| known == key);
                match (known, text) {
                    (Some((_, Field::Grows(whole))), Some(more)) => whole.push_str(&more),
                    (Some(_), _) => {}
                    (None, Some(text)) => {
                        let field = Field::Grows(text.into_owned());
                        detail.fields.push((key.to_owned(), field));
                    }
                    (None, None) => {
                        let field = Field::Json(value.raw().to_owned());
                        detail.fields.push((key.to_owned(), field));
                    }
                }
            }
        }
    }

    /// The list, when it proves something. Begins anew.
    pub(super) fn take(&mut self) -> Option<Opaque> {
        let Self {
            list, overflowed, ..
        } = std::mem::take(self);
        if overflowed || list.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        let mut array = Array::new(&mut out);
        for detail in list {
            let mut object = array.object();
            for (key, value) in &detail.fields {
                match value {
                    Field::Grows(text) => object.string(key, text),
                    Field::Json(json) => object.value(key).extend_from_slice(json.as_bytes()),
                }
            }
        }
        drop(array);
        let json = json::raw(String::from_utf8(out).ok()?)?;
        proof(Node::from(&*json))
    }
}

/// A list of details as the proof that it is, if it holds a signature or encrypted reasoning.
pub(super) fn proof(details: Node<'_>) -> Option<Opaque> {
    if !answer::detail_proves(details) {
        return None;
    }
    Some(Opaque {
        of: DialectId::Chat,
        kind: DETAILS.to_owned(),
        json: json::raw(json::compact(details.raw()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_what_is_given_back() {
        let check = |pieces: &[&str], expect: Option<&str>| {
            let mut details = Details::default();
            for piece in pieces {
                details.add(Node::parse(piece.as_bytes()).unwrap());
            }
            let proof = details.take();
            assert_eq!(proof.as_ref().map(|proof| proof.json.get()), expect);
            assert_eq!(details.take(), None);
        };
        check(&[], None);
        check(
            &[r#"[{"type":"reasoning.text","text":"a","index":0}]"#],
            None,
        );
        check(
            &[
                r#"[{"type":"reasoning.text","text":"a","format":"f","index":0}]"#,
                r#"[{"type":"reasoning.text","text":"b","format":"f","index":0}]"#,
                r#"[{"type":"reasoning.text","signature":"S","index":0}]"#,
            ],
            Some(
                r#"[{"type":"reasoning.text","text":"ab","format":"f","index":0,"signature":"S"}]"#,
            ),
        );
        check(
            &[
                r#"[{"type":"reasoning.encrypted","data":"X","id":"rs_1","index":0}]"#,
                r#"[{"type":"reasoning.encrypted","data":"Y","id":"rs_2","index":1}]"#,
            ],
            Some(
                r#"[{"type":"reasoning.encrypted","data":"X","id":"rs_1","index":0},{"type":"reasoning.encrypted","data":"Y","id":"rs_2","index":1}]"#,
            ),
        );
        let long = format!(r#"[{{"data":"{}"}}]"#, "x".repeat(MOST));
        check(&[&long], None);
    }
}
