//! Requests that last longer than what they have taken is held for: their leases are renewed, all together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lingate_metering::{Id, Millis};
use rustc_hash::FxHashMap;

use super::{Governance, now};

/// How long what a request has taken is held without a word of it, in milliseconds.
pub(super) const LEASE: Millis = 60_000;
/// How often leases are renewed: a renewal may be lost, and the next still comes in time.
const RENEWED: Duration = Duration::from_secs(20);
/// Leases that are renewed with one question.
const AT_A_TIME: usize = 1000;

/// What is held by requests under way, and since when.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<FxHashMap<Id, Millis>>);

impl Leases {
    pub(super) fn begin(&self, id: Id, at: Millis) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(id, at);
    }

    pub(super) fn end(&self, id: Id) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&id);
    }

    /// Those that were taken before then.
    fn older(&self, than: Millis) -> Vec<Id> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = held.iter().filter(|(_, at)| **at <= than);
        old.map(|(id, _)| *id).collect()
    }
}

impl Governance {
    /// Renews the leases of requests under way, for as long as it is polled.
    pub(crate) async fn renew_leases(self: Arc<Self>) {
        loop {
            tokio::time::sleep(RENEWED).await;
            let now = now();
            let each = Millis::try_from(RENEWED.as_millis()).unwrap_or(LEASE);
            for ids in self.leases.older(now - each / 2).chunks(AT_A_TIME) {
                self.counters.renew(ids, now, now + LEASE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_for_long_is_renewed() {
        let leases = Leases::default();
        let [one, two] = [1, 2].map(Id::from_u128);
        leases.begin(one, 10);
        leases.begin(two, 20);
        assert_eq!(leases.older(9), []);
        assert_eq!(leases.older(19), [one]);
        leases.end(one);
        assert_eq!(leases.older(30), [two]);
    }
}
