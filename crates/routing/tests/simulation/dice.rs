//! Randomness that is the same for the same seed, everywhere.

/// `SplitMix64`: a counter, stirred.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut stirred = self.0;
        stirred = (stirred ^ (stirred >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        stirred = (stirred ^ (stirred >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        stirred ^ (stirred >> 31)
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.roll() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.roll() % count.max(1)
    }

    /// Milliseconds until the next of what happens by chance, once in `mean`.
    pub(crate) fn wait(&mut self, mean: f64) -> u64 {
        millis(-(1.0 - self.unit()).ln() * mean)
    }

    /// A time that is `mean` on average, never much shorter, now and then much longer.
    pub(crate) fn latency(&mut self, mean: f64) -> u64 {
        millis(mean * 0.7)
            .saturating_add(self.wait(mean * 0.3))
            .max(1)
    }
}

fn millis(time: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few days at most, and a cast saturates"
    )]
    let millis = time as u64;
    millis
}
