//! The arm of an experiment that a request belongs to.

use super::name_hash::joined;
use super::{Dice, name_hash, sticky};
use crate::Split;

/// An index into the arms, by their weights; `None` when none has a weight. The same for the same `hash`, in every process
/// and in whatever order the arms are written; when weights change only what has to moves. Experiments are independent
/// of each other by their names. Without a hash it is drawn anew.
pub fn arm(split: &Split, hash: Option<u64>, dice: Dice<'_>) -> Option<usize> {
    let hash = hash.unwrap_or_else(dice);
    let arms = split.arms.iter().enumerate();
    sticky::pick(
        joined(hash, name_hash(&split.name)),
        arms.map(|(index, arm)| (index, name_hash(&arm.model), arm.weight)),
    )
}
