//! A set of small numbers that finds its next member in a handful of steps, however few there are.

/// Each word of a level says which words of the level below hold anything: 100,000 numbers have three levels.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits {
    levels: Vec<Vec<u64>>,
    count: usize,
}

impl Bits {
    /// An empty set for numbers below `length`.
    pub(super) fn new(length: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = length.div_ceil(64).max(1);
        loop {
            levels.push(vec![0; words]);
            if words == 1 {
                break;
            }
            words = words.div_ceil(64);
        }
        Self { levels, count: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        let word = self.levels.first().and_then(|words| words.get(number / 64));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Whether it is new.
    pub(super) fn insert(&mut self, number: usize) -> bool {
        if self.contains(number) {
            return false;
        }
        self.count += 1;
        let mut place = number;
        for words in &mut self.levels {
            if let Some(word) = words.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
            place /= 64;
        }
        true
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, number: usize) -> bool {
        if !self.contains(number) {
            return false;
        }
        self.count -= 1;
        let mut place = number;
        for words in &mut self.levels {
            if let Some(word) = words.get_mut(place / 64) {
                *word &= !(1 << (place % 64));
                if *word != 0 {
                    break;
                }
            }
            place /= 64;
        }
        true
    }

    /// The smallest member that is not smaller than `from`.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut place = from;
        for (level, words) in self.levels.iter().enumerate() {
            let word = words.get(place / 64)?;
            let left = word >> (place % 64);
            if left != 0 {
                place += left.trailing_zeros() as usize;
                return self.down(level, place);
            }
            place = place / 64 + 1;
        }
        None
    }

    /// The smallest number below `place` of `level`, which is set.
    fn down(&self, level: usize, mut place: usize) -> Option<usize> {
        for words in self.levels.get(..level)?.iter().rev() {
            let word = words.get(place)?;
            place = place * 64 + word.trailing_zeros() as usize;
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(length in 1_usize..300_000, steps in prop::collection::vec((any::<u32>(), any::<bool>()), 1..300)) {
            let mut bits = Bits::new(length);
            let mut naive = BTreeSet::new();
            for (number, put) in steps {
                let number = number as usize % length;
                if put {
                    prop_assert_eq!(bits.insert(number), naive.insert(number));
                } else {
                    // Something that is there is taken out more often than chance would have it.
                    let number = naive.range(number..).next().copied().unwrap_or(number);
                    prop_assert_eq!(bits.remove(number), naive.remove(&number));
                }
                prop_assert_eq!(bits.len(), naive.len());
                for from in [0, number, number + 1, number / 2] {
                    prop_assert_eq!(bits.next(from), naive.range(from..).next().copied());
                }
            }
        }
    }

    #[test]
    fn knows_its_ends() {
        for length in [1, 63, 64, 65, 4_096, 4_097, 262_144, 262_145] {
            let mut bits = Bits::new(length);
            assert_eq!(bits.next(0), None, "{length}");
            bits.insert(length - 1);
            assert_eq!(bits.next(0), Some(length - 1), "{length}");
            assert_eq!(bits.next(length), None, "{length}");
        }
    }
}
