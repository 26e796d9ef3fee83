//! What a value is called on disk and in memory: hashes of its scope and its key, which say nothing of either.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// A scope and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) scope: Half,
    pub(crate) key: Half,
}

/// 128 bits of a hash: nobody finds two texts with the same ones.
pub(crate) type Half = [u8; 16];

impl Name {
    pub(crate) fn new(scope: &str, key: &str) -> Self {
        Self {
            scope: half(b"scope", scope.as_bytes()),
            key: half(b"key", key.as_bytes()),
        }
    }
}

fn half(what: &[u8], text: &[u8]) -> Half {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(what)
        .chain_update([0])
        .chain_update(text)
        .finalize()
        .into();
    let mut half = [0; 16];
    half.copy_from_slice(hash.split_at(16).0);
    half
}

/// 32 lower-case hexadecimal digits.
pub(crate) fn hex(half: &Half) -> String {
    let mut text = String::with_capacity(32);
    for byte in half {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads what [`hex`] wrote; `None` for every other text.
pub(crate) fn unhex(text: &str) -> Option<Half> {
    let mut half = [0; 16];
    if text.len() != 32 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in half.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(half)
}
