//! One answer as it is kept: what was asked, what was answered, and by whom.

use bytes::Bytes;
use lingate_dialect::json::{Node, Object};
use lingate_shelf::{Kept, Shelf};
use serde_json::value::RawValue;

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maker {
    /// Its name in the configuration.
    pub(crate) provider: String,
    /// It speaks this dialect, and keeps the answer under the same id.
    pub(crate) native: bool,
}

/// A kept answer.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) maker: Maker,
    pub(crate) background: bool,
    /// The answer that this one continues.
    pub(crate) previous: Option<String>,
    /// `None`: only the maker has it.
    pub(crate) content: Option<Content>,
}

#[derive(Debug)]
pub(crate) struct Content {
    /// As it was sent, without what came before.
    pub(crate) input: Box<RawValue>,
    /// The response object.
    pub(crate) response: Box<RawValue>,
}

/// The name of an answer on the shelf.
fn key(id: &str) -> String {
    format!("response/{id}")
}

/// The name of an item, under which its answer's id is found.
fn item_key(id: &str) -> String {
    format!("item/{id}")
}

/// The answer of this name, if it is the scope's own.
pub(crate) async fn load(shelf: &Shelf, scope: &str, id: &str, now: i64) -> Option<Record> {
    let bytes = shelf.get(scope, &key(id), now).await?;
    Record::read(id, &bytes)
}

/// The id of the answer that an item is part of.
pub(crate) async fn of_item(shelf: &Shelf, scope: &str, item: &str, now: i64) -> Option<String> {
    let id = shelf.get(scope, &item_key(item), now).await?;
    String::from_utf8(id.to_vec()).ok()
}

impl Record {
    pub(crate) async fn store(&self, place: &Shelf, scope: &str, now: i64) {
        let kept = place.put(scope, &key(&self.id), self.write(), now).await;
        if kept == Kept::TooLarge {
            tracing::warn!(
                id = self.id,
                "an answer is larger than `state` allows and is not kept"
            );
            return;
        }
        let items = self.output();
        let puts = items.iter().filter_map(|item| {
            let item = item.fields().ok()?.get("id")?.text()?;
            let id = Bytes::copy_from_slice(self.id.as_bytes());
            Some(async move { place.put(scope, &item_key(&item), id, now).await })
        });
        futures_util::future::join_all(puts).await;
    }

    /// Removes it and what leads to it.
    pub(crate) async fn remove(
        &self,
        place: &Shelf,
        scope: &str,
        now: i64,
    ) -> Result<bool, lingate_shelf::NotRemoved> {
        for item in self.output() {
            let id = item
                .fields()
                .ok()
                .and_then(|item| item.get("id")?.string().ok());
            if let Some(id) = id {
                place.remove(scope, &item_key(&id), now).await?;
            }
        }
        place.remove(scope, &key(&self.id), now).await
    }

    /// The items of its input; a text is one item.
    pub(crate) fn input(&self) -> Vec<Node<'_>> {
        let input = self
            .content
            .as_ref()
            .map(|content| Node::from(&*content.input));
        input
            .and_then(|input| input.one_or_many().ok())
            .unwrap_or_default()
    }

    /// The items of its answer.
    pub(crate) fn output(&self) -> Vec<Node<'_>> {
        let output = || {
            let response = Node::from(&*self.content.as_ref()?.response);
            response.fields().ok()?.get("output")?.elements().ok()
        };
        output().unwrap_or_default()
    }

    fn write(&self) -> Bytes {
        let mut out = Vec::new();
        {
            let mut record = Object::new(&mut out);
            record.string("provider", &self.maker.provider);
            record.bool("native", self.maker.native);
            record.bool("background", self.background);
            record.some_string("previous", self.previous.as_deref());
            if let Some(content) = &self.content {
                record.raw("input", &content.input);
                record.raw("response", &content.response);
            }
        }
        Bytes::from(out)
    }

    fn read(id: &str, bytes: &[u8]) -> Option<Self> {
        let record = Node::parse(bytes).ok()?.fields().ok()?;
        let text = |key: &str| Some(record.get(key)?.text()?.into_owned());
        let flag = |key: &str| record.get(key).and_then(Node::bool);
        let raw = |key: &str| Some(record.get(key)?.to_raw());
        Some(Self {
            id: id.to_owned(),
            maker: Maker {
                provider: text("provider")?,
                native: flag("native")?,
            },
            background: flag("background")?,
            previous: text("previous"),
            content: raw("input")
                .zip(raw("response"))
                .map(|(input, response)| Content { input, response }),
        })
    }
}
