//! The one that is furthest from its limits. What has no known limit is as far from them as can be.

use super::{Seat, Turns};

/// In thousandths.
const ALL: u32 = 1000;

pub(super) fn pick(seats: &[Seat<'_>], turns: &Turns) -> Option<usize> {
    let left = |seat: &Seat<'_>| seat.candidate.headroom.unwrap_or(ALL).min(ALL);
    let most = seats.iter().map(left).max()?;
    let ties = seats.iter().filter(|seat| left(seat) == most);
    turns.next(ties.map(Seat::weighted))
}
