//! The envelope that a proof travels in: what it is, who made it, for whom and for which place, authenticated.
//!
//! One token, the same for the same proof: `lg1.` and base64url, or standard base64 where a client insists on it. What was
//! changed, cut, or made with another key or for another caller is no envelope of ours.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Item, Origin, Proof, Thought, Words};
use crate::DialectId;

/// What a token begins with.
pub(super) const PREFIX: &str = "lg1.";
/// What a token in standard base64 begins with: eight digits, the same in every alphabet, which are the bytes of `MAGIC`.
pub(super) const PREFIX_BASE64: &str = "bGd2MS54";
const MAGIC: &[u8; 6] = b"lgv1.x";

/// Bytes of the authentication at the end.
const TAG: usize = 16;

/// Clients pad or not, and some turn `+/` into `-_`.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const ANY_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const ANY_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// How a token is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Plain,
    Base64,
}

/// What a token holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sealed {
    pub(super) origin: Origin,
    /// The tool call that it stands before, as the client names it.
    pub(super) anchor: String,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Items(Vec<Item>),
    /// Too large to travel: the name of what lies in the store.
    Kept([u8; TAG]),
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Opened {
    Ours(Sealed),
    /// It looks like one of ours and is not.
    Broken,
    /// It does not look like one.
    Other,
}

/// The key of one caller.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    /// The key for `caller` below a gateway's 32 secret bytes.
    pub(super) fn new(master: &[u8; 32], caller: &str) -> Self {
        let vault = tag(&keyed(master), b"lingate proof vault 1");
        Self(keyed(&tag(&keyed(&vault), caller.as_bytes())))
    }

    /// A token for a place in the client's dialect.
    pub(super) fn seal(&self, sealed: &Sealed, slot: DialectId, spelling: Spelling) -> String {
        let mut body = Vec::with_capacity(256);
        write(&mut body, sealed);
        let mac = self.mac(slot, &body);
        match spelling {
            Spelling::Plain => {
                body.extend_from_slice(&mac);
                let mut text = String::with_capacity(PREFIX.len() + body.len() * 4 / 3 + 4);
                text.push_str(PREFIX);
                URL_SAFE_NO_PAD.encode_string(&body, &mut text);
                text
            }
            Spelling::Base64 => {
                let mut whole = Vec::with_capacity(MAGIC.len() + body.len() + TAG);
                whole.extend_from_slice(MAGIC);
                whole.append(&mut body);
                whole.extend_from_slice(&mac);
                STANDARD.encode(&whole)
            }
        }
    }

    /// Reads a token that came back in the same dialect, in either spelling.
    pub(super) fn open(&self, token: &str, slot: DialectId) -> Opened {
        let Some(bytes) = bytes_of(token) else {
            return if looks_like(token) {
                Opened::Broken
            } else {
                Opened::Other
            };
        };
        self.read(&bytes, slot).map_or(Opened::Broken, Opened::Ours)
    }

    fn read(&self, bytes: &[u8], slot: DialectId) -> Option<Sealed> {
        let (body, mac) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let mut check = self.0.clone();
        check.update(&[code(slot)]);
        check.update(body);
        check.verify_truncated_left(mac).ok()?;
        let mut reader = Reader(body);
        let sealed = reader.sealed()?;
        reader.0.is_empty().then_some(sealed)
    }

    fn mac(&self, slot: DialectId, body: &[u8]) -> [u8; TAG] {
        let mut mac = self.0.clone();
        mac.update(&[code(slot)]);
        mac.update(body);
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|at| whole.get(at).copied().unwrap_or(0))
    }
}

/// Whether a text begins as tokens do.
pub(super) fn looks_like(token: &str) -> bool {
    token.starts_with(PREFIX) || token.starts_with(PREFIX_BASE64)
}

fn bytes_of(token: &str) -> Option<Vec<u8>> {
    if let Some(text) = token.strip_prefix(PREFIX) {
        return URL_SAFE_NO_PAD.decode(text).ok();
    }
    if !looks_like(token) {
        return None;
    }
    let whole = ANY_STANDARD
        .decode(token)
        .or_else(|_| ANY_URL.decode(token))
        .ok()?;
    Some(whole.strip_prefix(MAGIC)?.to_vec())
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // Shorter keys are filled up with zeros.
    let block: [u8; 64] = std::array::from_fn(|at| key.get(at).copied().unwrap_or(0));
    Hmac::new(&block.into())
}

fn tag(key: &Hmac<Sha256>, text: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// The first half of a text's SHA-256.
pub(super) fn hash(text: &[u8]) -> [u8; TAG] {
    let whole = Sha256::digest(text);
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or(0))
}

fn code(dialect: DialectId) -> u8 {
    match dialect {
        DialectId::Chat => b'c',
        DialectId::Responses => b'r',
        DialectId::Messages => b'm',
        DialectId::Gemini => b'g',
    }
}

fn write(out: &mut Vec<u8>, sealed: &Sealed) {
    out.push(code(sealed.origin.dialect));
    write_text(out, sealed.origin.provider.as_bytes());
    write_text(out, sealed.origin.model.as_bytes());
    write_text(out, sealed.anchor.as_bytes());
    match &sealed.content {
        Content::Kept(name) => {
            out.push(b'k');
            out.extend_from_slice(name);
        }
        Content::Items(items) => {
            for item in items {
                write_item(out, item);
            }
        }
    }
}

fn write_item(out: &mut Vec<u8>, item: &Item) {
    match item {
        Item::Call { id, proof } => {
            out.push(b'c');
            write_text(out, id.as_bytes());
            write_proof(out, proof);
        }
        Item::Thought(thought) => {
            out.push(b't');
            let bits = [
                thought.redacted,
                thought.after_text,
                thought.proof.is_some(),
                matches!(thought.words, Words::Seen(_)),
            ];
            let flags = (0..).zip(bits).map(|(at, bit)| u8::from(bit) << at).sum();
            out.push(flags);
            match &thought.words {
                Words::Whole(text) => write_text(out, text.as_bytes()),
                Words::Seen(hash) => out.extend_from_slice(hash),
            }
            if let Some(proof) = &thought.proof {
                write_proof(out, proof);
            }
        }
    }
}

fn write_proof(out: &mut Vec<u8>, proof: &Proof) {
    write_text(out, proof.kind.as_bytes());
    write_text(out, proof.json.as_bytes());
}

/// A length in groups of seven bits, lowest first, and the text.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut left = text.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap_or(0);
        left >>= 7;
        if left == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(text);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn sealed(&mut self) -> Option<Sealed> {
        let dialect = match self.byte()? {
            b'c' => DialectId::Chat,
            b'r' => DialectId::Responses,
            b'm' => DialectId::Messages,
            b'g' => DialectId::Gemini,
            _ => return None,
        };
        let origin = Origin {
            dialect,
            provider: self.text()?,
            model: self.text()?,
        };
        let anchor = self.text()?;
        let mut items = Vec::new();
        let mut content = None;
        while !self.0.is_empty() {
            match self.byte()? {
                b'k' => content = Some(Content::Kept(self.name()?)),
                b'c' => items.push(Item::Call {
                    id: self.text()?,
                    proof: self.proof()?,
                }),
                b't' => items.push(Item::Thought(self.thought()?)),
                _ => return None,
            }
        }
        Some(Sealed {
            origin,
            anchor,
            content: content.unwrap_or(Content::Items(items)),
        })
    }

    fn thought(&mut self) -> Option<Thought> {
        let flags = self.byte()?;
        let words = if flags & 8 == 0 {
            Words::Whole(self.text()?)
        } else {
            Words::Seen(self.name()?)
        };
        let proof = if flags & 4 == 0 {
            None
        } else {
            Some(self.proof()?)
        };
        Some(Thought {
            words,
            proof,
            redacted: flags & 1 != 0,
            after_text: flags & 2 != 0,
        })
    }

    fn proof(&mut self) -> Option<Proof> {
        Some(Proof {
            kind: self.text()?,
            json: self.text()?,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn name(&mut self) -> Option<[u8; TAG]> {
        self.take(TAG)?.try_into().ok()
    }

    fn text(&mut self) -> Option<String> {
        let mut length = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return String::from_utf8(self.take(length)?.to_vec()).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(caller: &str) -> Key {
        Key::new(&[7; 32], caller)
    }

    fn sample(text: &str, proof: &str) -> Sealed {
        Sealed {
            origin: Origin {
                provider: "acme".to_owned(),
                dialect: DialectId::Messages,
                model: String::new(),
            },
            anchor: "toolu_1".to_owned(),
            content: Content::Items(vec![
                Item::Thought(Thought {
                    words: Words::Whole(text.to_owned()),
                    proof: Some(Proof {
                        kind: "signature".to_owned(),
                        json: proof.to_owned(),
                    }),
                    redacted: false,
                    after_text: true,
                }),
                Item::Thought(Thought {
                    words: Words::Seen(hash(text.as_bytes())),
                    proof: None,
                    redacted: true,
                    after_text: false,
                }),
                Item::Call {
                    id: "call_é".to_owned(),
                    proof: Proof {
                        kind: "k".to_owned(),
                        json: proof.to_owned(),
                    },
                },
            ]),
        }
    }

    const SPELLINGS: [Spelling; 2] = [Spelling::Plain, Spelling::Base64];

    #[test]
    fn tokens_begin_as_they_are_looked_for() {
        let sealed = sample("x", "\"y\"");
        let plain = key("a").seal(&sealed, DialectId::Messages, Spelling::Plain);
        assert!(plain.starts_with(PREFIX), "{plain}");
        let base64 = key("a").seal(&sealed, DialectId::Gemini, Spelling::Base64);
        assert!(base64.starts_with(PREFIX_BASE64), "{base64}");
        let url = base64.replace('+', "-").replace('/', "_");
        for spelled in [&base64, &url, &url.trim_end_matches('=').to_owned()] {
            assert_eq!(
                key("a").open(spelled, DialectId::Gemini),
                Opened::Ours(sealed.clone())
            );
        }
    }

    #[test]
    fn what_is_not_ours_is_told_from_what_is_no_more() {
        let token = key("a").seal(&sample("x", "1"), DialectId::Messages, Spelling::Plain);
        let check = |key: &Key, token: &str, slot, expect: &Opened| {
            assert_eq!(&key.open(token, slot), expect, "{token}");
        };
        let own = DialectId::Messages;
        check(&key("b"), &token, own, &Opened::Broken);
        check(&Key::new(&[8; 32], "a"), &token, own, &Opened::Broken);
        check(&key("a"), &token, DialectId::Chat, &Opened::Broken);
        check(&key("a"), "lg1.", own, &Opened::Broken);
        check(&key("a"), "lg1.!!", own, &Opened::Broken);
        check(&key("a"), PREFIX_BASE64, own, &Opened::Broken);
        check(&key("a"), "EqQBCgIYAhIM", own, &Opened::Other);
        check(&key("a"), "", own, &Opened::Other);
    }

    proptest! {
        #[test]
        fn what_is_sealed_comes_out_the_same(text in ".{0,200}", proof in ".{0,300}") {
            let sealed = sample(&text, &proof);
            for spelling in SPELLINGS {
                let token = key("a").seal(&sealed, DialectId::Chat, spelling);
                prop_assert_eq!(&token, &key("a").seal(&sealed, DialectId::Chat, spelling));
                prop_assert_eq!(key("a").open(&token, DialectId::Chat), Opened::Ours(sealed.clone()));
            }
        }

        #[test]
        fn any_change_is_seen(text in ".{0,40}", at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_+/-]", cut in any::<bool>()) {
            let sealed = sample(&text, "\"proof\"");
            for spelling in SPELLINGS {
                let token = key("a").seal(&sealed, DialectId::Chat, spelling);
                let place = at.index(token.len());
                let mut changed = token.clone();
                if cut {
                    changed.truncate(place);
                } else {
                    changed.replace_range(place..=place, &to);
                }
                // The last digit holds bits that mean nothing, and padding is optional.
                let same = |text: &str| bytes_of(text).is_some_and(|bytes| Some(bytes) == bytes_of(&token));
                if !same(&changed) {
                    prop_assert!(!matches!(key("a").open(&changed, DialectId::Chat), Opened::Ours(_)));
                }
            }
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(key("a").open(&token, DialectId::Chat), Opened::Broken);
            let mut reader = Reader(&bytes);
            let _read = reader.sealed();
        }
    }
}
