//! The one where this request costs least. What nobody knows the price of comes last.

use super::{Seat, Turns};

pub(super) fn pick(seats: &[Seat<'_>], turns: &Turns) -> Option<usize> {
    // `None` is less than any price: it must not be.
    let rank = |seat: &Seat<'_>| (seat.candidate.price.is_none(), seat.candidate.price);
    let least = seats.iter().map(rank).min()?;
    let ties = seats.iter().filter(|seat| rank(seat) == least);
    turns.next(ties.map(Seat::weighted))
}
