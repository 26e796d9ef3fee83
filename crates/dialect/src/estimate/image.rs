//! How many tokens an image has: its size, from its first bytes, and the vendors' rules.

use base64::Engine as _;

use crate::hub::Detail;

/// How a vendor counts images.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ImageRule {
    /// So many, whatever its size.
    Fixed { tokens: f64 },
    /// Squares of 512 pixels, after the image was made to fit 2,048 by 2,048 and its shorter side 768.
    Tiles { base: f64, tile: f64 },
    /// Squares of 32 pixels, at most `most` of them, each as `weight` tokens.
    Patches { weight: f64, most: f64 },
    /// One token for 750 pixels, after its longer side was made to fit `side`; never more than `most`.
    Area { side: f64, most: f64 },
    /// Small images are one unit; larger ones are cut into crops of about 768 pixels, each a unit.
    Crops { unit: f64 },
}

/// What is assumed of an image whose size is not known.
const USUAL: (u32, u32) = (1024, 1024);

impl ImageRule {
    pub fn tokens(&self, size: Option<(u32, u32)>, detail: Option<Detail>) -> f64 {
        let (width, height) = size.unwrap_or(USUAL);
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let (long, short) = (width.max(height), width.min(height));
        match *self {
            Self::Fixed { tokens } => tokens,
            Self::Tiles { base, .. } if detail == Some(Detail::Low) => base,
            Self::Tiles { base, tile } => {
                let fit = (2048.0 / long).min(1.0);
                let fit = fit * (768.0 / (short * fit)).min(1.0);
                base + tile * (width * fit / 512.0).ceil() * (height * fit / 512.0).ceil()
            }
            Self::Patches { weight, most } => {
                let most = if detail == Some(Detail::Low) {
                    most.min(256.0)
                } else {
                    most
                };
                let patches = |fit: f64| (width * fit / 32.0).ceil() * (height * fit / 32.0).ceil();
                let whole = patches(1.0);
                let fitting = if whole > most {
                    // Made smaller until whole squares fit both ways.
                    let fit = (most * 1024.0 / (width * height)).sqrt();
                    let fraction = |side: f64| {
                        let squares = side * fit / 32.0;
                        squares.floor().max(1.0) / squares
                    };
                    patches(fit * fraction(width).min(fraction(height)) - 1e-9).min(most)
                } else {
                    whole
                };
                fitting * weight
            }
            Self::Area { side, most } => {
                let fit = (side / long).min(1.0);
                (width * fit * height * fit / 750.0).ceil().min(most)
            }
            Self::Crops { unit } => {
                if long <= 384.0 {
                    return unit;
                }
                let crop = (short / 1.5).clamp(256.0, 768.0);
                unit * (width / crop).ceil() * (height / crop).ceil()
            }
        }
    }
}

/// How far the size of a JPEG is looked for, in bytes: previews and colour profiles may stand before it.
const FARTHEST: usize = 256 << 10;

/// Width and height of a PNG, JPEG, GIF or WebP, from its header; `None` for anything else.
pub fn dimensions(base64: &str) -> Option<(u32, u32)> {
    let head = decode(base64, 64)?;
    match () {
        () if head.starts_with(b"\x89PNG\r\n\x1a\n") => Some((be32(&head, 16)?, be32(&head, 20)?)),
        () if head.starts_with(b"GIF8") => Some((le16(&head, 6)?, le16(&head, 8)?)),
        () if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") => webp(&head),
        () if head.starts_with(b"\xff\xd8") => jpeg(&decode(base64, FARTHEST)?),
        () => None,
    }
}

/// At most so many bytes of the beginning.
fn decode(base64: &str, bytes: usize) -> Option<Vec<u8>> {
    let characters = bytes.div_ceil(3) * 4;
    let head = base64.get(..characters.min(base64.len() / 4 * 4))?;
    base64::engine::general_purpose::STANDARD.decode(head).ok()
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8 " => Some((le16(head, 26)? & 0x3fff, le16(head, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = le32(head, 21)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => Some((
            (le32(head, 24)? & 0xff_ffff) + 1,
            (le32(head, 27)? & 0xff_ffff) + 1,
        )),
        _ => None,
    }
}

/// Walks the segments up to the one that begins the frame.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1).filter(|_| bytes.get(at) == Some(&0xff))?;
        match marker {
            0xff => at += 1,
            // The frames, but for the three codes that are none.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => at += 2 + usize::try_from(be16(bytes, at + 2)?).ok()?,
        }
    }
}

fn byte(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at).copied().map(u32::from)
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(byte(bytes, at)? << 8 | byte(bytes, at + 1)?)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(be16(bytes, at)? << 16 | be16(bytes, at + 2)?)
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(byte(bytes, at)? | byte(bytes, at + 1)? << 8)
}

/// Also read where only three bytes matter, so that the fourth may be missing.
fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(le16(bytes, at)? | byte(bytes, at + 2)? << 16 | byte(bytes, at + 3).unwrap_or(0) << 24)
}

/// About how many pages a PDF has: its page objects where they can be seen, else its size.
pub(super) fn pages(base64: &str) -> f64 {
    const BYTES_OF_A_PAGE: usize = 40_000;
    let seen = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .map_or(0, |bytes| page_objects(&bytes));
    if seen > 0 {
        return f64::from(seen);
    }
    let guess = (base64.len() / 4 * 3).div_ceil(BYTES_OF_A_PAGE).max(1);
    f64::from(u32::try_from(guess).unwrap_or(u32::MAX))
}

/// How often `/Type /Page` stands there, and not `/Pages`.
fn page_objects(bytes: &[u8]) -> u32 {
    let mut count = 0;
    for at in memchr::memmem::find_iter(bytes, b"/Type") {
        let rest = bytes
            .get(at + 5..(at + 24).min(bytes.len()))
            .unwrap_or_default();
        let is_page = rest
            .trim_ascii_start()
            .strip_prefix(b"/Page")
            .is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric));
        count += u32::from(is_page);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(bytes: &[u8]) -> String {
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    #[test]
    fn sizes_stand_in_headers() {
        let check = |bytes: &[u8], expect: Option<(u32, u32)>| {
            assert_eq!(dimensions(&base64(bytes)), expect, "{bytes:?}");
        };
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0\x08\x06\0\0\0rest of it";
        check(png, Some((1024, 768)));
        check(&png[..18], None);
        check(b"GIF89a\x40\x01\xf0\0rest", Some((320, 240)));
        check(
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xf0\0",
            Some((320, 240)),
        );
        check(
            b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0",
            Some((320, 240)),
        );
        check(
            b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x3f\xc1\x3b\0",
            Some((320, 240)),
        );
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x04xx\xff\xff\xc4\0\x03x\xff\xc2\0\x11\x08\0\xf0\x01\x40\x03";
        check(jpeg, Some((320, 240)));
        check(&jpeg[..12], None);
        check(b"\xff\xd8\xff\xe0\xff\xff", None);
        check(
            b"not an image, but long enough to be looked at for a while, and then some",
            None,
        );
        check(b"", None);
    }

    #[test]
    fn rules_follow_the_vendors_examples() {
        let check = |rule: ImageRule, size, detail, expect: f64| {
            let found = rule.tokens(Some(size), detail);
            assert!((found - expect).abs() < 0.5, "{rule:?} {size:?}: {found}");
        };
        let tiles = ImageRule::Tiles {
            base: 85.0,
            tile: 170.0,
        };
        check(tiles, (1024, 1024), None, 765.0);
        check(tiles, (2048, 4096), None, 1105.0);
        check(tiles, (4096, 8192), Some(Detail::Low), 85.0);
        let patches = ImageRule::Patches {
            weight: 1.0,
            most: 1536.0,
        };
        check(patches, (1024, 1024), None, 1024.0);
        check(patches, (1800, 2400), None, 1452.0);
        let area = ImageRule::Area {
            side: 1568.0,
            most: 1600.0,
        };
        check(area, (200, 200), None, 54.0);
        check(area, (1000, 1000), None, 1334.0);
        check(area, (9000, 9000), None, 1600.0);
        let crops = ImageRule::Crops { unit: 258.0 };
        check(crops, (300, 300), None, 258.0);
        check(crops, (960, 540), None, 6.0 * 258.0);
    }

    #[test]
    fn pages_are_counted() {
        let two =
            b"%PDF-1.4 <</Type /Pages /Kids []>> <</Type/Page>> <</Type /Page /Parent 1 0 R>>";
        assert!((pages(&base64(two)) - 2.0).abs() < 0.1);
        assert!((pages(&base64(&vec![b'x'; 100_000])) - 3.0).abs() < 0.1);
    }
}
