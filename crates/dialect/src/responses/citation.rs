//! Annotations of texts: `url_citation`, and those of files, which only this dialect has.

use crate::DialectId;
use crate::hub::{Citation, Opaque};
use crate::json::{Node, Object, compact};

/// Reads an annotation; `None` when it is not an object.
pub(super) fn read(node: Node<'_>) -> Option<Citation> {
    let fields = node.fields().ok()?;
    // Some servers nest it as Chat does.
    let nested = fields
        .get("url_citation")
        .and_then(|inner| inner.fields().ok());
    let inner = nested.as_ref().unwrap_or(&fields);
    let text = |key: &str| inner.get(key).and_then(Node::text).map(Into::into);
    let start = inner.get("start_index").and_then(Node::u64);
    let end = inner.get("end_index").and_then(Node::u64);
    Some(Citation {
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        cited_text: None,
        // Servers without offsets say 0 to 0.
        span: start.zip(end).filter(|(start, end)| start < end),
        source: nested.is_none().then(|| Opaque {
            of: DialectId::Responses,
            kind: fields
                .get("type")
                .and_then(Node::text)
                .map(Into::into)
                .unwrap_or_default(),
            json: node.to_raw(),
        }),
    })
}

/// Whether a citation can be said here: it comes from here, or has an address.
pub(super) fn fits(citation: &Citation) -> bool {
    own(citation).is_some() || citation.url.is_some()
}

/// Writes a citation that [`fits`] of a text of `length` code points; `null` for any other.
pub(super) fn write(out: &mut Vec<u8>, citation: &Citation, length: u64) {
    if let Some(own) = own(citation) {
        out.extend_from_slice(compact(own.json.get()).as_bytes());
        return;
    }
    let Some(url) = &citation.url else {
        out.extend_from_slice(b"null");
        return;
    };
    let (start, end) = citation.span.unwrap_or((0, length));
    let mut object = Object::new(out);
    object.string("type", "url_citation");
    object.u64("start_index", start);
    object.u64("end_index", end);
    object.string("url", url);
    object.string("title", citation.title.as_deref().unwrap_or(url));
}

fn own(citation: &Citation) -> Option<&Opaque> {
    citation
        .source
        .as_ref()
        .filter(|source| source.of == DialectId::Responses)
}
