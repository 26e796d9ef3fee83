//! Counters of limits, shared by all requests of a process (memory) or by all replicas (Redis), with one arithmetic.

mod memory;

use lingate_metering::counter::{Charge, Reservation, Reserved, Seed, Settlement};
use lingate_metering::{Id, Millis};

use memory::Memory;

/// Where limits are counted.
#[derive(Debug)]
pub struct Counters(Place);

#[derive(Debug)]
enum Place {
    Memory(Memory),
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
    /// Redis answers. `waiting`: settlements that are still to be told to it.
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
        Self(Place::Memory(Memory::default()))
    }

    /// Takes all charges of a request, or none. At most 50 ms. The same id again is the same reservation: nothing more is taken.
    /// What is asked for later in the same request is a reservation of its own, under an id of its own.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        match &self.0 {
            Place::Memory(memory) => Ok(memory.reserve(reservation)),
        }
    }

    /// What [`reserve`](Self::reserve) would answer; nothing is taken.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn would_take(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        match &self.0 {
            Place::Memory(memory) => Ok(memory.would_take(reservation)),
        }
    }

    /// Tells what was really used. What cannot be told now is told later; at most 50 ms. Told again, it changes nothing.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn settle(&self, settlement: Settlement) {
        match &self.0 {
            Place::Memory(memory) => memory.settle(&settlement),
        }
    }

    /// Holds these reservations until then, if that is later than what was asked for before. Those that are not held are passed
    /// over.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn renew(&self, ids: &[Id], now: Millis, until: Millis) {
        match &self.0 {
            Place::Memory(memory) => memory.renew(ids, now, until),
        }
    }

    /// What is used of each counter at a moment; asks and capacities do not matter.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn used(&self, charges: &[Charge], now: Millis) -> Result<Vec<u64>, Outage> {
        match &self.0 {
            Place::Memory(memory) => Ok(memory.used(charges, now)),
        }
    }

    /// Sees to it that counters hold at least what the ledger knows: at the start, and after [`lost`](Self::lost).
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn seed(&self, seeds: &[Seed], now: Millis) -> Result<(), Outage> {
        match &self.0 {
            Place::Memory(memory) => {
                memory.seed(seeds, now);
                Ok(())
            }
        }
    }

    /// Waits until Redis has lost what it held, so that the owner can [`seed`](Self::seed) it. Never in memory.
    pub async fn lost(&self) {
        match &self.0 {
            Place::Memory(_) => std::future::pending().await,
        }
    }

    pub fn health(&self) -> Health {
        match &self.0 {
            Place::Memory(_) => Health::Memory,
        }
    }
}
