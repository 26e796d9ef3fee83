//! Media types: data URLs taken apart, and the type told from the first bytes, because vendors refuse a wrong label.

use crate::hub::MediaKind;

/// The parts of `data:<mime>;base64,<data>`. White space inside the data is taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataUrl {
    pub mime: Option<String>,
    pub base64: String,
}

/// Takes a data URL apart; `None` when `url` is none, or not in base64.
pub fn data_url(url: &str) -> Option<DataUrl> {
    let rest = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .and_then(|_| url.get(5..))?;
    let (head, data) = rest.split_once(',')?;
    let mut pieces = head.split(';');
    let mime = pieces
        .next()
        .filter(|mime| !mime.is_empty())
        .map(str::to_ascii_lowercase);
    pieces
        .any(|piece| piece.eq_ignore_ascii_case("base64"))
        .then(|| DataUrl {
            mime,
            base64: tidy_base64(data),
        })
}

/// Base64 in the standard alphabet, without white space, padded.
pub fn tidy_base64(data: &str) -> String {
    let mut tidy: String = data
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    while !tidy.len().is_multiple_of(4) {
        tidy.push('=');
    }
    tidy
}

/// The type that the first bytes tell, for the formats that vendors accept; `None` for anything else.
pub fn sniff(base64: &str) -> Option<&'static str> {
    use base64::Engine as _;
    // 24 characters of base64 are 18 bytes.
    let head = base64.get(..24.min(base64.len() / 4 * 4))?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(head)
        .ok()?;
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let at8 = bytes.get(8..12).unwrap_or_default();
    Some(match () {
        () if starts(b"\x89PNG\r\n\x1a\n") => "image/png",
        () if starts(b"\xff\xd8\xff") => "image/jpeg",
        () if starts(b"GIF87a") || starts(b"GIF89a") => "image/gif",
        () if starts(b"RIFF") && at8 == b"WEBP" => "image/webp",
        () if starts(b"RIFF") && at8 == b"WAVE" => "audio/wav",
        () if starts(b"%PDF-") => "application/pdf",
        () if starts(b"ID3") || starts(b"\xff\xfb") || starts(b"\xff\xf3") => "audio/mpeg",
        () if starts(b"OggS") => "audio/ogg",
        () if starts(b"fLaC") => "audio/flac",
        () => return None,
    })
}

/// The kind that a media type belongs to; everything else is a document.
pub fn kind_of(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// The text of base64 in UTF-8.
pub fn text_of(base64: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(
        base64::engine::general_purpose::STANDARD
            .decode(base64)
            .ok()?,
    )
    .ok()
}

pub fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_come_apart() {
        assert_eq!(
            data_url("data:image/PNG;base64,iVBO Rw0K"),
            Some(DataUrl {
                mime: Some("image/png".into()),
                base64: "iVBORw0K".into()
            })
        );
        assert_eq!(data_url("data:text/plain,hello"), None);
        assert_eq!(data_url("https://example.com/a.png"), None);
        assert_eq!(
            data_url("data:;name=x;base64,QQ"),
            Some(DataUrl {
                mime: None,
                base64: "QQ==".into()
            })
        );
    }

    #[test]
    fn first_bytes_tell_the_type() {
        assert_eq!(sniff("iVBORw0KGgoAAAANSUhEUg=="), Some("image/png"));
        assert_eq!(sniff("/9j/4AAQSkZJRgABAQAAAQAB"), Some("image/jpeg"));
        assert_eq!(sniff("JVBERi0xLjQK"), Some("application/pdf"));
        assert_eq!(sniff("AAAA"), None);
        assert_eq!(sniff("é"), None);
    }
}
