//! Whose keys requests go upstream with, and keys for what is asked beside them.

use std::fmt;
use std::sync::Arc;

use lingate_routing::{CallerKeys, Fault, KeyRef, Lease, Moment, Purse, Target, Wanted};
use secrecy::SecretString;

use crate::caller::Caller;

/// Keys and lists of callers that are remembered, about 100 bytes each.
const REMEMBERED: usize = 20_000;

/// A key for a request beside an answer: a count, a stored answer, the rest of one that broke off.
pub(crate) enum Key {
    /// Of the provider's pool.
    Pool(Lease),
    /// Of the caller's list, at this place.
    Caller { place: usize, secret: SecretString },
}

impl Key {
    /// The secret to send; `None` where the provider wants none.
    pub(crate) fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Pool(key) => (!key.is_none()).then(|| key.secret()),
            Self::Caller { secret, .. } => Some(secret),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(key) => write!(f, "Key({})", key.label()),
            Self::Caller { .. } => f.write_str("Key(caller's)"),
        }
    }
}

/// What is remembered about the keys of callers.
#[derive(Debug)]
pub(crate) struct Keys {
    callers: Arc<CallerKeys>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            callers: Arc::new(CallerKeys::new(REMEMBERED)),
        }
    }

    /// Whose keys the caller's requests go upstream with.
    pub(crate) fn purse(&self, caller: &Caller) -> Purse {
        match caller {
            Caller::Passthrough(keys, _) => Purse::Caller {
                keys: keys.clone().into(),
                memory: Arc::clone(&self.callers),
            },
            Caller::Open(_) | Caller::Named(_) => Purse::Pool,
        }
    }

    /// A key that was not `tried`, though it may rest: what is asked beside an answer has no other target.
    pub(crate) fn choose(
        &self,
        target: &Target,
        caller: &Caller,
        tried: &[Key],
        now: Moment,
    ) -> Option<Key> {
        if let Caller::Passthrough(keys, _) = caller {
            let left: Vec<usize> = (0..keys.len())
                .filter(|place| {
                    !tried.iter().any(
                        |key| matches!(key, Key::Caller { place: tried, .. } if tried == place),
                    )
                })
                .collect();
            let secrets: Vec<&SecretString> =
                left.iter().filter_map(|place| keys.get(*place)).collect();
            let chosen = self.callers.choose(&target.provider.name, &secrets, now)?;
            let place = *left.get(chosen)?;
            return Some(Key::Caller {
                place,
                secret: keys.get(place)?.clone(),
            });
        }
        let is_tried = |key: &lingate_routing::Key| {
            tried.iter().any(
                |other| matches!(other, Key::Pool(other) if other.fingerprint() == key.fingerprint()),
            )
        };
        let wanted = Wanted {
            from: target.keys,
            tried: &is_tried,
            ..Wanted::of(&target.model)
        };
        let pool = &target.provider.keys;
        pool.take_least_bad(&wanted, now).map(Key::Pool)
    }

    /// The key that an answer began with, if that is the provider's and may be used; else any.
    pub(crate) fn choose_again(
        &self,
        target: &Target,
        caller: &Caller,
        key: Option<&KeyRef>,
        now: Moment,
    ) -> Option<Key> {
        let wanted = Wanted::of(&target.model);
        let pool = &target.provider.keys;
        let again = key.and_then(|key| pool.take_again(key, &wanted, now));
        again
            .map(Key::Pool)
            .or_else(|| self.choose(target, caller, &[], now))
    }

    /// The upstream turned the request down.
    pub(crate) fn failed(&self, target: &Target, key: &Key, fault: &Fault, now: Moment) {
        match key {
            Key::Pool(key) => target.provider.keys.report(key, &target.model, fault, now),
            Key::Caller { secret, .. } => {
                self.callers
                    .report(&target.provider.name, secret, fault, now);
            }
        }
    }

    /// The upstream served a request with the key.
    pub(crate) fn served(&self, target: &Target, key: &Key, now: Moment) {
        match key {
            Key::Pool(key) => target.provider.keys.served(key, &target.model, now),
            Key::Caller { secret, .. } => self.callers.served(&target.provider.name, secret),
        }
    }
}
