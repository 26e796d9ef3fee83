//! Sums of weights, so that a point on the line of all weights finds whose it is in a logarithm of steps.

/// A Fenwick tree: a place is added to and looked for in as many steps as their number has bits.
#[derive(Debug, Clone, Default)]
pub(super) struct Weights {
    sums: Vec<u64>,
    total: u64,
}

/// 2^64 divided by the golden ratio: its multiples fall as evenly on a circle as any do, at every length of the sequence.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Weights {
    /// Nothing weighs anything yet.
    pub(super) fn new(length: usize) -> Self {
        Self {
            sums: vec![0; length],
            total: 0,
        }
    }

    pub(super) fn add(&mut self, place: usize, weight: u32) {
        self.change(place, |sum| sum.wrapping_add(u64::from(weight)));
    }

    /// Takes away what was added.
    pub(super) fn take(&mut self, place: usize, weight: u32) {
        self.change(place, |sum| sum.wrapping_sub(u64::from(weight)));
    }

    fn change(&mut self, place: usize, change: impl Fn(u64) -> u64) {
        self.total = change(self.total);
        let mut at = place + 1;
        while let Some(sum) = self.sums.get_mut(at - 1) {
            *sum = change(*sum);
            at += at & at.wrapping_neg();
        }
    }

    /// Whose turn the `turn`th is. Places get their shares of the weight that there is at the moment, spread evenly over the
    /// turns, without a memory of who had how many. `None` when nothing weighs anything.
    pub(super) fn turn(&self, turn: u64) -> Option<usize> {
        if self.total == 0 {
            return None;
        }
        let point = u128::from(turn.wrapping_mul(GOLDEN)) * u128::from(self.total);
        self.find(u64::try_from(point >> 64).unwrap_or(0))
    }

    /// The place on whose part of the line `point` lies.
    fn find(&self, mut point: u64) -> Option<usize> {
        let mut place = 0;
        let mut step = self.sums.len().checked_next_power_of_two()?;
        while step > 0 {
            if let Some(sum) = self.sums.get(place + step - 1)
                && *sum <= point
            {
                point -= sum;
                place += step;
            }
            step /= 2;
        }
        (place < self.sums.len()).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_follow_weights(weights in prop::collection::vec(0_u32..50, 1..40), out in any::<prop::sample::Index>()) {
            const TURNS: u32 = 2_000;
            let mut tree = Weights::new(weights.len());
            for (place, weight) in weights.iter().enumerate() {
                tree.add(place, *weight);
            }
            let out = out.index(weights.len());
            tree.take(out, weights[out]);
            let mut left = weights.clone();
            left[out] = 0;
            let total: u32 = left.iter().sum();
            let mut counts = vec![0_u32; left.len()];
            for turn in 0..u64::from(TURNS) {
                let Some(place) = tree.turn(turn) else {
                    prop_assert_eq!(total, 0);
                    break;
                };
                counts[place] += 1;
            }
            for (weight, count) in left.iter().zip(counts) {
                let due = f64::from(*weight) / f64::from(total.max(1)) * f64::from(TURNS);
                prop_assert!((due - f64::from(count)).abs() < 5.0, "{count} of {due}");
            }
        }
    }

    #[test]
    fn turns_are_spread() {
        let mut tree = Weights::new(2);
        tree.add(0, 3);
        tree.add(1, 1);
        let turns: Vec<Option<usize>> = (0..40).map(|turn| tree.turn(turn)).collect();
        // A key with a quarter of the weight never waits much longer than four turns, and never comes twice in a row.
        for window in turns.windows(6) {
            let light = window.iter().filter(|place| **place == Some(1)).count();
            assert!((1..=2).contains(&light), "{turns:?}");
        }
        assert!(turns.windows(2).all(|pair| pair != [Some(1), Some(1)]));
    }
}
