//! Reading the content of a message and the output of a tool: a text, or a list of typed parts.

use crate::hub::{Extra, MediaKind, Part, PartBody};
use crate::json::{Fields, Node};
use crate::{At, DialectId, Malformed, chat};

/// Fields of parts that say nothing to another dialect.
const PRIVATE: [&str; 3] = ["annotations", "logprobs", "prompt_cache_breakpoint"];

/// A text, or parts; `at` places the part of an ordinal.
pub(super) fn read(node: Node<'_>, at: impl Fn(u32) -> At) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text, at(0))]);
    }
    if !node.is_array() {
        return Err(Malformed::new(
            "",
            format!(
                "expected a string or an array of parts, got {}",
                node.kind()
            ),
        ));
    }
    let mut parts = Vec::new();
    for (index, node) in (0_u32..).zip(node.elements()?) {
        parts.push(part(node, at(index)).map_err(|fault| fault.inside(index))?);
    }
    Ok(parts)
}

/// The forms of Chat and Anthropic are read as well: clients mix them.
fn part(node: Node<'_>, at: At) -> Result<Part, Malformed> {
    let mut part = chat::read_part(node, at)?;
    for field in &mut part.extra.fields {
        field.of = DialectId::Responses;
        field.private = PRIVATE.contains(&field.key.as_str());
    }
    if let PartBody::Opaque(opaque) = &mut part.body {
        opaque.of = DialectId::Responses;
    }
    let fields = node.fields().unwrap_or_default();
    if let PartBody::Media(media) = &mut part.body
        && media.kind == MediaKind::Image
        && let Some(word) = fields.get("detail")
    {
        // Chat has no images in a vendor's store, so it leaves their detail unread.
        part.extra.fields.retain(|field| field.key != "detail");
        let detail = chat::detail(word).map_err(|fault| fault.inside("detail"))?;
        media.detail = Some(detail);
    }
    if let Some(mark) = fields.get("prompt_cache_breakpoint") {
        let (of, key) = (DialectId::Responses, "prompt_cache_breakpoint");
        part.extra.push_private(of, key, mark.to_raw());
    }
    Ok(part)
}

/// Keeps what nobody took, under `outer.` when it stood in an inner object; `private` are the keys that say nothing elsewhere.
pub(super) fn keep(extra: &mut Extra, outer: &str, fields: &Fields<'_>, private: &[&str]) {
    for (key, node) in fields.iter().filter(|(_, node)| !node.is_null()) {
        let path = if outer.is_empty() {
            key.to_owned()
        } else {
            format!("{outer}.{key}")
        };
        if private.contains(&key) {
            extra.push_private(DialectId::Responses, path, node.to_raw());
        } else {
            extra.push(DialectId::Responses, path, node.to_raw());
        }
    }
}
