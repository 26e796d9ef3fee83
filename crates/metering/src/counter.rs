//! What counters hold, and the questions that they are asked: the arithmetic is the same in memory and in Redis.
//!
//! A *charge* is what one request takes of one counter. All charges of a request are looked at together, and taken together or not
//! at all. What is taken counts at the moment of the admission, and is corrected to the truth in that same place.

mod amounts;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use amounts::{Amounts, Birth};

use crate::{Id, Millis};

/// The most that a charge, a capacity or a counter comes to: a thousand million dollars in nano-dollars. What is more is taken as
/// this, so that sums are exact in memory and in Redis alike.
pub const MOST: u64 = 1_000_000_000_000_000_000;

/// How long a counter of a fixed time is kept after its end, for settlements that come late and clocks that are set back.
pub const KEPT_AFTER_END: Millis = 3_600_000;

/// How long it is remembered that a reservation is settled, so that nothing that is told twice counts twice.
pub const SETTLED_KEPT: Millis = 300_000;

/// Names a counter: a limit and, where each user, model or provider has the amount for itself, which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterKey(pub Id);

/// The time that a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The last `count` slots, each of `width` milliseconds and beginning at a multiple of it, the present one included. No time
    /// as long as the limit's window ever holds more than the capacity; up to one slot's time more is counted.
    Slots { width: u32, count: u16 },
    /// From one moment to another; counters of other times are other counters.
    Fixed { begins: Millis, ends: Millis },
    /// As long as the reservation is held.
    Held,
}

impl Span {
    /// Where an amount of that moment is kept.
    pub fn slot(self, moment: Millis) -> i64 {
        match self {
            Self::Slots { width, .. } => moment.div_euclid(i64::from(width.max(1))),
            Self::Fixed { .. } | Self::Held => 0,
        }
    }

    /// The slots that count at that moment: those of the window and, because clocks differ and are set back, those of as long a time
    /// from now on.
    pub fn counted(self, now: Millis) -> RangeInclusive<i64> {
        let present = self.slot(now);
        match self {
            Self::Slots { count, .. } => {
                let count = i64::from(count.max(1));
                present - count + 1..=present + count
            }
            Self::Fixed { .. } | Self::Held => 0..=0,
        }
    }

    /// When what is in that slot counts no more; `None`: when its reservation is done.
    pub fn free_at(self, slot: i64) -> Option<Millis> {
        match self {
            Self::Slots { width, count } => {
                Some((slot + i64::from(count.max(1))).saturating_mul(i64::from(width.max(1))))
            }
            Self::Fixed { ends, .. } => Some(ends),
            Self::Held => None,
        }
    }

    /// Whether an amount that was used at `admitted` still counts at `now`. That of a reservation counts as long as it is held.
    pub fn counts(self, admitted: Millis, now: Millis) -> bool {
        match self {
            Self::Slots { .. } => self.counted(now).contains(&self.slot(admitted)),
            Self::Fixed { ends, .. } => now < ends.saturating_add(KEPT_AFTER_END),
            Self::Held => false,
        }
    }
}

/// Leases end at whole seconds: the end of one that is asked for until `until`.
pub fn lease_end(until: Millis) -> Millis {
    until
        .div_euclid(1000)
        .saturating_add(i64::from(until.rem_euclid(1000) > 0))
        .saturating_mul(1000)
}

/// What one request takes of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub counter: CounterKey,
    pub span: Span,
    /// The request is refused if more than this would be used; `None`: it is counted, and never refused.
    pub capacity: Option<u64>,
    /// What is taken until the truth is known. Of an amount that is in excess already even nothing is refused.
    pub ask: u64,
}

impl Charge {
    /// False if this would not fit into an unused counter: whoever waits, waits for ever.
    pub fn can_ever_fit(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.ask <= capacity)
    }

    /// Whether it fits beside what is used.
    pub fn fits(&self, used: u64) -> bool {
        self.capacity
            .is_none_or(|capacity| used.saturating_add(self.ask.min(MOST)) <= capacity.min(MOST))
    }
}

/// A question: may a request take all of this?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// That of the request; the same reservation made again is the same one.
    pub id: Id,
    pub now: Millis,
    /// What is not settled or renewed until then is given back.
    pub lease_until: Millis,
    pub charges: Vec<Charge>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// All of it is taken; what is used of each counter, this request included.
    Taken(Vec<u64>),
    /// Nothing is taken.
    Refused(Vec<Refusal>),
}

/// A charge that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Its place among the charges.
    pub charge: usize,
    /// Without this request.
    pub used: u64,
    /// When enough of it is free again, if nothing more is taken. `None`: of [`Span::Held`], when somebody else is done; otherwise
    /// never, because the ask is more than the capacity ([`Charge::can_ever_fit`]).
    pub free_at: Option<Millis>,
}

/// The truth about a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub id: Id,
    pub now: Millis,
    /// The moment of the admission: what was used counts there.
    pub admitted: Millis,
    /// The charges again, each with what was really used in `ask`; capacities do not matter. What the reservation of this id holds
    /// is given back and this is taken instead; where there is none any more, this is taken all the same. [`Span::Held`] is over.
    pub charges: Vec<Charge>,
}

/// What the ledger knows to be used, for counters that start empty. Since the moment of each seed, a counter then holds at least what
/// the seeds of that moment and of later ones say together: what was counted meanwhile, in whichever slot, does not count twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    pub counter: CounterKey,
    /// [`Span::Held`] is passed over: what is held is not in a ledger.
    pub span: Span,
    /// When it was used: it counts in that slot.
    pub at: Millis,
    pub used: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_leave_when_their_window_has_passed() {
        let span = Span::Slots {
            width: 1000,
            count: 60,
        };
        for (admitted, now, counts) in [
            (0, 0, true),
            (999, 59_999, true),
            (999, 60_000, false),
            (-1, 58_999, true),
            (-1, 59_000, false),
            (60_999, 0, true),
            (61_000, 0, false),
        ] {
            assert_eq!(span.counts(admitted, now), counts, "{admitted} at {now}");
            if now >= admitted {
                let free = span.free_at(span.slot(admitted));
                assert_eq!(free > Some(now), counts, "{admitted} at {now}");
            }
        }
    }

    #[test]
    fn fixed_times_outlast_their_end_a_little() {
        let span = Span::Fixed {
            begins: 0,
            ends: 1000,
        };
        assert!(span.counts(0, 999 + KEPT_AFTER_END));
        assert!(!span.counts(0, 1000 + KEPT_AFTER_END));
        assert_eq!(span.free_at(0), Some(1000));
    }

    #[test]
    fn leases_end_at_whole_seconds() {
        for (until, end) in [(0, 0), (1, 1000), (1000, 1000), (1001, 2000), (-1, 0)] {
            assert_eq!(lease_end(until), end, "{until}");
        }
    }

    #[test]
    fn what_is_asked_fits_up_to_the_capacity() {
        let charge = |capacity, ask| Charge {
            counter: CounterKey(Id::from_u128(1)),
            span: Span::Held,
            capacity,
            ask,
        };
        assert!(charge(Some(5), 3).fits(2));
        assert!(!charge(Some(5), 3).fits(3));
        assert!(!charge(Some(5), 0).fits(6));
        assert!(charge(None, u64::MAX).fits(u64::MAX));
        assert!(charge(Some(u64::MAX), u64::MAX).fits(0));
        assert!(!charge(Some(u64::MAX), u64::MAX).fits(1));
        assert!(!charge(Some(2), 3).can_ever_fit());
    }
}
