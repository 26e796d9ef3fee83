//! Counters of limits, shared by all requests of a process (memory) or by all replicas (Redis), with one arithmetic.

mod memory;
mod redis;

use std::cmp::Reverse;
use std::time::Duration;

use lingate_metering::counter::{Charge, Reservation, Reserved, Seed, Settlement};
use lingate_metering::{Id, Millis};

use memory::Memory;
use redis::Kept;
pub use redis::{BadSettings, RedisSettings};

/// Where limits are counted.
#[derive(Debug)]
pub struct Counters(Place);

#[derive(Debug)]
enum Place {
    Memory(Box<Memory>),
    Redis(Kept),
}

/// The counters cannot be reached, and the rule for that is to refuse. The caller did nothing wrong, and may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the counters of limits cannot be reached, and `on_counter_outage: deny` refuses requests until they can"
)]
pub struct Outage;

/// What happens while Redis is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// Each replica goes on with its share of what was left.
    #[default]
    LocalLease,
    /// Everything is let through, and counted later.
    Allow,
    Deny,
}

/// How the counters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// In this process: always there.
    Memory,
    /// Redis answers. `waiting`: what is still to be told to it.
    Up { replicas: u32, waiting: usize },
    /// Redis does not answer, and requests are treated by the rule.
    Away {
        since: Millis,
        /// For people; without secrets.
        reason: String,
        rule: OnOutage,
        waiting: usize,
    },
}

impl Counters {
    /// Counters that live and end with this process.
    pub fn memory() -> Self {
        Self(Place::Memory(Box::default()))
    }

    /// Counters in Redis. A Redis that does not answer is no error: it counts as away until it does. Needs a Tokio runtime, on which
    /// it is watched.
    pub async fn redis(settings: &RedisSettings) -> Result<Self, BadSettings> {
        Self::redis_with_patience(settings, redis::PATIENCE).await
    }

    /// As [`redis`](Self::redis), with another time than 50 ms after which Redis counts as away: for tests on busy machines.
    pub async fn redis_with_patience(
        settings: &RedisSettings,
        patience: Duration,
    ) -> Result<Self, BadSettings> {
        Kept::connect(settings, patience)
            .await
            .map(Place::Redis)
            .map(Self)
    }

    /// Takes all charges of a request, or none. At most 50 ms. The same id again is the same reservation: nothing more is taken.
    /// What is asked for later in the same request is a reservation of its own, under an id of its own.
    pub async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        match &self.0 {
            Place::Memory(memory) => Ok(memory.reserve(reservation)),
            Place::Redis(kept) => kept.redis().reserve(reservation).await,
        }
    }

    /// What [`reserve`](Self::reserve) would answer; nothing is taken.
    pub async fn would_take(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        match &self.0 {
            Place::Memory(memory) => Ok(memory.would_take(reservation)),
            Place::Redis(kept) => kept.redis().would_take(reservation).await,
        }
    }

    /// Tells what was really used. What cannot be told now is told later; at most 50 ms. Told again, it changes nothing.
    pub async fn settle(&self, settlement: Settlement) {
        match &self.0 {
            Place::Memory(memory) => memory.settle(&settlement),
            Place::Redis(kept) => kept.redis().settle(settlement).await,
        }
    }

    /// Holds these reservations until then, if that is later than what was asked for before. Those that are not held are passed
    /// over.
    pub async fn renew(&self, ids: &[Id], now: Millis, until: Millis) {
        match &self.0 {
            Place::Memory(memory) => memory.renew(ids, now, until),
            Place::Redis(kept) => kept.redis().renew(ids, now, until).await,
        }
    }

    /// What is used of each counter at a moment; asks and capacities do not matter.
    pub async fn used(&self, charges: &[Charge], now: Millis) -> Result<Vec<u64>, Outage> {
        match &self.0 {
            Place::Memory(memory) => Ok(memory.used(charges, now)),
            Place::Redis(kept) => kept.redis().used(charges, now).await,
        }
    }

    /// Sees to it that counters hold at least what the ledger knows: at the start, and after [`lost`](Self::lost).
    pub async fn seed(&self, seeds: &[Seed], now: Millis) -> Result<(), Outage> {
        match &self.0 {
            Place::Memory(memory) => {
                memory.seed(seeds, now);
                Ok(())
            }
            Place::Redis(kept) => kept.redis().seed(seeds, now).await,
        }
    }

    /// Waits until Redis is found to hold nothing, at the start or because it has lost what it held, so that the owner can [`seed`](Self::seed) it. Never in memory.
    pub async fn lost(&self) {
        match &self.0 {
            Place::Memory(_) => std::future::pending().await,
            Place::Redis(kept) => kept.redis().lost().await,
        }
    }

    pub fn health(&self) -> Health {
        match &self.0 {
            Place::Memory(_) => Health::Memory,
            Place::Redis(kept) => kept.redis().health(),
        }
    }
}

/// Seeds that still count, each with all that was used of its counter since then; what is newest comes first.
pub(crate) fn since(seeds: &[Seed], now: Millis) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = seeds
        .iter()
        .filter(|seed| seed.used > 0 && seed.span.counts(seed.at, now))
        .copied()
        .collect();
    seeds.sort_unstable_by_key(|seed| (seed.counter, seed.span, Reverse(seed.at)));
    for at in 1..seeds.len() {
        let newer = seeds[at - 1];
        let seed = &mut seeds[at];
        if (seed.counter, seed.span) == (newer.counter, newer.span) {
            seed.used = seed.used.saturating_add(newer.used);
        }
    }
    seeds
}
