//! The places for tokens in each dialect.

use std::borrow::Cow;

use super::token::Spelling;
use crate::hub::Opaque;
use crate::json::{self, Array, Node, Object};
use crate::{DialectId, chat, gemini, messages};

/// The spelling of tokens that proofs of reasoning become.
pub(super) fn spelling(client: DialectId) -> Spelling {
    match client {
        DialectId::Gemini => Spelling::Base64,
        DialectId::Chat | DialectId::Responses | DialectId::Messages => Spelling::Plain,
    }
}

/// A token as the proof of a thought, in the client's own form.
/// `text`: what the client reads of the thought. `ordinal` tells several of one answer apart.
pub(super) fn of_thought(
    client: DialectId,
    token: &str,
    text: &str,
    redacted: bool,
    ordinal: u64,
) -> Option<Opaque> {
    let mut out = Vec::with_capacity(token.len() + 64);
    let kind = match client {
        DialectId::Messages if redacted => {
            let mut block = Object::new(&mut out);
            block.string("type", "redacted_thinking");
            block.string("data", token);
            "redacted_thinking"
        }
        DialectId::Messages => {
            json::escape_into(&mut out, token);
            messages::SIGNATURE
        }
        DialectId::Responses => {
            let mut item = Object::new(&mut out);
            item.string("type", "reasoning");
            let mut summary = item.array("summary");
            if !text.is_empty() {
                let mut part = summary.object();
                part.string("type", "summary_text");
                part.string("text", text);
            }
            drop(summary);
            item.string("encrypted_content", token);
            "reasoning"
        }
        DialectId::Gemini => {
            json::escape_into(&mut out, token);
            gemini::SIGNATURE
        }
        DialectId::Chat => {
            let mut list = Array::new(&mut out);
            let mut detail = list.object();
            detail.string("type", "reasoning.encrypted");
            detail.string("data", token);
            detail.string("format", "lingate-v1");
            detail.u64("index", ordinal);
            drop(detail);
            drop(list);
            chat::DETAILS
        }
    };
    opaque(client, kind, out)
}

/// A token as the proof of a tool call, where the client's dialect has a place on the call itself.
pub(super) fn of_call(client: DialectId, token: &str) -> Option<Opaque> {
    let kind = match client {
        DialectId::Gemini => gemini::SIGNATURE,
        DialectId::Chat => chat::THOUGHT_SIGNATURE,
        DialectId::Messages | DialectId::Responses => return None,
    };
    let mut out = Vec::with_capacity(token.len() + 2);
    json::escape_into(&mut out, token);
    opaque(client, kind, out)
}

fn opaque(of: DialectId, kind: &str, json: Vec<u8>) -> Option<Opaque> {
    Some(Opaque {
        of,
        kind: kind.to_owned(),
        json: json::raw(String::from_utf8(json).ok()?)?,
    })
}

/// What stands where a token may be: the text itself, or the field of a block that holds it.
pub(super) fn token_of(proof: &Opaque) -> Option<Cow<'_, str>> {
    let node = Node::from(&*proof.json);
    if node.is_string() {
        return node.text();
    }
    let fields = node.fields().ok()?;
    ["signature", "data", "encrypted_content"]
        .iter()
        .find_map(|key| fields.get(key)?.text())
        .filter(|text| !text.is_empty())
}

/// The id of a tool call as this client reads it.
pub(super) fn call_id(client: DialectId, id: &str) -> Cow<'_, str> {
    match client {
        DialectId::Messages => messages::spell_id(id),
        DialectId::Chat | DialectId::Responses | DialectId::Gemini => Cow::Borrowed(id),
    }
}
