//! The answers that a request continues, and their items.

use lingate_dialect::envelope::Envelope;
use lingate_dialect::json::{Array, Node, escape_into};
use lingate_dialect::{ApiError, ErrorKind};
use lingate_shelf::Shelf;
use rustc_hash::{FxHashMap, FxHashSet};

use super::record::{self, Maker, Record};

/// The answers from the first to the one that is named.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) records: Vec<Record>,
    /// All that it is made of is here.
    pub(crate) whole: bool,
}

/// Where answers are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) scope: &'a str,
    pub(crate) now: i64,
    /// The most bytes that a chain may come to.
    pub(crate) most: u64,
}

impl Place<'_> {
    /// `None`: there is no such answer, or its beginning is gone and nobody else has it.
    pub(crate) async fn chain(&self, id: &str) -> Result<Option<Chain>, ApiError> {
        let mut records: Vec<Record> = Vec::new();
        let mut seen = FxHashSet::default();
        let mut next = Some(id.to_owned());
        let mut whole = true;
        let mut size = 0_u64;
        while let Some(id) = next.take() {
            // No answer continues itself; a record that says so is none of ours.
            if !seen.insert(id.clone()) {
                whole = false;
                break;
            }
            let Some(record) = record::load(self.shelf, self.scope, &id, self.now).await else {
                whole = false;
                break;
            };
            match &record.content {
                Some(content) => {
                    size += (content.input.get().len() + content.response.get().len()) as u64;
                }
                None => whole = false,
            }
            if size > self.most {
                return Err(self.too_large("previous_response_id"));
            }
            if whole {
                next.clone_from(&record.previous);
            }
            records.push(record);
        }
        records.reverse();
        let known = records
            .last()
            .is_some_and(|last| whole || last.maker.native);
        Ok(known.then_some(Chain { records, whole }))
    }

    /// The item of this id, as a stored answer has it, and who made that answer. `known`: what was found for the same request; an
    /// answer has several items.
    pub(crate) async fn item<'a>(
        &self,
        id: &str,
        known: &'a mut KnownItems,
    ) -> Result<Option<&'a (String, Maker)>, ApiError> {
        let Some(answer) = record::of_item(self.shelf, self.scope, id, self.now).await else {
            return Ok(None);
        };
        if known.answers.insert(answer.clone())
            && let Some(record) = record::load(self.shelf, self.scope, &answer, self.now).await
        {
            for item in record.output() {
                let fields = item.fields().ok();
                let own = fields.and_then(|fields| fields.get("id")?.string().ok());
                if let Some(own) = own {
                    known.size += item.raw().len() as u64;
                    let found = (item.raw().to_owned(), record.maker.clone());
                    known.items.insert((answer.clone(), own), found);
                }
            }
            if known.size > self.most {
                return Err(self.too_large("input"));
            }
        }
        Ok(known.items.get(&(answer, id.to_owned())))
    }

    /// More than a body may have would have to be written out.
    pub(crate) fn too_large(&self, param: &str) -> ApiError {
        let message = format!(
            "what it refers to is larger than {} bytes; the limit is `defaults.body_limit`",
            self.most
        );
        ApiError::new(ErrorKind::BodyTooLarge, message).param(param)
    }
}

/// Items of the answers that one request refers to.
#[derive(Debug, Default)]
pub(crate) struct KnownItems {
    /// Ids of the answers that were looked at.
    answers: FxHashSet<String>,
    /// By the ids of the answer and of the item.
    items: FxHashMap<(String, String), (String, Maker)>,
    /// In bytes.
    size: u64,
}

impl Chain {
    /// Who has all of it, if one has.
    pub(crate) fn holder(&self) -> Option<&str> {
        let last = self.records.last()?;
        last.maker.native.then_some(last.maker.provider.as_str())
    }

    /// Appends its items, oldest first, as `input` takes them.
    pub(crate) fn write(&self, out: &mut Array<'_>) {
        for record in &self.records {
            for item in record.input() {
                write_item(item, out);
            }
            for item in record.output() {
                write_output(item.raw(), out);
            }
        }
    }
}

/// Appends an item of an answer without its id, where it can do without: an id stands for what one provider keeps, and would make it
/// look there for what belongs to it.
pub(crate) fn write_output(item: &str, out: &mut Array<'_>) {
    let place = out.value();
    let kind = |envelope: &Envelope<'_>| {
        let kind = envelope.text("type");
        matches!(
            kind.as_deref(),
            Some("message" | "function_call" | "custom_tool_call")
        )
    };
    match Envelope::scan(item.as_bytes()) {
        Ok(mut envelope) if kind(&envelope) => {
            envelope.remove("id");
            place.extend_from_slice(&envelope.apply());
        }
        Ok(_) | Err(_) => place.extend_from_slice(item.as_bytes()),
    }
}

/// Appends an item of `input`; a text is what the user says.
pub(crate) fn write_item(item: Node<'_>, out: &mut Array<'_>) {
    let place = out.value();
    match item.text() {
        Some(text) => {
            place.extend_from_slice(br#"{"role":"user","content":"#);
            escape_into(place, &text);
            place.push(b'}');
        }
        None => place.extend_from_slice(item.raw().as_bytes()),
    }
}
