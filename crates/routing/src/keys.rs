//! The keys of a provider: which one is next, and which must rest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{Cooldown, Moment};

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

/// One key of a provider and how it fares.
#[derive(Debug)]
pub struct Key {
    secret: SecretString,
    label: String,
    fingerprint: [u8; 32],
    cooling_until: AtomicU64,
    strikes: AtomicU32,
}

impl Key {
    /// The credential itself. Only the crate `upstream` may expose it, to write it into a request.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// SHA-256 of the secret: tells keys apart without telling what they are.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The last four characters, for logs and tables.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The server wants no credential: none is sent.
    pub fn is_none(&self) -> bool {
        self.secret.expose_secret().is_empty()
    }

    /// Until when the key rests; in the past for a healthy one.
    pub fn cooling_until(&self) -> Moment {
        Moment::from_millis(self.cooling_until.load(Ordering::Relaxed))
    }

    /// How many times in a row it was turned away.
    pub fn strikes(&self) -> u32 {
        self.strikes.load(Ordering::Relaxed)
    }
}

/// A key that was chosen; keeps it alive across a change of configuration.
#[derive(Debug, Clone)]
pub struct KeyRef(Arc<Key>);

impl Deref for KeyRef {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.0
    }
}

/// The keys of one provider, used in turn. Those that the upstream has turned away rest for a while.
#[derive(Debug, Default)]
pub struct KeyPool {
    keys: Vec<Arc<Key>>,
    turns: Mutex<Turns>,
}

/// Whose turn it is. A key is in exactly one of the two; one that rests is moved when its turn comes, so that each
/// choice costs no more than the reports that came before it.
#[derive(Debug, Default)]
struct Turns {
    ready: VecDeque<usize>,
    resting: BinaryHeap<Reverse<(Moment, usize)>>,
}

impl KeyPool {
    /// Takes each secret once, in order; empty ones are left out.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut pool = Self::default();
        let mut known = FxHashSet::default();
        for secret in secrets {
            let text = secret.expose_secret();
            let fingerprint = fingerprint(text);
            if !text.is_empty() && known.insert(fingerprint) {
                let label = label(text);
                pool.add(secret, label, fingerprint);
            }
        }
        pool
    }

    /// The pool of a server that wants no credential: its only key [is none](Key::is_none).
    pub fn keyless() -> Self {
        let mut pool = Self::default();
        pool.add(SecretString::default(), "none".to_owned(), fingerprint(""));
        pool
    }

    fn add(&mut self, secret: SecretString, label: String, fingerprint: [u8; 32]) {
        let place = self.keys.len();
        self.keys.push(Arc::new(Key {
            secret,
            label,
            fingerprint,
            cooling_until: AtomicU64::new(0),
            strikes: AtomicU32::new(0),
        }));
        self.turns().ready.push_back(place);
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// All keys, in the order of the configuration.
    pub fn keys(&self) -> impl Iterator<Item = KeyRef> {
        self.keys.iter().map(|key| KeyRef(Arc::clone(key)))
    }

    /// The next key in turn that does not rest. `None` when all rest, or there is none.
    pub fn choose(&self, now: Moment) -> Option<KeyRef> {
        let mut turns = self.turns();
        while let Some(&Reverse((until, place))) = turns.resting.peek()
            && until <= now
        {
            turns.resting.pop();
            turns.ready.push_back(place);
        }
        while let Some(place) = turns.ready.pop_front() {
            let Some(key) = self.keys.get(place) else {
                continue;
            };
            let until = key.cooling_until();
            if until > now {
                turns.resting.push(Reverse((until, place)));
                continue;
            }
            turns.ready.push_back(place);
            return Some(KeyRef(Arc::clone(key)));
        }
        None
    }

    /// When the first key is ready: `now` or earlier if one is, `None` for an empty pool. What to wait for, or to tell the
    /// caller as `retry-after`, when [`choose`](Self::choose) has none.
    pub fn ready_at(&self) -> Option<Moment> {
        self.keys.iter().map(|key| key.cooling_until()).min()
    }

    /// No key is ready: all rest, or there is none.
    pub fn rests(&self, now: Moment) -> bool {
        !self.keys.iter().any(|key| key.cooling_until() <= now)
    }

    /// The upstream turned this key away.
    pub fn report(&self, key: &KeyRef, cooldown: Cooldown, now: Moment) {
        let strikes = key.strikes.fetch_add(1, Ordering::Relaxed);
        let until = cooldown.until(strikes, now).as_millis();
        // The longest of several reports counts: requests in flight at the same time report one after the other.
        key.cooling_until.fetch_max(until, Ordering::Relaxed);
    }

    /// The upstream served a request with this key: it is not turned away "in a row" any more.
    pub fn served(&self, key: &KeyRef) {
        key.strikes.store(0, Ordering::Relaxed);
    }

    /// Takes over how equal keys of an older pool fare.
    pub fn inherit(&self, old: &Self) {
        let known: FxHashMap<[u8; 32], &Arc<Key>> =
            old.keys.iter().map(|key| (key.fingerprint, key)).collect();
        for key in &self.keys {
            if let Some(old) = known.get(&key.fingerprint) {
                key.cooling_until
                    .fetch_max(old.cooling_until().as_millis(), Ordering::Relaxed);
                key.strikes.store(old.strikes(), Ordering::Relaxed);
            }
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Nothing under this lock panics, and half a turn would still be a valid one.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pool(secrets: &[&str]) -> KeyPool {
        KeyPool::new(secrets.iter().map(|secret| SecretString::from(*secret)))
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// The last characters of the next `count` keys.
    fn turns(pool: &KeyPool, count: usize, now: Moment) -> String {
        (0..count)
            .map(|_| match pool.choose(now) {
                Some(key) => key.label().chars().last().unwrap(),
                None => '-',
            })
            .collect()
    }

    fn rest(pool: &KeyPool, last: char, millis: u64, now: Moment) {
        let key = pool.keys().find(|key| key.label().ends_with(last)).unwrap();
        let retry_after = Some(Duration::from_millis(millis));
        pool.report(&key, Cooldown::Limited { retry_after }, now);
    }

    #[test]
    fn takes_turns_and_lets_rest() {
        let pool = pool(&["secret-a", "secret-b", "secret-c", "secret-b", ""]);
        assert_eq!(pool.len(), 3);
        assert_eq!(turns(&pool, 4, at(0)), "abca");
        rest(&pool, 'b', 100, at(0));
        rest(&pool, 'c', 50, at(0));
        assert_eq!(turns(&pool, 3, at(0)), "aaa");
        assert_eq!(turns(&pool, 4, at(50)), "acac");
        assert_eq!(turns(&pool, 3, at(100)), "acb");
        for last in ['a', 'b', 'c'] {
            rest(&pool, last, 10, at(200));
        }
        assert_eq!(turns(&pool, 1, at(205)), "-");
        assert_eq!(pool.ready_at(), Some(at(210)));
        assert_eq!(turns(&pool, 6, at(210)).len(), 6);
    }

    #[test]
    fn the_longest_report_counts_and_service_forgives() {
        let pool = pool(&["secret-a"]);
        let key = pool.choose(at(0)).unwrap();
        pool.report(&key, Cooldown::Refused, at(0));
        rest(&pool, 'a', 5, at(0));
        assert_eq!((key.cooling_until(), key.strikes()), (at(60_000), 2));
        pool.served(&key);
        pool.report(&key, Cooldown::Refused, at(60_000));
        assert_eq!(key.cooling_until(), at(120_000));
    }

    #[test]
    fn health_outlives_a_change_of_configuration() {
        let old = pool(&["secret-a", "secret-b"]);
        rest(&old, 'b', 100, at(0));
        let new = pool(&["secret-b", "secret-c"]);
        new.inherit(&old);
        assert_eq!(turns(&new, 3, at(0)), "ccc");
        assert_eq!(turns(&new, 4, at(100)), "cbcb");
    }

    #[test]
    fn no_key_is_a_key_too() {
        let none = KeyPool::keyless();
        let key = none.choose(at(0)).unwrap();
        assert!(key.is_none());
        assert_eq!(key.label(), "none");
        assert!(pool(&[]).choose(at(0)).is_none());
        assert_eq!(pool(&[]).ready_at(), None);
    }

    #[test]
    fn shows_four_characters_at_most() {
        for (secret, expect) in [
            ("sk-proj-abcd1234", "…1234"),
            ("12345678", "…5678"),
            ("1234567", "…"),
            ("пароль-ключ", "…ключ"),
        ] {
            assert_eq!(label(secret), expect);
            let shown = format!("{:?}", pool(&[secret]));
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_large_pool_with_most_keys_at_rest_stays_cheap() {
        let secrets: Vec<String> = (0..10_000).map(|i| format!("secret-{i:05}")).collect();
        let pool = KeyPool::new(
            secrets
                .iter()
                .map(|secret| SecretString::from(secret.as_str())),
        );
        for key in pool.keys().skip(1) {
            pool.report(&key, Cooldown::Refused, at(0));
        }
        // The first choice takes the key in front, the second moves every resting key aside; then one ready key is left.
        assert_eq!(turns(&pool, 2, at(0)), "00");
        let turns = pool.turns();
        assert_eq!((turns.ready.len(), turns.resting.len()), (1, 9_999));
    }
}
