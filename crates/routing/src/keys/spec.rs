//! A key as it is configured.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::key::KeyRef;

/// The SHA-256 of a secret: equal for equal secrets, and of no use to whoever reads it.
pub fn fingerprint(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// What may be shown of a secret: its last four characters, or nothing when it is too short to spare them.
pub fn label(secret: &str) -> String {
    let length = secret.chars().count();
    if length < 8 {
        return "…".to_owned();
    }
    let tail: String = secret.chars().skip(length - 4).collect();
    format!("…{tail}")
}

/// A key as it is configured.
#[derive(Debug, Clone)]
pub struct KeySpec {
    pub secret: SecretString,
    /// Share of the requests; 0: it is drained, and gets none.
    pub weight: u32,
    /// Routes may be limited to keys with one of some tags.
    pub tags: Vec<String>,
    /// Whose it is at the vendor: keys of one account share what is counted by account. `None`: nobody says.
    pub account: Option<String>,
    pub limits: KeyLimits,
    /// Why it is switched off; `None`: it is used.
    pub disabled: Option<String>,
}

/// What may be asked with one key. `None`: as much as the upstream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLimits {
    /// Requests at the same time; at least 1.
    pub concurrency: Option<u32>,
    /// As vendors count: a bucket of so many, filled evenly within a minute. At least 1.
    pub requests_per_minute: Option<u32>,
    /// Tokens as estimated beforehand, in such a bucket. What is larger than the whole bucket takes all of it. At least 1.
    pub tokens_per_minute: Option<u64>,
}

/// What the configuration says of a key of a pool.
#[derive(Debug, Clone)]
pub struct KeySettings<'p> {
    pub key: KeyRef,
    pub weight: u32,
    pub tags: &'p [Arc<str>],
    pub account: Option<&'p str>,
    pub limits: KeyLimits,
    pub disabled: Option<&'p str>,
}

impl KeySpec {
    /// A key without settings.
    pub fn new(secret: SecretString) -> Self {
        Self {
            secret,
            weight: 1,
            tags: Vec::new(),
            account: None,
            limits: KeyLimits::default(),
            disabled: None,
        }
    }

    pub(super) fn fingerprint(&self) -> [u8; 32] {
        fingerprint(self.secret.expose_secret())
    }

    pub(super) fn label(&self) -> String {
        match self.secret.expose_secret() {
            "" => "none".to_owned(),
            secret => label(secret),
        }
    }

    /// The server wants no credential: none is sent.
    pub(super) fn is_none(&self) -> bool {
        self.secret.expose_secret().is_empty()
    }
}

impl From<SecretString> for KeySpec {
    fn from(secret: SecretString) -> Self {
        Self::new(secret)
    }
}
