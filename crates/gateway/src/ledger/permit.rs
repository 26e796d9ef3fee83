//! What a request has taken of the counters, held until it is over.

use std::sync::Arc;

use futures_util::FutureExt as _;
use lingate_metering::counter::{Charge, Settlement};
use lingate_metering::{Id, Millis};

use super::{Governance, now};

/// One request's hold on its reservation. However the request ends, what it did not use is given back: dropped unsettled (a panic,
/// an early error), all of it is.
#[derive(Debug)]
pub(crate) struct Permit {
    governance: Arc<Governance>,
    id: Id,
    admitted: Millis,
    /// As reserved; empty once settled.
    charges: Vec<Charge>,
}

impl Permit {
    /// `charges` were taken of the counters under `id`.
    pub(super) fn new(
        governance: &Arc<Governance>,
        id: Id,
        admitted: Millis,
        charges: Vec<Charge>,
    ) -> Self {
        governance.leases.begin(id, admitted);
        Self {
            governance: Arc::clone(governance),
            id,
            admitted,
            charges,
        }
    }

    /// Tells the counters what was really used: the charges, each with the truth in `ask`.
    pub(crate) fn settle(mut self, used: Vec<Charge>, now: Millis) {
        self.charges.clear();
        self.tell(used, now);
    }

    fn tell(&self, charges: Vec<Charge>, now: Millis) {
        self.governance.leases.end(self.id);
        let settlement = Settlement {
            id: self.id,
            now,
            admitted: self.admitted,
            charges,
        };
        let counters = Arc::clone(&self.governance.counters);
        let mut telling = Box::pin(async move { counters.settle(settlement).await });
        // In memory it is done at once.
        if telling.as_mut().now_or_never().is_some() {
            return;
        }
        // Without a runtime the lease runs out, which gives back the same.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(telling);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.charges.is_empty() {
            return;
        }
        let mut charges = std::mem::take(&mut self.charges);
        for charge in &mut charges {
            charge.ask = 0;
        }
        self.tell(charges, now());
    }
}
