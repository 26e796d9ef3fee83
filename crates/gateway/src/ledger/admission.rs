//! Admission: what a request may take, asked once, before any upstream is.

use lingate_counters::Outage;
use lingate_metering::counter::{Charge, Refusal, Reservation, Reserved};
use lingate_metering::{Id, Millis};

use super::{Governance, Permit};

/// How long what a request has taken is held without a word of it, in milliseconds.
pub(crate) const LEASE: Millis = 60_000;

/// Why a request is not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Limits; the places of their charges say which.
    Limits(Vec<Refusal>),
    Outage(Outage),
}

impl Governance {
    /// Takes all charges of a request, or none.
    pub(crate) async fn reserve(
        &self,
        id: Id,
        now: Millis,
        charges: Vec<Charge>,
    ) -> Result<Permit, Refused> {
        let mut reservation = Reservation {
            id,
            now,
            lease_until: now.saturating_add(LEASE),
            charges,
        };
        if !reservation.charges.is_empty() {
            match self.counters.reserve(&reservation).await {
                Ok(Reserved::Taken(_)) => {}
                Ok(Reserved::Refused(refusals)) => return Err(Refused::Limits(refusals)),
                Err(outage) => return Err(Refused::Outage(outage)),
            }
        }
        let charges = std::mem::take(&mut reservation.charges);
        Ok(Permit::new(&self.counters, id, now, charges))
    }
}
