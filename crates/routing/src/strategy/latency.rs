//! Of two taken by chance the one that answers sooner: the power of two choices over peak EWMA, as finagle and linkerd do it.
//! Taking the fastest of all would send everybody there at once.

use super::{Dice, Seat, Turns};
use crate::{Measure, Moment};

pub(super) fn pick(
    seats: &[Seat<'_>],
    measure: Measure,
    turns: &Turns,
    now: Moment,
    dice: Dice<'_>,
) -> Option<usize> {
    let means: Vec<Option<f64>> = seats
        .iter()
        .map(|seat| seat.candidate.gauge.mean(measure, now))
        .collect();
    // An unknown one is tried first, by one request at a time: the others do not wait for what it will turn out to be.
    // One that has failed and never served would stay unknown: it has another chance now and then only.
    let again = dice().is_multiple_of(AGAIN);
    let untried = seats
        .iter()
        .zip(&means)
        .filter(|(seat, mean)| {
            let idle = seat.candidate.gauge.in_flight() == 0;
            mean.is_none() && idle && (again || !only_fails(seat))
        })
        .map(|(seat, _)| seat.equal());
    if let Some(index) = turns.next(untried) {
        return Some(index);
    }
    // While it is being tried it counts as no better than the slowest.
    let slowest = means.iter().flatten().copied().fold(0.0, f64::max);
    let (left, right) = two(seats.len(), dice);
    let score = |place: usize| {
        let seat = seats.get(place)?;
        let unknown = if only_fails(seat) { f64::MAX } else { slowest };
        let mean = means.get(place).copied().flatten().unwrap_or(unknown);
        let busy = f64::from(seat.candidate.gauge.in_flight()) + 1.0;
        // Where nothing is known of anyone, the busy one is the worse.
        Some(((mean.max(1.0)) * busy, seat.index))
    };
    let (left, right) = (score(left)?, score(right)?);
    Some(if right.0 < left.0 { right.1 } else { left.1 })
}

/// One of so many requests tries a target that has only failed so far.
const AGAIN: u64 = 16;

fn only_fails(seat: &Seat<'_>) -> bool {
    let gauge = seat.candidate.gauge;
    gauge.served() == 0 && gauge.failed() > 0
}

/// Two different places of `count`, which is at least 2.
fn two(count: usize, dice: Dice<'_>) -> (usize, usize) {
    let count = count as u64;
    let left = below(count, dice());
    let right = below(count - 1, dice());
    let right = if right >= left { right + 1 } else { right };
    (
        usize::try_from(left).unwrap_or_default(),
        usize::try_from(right).unwrap_or_default(),
    )
}

/// `draw` scaled to less than `count`.
fn below(count: u64, draw: u64) -> u64 {
    let scaled = (u128::from(draw) * u128::from(count)) >> 64;
    u64::try_from(scaled).unwrap_or_default()
}
