//! Items as they are listed: with a type, an id, and content in parts, also where a request left that out.

use lingate_dialect::Mint;
use lingate_dialect::json::{Fields, Node, Object, raw};
use sha2::{Digest as _, Sha256};

use super::record::Record;

/// An item of a list.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) json: Vec<u8>,
}

/// Appends the items that the request of this answer brought. An item without an id has one that is always the same.
pub(crate) fn of_input(record: &Record, out: &mut Vec<Item>) {
    let hash: [u8; 32] = Sha256::digest(record.id.as_bytes()).into();
    let mut seed = [0; 16];
    seed.copy_from_slice(hash.split_at(16).0);
    let mint = Mint {
        now: 0,
        id: u128::from_be_bytes(seed),
    };
    for (ordinal, item) in (0..).zip(record.input()) {
        out.extend(listed(item, &mint, ordinal));
    }
}

/// Appends the items of this answer.
pub(crate) fn of_output(record: &Record, out: &mut Vec<Item>) {
    out.extend(record.output().into_iter().filter_map(|item| {
        Some(Item {
            id: item.fields().ok()?.get("id")?.string().ok()?,
            json: item.raw().as_bytes().to_vec(),
        })
    }));
}

fn listed(item: Node<'_>, mint: &Mint, ordinal: u32) -> Option<Item> {
    if item.is_string() {
        let id = mint.id("msg_", ordinal);
        let mut json = Vec::new();
        message(&id, "user", "completed", item, None, &mut json);
        return Some(Item { id, json });
    }
    let fields = item.fields().ok()?;
    let kind = fields.get("type").and_then(Node::text);
    let kind = kind.as_deref().unwrap_or("message");
    let id = fields.get("id").and_then(|id| id.string().ok());
    let id = id.unwrap_or_else(|| mint.id(prefix(kind), ordinal));
    let mut json = Vec::new();
    if kind == "message" {
        let text = |key: &str| fields.get(key).and_then(|value| value.string().ok());
        let role = text("role").unwrap_or_else(|| "user".to_owned());
        let status = text("status").unwrap_or_else(|| "completed".to_owned());
        let content = fields.get("content")?;
        message(&id, &role, &status, content, Some(&fields), &mut json);
    } else {
        let mut object = Object::new(&mut json);
        object.string("id", &id);
        rest(&fields, &["id"], &mut object);
    }
    Some(Item { id, json })
}

/// A message; a text for its content is one part.
fn message(
    id: &str,
    role: &str,
    status: &str,
    content: Node<'_>,
    fields: Option<&Fields<'_>>,
    out: &mut Vec<u8>,
) {
    let mut object = Object::new(out);
    object.string("id", id);
    object.string("type", "message");
    object.string("status", status);
    object.string("role", role);
    match content.text() {
        Some(text) => {
            let mut parts = object.array("content");
            let mut part = parts.object();
            if role == "assistant" {
                part.string("type", "output_text");
                part.string("text", &text);
                part.array("annotations");
            } else {
                part.string("type", "input_text");
                part.string("text", &text);
            }
        }
        None => object
            .value("content")
            .extend_from_slice(content.raw().as_bytes()),
    }
    if let Some(fields) = fields {
        rest(
            fields,
            &["id", "type", "status", "role", "content"],
            &mut object,
        );
    }
}

/// The other fields, as they are.
fn rest(fields: &Fields<'_>, but: &[&str], object: &mut Object<'_>) {
    for (key, value) in fields.iter().filter(|(key, _)| !but.contains(key)) {
        if let Some(value) = raw(value.raw()) {
            object.raw(key, &value);
        }
    }
}

fn prefix(kind: &str) -> &'static str {
    match kind {
        "message" => "msg_",
        "reasoning" => "rs_",
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "custom_tool_call" => "ctc_",
        "custom_tool_call_output" => "ctco_",
        _ => "item_",
    }
}
