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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arm;

    fn split(name: &str, arms: &[(u32, &str)]) -> Split {
        let arm = |(weight, model): &(u32, &str)| Arm {
            weight: *weight,
            model: (*model).to_owned(),
        };
        Split {
            name: name.to_owned(),
            sticky: None,
            arms: arms.iter().map(arm).collect(),
        }
    }

    /// The models that 20,000 users are sent to.
    fn models(split: &Split) -> Vec<&str> {
        (0..20_000)
            .map(|user| {
                let hash = name_hash(&format!("user-{user}"));
                let place = arm(split, Some(hash), &mut || panic!("no dice are needed")).unwrap();
                split.arms[place].model.as_str()
            })
            .collect()
    }

    fn share(models: &[&str], of: &str) -> f64 {
        let count = models.iter().filter(|model| **model == of).count();
        f64::from(u32::try_from(count).unwrap()) / 20_000.0
    }

    #[test]
    fn shares_are_those_of_the_weights() {
        for weights in [[90, 10, 0], [1, 1, 1], [1, 2, 7], [0, 0, 5]] {
            let [a, b, c] = weights;
            let split = split("test", &[(a, "a"), (b, "b"), (c, "c")]);
            let models = models(&split);
            for (model, weight) in [("a", a), ("b", b), ("c", c)] {
                let due = f64::from(weight) / f64::from(a + b + c);
                // Four standard deviations of a share of 20,000 are at most 0.0142.
                let share = share(&models, model);
                assert!((share - due).abs() < 0.0142, "{weights:?} {model}: {share}");
                assert!(weight > 0 || share == 0.0);
            }
        }
    }

    #[test]
    fn only_what_has_to_moves() {
        let before = split("test", &[(50, "a"), (50, "b")]);
        let reordered = split("test", &[(50, "b"), (50, "a")]);
        assert_eq!(models(&before), models(&reordered));
        let more = split("test", &[(80, "a"), (50, "b")]);
        for (old, new) in models(&before).into_iter().zip(models(&more)) {
            assert!(old == new || new == "a");
        }
    }

    #[test]
    fn experiments_are_independent() {
        let one = split("one", &[(50, "a"), (50, "b")]);
        let two = split("two", &[(50, "a"), (50, "b")]);
        let both = models(&one)
            .into_iter()
            .zip(models(&two))
            .filter(|(left, right)| left == right);
        let same = f64::from(u32::try_from(both.count()).unwrap()) / 20_000.0;
        assert!((same - 0.5).abs() < 0.0142, "{same}");
    }

    #[test]
    fn without_a_hash_it_is_drawn() {
        let split = split("test", &[(1, "a"), (1, "b")]);
        let mut next = 0;
        let mut dice = || {
            next += 1;
            name_hash(&next.to_string())
        };
        let drawn: Vec<_> = (0..100)
            .filter_map(|_| arm(&split, None, &mut dice))
            .collect();
        let first = drawn.iter().filter(|place| **place == 0).count();
        assert!((30..70).contains(&first), "{first}");
        assert_eq!(
            arm(
                &super::tests::split("none", &[(0, "a")]),
                Some(1),
                &mut || 0
            ),
            None
        );
    }
}
