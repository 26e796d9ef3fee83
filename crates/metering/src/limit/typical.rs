//! How long answers of a model usually are, learnt from those that came.

use rustc_hash::FxHashMap;

use super::USUAL_OUTPUT;

/// Lengths of answers in tokens, by model. Bounded: of models that nobody asks for, some are forgotten.
#[derive(Debug, Default)]
pub struct Typical {
    models: FxHashMap<Box<str>, Lengths>,
}

/// Models that are remembered. Callers may make up names where a route takes all.
const MODELS: usize = 4_096;

/// The share of the past that a new answer replaces, once there have been as many answers.
const MEMORY: u32 = 64;

#[derive(Debug, Clone, Copy)]
struct Lengths {
    seen: u32,
    /// In 1/256 of a token.
    mean: u64,
    /// How far answers are from the mean, on average; in 1/256 of a token.
    off: u64,
}

impl Typical {
    /// An answer of `model` was so many tokens long.
    pub fn learn(&mut self, model: &str, output: u64) {
        // Longer answers there are none; the bound keeps the arithmetic whole.
        let output = output.min(1 << 32) << 8;
        if let Some(lengths) = self.models.get_mut(model) {
            lengths.add(output);
            return;
        }
        if self.models.len() >= MODELS {
            let mut nth = 0_usize;
            self.models.retain(|_, _| {
                nth += 1;
                nth.is_multiple_of(2)
            });
        }
        self.models.insert(
            model.into(),
            Lengths {
                seen: 1,
                mean: output,
                off: 0,
            },
        );
    }

    /// How long the next answer of `model` will be, rather too long than too short; [`USUAL_OUTPUT`] where nobody knows.
    pub fn output(&self, model: &str) -> u64 {
        let Some(lengths) = self.models.get(model) else {
            return USUAL_OUTPUT;
        };
        (lengths.mean + lengths.off).div_ceil(256).max(1)
    }
}

impl Lengths {
    fn add(&mut self, output: u64) {
        self.seen = self.seen.saturating_add(1).min(MEMORY);
        let share = u64::from(self.seen);
        let off = output.abs_diff(self.mean);
        let towards = |old: u64, new: u64| {
            if new >= old {
                old + (new - old) / share
            } else {
                old - (old - new) / share
            }
        };
        self.mean = towards(self.mean, output);
        self.off = towards(self.off, off);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lengths: &[u64], expect: u64) {
        let mut typical = Typical::default();
        for length in lengths {
            typical.learn("m", *length);
        }
        assert_eq!(typical.output("m"), expect, "{lengths:?}");
    }

    #[test]
    fn answers_teach_how_long_the_next_will_be() {
        check(&[], USUAL_OUTPUT);
        check(&[300], 300);
        check(&[300; 100], 300);
        check(&[0], 1);
        check(&[100, 300], 300);
        check(&[u64::MAX; 100], 1 << 32);
        // What answers are like by now counts more than what they were like.
        let mut changed = vec![5_000; 100];
        changed.extend([100; 1_000]);
        let mut typical = Typical::default();
        for length in changed {
            typical.learn("m", length);
        }
        assert!((100..110).contains(&typical.output("m")));
        assert_eq!(typical.output("another"), USUAL_OUTPUT);
    }

    #[test]
    fn made_up_names_do_not_fill_the_memory() {
        let mut typical = Typical::default();
        for name in 0..100_000 {
            typical.learn(&name.to_string(), 1);
        }
        assert!(typical.models.len() <= MODELS);
    }
}
