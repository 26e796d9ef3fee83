//! The one that is furthest from its limits. What has no known limit is as far from them as can be.

use super::{Seat, Turns};

pub(super) fn pick(seats: &[Seat<'_>], turns: &Turns) -> Option<usize> {
    let most = seats.iter().map(left).max()?;
    let ties = seats.iter().filter(|seat| left(seat) == most);
    turns.next(ties.map(Seat::weighted))
}

/// In hundredths: finer differences are none, for of large pools it is an estimate. Otherwise one target would get all
/// requests that come before it is estimated anew.
fn left(seat: &Seat<'_>) -> u8 {
    let share = seat.candidate.headroom.unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 100, and 0 for what is no number"
    )]
    let hundredths = (share.clamp(0.0, 1.0) * 100.0).round() as u8;
    hundredths
}
