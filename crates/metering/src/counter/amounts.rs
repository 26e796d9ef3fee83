//! What one counter holds: amounts by slot.

use std::ops::RangeInclusive;

use super::MOST;

/// Tells a slot from one that was there before it, had left, and is there again because a clock was set back: what is given back to
/// the one that has left must not be taken from the other.
pub type Birth = u64;

/// Amounts by slot, oldest first. Never negative, never more than [`MOST`] each, none of them zero.
#[derive(Debug, Clone, Default)]
pub struct Amounts(Vec<Slot>);

#[derive(Debug, Clone, Copy)]
struct Slot {
    index: i64,
    amount: u64,
    birth: Birth,
}

impl Amounts {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the counted slots hold together.
    pub fn used(&self, counted: &RangeInclusive<i64>) -> u64 {
        self.0
            .iter()
            .filter(|slot| counted.contains(&slot.index))
            .fold(0_u64, |sum, slot| sum.saturating_add(slot.amount))
            .min(MOST)
    }

    /// Adds to a slot, which is born now if it is not there; the answer is the birth of what holds the amount.
    pub fn take(&mut self, index: i64, amount: u64, birth: Birth) -> Birth {
        match self.find(index) {
            Ok(at) => {
                let slot = &mut self.0[at];
                slot.amount = slot.amount.saturating_add(amount).min(MOST);
                slot.birth
            }
            Err(at) => {
                if amount > 0 {
                    self.0.insert(
                        at,
                        Slot {
                            index,
                            amount: amount.min(MOST),
                            birth,
                        },
                    );
                }
                birth
            }
        }
    }

    /// Takes an amount back out of the slot that it was put into, if that is still there.
    pub fn give_back(&mut self, index: i64, amount: u64, birth: Birth) {
        if let Ok(at) = self.find(index)
            && self.0[at].birth == birth
        {
            self.0[at].amount = self.0[at].amount.saturating_sub(amount);
            if self.0[at].amount == 0 {
                self.0.remove(at);
            }
        }
    }

    /// Sees to it that this slot and all newer ones together hold at least this.
    pub fn raise(&mut self, index: i64, amount: u64, birth: Birth) {
        let held = self.used(&(index..=i64::MAX));
        self.take(index, amount.saturating_sub(held), birth);
    }

    /// Forgets what does not count.
    pub fn keep(&mut self, counted: &RangeInclusive<i64>) {
        let first = self
            .0
            .first()
            .is_some_and(|slot| slot.index < *counted.start());
        let last = self
            .0
            .last()
            .is_some_and(|slot| slot.index > *counted.end());
        if first || last {
            self.0.retain(|slot| counted.contains(&slot.index));
        }
    }

    /// The slot after whose end no more than `room` is used.
    pub fn frees(&self, counted: &RangeInclusive<i64>, room: u64) -> Option<i64> {
        let mut used: u128 = self
            .0
            .iter()
            .filter(|slot| counted.contains(&slot.index))
            .map(|slot| u128::from(slot.amount))
            .sum();
        self.0
            .iter()
            .filter(|slot| counted.contains(&slot.index))
            .find(|slot| {
                used -= u128::from(slot.amount);
                used <= u128::from(room)
            })
            .map(|slot| slot.index)
    }

    /// The newest slot.
    pub fn newest(&self) -> Option<i64> {
        self.0.last().map(|slot| slot.index)
    }

    fn find(&self, index: i64) -> Result<usize, usize> {
        // What is looked for is nearly always the newest.
        match self.0.last() {
            None => Err(0),
            Some(slot) if slot.index == index => Ok(self.0.len() - 1),
            Some(slot) if slot.index < index => Err(self.0.len()),
            Some(_) => self.0.binary_search_by_key(&index, |slot| slot.index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_given_back_to_where_they_were_taken() {
        let mut amounts = Amounts::default();
        let first = amounts.take(5, 10, 1);
        amounts.take(7, 1, 2);
        assert_eq!(amounts.take(5, 2, 3), first);
        assert_eq!(amounts.used(&(5..=7)), 13);
        assert_eq!(amounts.used(&(6..=7)), 1);

        amounts.keep(&(6..=8));
        let again = amounts.take(5, 4, 4);
        amounts.give_back(5, 10, first);
        assert_eq!(amounts.used(&(5..=7)), 5, "the slot of before has left");
        amounts.give_back(5, 9, again);
        amounts.give_back(7, 1, 2);
        assert!(amounts.is_empty());
    }

    #[test]
    fn room_is_free_when_enough_slots_have_left() {
        let mut amounts = Amounts::default();
        for index in 1..=3 {
            amounts.take(index, 10, 0);
        }
        for (room, slot) in [(29, 1), (20, 1), (19, 2), (0, 3)] {
            assert_eq!(amounts.frees(&(1..=3), room), Some(slot), "{room}");
        }
        assert_eq!(amounts.frees(&(1..=2), 19), Some(1));
    }

    #[test]
    fn nothing_overflows() {
        let mut amounts = Amounts::default();
        for index in 0..40 {
            amounts.take(index, u64::MAX, 0);
            amounts.take(index, u64::MAX, 0);
        }
        assert_eq!(amounts.used(&(0..=40)), MOST);
        assert_eq!(amounts.frees(&(0..=40), 0), Some(39));
        amounts.raise(0, u64::MAX, 0);
        amounts.give_back(0, u64::MAX, 0);
        assert_eq!(amounts.used(&(0..=0)), 0);
    }
}
