//! Reading the content of messages: strings and blocks become parts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::hub::{
    CacheMark, Extra, Media, MediaKind, Opaque, Part, PartBody, Role, Source, Text, Thought,
    ToolCall, ToolResult,
};
use crate::json::{Fields, Node, compact};
use crate::messages::citation;
use crate::{At, DialectId, Malformed, media};

/// The parts of one message. Faults are named below the message: `content.2.text`.
pub(super) fn parts(content: Node<'_>, turn: u32, role: Role) -> Result<Vec<Part>, Malformed> {
    if content.is_string() {
        let at = At::Part { turn, part: 0 };
        return Ok(string_part(content, at)?.into_iter().collect());
    }
    let mut parts = Vec::new();
    for (part, node) in (0..).zip(list(content)?) {
        let place = Place::Message { turn, part, role };
        parts.push(block(node, place).map_err(|fault| fault.inside(part))?);
    }
    Ok(parts)
}

/// The text blocks of `system`.
pub(super) fn system(content: Node<'_>) -> Result<Vec<Part>, Malformed> {
    if content.is_string() {
        return Ok(string_part(content, At::System { part: 0 })?
            .into_iter()
            .collect());
    }
    let mut parts = Vec::new();
    for (index, node) in (0..).zip(list(content)?) {
        let part =
            block(node, Place::System { part: index }).map_err(|fault| fault.inside(index))?;
        if !matches!(part.body, PartBody::Text(_)) {
            let fault = Malformed::new("type", "expected \"text\": instructions are text blocks");
            return Err(fault.inside(index));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Where a block stands; what may stand there differs.
#[derive(Debug, Clone, Copy)]
enum Place {
    System { part: u32 },
    Message { turn: u32, part: u32, role: Role },
    Result { turn: u32, part: u32, inner: u32 },
}

impl Place {
    fn at(self) -> At {
        match self {
            Self::System { part } => At::System { part },
            Self::Message { turn, part, .. } => At::Part { turn, part },
            Self::Result { turn, part, inner } => At::ResultPart { turn, part, inner },
        }
    }

    fn role(self) -> Option<Role> {
        match self {
            Self::Message { role, .. } => Some(role),
            Self::System { .. } | Self::Result { .. } => None,
        }
    }
}

fn list(content: Node<'_>) -> Result<Vec<Node<'_>>, Malformed> {
    content.elements().map_err(|_| {
        let message = format!(
            "expected a string or an array of blocks, got {}",
            content.kind()
        );
        Malformed::new("", message)
    })
}

/// A string as content; an empty one says nothing.
fn string_part(content: Node<'_>, at: At) -> Result<Option<Part>, Malformed> {
    let text = content.string()?;
    Ok((!text.is_empty()).then(|| Part::text(text, at)))
}

fn block(node: Node<'_>, place: Place) -> Result<Part, Malformed> {
    let mut fields = node.fields()?;
    let kind = fields.require("type", Node::string)?;
    let mut extra = Extra::default();
    let misplaced =
        |belongs: &str| Malformed::new("", format!("a {kind} block belongs into {belongs}"));
    let body = match kind.as_str() {
        "text" => PartBody::Text(text(&mut fields)?),
        "image" => {
            PartBody::Media(fields.require("source", |source| source_of(source, MediaKind::Image))?)
        }
        "document" => PartBody::Media(document(&mut fields, &mut extra)?),
        "search_result" => PartBody::Media(search_result(&mut fields, &mut extra)?),
        "thinking" => return thinking(node, &mut fields, place.at()),
        "redacted_thinking" => {
            fields.require("data", Node::string)?;
            let thought = Thought {
                text: String::new(),
                proof: Some(opaque(node, &kind)),
                redacted: true,
            };
            return Ok(Part::new(PartBody::Reasoning(thought), place.at()));
        }
        "tool_use" => {
            if place.role() != Some(Role::Assistant) {
                return Err(misplaced("an assistant message"));
            }
            PartBody::ToolCall(ToolCall {
                id: fields.require("id", Node::string)?,
                name: fields.require("name", Node::string)?,
                arguments: fields
                    .read("input", object)?
                    .map_or_else(|| "{}".to_owned(), |input| compact(input.get())),
                custom: false,
                proof: None,
            })
        }
        "tool_result" => {
            let Place::Message {
                turn,
                part,
                role: Role::User,
            } = place
            else {
                return Err(misplaced("a user message"));
            };
            PartBody::ToolResult(ToolResult {
                call: fields.require("tool_use_id", Node::string)?,
                name: None,
                parts: fields
                    .read("content", |content| result_parts(content, turn, part))?
                    .unwrap_or_default(),
                is_error: fields
                    .read("is_error", Node::require_bool)?
                    .unwrap_or(false),
            })
        }
        // Server tools, uploads and whatever comes next: the block as a whole, its cache mark inside.
        _ => return Ok(Part::new(PartBody::Opaque(opaque(node, &kind)), place.at())),
    };
    let cache = fields.read("cache_control", cache_mark)?;
    keep(&mut extra, &fields, "");
    Ok(Part {
        body,
        cache,
        at: place.at(),
        extra,
    })
}

fn result_parts(content: Node<'_>, turn: u32, part: u32) -> Result<Vec<Part>, Malformed> {
    if content.is_string() {
        let at = At::ResultPart {
            turn,
            part,
            inner: 0,
        };
        return Ok(string_part(content, at)?.into_iter().collect());
    }
    let mut parts = Vec::new();
    for (inner, node) in (0..).zip(list(content)?) {
        let place = Place::Result { turn, part, inner };
        parts.push(block(node, place).map_err(|fault| fault.inside(inner))?);
    }
    Ok(parts)
}

fn text(fields: &mut Fields<'_>) -> Result<Text, Malformed> {
    let text = fields.require("text", Node::string)?;
    let citations = fields
        .read("citations", Node::elements)?
        .unwrap_or_default();
    Ok(Text {
        text,
        citations: citations.into_iter().filter_map(citation::read).collect(),
    })
}

fn thinking(node: Node<'_>, fields: &mut Fields<'_>, at: At) -> Result<Part, Malformed> {
    let text = fields.require("thinking", Node::string)?;
    let signature = fields.read("signature", Node::string)?;
    // Without a signature it is not Anthropic's: another converter made it, and no one would take it back.
    let proof = signature
        .filter(|signature| !signature.is_empty())
        .map(|_| opaque(node, "thinking"));
    let thought = Thought {
        text,
        proof,
        redacted: false,
    };
    Ok(Part::new(PartBody::Reasoning(thought), at))
}

fn document(fields: &mut Fields<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    let mut document = fields.require("source", |source| source_of(source, MediaKind::Document))?;
    document.name = fields.read("title", Node::string)?;
    document.context = fields.read("context", Node::string)?;
    document.citations = citations_asked(fields, extra)?;
    Ok(document)
}

/// A search result is a titled document of texts; its `source`, which makes it one, stays in `extra`.
fn search_result(fields: &mut Fields<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    let source = fields.require("source", Ok)?;
    source.string().map_err(|fault| fault.inside("source"))?;
    extra.push(DialectId::Messages, "source", source.to_raw());
    Ok(Media {
        name: Some(fields.require("title", Node::string)?),
        citations: citations_asked(fields, extra)?,
        ..plain(
            MediaKind::Document,
            Source::Parts(fields.require("content", nested)?),
        )
    })
}

/// `citations: {enabled}`; what else stands there is kept.
fn citations_asked(fields: &mut Fields<'_>, extra: &mut Extra) -> Result<bool, Malformed> {
    let asked = fields.read("citations", |citations| {
        let mut inner = citations.fields()?;
        let enabled = inner.read("enabled", Node::require_bool)?;
        keep(extra, &inner, "citations.");
        Ok(enabled)
    })?;
    Ok(asked.flatten().unwrap_or(false))
}

fn plain(kind: MediaKind, source: Source) -> Media {
    Media {
        kind,
        source,
        mime: None,
        name: None,
        detail: None,
        context: None,
        citations: false,
    }
}

fn source_of(source: Node<'_>, kind: MediaKind) -> Result<Media, Malformed> {
    let mut fields = source.fields()?;
    let form = fields.require("type", Node::string)?;
    match form.as_str() {
        "base64" => {
            let data = fields.require("data", |data| {
                data.text()
                    .ok_or_else(|| Malformed::new("", "expected a string"))
            })?;
            let declared = fields.read("media_type", Node::string)?;
            Ok(bytes(kind, &data, declared))
        }
        "url" => {
            let url = fields.require("url", Node::string)?;
            Ok(match media::data_url(&url) {
                Some(data) => bytes(kind, &data.base64, data.mime),
                None => plain(kind, Source::Url(url)),
            })
        }
        "file" => Ok(plain(
            kind,
            Source::File(fields.require("file_id", Node::string)?),
        )),
        "text" => {
            let data = fields.require("data", Node::string)?;
            let mime = fields.read("media_type", Node::string)?;
            Ok(Media {
                mime: Some(mime.unwrap_or_else(|| "text/plain".to_owned())),
                ..plain(kind, Source::Text(data))
            })
        }
        "content" => Ok(plain(
            kind,
            Source::Parts(fields.require("content", nested)?),
        )),
        other => Err(Malformed::new(
            "type",
            format!("expected base64, url, file, text or content, got {other:?}"),
        )),
    }
}

/// Bytes in base64. The type told by the first of them wins over the declared one.
fn bytes(kind: MediaKind, data: &str, declared: Option<String>) -> Media {
    let data = match media::data_url(data) {
        Some(url) => Cow::Owned(url.base64),
        None => Cow::Borrowed(data),
    };
    let tidy = data.len().is_multiple_of(4)
        && !data
            .bytes()
            .any(|byte| byte.is_ascii_whitespace() || byte == b'-' || byte == b'_');
    let base64 = if tidy {
        data.into_owned()
    } else {
        media::tidy_base64(&data)
    };
    let sniffed = media::sniff(&base64).filter(|mime| media::kind_of(mime) == kind);
    Media {
        mime: sniffed.map(str::to_owned).or(declared),
        ..plain(kind, Source::Base64(base64))
    }
}

/// The texts and images that a document is made of.
fn nested(content: Node<'_>) -> Result<Vec<Media>, Malformed> {
    if content.is_string() {
        return Ok(vec![plain(
            MediaKind::Document,
            Source::Text(content.string()?),
        )]);
    }
    let mut pieces = Vec::new();
    for (index, node) in list(content)?.into_iter().enumerate() {
        let piece = || {
            let mut fields = node.fields()?;
            match fields.require("type", Node::string)?.as_str() {
                "text" => {
                    let text = fields.require("text", Node::string)?;
                    Ok(plain(MediaKind::Document, Source::Text(text)))
                }
                // Only blocks of texts and images may stand here, so this goes no deeper.
                "image" => fields.require("source", flat_image),
                other => Err(Malformed::new(
                    "type",
                    format!("expected text or image, got {other:?}"),
                )),
            }
        };
        pieces.push(piece().map_err(|fault| fault.inside(index))?);
    }
    Ok(pieces)
}

fn flat_image(source: Node<'_>) -> Result<Media, Malformed> {
    let form = source.fields()?.require("type", Node::string)?;
    if form == "content" {
        return Err(Malformed::new(
            "type",
            "expected base64, url or file, got \"content\"",
        ));
    }
    source_of(source, MediaKind::Image)
}

/// `cache_control`; of its lives only the hour is told apart.
pub(super) fn cache_mark(node: Node<'_>) -> Result<CacheMark, Malformed> {
    let ttl = node.fields()?.read("ttl", Node::string)?;
    Ok(match ttl.as_deref() {
        Some("1h") => CacheMark::Long,
        _ => CacheMark::Short,
    })
}

/// A JSON object as it stands.
pub(super) fn object(node: Node<'_>) -> Result<Box<RawValue>, Malformed> {
    if node.is_object() {
        Ok(node.to_raw())
    } else {
        Err(Malformed::new(
            "",
            format!("expected an object, got {}", node.kind()),
        ))
    }
}

pub(super) fn opaque(node: Node<'_>, kind: &str) -> Opaque {
    Opaque {
        of: DialectId::Messages,
        kind: kind.to_owned(),
        json: node.to_raw(),
    }
}

/// Keeps the fields that nobody took, under `prefix`.
pub(super) fn keep(extra: &mut Extra, fields: &Fields<'_>, prefix: &str) {
    for (key, node) in fields.iter().filter(|(_, node)| !node.is_null()) {
        extra.push(DialectId::Messages, format!("{prefix}{key}"), node.to_raw());
    }
}
