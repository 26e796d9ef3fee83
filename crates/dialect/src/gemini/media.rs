//! Media both ways: bytes inside the request, and files by address.

use crate::hub::{Detail, Extra, Media, MediaKind, Source};
use crate::json::{Node, Object};
use crate::media::{base64_of, kind_of, sniff, text_of, tidy_base64};
use crate::quirks::ThinkingField;
use crate::{At, Losses, Malformed, Quirks, Refusal};

use super::fields;
use super::request::keep;

/// `inlineData`. The type that the bytes show counts more than the one declared; text becomes a text document.
pub(super) fn inline(node: Node<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    let mut blob = fields(node)?;
    let declared = blob
        .read("mimeType", Node::string)?
        .map(|mime| mime.to_ascii_lowercase())
        .filter(|mime| !mime.is_empty());
    let data = tidy_base64(&blob.require("data", Node::string)?);
    let name = blob.read("displayName", Node::string)?;
    keep(&blob, "inlineData.", extra);
    let kind = declared.as_deref().map(kind_of);
    let mime = sniffed(&data, kind)
        .map(str::to_owned)
        .or(declared)
        .ok_or_else(|| Malformed::new("mimeType", "is required"))?;
    let text = is_text(&mime).then(|| text_of(&data)).flatten();
    Ok(Media {
        kind: kind_of(&mime),
        source: text.map_or(Source::Base64(data), Source::Text),
        mime: Some(mime),
        name,
        detail: None,
        context: None,
        citations: false,
    })
}

/// `fileData`. Addresses that only Google can fetch are files of its own store.
pub(super) fn file(node: Node<'_>, extra: &mut Extra) -> Result<Media, Malformed> {
    let mut file = fields(node)?;
    let uri = file.require("fileUri", Node::string)?;
    let mime = file
        .read("mimeType", Node::string)?
        .map(|mime| mime.to_ascii_lowercase())
        .filter(|mime| !mime.is_empty());
    let name = file.read("displayName", Node::string)?;
    keep(&file, "fileData.", extra);
    let kind = match (&mime, is_youtube(&uri)) {
        (Some(mime), _) => kind_of(mime),
        (None, true) => MediaKind::Video,
        (None, false) => kind_of(mime_of_address(&uri).unwrap_or_default()),
    };
    let web = uri.starts_with("https://") || uri.starts_with("http://");
    let own = !web || is_youtube(&uri) || host(&uri) == "generativelanguage.googleapis.com";
    Ok(Media {
        kind,
        source: if own {
            Source::File(uri)
        } else {
            Source::Url(uri)
        },
        mime,
        name,
        detail: None,
        context: None,
        citations: false,
    })
}

/// The type that the bytes show, where it is of the kind that was declared: a sound that looks like an image stays a sound.
fn sniffed(data: &str, kind: Option<MediaKind>) -> Option<&'static str> {
    sniff(data).filter(|mime| kind.is_none_or(|kind| kind == kind_of(mime)))
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || matches!(mime, "application/json" | "application/xml")
}

fn host(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#', ':']).next().unwrap_or_default()
}

fn is_youtube(uri: &str) -> bool {
    let host = host(uri);
    host == "youtu.be" || host == "youtube.com" || host.ends_with(".youtube.com")
}

/// The type that an address ends in.
fn mime_of_address(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let (_, extension) = file.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "aiff" => "audio/aiff",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

/// What a kind of media most often is, for addresses that do not tell.
fn usual_mime(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Audio => "audio/mp3",
        MediaKind::Video => "video/mp4",
        MediaKind::Document => "application/pdf",
    }
}

/// Writes the fields of a part.
type Fill<'f> = &'f mut dyn FnMut(&mut Object<'_>);

/// Writes media as one part or several, each handed to `part` as the fields of an open object.
pub(super) fn encode(
    media: &Media,
    at: &At,
    quirks: &Quirks,
    losses: &mut Losses,
    part: &mut dyn FnMut(Fill<'_>),
) -> Result<(), Refusal> {
    let Media {
        kind,
        source,
        mime,
        name,
        detail,
        context,
        citations,
    } = media;
    if name.is_some() {
        losses.push(
            at.clone(),
            "name",
            "dropped: Gemini has no place for names of files",
        );
    }
    if *citations {
        losses.push(
            at.clone(),
            "citations",
            "dropped: Gemini does not cite documents",
        );
    }
    if let Some(context) = context {
        part(&mut |fields| fields.string("text", context));
    }
    let resolution = match detail {
        None | Some(Detail::Auto) => None,
        Some(Detail::Low) => Some("MEDIA_RESOLUTION_LOW"),
        Some(Detail::Medium) => Some("MEDIA_RESOLUTION_MEDIUM"),
        Some(Detail::High) => Some("MEDIA_RESOLUTION_HIGH"),
        Some(Detail::Original) => Some("MEDIA_RESOLUTION_ULTRA_HIGH"),
    };
    // Parts carry a resolution since Gemini 3, the first that takes a thinking level.
    let resolution = resolution.filter(|_| {
        let taken = quirks.thinking_field == ThinkingField::Level;
        if !taken {
            losses.push(
                at.clone(),
                "detail",
                "dropped: this model takes no resolution per image",
            );
        }
        taken
    });
    let finish = |fields: &mut Object<'_>| {
        if let Some(level) = resolution {
            fields.object("mediaResolution").string("level", level);
        }
    };
    match source {
        Source::Base64(data) => {
            let mime = sniff(data).or(mime.as_deref()).unwrap_or(usual_mime(*kind));
            refuse_gif(mime, at)?;
            part(&mut |fields| {
                let mut blob = fields.object("inlineData");
                blob.string("mimeType", mime);
                blob.string("data", data);
                drop(blob);
                finish(fields);
            });
        }
        Source::Text(text) => {
            let mime = mime
                .as_deref()
                .filter(|mime| is_text(mime))
                .unwrap_or("text/plain");
            let data = base64_of(text.as_bytes());
            part(&mut |fields| {
                let mut blob = fields.object("inlineData");
                blob.string("mimeType", mime);
                blob.string("data", &data);
            });
        }
        Source::Url(uri) => {
            let mime = mime
                .as_deref()
                .or_else(|| mime_of_address(uri))
                .unwrap_or(usual_mime(*kind));
            refuse_gif(mime, at)?;
            part(&mut |fields| {
                let mut file = fields.object("fileData");
                file.string("fileUri", uri);
                file.string("mimeType", mime);
                drop(file);
                finish(fields);
            });
        }
        // Gemini's own files are addresses, those of other vendors are bare ids.
        Source::File(uri) if uri.contains("://") => part(&mut |fields| {
            let mut file = fields.object("fileData");
            file.string("fileUri", uri);
            file.some_string("mimeType", mime.as_deref());
            drop(file);
            finish(fields);
        }),
        Source::File(id) => {
            return Err(Refusal::new(
                at.clone(),
                format!(
                    "the file '{id}' lies in another vendor's store, which Gemini cannot read; send its bytes or an address"
                ),
            ));
        }
        Source::Parts(parts) => {
            for media in parts {
                if matches!(media.source, Source::Parts(_)) {
                    losses.push(
                        at.clone(),
                        "source",
                        "dropped in part: documents lie inside documents",
                    );
                    continue;
                }
                // Pieces of text are the document's own words.
                if let Source::Text(text) = &media.source {
                    part(&mut |fields| fields.string("text", text));
                } else {
                    encode(media, at, quirks, losses, part)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes media of an answer as parts.
pub(super) fn answer(parts: &mut Vec<u8>, media: &Media) {
    if let Source::Parts(inner) = &media.source {
        for media in inner {
            if !matches!(media.source, Source::Parts(_)) {
                answer(parts, media);
            }
        }
        return;
    }
    if !parts.is_empty() {
        parts.push(b',');
    }
    let mime = media.mime.as_deref();
    let mut part = Object::new(parts);
    match &media.source {
        Source::Base64(data) => {
            let mut blob = part.object("inlineData");
            blob.string("mimeType", mime.unwrap_or(usual_mime(media.kind)));
            blob.string("data", data);
        }
        Source::Text(text) => {
            let mut blob = part.object("inlineData");
            blob.string("mimeType", mime.unwrap_or("text/plain"));
            blob.string("data", &base64_of(text.as_bytes()));
        }
        Source::Url(uri) | Source::File(uri) => {
            let mut file = part.object("fileData");
            file.string("fileUri", uri);
            file.some_string("mimeType", mime);
        }
        // Taken apart above.
        Source::Parts(_) => {}
    }
}

fn refuse_gif(mime: &str, at: &At) -> Result<(), Refusal> {
    if mime == "image/gif" {
        return Err(Refusal::new(
            at.clone(),
            "Gemini does not take GIF images; send PNG, JPEG or WebP",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_file(json: &str) -> Media {
        file(Node::parse(json.as_bytes()).unwrap(), &mut Extra::default()).unwrap()
    }

    #[test]
    fn only_public_addresses_travel() {
        for (uri, own) in [
            ("https://example.com/a.png", false),
            ("https://storage.googleapis.com/b/a.pdf", false),
            (
                "https://generativelanguage.googleapis.com/v1beta/files/x",
                true,
            ),
            ("gs://bucket/a.png", true),
            ("https://www.youtube.com/watch?v=x", true),
            ("https://youtu.be/x", true),
            ("https://notyoutube.com/a.mp4", false),
        ] {
            let media = read_file(&format!(r#"{{"file_uri":"{uri}"}}"#));
            assert_eq!(matches!(media.source, Source::File(_)), own, "{uri}");
        }
    }

    #[test]
    fn the_bytes_tell_the_type_and_text_is_text() {
        let read =
            |json: &str| inline(Node::parse(json.as_bytes()).unwrap(), &mut Extra::default());
        let image =
            read(r#"{"mime_type":"image/png","data":"_9j_4AAQSkZJRgABAQAAAQABAAD_"}"#).unwrap();
        assert_eq!(image.mime.as_deref(), Some("image/jpeg"));
        assert_eq!(
            image.source,
            Source::Base64("/9j/4AAQSkZJRgABAQAAAQABAAD/".into())
        );
        let text = read(r#"{"mimeType":"text/csv","data":"YSxi"}"#).unwrap();
        assert_eq!(
            (text.kind, text.source),
            (MediaKind::Document, Source::Text("a,b".into()))
        );
        assert_eq!(read(r#"{"data":"YSxi"}"#).unwrap_err().path, "mimeType");
        assert_eq!(read(r#"{"mimeType":"a/b"}"#).unwrap_err().path, "data");
    }
}
