//! Which key an attempt uses: one of the provider's, or one of the caller's own.

use std::fmt;
use std::time::Duration;

use lingate_routing::{CallerKeys, Cooldown, Fault, Lease, Moment, Target, Wanted};
use secrecy::SecretString;

use crate::caller::Caller;

/// Keys and lists of callers that are remembered, about 100 bytes each.
const REMEMBERED: usize = 20_000;

/// A key for one attempt.
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

    /// What the log calls it; nothing of a caller's own key is logged.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Pool(key) => key.label(),
            Self::Caller { .. } => "caller's",
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.label())
    }
}

/// The choice of keys, and what is remembered about those of callers.
#[derive(Debug)]
pub(crate) struct Keys {
    callers: CallerKeys,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            callers: CallerKeys::new(REMEMBERED),
        }
    }

    /// The next key that was not `tried`. When all rest, the one that is ready first: with a single key, the upstream's own
    /// answer tells more than a refusal here.
    pub(crate) fn choose(
        &self,
        target: &Target,
        caller: &Caller,
        tried: &[Key],
        now: Moment,
    ) -> Option<Key> {
        if let Caller::Passthrough(keys) = caller {
            let left: Vec<usize> = (0..keys.len())
                .filter(|place| {
                    !tried.iter().any(
                        |key| matches!(key, Key::Caller { place: tried, .. } if tried == place),
                    )
                })
                .collect();
            let secrets: Vec<&SecretString> =
                left.iter().filter_map(|place| keys.get(*place)).collect();
            let place = *left.get(self.callers.choose(&target.provider.name, &secrets, now)?)?;
            return Some(Key::Caller {
                place,
                secret: keys.get(place)?.clone(),
            });
        }
        let pool = &target.provider.keys;
        let is_tried = |key: &lingate_routing::Key| {
            tried.iter().any(|other| matches!(other, Key::Pool(other) if other.fingerprint() == key.fingerprint()))
        };
        let wanted = Wanted {
            tried: &is_tried,
            ..Wanted::of(&target.model)
        };
        pool.take_least_bad(&wanted, now).map(Key::Pool)
    }

    /// For how long no key of the target is ready; `None` when one is.
    pub(crate) fn rest_for(
        &self,
        target: &Target,
        caller: &Caller,
        now: Moment,
    ) -> Option<Duration> {
        let ready = match caller {
            Caller::Passthrough(keys) => self.callers.ready_at(&target.provider.name, keys)?,
            Caller::Open | Caller::Named(_) => {
                let wanted = Wanted::of(&target.model);
                let ready = target.provider.keys.ready(&wanted, now);
                ready.err()?.ready_at?
            }
        };
        (ready > now).then(|| now.until(ready))
    }

    /// The upstream turned the key away.
    pub(crate) fn rest(&self, target: &Target, key: &Key, cooldown: Cooldown, now: Moment) {
        let fault = Fault::from(cooldown);
        match key {
            Key::Pool(key) => target.provider.keys.report(key, &target.model, &fault, now),
            Key::Caller { secret, .. } => {
                self.callers
                    .report(&target.provider.name, secret, &fault, now);
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
