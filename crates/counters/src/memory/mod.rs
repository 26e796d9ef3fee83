//! Counters in this process.
//!
//! One lock around everything: what is done under it takes less time than the handing over of several locks would.

mod calendar;

use std::sync::{Mutex, MutexGuard, PoisonError};

use lingate_metering::counter::{
    Amounts, Birth, Charge, CounterKey, KEPT_AFTER_END, Refusal, Reservation, Reserved,
    SETTLED_KEPT, Seed, Settlement, Span, lease_end,
};
use lingate_metering::{Id, Millis};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::since;
use calendar::Calendar;

/// What each call looks at of that whose time has come: more than a call enters, so that there is never much of it, and little
/// enough not to be noticed.
const SWEPT: usize = 32;

/// Vectors of settled reservations that are kept to be used again.
const SPARE: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

impl Memory {
    pub(crate) fn reserve(&self, reservation: &Reservation) -> Reserved {
        self.lock().reserve(reservation)
    }

    /// What the answer to this reservation would be. Nothing is taken.
    pub(crate) fn would_take(&self, reservation: &Reservation) -> Reserved {
        self.lock().would_take(reservation)
    }

    pub(crate) fn settle(&self, settlement: &Settlement) {
        self.lock().settle(settlement);
    }

    /// Gives back what a reservation holds; nothing is used in its stead.
    pub(crate) fn release(&self, id: Id, now: Millis) {
        let mut state = self.lock();
        state.sweep(now);
        state.give_back(id);
    }

    /// Forgets all amounts but those of [`Span::Held`]. What reservations hold of them is given back to nobody.
    pub(crate) fn forget_windows(&self) {
        for counter in self.lock().counters.iter_mut().flatten() {
            if counter.span != Span::Held {
                counter.amounts = Amounts::default();
            }
        }
    }

    pub(crate) fn renew(&self, ids: &[Id], now: Millis, until: Millis) {
        self.lock().renew(ids, now, until);
    }

    pub(crate) fn used(&self, charges: &[Charge], now: Millis) -> Vec<u64> {
        let mut state = self.lock();
        state.end_leases(now, usize::MAX);
        charges
            .iter()
            .map(|charge| state.used(charge, now))
            .collect()
    }

    pub(crate) fn seed(&self, seeds: &[Seed], now: Millis) {
        self.lock().seed(seeds, now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names what one amount by slots is kept for: a counter whose limit changed its slots or its period is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    counter: CounterKey,
    kind: u8,
    /// The width of slots, or the beginning of a fixed time.
    of: i64,
}

impl Name {
    fn new(counter: CounterKey, span: Span) -> Self {
        let (kind, of) = match span {
            Span::Slots { width, .. } => (0, i64::from(width)),
            Span::Fixed { begins, .. } => (1, begins),
            Span::Held => (2, 0),
        };
        Self { counter, kind, of }
    }
}

#[derive(Debug)]
struct Counter {
    name: Name,
    span: Span,
    amounts: Amounts,
}

#[derive(Debug)]
struct Hold {
    until: Millis,
    taken: Vec<Taken>,
}

/// An amount, and where it was put.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Its place among the counters; another one may stand there by now, but then none of its slots is of this birth.
    counter: usize,
    slot: i64,
    amount: u64,
    birth: Birth,
}

#[derive(Debug, Clone, Copy)]
enum Sweep {
    /// A place among the counters; each of slots or of a fixed time is entered exactly once.
    Counter(usize),
    Settled(Id),
}

#[derive(Debug, Default)]
struct State {
    places: FxHashMap<Name, usize>,
    counters: Vec<Option<Counter>>,
    vacant: Vec<usize>,
    holds: FxHashMap<Id, Hold>,
    settled: FxHashSet<Id>,
    /// Those that were settled or renewed since are still there.
    leases: Calendar<Id>,
    sweeps: Calendar<Sweep>,
    births: Birth,
    spare: Vec<Vec<Taken>>,
}

impl State {
    fn reserve(&mut self, reservation: &Reservation) -> Reserved {
        let Reservation {
            id,
            now,
            lease_until,
            ref charges,
        } = *reservation;
        self.sweep(now);
        match self.holds.get_mut(&id) {
            None => {}
            Some(hold) if hold.until <= now => self.give_back(id),
            Some(hold) => {
                hold.until = hold.until.max(lease_end(lease_until));
                return Reserved::Taken(self.all_used(charges, now));
            }
        }
        if self.settled.contains(&id) {
            return Reserved::Taken(self.all_used(charges, now));
        }
        let refusals = self.refusals(charges, now);
        if !refusals.is_empty() {
            return Reserved::Refused(refusals);
        }

        let mut taken = self.spare.pop().unwrap_or_default();
        for charge in charges {
            let slot = charge.span.slot(now);
            let counter = self.place(charge.counter, charge.span, slot);
            let birth = self.take(counter, charge.span, slot, charge.ask, now);
            taken.push(Taken {
                counter,
                slot,
                amount: charge.ask,
                birth,
            });
        }
        let used = taken
            .iter()
            .zip(charges)
            .map(|(taken, charge)| self.used_at(taken.counter, charge.span, now))
            .collect();
        let until = lease_end(lease_until);
        self.leases.enter(until, id);
        self.holds.insert(id, Hold { until, taken });
        Reserved::Taken(used)
    }

    fn would_take(&mut self, reservation: &Reservation) -> Reserved {
        let Reservation {
            id,
            now,
            lease_until: _,
            ref charges,
        } = *reservation;
        let mut used = self.all_used(charges, now);
        if self.holds.contains_key(&id) || self.settled.contains(&id) {
            return Reserved::Taken(used);
        }
        let refusals = self.refusals(charges, now);
        if !refusals.is_empty() {
            return Reserved::Refused(refusals);
        }
        for (used, charge) in used.iter_mut().zip(charges) {
            *used = used.saturating_add(asked(charges, charge));
        }
        Reserved::Taken(used)
    }

    fn settle(&mut self, settlement: &Settlement) {
        let Settlement {
            id,
            now,
            admitted,
            ref charges,
        } = *settlement;
        self.sweep(now);
        if !self.settled.insert(id) {
            return;
        }
        self.sweeps
            .enter(now.saturating_add(SETTLED_KEPT), Sweep::Settled(id));
        self.give_back(id);
        for charge in charges {
            if charge.span.counts(admitted, now) && charge.ask > 0 {
                let slot = charge.span.slot(admitted);
                let counter = self.place(charge.counter, charge.span, slot);
                self.take(counter, charge.span, slot, charge.ask, now);
            }
        }
    }

    fn renew(&mut self, ids: &[Id], now: Millis, until: Millis) {
        self.end_leases(now, usize::MAX);
        for id in ids {
            if let Some(hold) = self.holds.get_mut(id) {
                hold.until = hold.until.max(lease_end(until));
            }
        }
    }

    fn seed(&mut self, seeds: &[Seed], now: Millis) {
        for seed in since(seeds, now) {
            let slot = seed.span.slot(seed.at);
            let counter = self.place(seed.counter, seed.span, slot);
            let birth = self.birth();
            if let Some(counter) = &mut self.counters[counter] {
                counter.amounts.raise(slot, seed.used, birth);
            }
        }
    }

    /// The charges that do not fit. Leases that are over are given back before anybody is refused because of them.
    fn refusals(&mut self, charges: &[Charge], now: Millis) -> Vec<Refusal> {
        let refusals = self.misfits(charges, now);
        if !refusals.is_empty() && self.end_leases(now, usize::MAX) {
            return self.misfits(charges, now);
        }
        refusals
    }

    fn misfits(&self, charges: &[Charge], now: Millis) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (place, charge) in charges.iter().enumerate() {
            let Some(capacity) = charge.capacity else {
                continue;
            };
            let used = self.used(charge, now);
            let before = asked(&charges[..place], charge);
            if charge.fits(used.saturating_add(before)) {
                continue;
            }
            let free_at = capacity
                .checked_sub(charge.ask.saturating_add(before))
                .and_then(|room| {
                    let counter = self.counters[*self.places.get(&name(charge))?].as_ref()?;
                    let slot = counter.amounts.frees(&charge.span.counted(now), room)?;
                    charge.span.free_at(slot)
                });
            refusals.push(Refusal {
                charge: place,
                used,
                free_at,
            });
        }
        refusals
    }

    fn all_used(&mut self, charges: &[Charge], now: Millis) -> Vec<u64> {
        self.end_leases(now, usize::MAX);
        charges
            .iter()
            .map(|charge| self.used(charge, now))
            .collect()
    }

    fn used(&self, charge: &Charge, now: Millis) -> u64 {
        self.places
            .get(&name(charge))
            .map_or(0, |&counter| self.used_at(counter, charge.span, now))
    }

    fn used_at(&self, counter: usize, span: Span, now: Millis) -> u64 {
        self.counters[counter]
            .as_ref()
            .map_or(0, |counter| counter.amounts.used(&span.counted(now)))
    }

    /// Where that counter stands; it is made if there is none.
    fn place(&mut self, key: CounterKey, span: Span, slot: i64) -> usize {
        let name = Name::new(key, span);
        if let Some(&place) = self.places.get(&name) {
            return place;
        }
        let counter = Some(Counter {
            name,
            span,
            amounts: Amounts::default(),
        });
        let place = if let Some(place) = self.vacant.pop() {
            self.counters[place] = counter;
            place
        } else {
            self.counters.push(counter);
            self.counters.len() - 1
        };
        self.places.insert(name, place);
        if let Some(end) = ends(span, Some(slot)) {
            self.sweeps.enter(end, Sweep::Counter(place));
        }
        place
    }

    fn take(&mut self, counter: usize, span: Span, slot: i64, amount: u64, now: Millis) -> Birth {
        let birth = self.birth();
        match &mut self.counters[counter] {
            Some(counter) => {
                counter.span = span;
                counter.amounts.keep(&span.counted(now));
                counter.amounts.take(slot, amount, birth)
            }
            None => birth,
        }
    }

    fn birth(&mut self) -> Birth {
        self.births += 1;
        self.births
    }

    fn give_back(&mut self, id: Id) {
        let Some(Hold {
            until: _,
            mut taken,
        }) = self.holds.remove(&id)
        else {
            return;
        };
        for taken in taken.drain(..) {
            let Some(counter) = &mut self.counters[taken.counter] else {
                continue;
            };
            counter
                .amounts
                .give_back(taken.slot, taken.amount, taken.birth);
            if counter.span == Span::Held && counter.amounts.is_empty() {
                self.remove(taken.counter);
            }
        }
        if self.spare.len() < SPARE {
            self.spare.push(taken);
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(counter) = self.counters[place].take() {
            self.places.remove(&counter.name);
            self.vacant.push(place);
        }
    }

    fn sweep(&mut self, now: Millis) {
        self.end_leases(now, SWEPT);
        for _ in 0..SWEPT {
            match self.sweeps.next(now) {
                None => break,
                Some(Sweep::Settled(id)) => {
                    self.settled.remove(&id);
                }
                Some(Sweep::Counter(place)) => {
                    let Some(counter) = &self.counters[place] else {
                        continue;
                    };
                    match ends(counter.span, counter.amounts.newest()) {
                        Some(end) if end > now => self.sweeps.enter(end, Sweep::Counter(place)),
                        Some(_) | None => self.remove(place),
                    }
                }
            }
        }
    }

    /// Gives back what leases that are over hold; whether there were any.
    fn end_leases(&mut self, now: Millis, most: usize) -> bool {
        let mut ended = false;
        for _ in 0..most {
            let Some(id) = self.leases.next(now) else {
                break;
            };
            match self.holds.get(&id) {
                None => {}
                Some(hold) if hold.until > now => self.leases.enter(hold.until, id),
                Some(_) => {
                    self.give_back(id);
                    ended = true;
                }
            }
        }
        ended
    }
}

fn name(charge: &Charge) -> Name {
    Name::new(charge.counter, charge.span)
}

/// What these ask of the same counter together.
fn asked(charges: &[Charge], of: &Charge) -> u64 {
    charges
        .iter()
        .filter(|charge| name(charge) == name(of))
        .fold(0, |sum: u64, charge| sum.saturating_add(charge.ask))
}

/// When nothing of a counter counts any more; nobody waits for that of [`Span::Held`], which goes when it is empty.
fn ends(span: Span, newest: Option<i64>) -> Option<Millis> {
    match span {
        Span::Slots { .. } => span.free_at(newest?),
        Span::Fixed { ends, .. } => Some(ends.saturating_add(KEPT_AFTER_END)),
        Span::Held => None,
    }
}
