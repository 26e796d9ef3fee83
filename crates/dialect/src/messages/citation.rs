//! Citations on text blocks: `web_search_result_location` and its four kin.

use crate::DialectId;
use crate::hub::{Citation, Opaque};
use crate::json::{Node, Object};

/// Reads a citation; `None` when it is not an object.
pub(super) fn read(node: Node<'_>) -> Option<Citation> {
    let fields = node.fields().ok()?;
    let text = |key: &str| {
        fields
            .get(key)
            .and_then(Node::text)
            .map(std::borrow::Cow::into_owned)
    };
    // The source of a `search_result_location` is often, but not always, an address.
    let url = text("url").or_else(|| text("source").filter(|source| source.starts_with("http")));
    Some(Citation {
        url,
        title: text("title").or_else(|| text("document_title")),
        cited_text: text("cited_text"),
        span: None,
        source: Some(Opaque {
            of: DialectId::Messages,
            kind: text("type").unwrap_or_default(),
            json: node.to_raw(),
        }),
    })
}

/// Whether a citation can be said here: it comes from here, or has an address.
pub(super) fn fits(citation: &Citation) -> bool {
    own(citation).is_some() || citation.url.is_some()
}

/// Writes a citation that [`fits`]; `null` for any other.
pub(super) fn write(out: &mut Vec<u8>, citation: &Citation) {
    if let Some(own) = own(citation) {
        out.extend_from_slice(own.json.get().as_bytes());
        return;
    }
    let Some(url) = &citation.url else {
        out.extend_from_slice(b"null");
        return;
    };
    let mut object = Object::new(out);
    object.string("type", "web_search_result_location");
    object.string("url", url);
    match &citation.title {
        Some(title) => object.string("title", title),
        None => object.null("title"),
    }
    object.string(
        "cited_text",
        citation.cited_text.as_deref().unwrap_or_default(),
    );
    object.string("encrypted_index", "");
}

fn own(citation: &Citation) -> Option<&Opaque> {
    citation
        .source
        .as_ref()
        .filter(|source| source.of == DialectId::Messages)
}
