//! What a replica knows by itself: what it takes of the counters while Redis is away, and what is to be told when it is back.

use std::collections::VecDeque;
use std::time::Instant;

use lingate_metering::counter::{
    Charge, CounterKey, Refusal, Reservation, Reserved, SETTLED_KEPT, Settlement, Span, lease_end,
};
use lingate_metering::{Id, Millis};
use rustc_hash::FxHashMap;

use super::wire::{Amount, LATE_KEPT};
use crate::memory::Memory;
use crate::{OnOutage, Outage};

/// Settlements that are kept one by one; what is beyond is added up by counter.
const QUEUE: usize = 10_000;

/// Counters whose last state is remembered, twice.
const SEEN: usize = 50_000;

/// Amounts that are told in one go.
const TOGETHER: usize = 200;

#[derive(Debug)]
pub(crate) struct Standin {
    /// What this replica holds of [`Span::Held`], always; and what it takes of all else while Redis is away.
    local: Memory,
    /// What was reserved here alone.
    open: FxHashMap<Id, Reservation>,
    seen: Seen,
    pub(crate) replicas: u32,
    pub(crate) generation: Option<String>,
    queue: VecDeque<Telling>,
    merged: FxHashMap<(CounterKey, Span, i64), Amount>,
    /// The moment by the clock of those who ask.
    pub(crate) now: Millis,
}

/// A settlement that Redis is still to be told.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub(crate) id: Id,
    pub(crate) amounts: Vec<Amount>,
    /// Redis has answered that it is taken.
    pub(crate) reserved_there: bool,
    /// When it was told first, and to which generation; there was no answer.
    pub(crate) told: Option<(Instant, Option<String>)>,
}

impl Telling {
    /// How long it is remembered in Redis that this was told.
    pub(crate) fn kept(&self) -> Millis {
        if self.reserved_there {
            SETTLED_KEPT
        } else {
            LATE_KEPT
        }
    }

    /// Whether Redis may have forgotten by now that it was told this, so that only what is left of the reservation can say so.
    pub(crate) fn must_be_held(&self, generation: Option<&str>) -> bool {
        self.reserved_there
            && self.told.as_ref().is_some_and(|(at, to)| {
                to.as_deref() == generation
                    && at.elapsed().as_millis() > u128::from(SETTLED_KEPT.unsigned_abs() / 2)
            })
    }
}

impl Standin {
    pub(crate) fn new() -> Self {
        Self {
            local: Memory::default(),
            open: FxHashMap::default(),
            seen: Seen::default(),
            replicas: 1,
            generation: None,
            queue: VecDeque::new(),
            merged: FxHashMap::default(),
            now: 0,
        }
    }

    /// Settlements and amounts that Redis is to be told before anybody asks it again.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len() + self.merged.len()
    }

    /// All that Redis does not know.
    pub(crate) fn unknown_there(&self) -> usize {
        self.waiting() + self.open.len()
    }

    /// Remembers what Redis has answered.
    pub(crate) fn saw(&mut self, reservation: &Reservation, answer: &Reserved) {
        let now = reservation.now;
        match answer {
            Reserved::Refused(refusals) => {
                for refusal in refusals {
                    if let Some(charge) = reservation.charges.get(refusal.charge) {
                        self.saw_used(charge, refusal.used, now);
                    }
                }
            }
            Reserved::Taken(used) => {
                let held: Vec<Charge> = reservation
                    .charges
                    .iter()
                    .filter(|charge| charge.span == Span::Held)
                    .map(uncapped)
                    .collect();
                if !held.is_empty() {
                    self.local.reserve(&Reservation {
                        charges: held,
                        ..*reservation
                    });
                }
                for (charge, used) in reservation.charges.iter().zip(used) {
                    self.saw_used(charge, *used, now);
                }
            }
        }
    }

    fn saw_used(&mut self, charge: &Charge, used: u64, now: Millis) {
        if charge.capacity.is_none() {
            return;
        }
        let mine = match charge.span {
            Span::Held => self.local_used(charge, now),
            Span::Slots { .. } | Span::Fixed { .. } => 0,
        };
        self.seen.enter(
            (charge.counter, charge.span),
            Last {
                at: now,
                used,
                mine,
            },
        );
    }

    pub(crate) fn reserve(
        &mut self,
        reservation: &Reservation,
        rule: OnOutage,
    ) -> Result<Reserved, Outage> {
        self.now = reservation.now;
        let answer = self.local.reserve(&self.localized(reservation, rule)?);
        let answer = self.globalized(reservation, answer);
        if matches!(answer, Reserved::Taken(_)) {
            self.open.insert(reservation.id, reservation.clone());
        }
        Ok(answer)
    }

    pub(crate) fn would_take(
        &self,
        reservation: &Reservation,
        rule: OnOutage,
    ) -> Result<Reserved, Outage> {
        let answer = self.local.would_take(&self.localized(reservation, rule)?);
        Ok(self.globalized(reservation, answer))
    }

    pub(crate) fn used(
        &self,
        charges: &[Charge],
        now: Millis,
        rule: OnOutage,
    ) -> Result<Vec<u64>, Outage> {
        if rule == OnOutage::Deny {
            return Err(Outage);
        }
        let used = self.local.used(charges, now);
        Ok(charges
            .iter()
            .zip(used)
            .map(|(charge, used)| {
                self.seen.still(charge, now).map_or(used, |last| {
                    used.saturating_add(last.used.saturating_sub(last.mine))
                })
            })
            .collect())
    }

    /// The reservation with what this replica may take instead of the capacities.
    fn localized(&self, reservation: &Reservation, rule: OnOutage) -> Result<Reservation, Outage> {
        let charges = reservation.charges.iter();
        Ok(Reservation {
            charges: match rule {
                OnOutage::Deny => return Err(Outage),
                OnOutage::Allow => charges.map(uncapped).collect(),
                OnOutage::LocalLease => charges
                    .map(|charge| Charge {
                        capacity: charge
                            .capacity
                            .map(|capacity| self.share(charge, capacity, reservation.now)),
                        ..*charge
                    })
                    .collect(),
            },
            ..*reservation
        })
    }

    /// What this replica may use of a counter, together with what it uses already.
    fn share(&self, charge: &Charge, capacity: u64, now: Millis) -> u64 {
        let replicas = u64::from(self.replicas.max(1));
        match self.seen.still(charge, now) {
            Some(last) => last.mine + capacity.saturating_sub(last.used) / replicas,
            None => (capacity / replicas).max(capacity.min(1)),
        }
    }

    /// An answer about this replica's share, as one about the whole.
    fn globalized(&self, reservation: &Reservation, answer: Reserved) -> Reserved {
        let now = reservation.now;
        let whole = |charge: &Charge, used: u64| match charge.capacity {
            None => used,
            Some(capacity) => {
                used.saturating_add(capacity.saturating_sub(self.share(charge, capacity, now)))
            }
        };
        match answer {
            Reserved::Taken(used) => Reserved::Taken(
                reservation
                    .charges
                    .iter()
                    .zip(used)
                    .map(|(charge, used)| whole(charge, used))
                    .collect(),
            ),
            Reserved::Refused(refusals) => Reserved::Refused(
                refusals
                    .into_iter()
                    .map(|refusal| {
                        let charge = &reservation.charges[refusal.charge];
                        let others_go = || {
                            let all = charge.span.free_at(charge.span.slot(now));
                            all.filter(|_| charge.can_ever_fit())
                        };
                        Refusal {
                            charge: refusal.charge,
                            used: whole(charge, refusal.used),
                            free_at: refusal.free_at.or_else(others_go),
                        }
                    })
                    .collect(),
            ),
        }
    }

    /// Ends what is held here, and makes what Redis is to be told. `away`: it cannot be told now.
    pub(crate) fn settled(&mut self, settlement: &Settlement, away: bool) -> Telling {
        self.now = settlement.now;
        let open = self.open.remove(&settlement.id).is_some();
        if away && open {
            self.local.settle(settlement);
        } else {
            // What was taken in Redis is in what was last seen of it.
            self.local.release(settlement.id, settlement.now);
        }
        Telling {
            id: settlement.id,
            amounts: settlement
                .charges
                .iter()
                .filter(|charge| charge.ask > 0)
                // As of now, not of when it can be told: `counts` says no to what is held, too.
                .filter(|charge| charge.span.counts(settlement.admitted, settlement.now))
                .map(|charge| Amount {
                    counter: charge.counter,
                    span: charge.span,
                    admitted: settlement.admitted,
                    used: charge.ask,
                })
                .collect(),
            reserved_there: !open,
            told: None,
        }
    }

    /// Keeps what Redis could not be told.
    pub(crate) fn push(&mut self, telling: Telling) {
        // What may have been told is known by its id, and cannot be told under another one.
        if telling.told.is_some() || self.queue.len() < QUEUE {
            self.queue.push_back(telling);
            return;
        }
        for amount in telling.amounts {
            let slot = amount.span.slot(amount.admitted);
            self.merged
                .entry((amount.counter, amount.span, slot))
                .and_modify(|merged| merged.used = merged.used.saturating_add(amount.used))
                .or_insert(amount);
        }
    }

    /// What is to be told next; what was added up comes last, under ids that `id` makes.
    pub(crate) fn pop(&mut self, count: usize, id: impl Fn() -> Id) -> Vec<Telling> {
        if self.queue.is_empty() && !self.merged.is_empty() {
            let merged: Vec<Amount> = self.merged.drain().map(|(_, amount)| amount).collect();
            self.queue
                .extend(merged.chunks(TOGETHER).map(|amounts| Telling {
                    id: id(),
                    amounts: amounts.to_vec(),
                    reserved_there: false,
                    told: None,
                }));
        }
        let count = count.min(self.queue.len());
        self.queue.drain(..count).collect()
    }

    /// Redis is back and knows all: what was used meanwhile is counted there.
    pub(crate) fn forget_windows(&self) {
        self.local.forget_windows();
    }

    /// What is reserved here alone and still to be told.
    pub(crate) fn open(&mut self) -> Vec<Reservation> {
        self.open
            .retain(|_, reservation| lease_end(reservation.lease_until) > self.now);
        let open = self.open.values();
        open.map(|reservation| Reservation {
            charges: reservation.charges.iter().map(uncapped).collect(),
            ..*reservation
        })
        .collect()
    }

    /// Redis holds it now.
    pub(crate) fn handed_over(&mut self, id: Id) {
        self.open.remove(&id);
    }

    pub(crate) fn renew(&mut self, ids: &[Id], now: Millis, until: Millis) {
        self.now = now;
        self.local.renew(ids, now, until);
        for id in ids {
            if let Some(open) = self.open.get_mut(id) {
                open.lease_until = open.lease_until.max(until);
            }
        }
    }

    fn local_used(&self, charge: &Charge, now: Millis) -> u64 {
        self.local
            .used(std::slice::from_ref(charge), now)
            .first()
            .copied()
            .unwrap_or_default()
    }
}

fn uncapped(charge: &Charge) -> Charge {
    Charge {
        capacity: None,
        ..*charge
    }
}

/// What was last known of a counter.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Millis,
    used: u64,
    /// Of that, what this replica holds.
    mine: u64,
}

/// The counters that were seen last: when there are many, those that were not seen for long are forgotten.
#[derive(Debug, Default)]
struct Seen {
    young: FxHashMap<(CounterKey, Span), Last>,
    old: FxHashMap<(CounterKey, Span), Last>,
}

impl Seen {
    fn enter(&mut self, counter: (CounterKey, Span), last: Last) {
        if self.young.len() >= SEEN {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(counter, last);
    }

    /// What is still so: of a sliding window everything has left when its time has passed.
    fn still(&self, charge: &Charge, now: Millis) -> Option<Last> {
        let counter = (charge.counter, charge.span);
        let last = self
            .young
            .get(&counter)
            .or_else(|| self.old.get(&counter))?;
        let left = match charge.span {
            Span::Slots { .. } => !charge.span.counts(last.at, now),
            Span::Fixed { .. } | Span::Held => false,
        };
        (!left).then_some(*last)
    }
}
