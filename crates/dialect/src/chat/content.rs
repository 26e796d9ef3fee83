//! Reads the content of a message: a text, or a list of typed parts in every form that clients send, other dialects' included.

use crate::hub::{
    CacheMark, Detail, Extra, Media, MediaKind, Opaque, Part, PartBody, Source, Text, Thought,
    ToolCall, ToolResult,
};
use crate::json::{Fields, Node, compact};
use crate::media::{data_url, kind_of, sniff, text_of, tidy_base64};
use crate::{At, DialectId, Malformed};

/// What a failed tool's text begins with, for want of a flag.
pub(crate) const TOOL_ERROR: &str = "[tool error] ";

/// The parts of message `turn`. `null` has none.
pub(super) fn read(content: Node<'_>, turn: u32) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = content.text() {
        return Ok(vec![Part::text(text, At::Part { turn, part: 0 })]);
    }
    if !content.is_array() {
        return Err(Malformed::new(
            "",
            format!(
                "expected a string or an array of parts, got {}",
                content.kind()
            ),
        ));
    }
    let mut parts = Vec::new();
    for (index, node) in content.elements()?.into_iter().enumerate() {
        let at = At::Part {
            turn,
            part: ordinal(index),
        };
        parts.push(part(node, at).map_err(|fault| fault.inside(index))?);
    }
    Ok(parts)
}

/// A place in a list as the hub counts.
pub(super) fn ordinal(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// One part, in any form that clients send.
pub(crate) fn part(node: Node<'_>, at: At) -> Result<Part, Malformed> {
    if let Some(text) = node.text() {
        return Ok(Part::text(text, at));
    }
    let mut fields = node.fields()?;
    let cache = cache_mark(&mut fields)?;
    let mut extra = Extra::default();
    let kind = fields.read("type", Node::string)?;
    let body = match kind.as_deref() {
        Some("text" | "input_text" | "output_text") => text(&mut fields)?,
        None if fields.get("text").is_some() => text(&mut fields)?,
        Some("refusal") => PartBody::Refusal(fields.require("refusal", Node::string)?),
        Some("image_url") => PartBody::Media(image(&mut fields, "image_url", &mut extra)?),
        Some("input_image") => PartBody::Media(input_image(&mut fields, &mut extra)?),
        Some("input_audio") => {
            PartBody::Media(fields.require("input_audio", |audio| input_audio(audio, &mut extra))?)
        }
        Some("video_url") => PartBody::Media(fields.require("video_url", |video| {
            addressed(video, MediaKind::Video, "video_url", &mut extra)
        })?),
        Some("audio_url") => PartBody::Media(fields.require("audio_url", |audio| {
            addressed(audio, MediaKind::Audio, "audio_url", &mut extra)
        })?),
        Some("document_url") => {
            let name = fields.read("document_name", Node::string)?;
            let media = fields.require("document_url", |document| {
                addressed(document, MediaKind::Document, "document_url", &mut extra)
            })?;
            PartBody::Media(Media { name, ..media })
        }
        Some("file") if fields.get("file").is_some() => {
            PartBody::Media(fields.require("file", |fields| file(fields, &mut extra))?)
        }
        Some("input_file") => {
            let media = file_fields(&mut fields)?;
            PartBody::Media(media)
        }
        Some("image" | "document") if fields.get("source").is_some() => {
            PartBody::Media(sourced(&mut fields, kind.as_deref() == Some("image"))?)
        }
        Some("thinking" | "reasoning") => PartBody::Reasoning(Thought {
            text: thinking_text(&fields),
            ..Thought::default()
        }),
        Some("tool_use") => tool_use(&mut fields)?,
        Some("tool_result") => tool_result(&mut fields, &at)?,
        Some(_) | None => {
            let opaque = Opaque {
                of: DialectId::Chat,
                kind: kind.unwrap_or_else(|| "part".to_owned()),
                json: node.to_raw(),
            };
            return Ok(Part {
                cache,
                ..Part::new(PartBody::Opaque(opaque), at)
            });
        }
    };
    if !matches!(body, PartBody::Reasoning(_)) {
        keep(&mut extra, "", &fields);
    }
    Ok(Part {
        body,
        cache,
        at,
        extra,
    })
}

fn text(fields: &mut Fields<'_>) -> Result<PartBody, Malformed> {
    Ok(PartBody::Text(Text {
        text: fields.require("text", Node::string)?,
        citations: Vec::new(),
    }))
}

fn media(kind: MediaKind, source: Source, mime: Option<String>) -> Media {
    Media {
        kind,
        source,
        mime,
        name: None,
        detail: None,
        context: None,
        citations: false,
    }
}

/// `{url, detail}`, or the address alone.
fn image(fields: &mut Fields<'_>, key: &str, extra: &mut Extra) -> Result<Media, Malformed> {
    fields.require(key, |image| {
        if image.is_string() {
            return located(image, MediaKind::Image);
        }
        let mut fields = image.fields()?;
        let media = fields.require("url", |url| located(url, MediaKind::Image))?;
        let detail = fields.read("detail", detail)?;
        keep(extra, key, &fields);
        Ok(Media { detail, ..media })
    })
}

/// The form of the Responses dialect: the address and the detail beside each other.
fn input_image(fields: &mut Fields<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    if let Some(id) = fields.read("file_id", Node::string)? {
        return Ok(media(MediaKind::Image, Source::File(id), None));
    }
    let detail = fields.read("detail", detail)?;
    let media = image(fields, "image_url", extra)?;
    Ok(Media {
        detail: media.detail.or(detail),
        ..media
    })
}

pub(crate) fn detail(node: Node<'_>) -> Result<Detail, Malformed> {
    match &*node.string()? {
        "auto" => Ok(Detail::Auto),
        "low" => Ok(Detail::Low),
        "medium" => Ok(Detail::Medium),
        "high" => Ok(Detail::High),
        "original" => Ok(Detail::Original),
        other => Err(Malformed::new(
            "",
            format!("expected auto, low, high or original, got '{other}'"),
        )),
    }
}

/// `{data, format}`; Mistral's servers take the bytes alone, or an address for them.
fn input_audio(audio: Node<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    let (data, format) = if audio.is_string() {
        (audio.string()?, None)
    } else {
        let mut fields = audio.fields()?;
        let data = fields.require("data", Node::string)?;
        let format = fields.read("format", Node::string)?;
        keep(extra, "input_audio", &fields);
        (data, format)
    };
    if data.starts_with("http") || data.starts_with("data:") {
        let (source, mime) = source_of(&data, Some(MediaKind::Audio))?;
        return Ok(media(MediaKind::Audio, source, mime));
    }
    let data = tidy_base64(&data);
    let mime = match sniff(&data).filter(|mime| kind_of(mime) == MediaKind::Audio) {
        Some(mime) => mime.to_owned(),
        None => match format.as_deref() {
            Some("mp3") | None => "audio/mpeg".to_owned(),
            Some(format) => format!("audio/{format}"),
        },
    };
    Ok(media(MediaKind::Audio, Source::Base64(data), Some(mime)))
}

/// `{url}`, or the address alone.
fn addressed(
    node: Node<'_>,
    kind: MediaKind,
    key: &str,
    extra: &mut Extra,
) -> Result<Media, Malformed> {
    if node.is_string() {
        return located(node, kind);
    }
    let mut fields = node.fields()?;
    let media = fields.require("url", |url| located(url, kind))?;
    keep(extra, key, &fields);
    Ok(media)
}

fn file(node: Node<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    let mut fields = node.fields()?;
    let media = file_fields(&mut fields)?;
    keep(extra, "file", &fields);
    Ok(media)
}

fn file_fields(fields: &mut Fields<'_>) -> Result<Media, Malformed> {
    let name = fields.read("filename", Node::string)?;
    if let Some(id) = fields.read("file_id", Node::string)? {
        let media = media(MediaKind::Document, Source::File(id), None);
        return Ok(Media { name, ..media });
    }
    if let Some(url) = fields.read("file_url", Node::string)? {
        let media = media(MediaKind::Document, Source::Url(url), None);
        return Ok(Media { name, ..media });
    }
    let (source, mime) = fields.require("file_data", |data| {
        let data = data.string()?;
        if data.starts_with("http") || data.starts_with("data:") {
            return source_of(&data, None);
        }
        let data = tidy_base64(&data);
        let mime = sniff(&data).unwrap_or("application/pdf").to_owned();
        Ok((Source::Base64(data), Some(mime)))
    })?;
    let kind = mime.as_deref().map_or(MediaKind::Document, kind_of);
    Ok(Media {
        name,
        ..text_document(media(kind, source, mime))
    })
}

/// Anthropic's `source`: bytes, an address, a file or a text.
fn sourced(fields: &mut Fields<'_>, image: bool) -> Result<Media, Malformed> {
    let kind = if image {
        MediaKind::Image
    } else {
        MediaKind::Document
    };
    let name = fields.read("title", Node::string)?;
    let context = fields.read("context", Node::string)?;
    let media = fields.require("source", |source| {
        let mut fields = source.fields()?;
        match &*fields.require("type", Node::string)? {
            "base64" => {
                let data = tidy_base64(&fields.require("data", Node::string)?);
                let mime = fields.read("media_type", Node::string)?;
                let mime = sniff(&data).map(str::to_owned).or(mime);
                Ok(text_document(media(kind, Source::Base64(data), mime)))
            }
            "url" => fields.require("url", |url| located(url, kind)),
            "file" => {
                let id = fields.require("file_id", Node::string)?;
                Ok(media(kind, Source::File(id), None))
            }
            "text" => {
                let text = fields.require("data", Node::string)?;
                Ok(media(
                    kind,
                    Source::Text(text),
                    Some("text/plain".to_owned()),
                ))
            }
            other => Err(Malformed::new(
                "type",
                format!("expected base64, url, file or text, got '{other}'"),
            )),
        }
    })?;
    Ok(Media {
        name,
        context,
        ..media
    })
}

fn located(url: Node<'_>, kind: MediaKind) -> Result<Media, Malformed> {
    let (source, mime) = source_of(&url.string()?, Some(kind))?;
    Ok(text_document(media(kind, source, mime)))
}

/// The bytes of a data URL with the type that they themselves tell, or the address as it is.
fn source_of(url: &str, kind: Option<MediaKind>) -> Result<(Source, Option<String>), Malformed> {
    if let Some(data) = data_url(url) {
        let sniffed = sniff(&data.base64)
            .filter(|mime| kind.is_none_or(|kind| kind_of(mime) == kind))
            .map(str::to_owned);
        return Ok((Source::Base64(data.base64), sniffed.or(data.mime)));
    }
    if url.is_empty() || url.starts_with("data:") {
        return Err(Malformed::new(
            "",
            "expected an address, or data:<type>;base64,<data>",
        ));
    }
    Ok((Source::Url(url.to_owned()), None))
}

/// Documents of text are held as text: every dialect can say that.
fn text_document(media: Media) -> Media {
    let textual = media.mime.as_deref().is_some_and(|mime| {
        mime.starts_with("text/") || matches!(mime, "application/json" | "application/xml")
    });
    match &media.source {
        Source::Base64(data) if textual => match text_of(data) {
            Some(text) => Media {
                source: Source::Text(text),
                ..media
            },
            None => media,
        },
        Source::Base64(_)
        | Source::Url(_)
        | Source::File(_)
        | Source::Text(_)
        | Source::Parts(_) => media,
    }
}

/// The text of a thinking part: a string, or a list of text parts (Mistral).
pub(super) fn thinking_text(fields: &Fields<'_>) -> String {
    let Some(node) = fields
        .get("thinking")
        .or_else(|| fields.get("text"))
        .or_else(|| fields.get("summary"))
    else {
        return String::new();
    };
    if let Some(text) = node.text() {
        return text.into_owned();
    }
    let mut whole = String::new();
    for piece in node.elements().unwrap_or_default() {
        if let Some(text) = piece
            .fields()
            .ok()
            .and_then(|fields| fields.get("text")?.text())
        {
            whole.push_str(&text);
        }
    }
    whole
}

fn tool_use(fields: &mut Fields<'_>) -> Result<PartBody, Malformed> {
    Ok(PartBody::ToolCall(ToolCall {
        id: fields.require("id", Node::string)?,
        name: fields.require("name", Node::string)?,
        arguments: fields.read("input", arguments)?.unwrap_or_default(),
        custom: false,
        proof: None,
    }))
}

/// The arguments of a call: JSON text in a string, or the value itself.
pub(super) fn arguments(node: Node<'_>) -> Result<String, Malformed> {
    if node.is_object() {
        return Ok(compact(node.raw()));
    }
    node.string()
}

fn tool_result(fields: &mut Fields<'_>, at: &At) -> Result<PartBody, Malformed> {
    let call = fields.require("tool_use_id", Node::string)?;
    let is_error = fields
        .read("is_error", Node::require_bool)?
        .unwrap_or(false);
    let parts = fields.read("content", |content| {
        if let Some(text) = content.text() {
            return Ok(vec![Part::text(text, at.clone())]);
        }
        let mut parts = Vec::new();
        for (index, node) in content.elements()?.into_iter().enumerate() {
            // A result inside a result would nest without bound.
            let nested = node
                .fields()
                .is_ok_and(|fields| fields.get("tool_use_id").is_some());
            if nested {
                return Err(Malformed::new(
                    index.to_string(),
                    "a tool result cannot hold another one",
                ));
            }
            parts.push(part(node, at.clone()).map_err(|fault| fault.inside(index))?);
        }
        Ok(parts)
    })?;
    Ok(PartBody::ToolResult(ToolResult {
        call,
        name: None,
        parts: parts.unwrap_or_default(),
        is_error,
    }))
}

/// Takes the mark out, in OpenAI's form or in Anthropic's, which many compatible servers took over.
pub(super) fn cache_mark(fields: &mut Fields<'_>) -> Result<Option<CacheMark>, Malformed> {
    let read = |node: Node<'_>| {
        let ttl = node.fields()?.read("ttl", Node::string)?;
        Ok(match ttl.as_deref() {
            Some("1h" | "12h" | "24h") => CacheMark::Long,
            Some(_) | None => CacheMark::Short,
        })
    };
    let breakpoint = fields.read("prompt_cache_breakpoint", read)?;
    Ok(breakpoint.or(fields.read("cache_control", read)?))
}

/// Keeps what nobody took, under `outer.` when it stood in an inner object.
pub(super) fn keep(extra: &mut Extra, outer: &str, fields: &Fields<'_>) {
    for (key, node) in fields.iter().filter(|(_, node)| !node.is_null()) {
        let path = if outer.is_empty() {
            key.to_owned()
        } else {
            format!("{outer}.{key}")
        };
        extra.push(DialectId::Chat, path, node.to_raw());
    }
}
