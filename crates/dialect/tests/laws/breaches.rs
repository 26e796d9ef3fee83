//! What broke a law: all of it is looked at before the test fails, and a few cases are shown.

use std::fmt::Write as _;

#[derive(Debug, Default)]
pub(crate) struct Breaches {
    shown: String,
    count: usize,
    last: String,
}

impl Breaches {
    /// Cases shown.
    const SHOWN: usize = 40;

    /// `sample` breaks the law, in the way that `how` says. Only the first breach of a sample counts.
    pub(crate) fn push(&mut self, sample: &str, how: &str) {
        if self.last == sample {
            return;
        }
        sample.clone_into(&mut self.last);
        self.count += 1;
        if self.count <= Self::SHOWN {
            let how: String = how.chars().take(1500).collect();
            writeln!(self.shown, "\n--- {sample}: {how}").unwrap();
        }
    }

    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        left: &T,
        right: &T,
        sample: &str,
        how: &str,
    ) {
        if left != right {
            self.push(sample, &format!("{how}\n{left:?}\n{right:?}"));
        }
    }

    pub(crate) fn settle(self) {
        assert!(
            self.count == 0,
            "{} samples break the law\n{}",
            self.count,
            self.shown
        );
    }
}
