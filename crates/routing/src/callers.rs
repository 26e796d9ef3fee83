//! The health of keys that callers bring along (`auth: passthrough`), without ever keeping such a key.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::keys::rest_after;
use crate::{Fault, Moment};

/// A bounded memory of callers' keys, by hash: whose turn it is in each list, and which keys rest.
///
/// A caller may send several keys in one credential, separated by commas. Requests with the same list take them in turn,
/// and a key that one request saw refused is left alone by the next. Keys count per provider, since a key is good at one
/// provider only. What has not been seen for long is forgotten.
#[derive(Debug)]
pub struct CallerKeys {
    generations: Mutex<Generations>,
    /// Entries in one of the two generations.
    half: usize,
}

type Hash = [u8; 32];

/// Entries that are used move to the young generation; when it is full it becomes the old one, and what was old and
/// unused is dropped.
#[derive(Debug, Default)]
struct Generations {
    young: FxHashMap<Hash, Entry>,
    old: FxHashMap<Hash, Entry>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Of a list: how many choices were made.
    turn: usize,
    /// Of a key: until when it rests, and how many times in a row it was turned away.
    cooling_until: Moment,
    strikes: u32,
}

impl CallerKeys {
    /// Remembers at most `capacity` keys and lists, about 100 bytes each.
    pub fn new(capacity: usize) -> Self {
        Self {
            generations: Mutex::default(),
            half: (capacity / 2).max(1),
        }
    }

    /// The index of the key to use next. When all rest it is the one that is ready first: these keys are the caller's, and
    /// the upstream's own answer tells more than a refusal by the gateway. `None` for an empty list.
    pub fn choose(&self, provider: &str, keys: &[&SecretString], now: Moment) -> Option<usize> {
        if keys.len() < 2 {
            return (!keys.is_empty()).then_some(0);
        }
        let hashes: Vec<Hash> = keys.iter().map(|key| hash(provider, key)).collect();
        let mut list = Sha256::new();
        for hash in &hashes {
            list.update(hash);
        }
        let list: Hash = list.finalize().into();

        let mut generations = self.generations();
        let entry = generations.touch(list, self.half);
        let first = entry.turn;
        entry.turn = first.wrapping_add(1);
        let until = |generations: &Generations, place: usize| {
            let hash = hashes.get(place)?;
            Some(generations.seen(hash)?.cooling_until)
        };
        let places = (0..keys.len()).map(|step| first.wrapping_add(step) % keys.len());
        places
            .map(|place| (until(&generations, place).unwrap_or_default(), place))
            // Ready keys are all alike; of equals the first in turn is taken.
            .min_by_key(|(until, _)| (*until).max(now))
            .map(|(_, place)| place)
    }

    /// When the first of these keys is ready, a moment that may be past; `None` for an empty list.
    pub fn ready_at(&self, provider: &str, keys: &[SecretString]) -> Option<Moment> {
        // A caller may bring thousands: they are not hashed while all others wait.
        let hashes: Vec<Hash> = keys.iter().map(|key| hash(provider, key)).collect();
        let generations = self.generations();
        hashes
            .iter()
            .map(|hash| {
                let seen = generations.seen(hash);
                seen.map(|entry| entry.cooling_until).unwrap_or_default()
            })
            .min()
    }

    /// A request with this key failed.
    pub fn report(&self, provider: &str, key: &SecretString, fault: &Fault, now: Moment) {
        if !fault.class.is_of_key() {
            return;
        }
        let mut generations = self.generations();
        let entry = generations.touch(hash(provider, key), self.half);
        // Requests that are under way at the same time fail one after the other: that is one strike.
        if entry.strikes == 0 || entry.cooling_until <= now {
            entry.strikes = entry.strikes.saturating_add(1);
        }
        let until = now.after(rest_after(fault, entry.strikes));
        entry.cooling_until = entry.cooling_until.max(until);
    }

    /// The upstream served a request with this key.
    pub fn served(&self, provider: &str, key: &SecretString) {
        let hash = hash(provider, key);
        let mut generations = self.generations();
        // A key without a history needs none: only what was turned away is remembered.
        if generations
            .seen(&hash)
            .is_some_and(|entry| entry.strikes > 0)
        {
            generations.touch(hash, self.half).strikes = 0;
        }
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        // Nothing under this lock panics, and a lost entry is only a forgotten one.
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn seen(&self, hash: &Hash) -> Option<&Entry> {
        self.young.get(hash).or_else(|| self.old.get(hash))
    }

    fn touch(&mut self, hash: Hash, half: usize) -> &mut Entry {
        if !self.young.contains_key(&hash) && self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        let old = self.old.remove(&hash);
        self.young
            .entry(hash)
            .or_insert_with(|| old.unwrap_or_default())
    }
}

fn hash(provider: &str, key: &SecretString) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(provider.as_bytes());
    hasher.update([0]);
    hasher.update(key.expose_secret().as_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Class;

    fn secret(key: &str) -> SecretString {
        SecretString::from(key)
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn turns(
        keys: &CallerKeys,
        provider: &str,
        list: &[&str],
        count: usize,
        now: Moment,
    ) -> String {
        let secrets: Vec<SecretString> = list.iter().map(|key| secret(key)).collect();
        let secrets: Vec<&SecretString> = secrets.iter().collect();
        (0..count)
            .map(|_| match keys.choose(provider, &secrets, now) {
                Some(place) => list[place].chars().last().unwrap(),
                None => '-',
            })
            .collect()
    }

    fn limited(millis: u64) -> Fault {
        Fault {
            retry_after: Some(Duration::from_millis(millis)),
            ..Fault::new(Class::RateLimited)
        }
    }

    fn dead() -> Fault {
        Fault::new(Class::KeyDead)
    }

    #[test]
    fn lists_take_turns_and_share_what_they_learn() {
        let keys = CallerKeys::new(100);
        let list = ["k-a", "k-b", "k-c"];
        assert_eq!(turns(&keys, "p", &list, 4, at(0)), "abca");
        keys.report("p", &secret("k-b"), &limited(100), at(0));
        assert_eq!(turns(&keys, "p", &list, 3, at(0)), "cca");
        assert_eq!(turns(&keys, "p", &["k-b", "k-z"], 2, at(0)), "zz");
        // Another provider knows nothing of it.
        assert_eq!(turns(&keys, "q", &list, 3, at(0)), "abc");
        assert_eq!(turns(&keys, "p", &list, 3, at(100)), "bca");
    }

    #[test]
    fn the_callers_last_key_is_always_tried() {
        let keys = CallerKeys::new(100);
        assert_eq!(turns(&keys, "p", &[], 1, at(0)), "-");
        keys.report("p", &secret("k-a"), &limited(100), at(0));
        keys.report("p", &secret("k-b"), &limited(50), at(0));
        assert_eq!(turns(&keys, "p", &["k-a"], 1, at(0)), "a");
        assert_eq!(turns(&keys, "p", &["k-a", "k-b"], 3, at(0)), "bbb");
    }

    #[test]
    fn service_forgives() {
        let keys = CallerKeys::new(100);
        let list = ["k-a", "k-b"];
        keys.report("p", &secret("k-a"), &dead(), at(0));
        keys.served("p", &secret("k-a"));
        keys.report("p", &secret("k-a"), &dead(), at(60_000));
        assert_eq!(turns(&keys, "p", &list, 2, at(119_999)), "bb");
        assert_eq!(turns(&keys, "p", &list, 2, at(120_000)), "ab");
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_used() {
        let keys = CallerKeys::new(10);
        let list = ["k-a", "k-b"];
        keys.report("p", &secret("k-a"), &dead(), at(0));
        for other in 0..1_000 {
            keys.report("p", &secret(&format!("other-{other}")), &dead(), at(0));
            if other % 3 == 0 {
                keys.report("p", &secret("k-a"), &dead(), at(0));
            }
            let generations = keys.generations();
            assert!(generations.young.len() + generations.old.len() <= 10);
        }
        assert_eq!(turns(&keys, "p", &list, 3, at(0)), "bbb");
    }
}
