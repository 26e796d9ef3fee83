//! The same one for the same: weighted rendezvous hashing. When one goes away only its share moves, when one comes it takes
//! its share from all.

use super::NameHash;
use super::name_hash::joined;

pub(super) fn pick<T>(
    hash: NameHash,
    present: impl Iterator<Item = (T, NameHash, u32)>,
) -> Option<T> {
    present
        .filter(|(_, _, weight)| *weight > 0)
        .map(|(item, identity, weight)| (item, score(joined(hash, identity), weight)))
        .max_by(|(_, left), (_, right)| left.total_cmp(right))
        .map(|(item, _)| item)
}

/// The draw of one candidate: exponentially distributed by its weight, so that the highest is each by its share.
fn score(draw: u64, weight: u32) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are kept, and a draw needs no more"
    )]
    let even = ((draw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(weight) / -even.ln()
}
