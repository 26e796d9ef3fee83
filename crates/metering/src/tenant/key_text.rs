//! The text of a key of the gateway: `sk-lg-`, 256 random bits, and a checksum by which a text is known that was cut or mistyped.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::KeySecret;
use crate::Millis;

/// What every key begins with.
const PREFIX: &str = "sk-lg-";

/// Characters of 256 bits, and of the checksum.
const BODY: usize = 43;
const CHECK: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The whole text of a key, which is shown once and never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// What a text is that was shown as a key, and that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// It has the form of a key of a gateway like this.
    Whole,
    /// It begins like one, and its end is missing.
    Cut,
    /// It begins like one, and some character is wrong.
    Mistyped,
    /// Something else.
    Other,
}

impl KeyText {
    /// Makes a key of random bytes, which whoever calls this takes from the operating system.
    pub fn mint(random: [u8; 32]) -> Self {
        let body = digits(random, BODY);
        let check = checksum(&body);
        Self(format!("{PREFIX}{body}{check}"))
    }

    /// The text. It is a secret: it is shown to one person, once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn secret(&self, expires_at: Option<Millis>) -> KeySecret {
        KeySecret::of(&self.0, expires_at)
    }

    pub fn likeness(text: &str) -> Likeness {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Likeness::Other;
        };
        let known = rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match rest.split_at_checked(BODY) {
            Some((body, check)) if known && check.len() == CHECK => {
                if checksum(body) == check {
                    Likeness::Whole
                } else {
                    Likeness::Mistyped
                }
            }
            _ if known && rest.len() < BODY + CHECK => Likeness::Cut,
            _ => Likeness::Mistyped,
        }
    }
}

// Nothing of a key is printed by accident.
impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

impl KeySecret {
    /// What is kept of a text that callers show.
    pub fn of(text: &str, expires_at: Option<Millis>) -> Self {
        Self {
            sha256: Sha256::digest(text).into(),
            hint: hint(text),
            expires_at,
        }
    }
}

/// The last four characters; of a short text none, since they would be too much of it.
fn hint(text: &str) -> String {
    let count = text.chars().count();
    if count < 16 {
        return String::new();
    }
    text.chars().skip(count - 4).collect()
}

fn checksum(body: &str) -> String {
    let mut short = [0; 32];
    let digest = Sha256::new()
        .chain_update(PREFIX)
        .chain_update(body)
        .finalize();
    // 32 bits are what six characters can hold.
    for (to, from) in short.iter_mut().rev().zip(digest.iter().take(4)) {
        *to = *from;
    }
    digits(short, CHECK)
}

/// A big-endian number in base 62, with leading zeros.
fn digits(mut number: [u8; 32], count: usize) -> String {
    let mut digits = Vec::with_capacity(count);
    for _ in 0..count {
        let mut rest: u32 = 0;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        let digit = usize::try_from(rest).ok().and_then(|rest| DIGITS.get(rest));
        digits.push(char::from(digit.copied().unwrap_or(b'0')));
    }
    digits.iter().rev().collect()
}
