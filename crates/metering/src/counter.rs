//! What counters hold, and the questions that they are asked: the arithmetic is the same in memory and in Redis.
//!
//! A *charge* is what one request takes of one counter. All charges of a request are looked at together, and taken together or not
//! at all. What is taken counts at the moment of the admission, and is corrected to the truth in that same place.

use serde::{Deserialize, Serialize};

use crate::{Id, Millis};

/// Names a counter: a limit and, where each user, model or provider has the amount for itself, which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterKey(pub Id);

/// The time that a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What one request takes of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub counter: CounterKey,
    pub span: Span,
    /// The request is refused if more than this would be used; `None`: it is counted, and never refused.
    pub capacity: Option<u64>,
    /// What is taken until the truth is known.
    pub ask: u64,
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
    /// When enough of it is free again, if nothing more is taken; `None`: when somebody else is done, or never.
    pub free_at: Option<Millis>,
}

/// The truth about a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub id: Id,
    pub now: Millis,
    /// The moment of the admission: what was used counts there.
    pub admitted: Millis,
    /// The charges again, each with what was really used in `ask`. What a reservation of this id holds besides is given back; where
    /// there is none any more, these are taken all the same.
    pub charges: Vec<Charge>,
}
