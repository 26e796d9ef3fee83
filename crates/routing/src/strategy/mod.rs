//! Choosing one of several candidates that would all do.

mod arm;
mod cheapest;
mod latency;
mod least_busy;
mod name_hash;
mod quota;
mod sticky;
mod turns;

pub use arm::arm;
pub use name_hash::{NameHash, identity, name_hash};
pub use turns::Turns;

use crate::health::Gauge;
use crate::{Moment, Strategy};

/// A target of which everything is ready.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Of the provider and the model: [`identity`].
    pub identity: NameHash,
    /// 0: it is drained, and never chosen.
    pub weight: u32,
    pub gauge: &'a Gauge,
    /// What this request would cost here, in nano-dollars: `Provider::cost`. `None`: nobody knows.
    pub price: Option<u64>,
    /// Which part is left of what may be used here, from 0 to 1: `KeyPool::headroom`. `None`: nobody knows of a limit.
    pub headroom: Option<f32>,
    /// It speaks the dialect of the caller.
    pub same_dialect: bool,
}

/// What the choice may depend on besides the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// What stays together has the same: [`name_hash`] of the session or the user, or the prefix's hash. `None`: drawn anew.
    pub sticky: Option<u64>,
    /// Those that speak the caller's dialect are chosen from while there are any.
    pub prefer_same_dialect: bool,
    pub now: Moment,
}

/// Randomness: 64 even bits with each call.
pub type Dice<'a> = &'a mut dyn FnMut() -> u64;

/// Chooses among candidates of one priority that are ready now; an index into them. `None` when there is none with a
/// weight.
pub fn pick(
    strategy: Strategy,
    candidates: &[Candidate<'_>],
    turns: &Turns,
    hints: Hints,
    dice: Dice<'_>,
) -> Option<usize> {
    let seats = seats(candidates, hints.prefer_same_dialect);
    if seats.len() < 2 {
        return seats.first().map(|seat| seat.index);
    }
    match strategy {
        Strategy::Priority => seats.first().map(|seat| seat.index),
        Strategy::Weighted => turns.next(seats.iter().map(Seat::weighted)),
        Strategy::RoundRobin => turns.next(seats.iter().map(Seat::equal)),
        Strategy::LeastBusy => least_busy::pick(&seats, turns),
        Strategy::Latency(measure) => latency::pick(&seats, measure, turns, hints.now, dice),
        Strategy::Cheapest => cheapest::pick(&seats, turns),
        Strategy::Sticky(_) => {
            let hash = hints.sticky.unwrap_or_else(dice);
            sticky::pick(hash, seats.iter().map(Seat::weighted))
        }
        Strategy::Quota => quota::pick(&seats, turns),
    }
}

/// A candidate that may be chosen, and its place among all.
#[derive(Debug, Clone, Copy)]
struct Seat<'a> {
    index: usize,
    candidate: &'a Candidate<'a>,
}

impl Seat<'_> {
    /// Where it is, what it is, and its share.
    fn weighted(&self) -> (usize, NameHash, u32) {
        (self.index, self.candidate.identity, self.candidate.weight)
    }

    fn equal(&self) -> (usize, NameHash, u32) {
        (self.index, self.candidate.identity, 1)
    }
}

fn seats<'a>(candidates: &'a [Candidate<'a>], prefer_same_dialect: bool) -> Vec<Seat<'a>> {
    let mut seats: Vec<_> = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.weight > 0)
        .map(|(index, candidate)| Seat { index, candidate })
        .collect();
    if prefer_same_dialect && seats.iter().any(|seat| seat.candidate.same_dialect) {
        seats.retain(|seat| seat.candidate.same_dialect);
    }
    seats
}

#[cfg(test)]
mod tests;
