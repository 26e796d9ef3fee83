//! When most keys of a provider fail together, it is not for the keys.

use std::time::Duration;

use crate::strategy::NameHash;
use crate::{Class, Fault, Moment, Scope};

/// The keys that failed one after the other, without a success in between.
#[derive(Debug, Default)]
pub(crate) struct Storms {
    /// The key, when it failed first, for which model, and how.
    failed: Vec<Failed>,
    /// Keys that took part in a storm and have not served since. That they fail again is no news: in a pool where most
    /// keys are simply dead, the storm would come again and again.
    known: Vec<u64>,
    /// Probes of this storm that a key's failure ended.
    probes: u32,
}

#[derive(Debug)]
struct Failed {
    key: u64,
    at: Moment,
    model: NameHash,
    limited: bool,
}

/// A storm: the breaker opens in the keys' stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// What befell keys at this moment or later should be forgiven: `KeyPool::forgive(since)`.
    pub since: Moment,
    /// Distinct keys that failed.
    pub keys: usize,
    /// All were rate limits of one model: its breaker opens, not the provider's.
    pub one_model: bool,
}

/// Failures that lie further apart do not belong together.
const WINDOW: Duration = Duration::from_mins(1);
/// Fewer keys than this are no storm.
const FEWEST: usize = 3;
/// So many are, whatever the size of the pool.
const MANY: usize = 10;
/// Keys that are remembered from storms; when there are more, the oldest are forgotten.
const KNOWN: usize = 1024;
/// So many keys may fail in a probe before it counts as failed: one of them may be dead indeed.
const PROBES: u32 = 3;

impl Storms {
    /// A key of a pool of `pool` failed.
    pub(crate) fn failed(
        &mut self,
        key: u64,
        pool: usize,
        model: NameHash,
        fault: &Fault,
        now: Moment,
    ) -> Option<Storm> {
        let limited = is_limit(fault)?;
        if self.known.contains(&key) {
            return None;
        }
        self.failed.retain(|failed| failed.at.until(now) < WINDOW);
        if self.failed.iter().any(|failed| failed.key == key) {
            return None;
        }
        self.failed.push(Failed {
            key,
            at: now,
            model,
            limited,
        });
        let keys = self.failed.len();
        if keys < FEWEST || (keys * 2 <= pool && keys < MANY) {
            return None;
        }
        let storm = Storm {
            since: self.failed.iter().map(|failed| failed.at).min()?,
            keys,
            one_model: self
                .failed
                .iter()
                .all(|failed| failed.limited && failed.model == model),
        };
        let room = KNOWN.saturating_sub(keys);
        let forgotten = self.known.len().saturating_sub(room);
        self.known.drain(..forgotten);
        self.known
            .extend(self.failed.drain(..).map(|failed| failed.key));
        self.probes = 0;
        Some(storm)
    }

    /// A key served a request.
    pub(crate) fn succeeded(&mut self, key: u64) {
        self.failed.clear();
        self.known.retain(|known| *known != key);
        self.probes = 0;
    }

    /// A key's failure ended a probe of the breaker that a storm has opened; returns whether the probe has failed.
    pub(crate) fn probe_failed(&mut self) -> bool {
        self.probes += 1;
        if self.probes < PROBES {
            return false;
        }
        self.probes = 0;
        true
    }
}

/// Whether the failure is a rate limit of the key, or the key's end; `None`: it tells nothing of the key as such.
pub(crate) fn is_limit(fault: &Fault) -> Option<bool> {
    match fault.class {
        Class::KeyDead | Class::Exhausted => Some(false),
        Class::RateLimited => (fault.scope == Scope::Key).then_some(true),
        Class::Client
        | Class::Unfit
        | Class::ContextLength
        | Class::Refused
        | Class::Overloaded
        | Class::Upstream
        | Class::Timeout
        | Class::Network
        | Class::BadAnswer => None,
    }
}
