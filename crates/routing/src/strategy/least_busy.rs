//! The one with the fewest requests under way, for its weight.

use super::{Seat, Turns};

pub(super) fn pick(seats: &[Seat<'_>], turns: &Turns) -> Option<usize> {
    // Read once: others begin and end meanwhile.
    let loads: Vec<(u64, u64)> = seats
        .iter()
        .map(|seat| {
            let busy = seat.candidate.gauge.in_flight();
            (u64::from(busy), u64::from(seat.candidate.weight))
        })
        .collect();
    // busy / weight, without dividing.
    let least = loads
        .iter()
        .copied()
        .min_by(|left, right| (left.0 * right.1).cmp(&(right.0 * left.1)))?;
    let ties = seats
        .iter()
        .zip(&loads)
        .filter(|(_, load)| load.0 * least.1 == least.0 * load.1)
        .map(|(seat, _)| seat.weighted());
    turns.next(ties)
}
