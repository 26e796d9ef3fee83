//! A key, and the hold on it that a request has.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::bell::Bell;
use super::health::Health;
use super::spec::KeySpec;

/// One key of a provider and how it fares.
pub struct Key {
    secret: SecretString,
    label: Box<str>,
    fingerprint: [u8; 32],
    is_none: bool,
    health: Mutex<Health>,
}

impl Key {
    pub(super) fn new(spec: &KeySpec, fingerprint: [u8; 32]) -> Self {
        Self {
            label: spec.label().into(),
            fingerprint,
            is_none: spec.is_none(),
            secret: spec.secret.clone(),
            health: Mutex::default(),
        }
    }

    /// The credential itself. Only the crate `upstream` may expose it, to write it into a request.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// SHA-256 of the secret: tells keys apart without telling what they are.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The first twelve hexadecimal digits of the [`fingerprint`](Self::fingerprint): what people call the key by.
    pub fn id(&self) -> String {
        format!("{:012x}", self.point() >> 16)
    }

    /// Whether people call the key so, without making the name of each.
    pub(super) fn has_id(&self, id: &str) -> bool {
        id.len() == 12 && u64::from_str_radix(id, 16).is_ok_and(|id| id == self.point() >> 16)
    }

    /// The last four characters, for logs and tables.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The server wants no credential: none is sent.
    pub fn is_none(&self) -> bool {
        self.is_none
    }

    /// Requests that are under way.
    pub fn in_flight(&self) -> u32 {
        self.health().in_flight
    }

    /// Where it stands on the circle of consistent hashing.
    pub(super) fn point(&self) -> u64 {
        let first = self.fingerprint.iter().take(8);
        first.fold(0, |point, byte| point << 8 | u64::from(*byte))
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        // Nothing under this lock panics.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// By hand: a table of 100,000 keys in a log helps nobody, and a lock in it even less.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.id(), self.label)
    }
}

/// A key to report to; keeps it alive across a change of configuration.
#[derive(Debug, Clone)]
pub struct KeyRef(pub(super) Arc<Key>);

impl Deref for KeyRef {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.0
    }
}

/// A key that was taken for one request. Keep it until the answer has ended: while it lasts, the request counts as under way.
/// When others wait for what this request brings, and nothing was reported when it is dropped, the next of them goes.
pub struct Lease {
    key: Arc<Key>,
    bell: Arc<Bell>,
    probe: Option<u32>,
    /// Tokens that were taken from the key's minute, and how many it has.
    taken: Option<(u64, u64)>,
}

impl Lease {
    pub(super) fn new(
        key: Arc<Key>,
        bell: Arc<Bell>,
        probe: Option<u32>,
        taken: Option<(u64, u64)>,
    ) -> Self {
        Self {
            key,
            bell,
            probe,
            taken,
        }
    }

    /// The request has used so many tokens of prompt and answer, not as many as were estimated. Call it when that is known.
    pub fn spent(&mut self, tokens: u64) {
        let Some((taken, limit)) = self.taken else {
            return;
        };
        self.taken = Some((tokens, limit));
        self.key.health().spent(taken, tokens, limit);
        if tokens < taken {
            self.bell.ring(self.key.point());
        }
    }

    /// To report to when the lease is over.
    pub fn key(&self) -> KeyRef {
        KeyRef(Arc::clone(&self.key))
    }

    /// Others wait for what this request brings: it tests a key that had been turned away.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

impl Deref for Lease {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let waited_for = self.key.health().end(self.probe);
        if waited_for {
            self.bell.ring(self.key.point());
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} {})", self.key.id(), self.key.label)
    }
}
