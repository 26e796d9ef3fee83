//! A token bucket of one minute, as the moment at which it is full again.

use crate::Moment;

/// By the generic cell rate algorithm: one number, no refilling. In nanoseconds, since a limit may be met many times in
/// a millisecond.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    full_at: u64,
}

const MINUTE: u64 = 60_000_000_000;

impl Bucket {
    /// Since when, or from when on, `amount` of `limit` per minute can be had. More than the whole bucket is as much as all of it.
    pub(super) fn has(self, amount: u64, limit: u64) -> Moment {
        let empty_until = (self.full_at + cost(amount, limit)).saturating_sub(MINUTE);
        Moment::from_millis(empty_until.div_ceil(1_000_000))
    }

    pub(super) fn take(&mut self, amount: u64, limit: u64, now: Moment) {
        self.full_at = self.full_at.max(nanos(now)) + cost(amount, limit);
    }

    /// What was taken turns out to be another amount.
    pub(super) fn correct(&mut self, taken: u64, amount: u64, limit: u64) {
        let (taken, due) = (cost(taken, limit), cost(amount, limit));
        self.full_at = self.full_at.saturating_sub(taken).saturating_add(due);
    }

    /// Which part of the bucket is left, from 0 to 1.
    pub(super) fn left(self, now: Moment) -> f32 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of a minute needs no more than three digits"
        )]
        let used = self.full_at.saturating_sub(nanos(now)).min(MINUTE) as f32 / MINUTE as f32;
        1.0 - used
    }
}

fn nanos(moment: Moment) -> u64 {
    // Moments count from the start of a process; a bucket's minute must fit behind the last of them.
    moment.as_millis().min(u64::MAX / 4_000_000) * 1_000_000
}

fn cost(amount: u64, limit: u64) -> u64 {
    let limit = limit.max(1);
    let cost = u128::from(amount.min(limit)) * u128::from(MINUTE) / u128::from(limit);
    u64::try_from(cost).unwrap_or(MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_as_much_as_its_limit() {
        for limit in [1, 3, 60, 1_000, 90_000] {
            let mut bucket = Bucket::default();
            let now = Moment::from_millis(1_000);
            let mut taken = 0;
            while bucket.has(1, limit) <= now {
                bucket.take(1, limit, now);
                taken += 1;
            }
            assert_eq!(taken, limit);
            // One more each time a minute's share of one has passed, and no more than the limit after a long rest.
            let next = Moment::from_millis(1_000 + 60_000_u64.div_ceil(limit));
            assert!(bucket.has(1, limit) <= next, "{limit}");
            bucket.take(1, limit, next);
            assert!(bucket.has(1, limit) > now, "{limit}");
            assert!(bucket.has(limit, limit) <= Moment::from_millis(130_000));
        }
    }

    #[test]
    fn what_is_too_large_takes_all() {
        let mut bucket = Bucket::default();
        let now = Moment::from_millis(5);
        assert!(bucket.has(1_000, 10) <= now);
        bucket.take(1_000, 10, now);
        assert_eq!(bucket.has(1_000, 10), Moment::from_millis(60_005));
        assert_eq!(bucket.has(1, 10), Moment::from_millis(6_005));
        assert!((bucket.left(Moment::from_millis(30_005)) - 0.5).abs() < 0.001);
    }
}
