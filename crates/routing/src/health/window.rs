//! How many requests ended of late, and how many of them badly.

use std::time::Duration;

use crate::Moment;

const BUCKETS: usize = 10;

/// A window that slides by tenths of its length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// Milliseconds of one bucket; another length begins a new window.
    width: u64,
    /// The number of the newest bucket, counted from the beginning of time.
    newest: u64,
    buckets: [Counts; BUCKETS],
}

/// What ended within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub total: u32,
    pub failed: u32,
}

impl Counts {
    /// Whether at least `requests` ended, and at least `ratio` thousandths of them badly.
    pub(crate) fn reach(self, requests: u32, ratio: u32) -> bool {
        // A stream that breaks off after its success was counted is counted as a failure only, perhaps in a later window.
        let total = self.total.max(self.failed);
        self.failed > 0
            && total >= requests
            && u64::from(self.failed) * 1000 >= u64::from(total) * u64::from(ratio)
    }
}

impl Window {
    pub(crate) fn add(&mut self, length: Duration, now: Moment, counts: Counts) {
        self.slide(length, now);
        let place = place(self.newest);
        if let Some(bucket) = self.buckets.get_mut(place) {
            bucket.total = bucket.total.saturating_add(counts.total);
            bucket.failed = bucket.failed.saturating_add(counts.failed);
        }
    }

    pub(crate) fn counts(&mut self, length: Duration, now: Moment) -> Counts {
        self.slide(length, now);
        self.buckets
            .iter()
            .fold(Counts::default(), |sum, bucket| Counts {
                total: sum.total.saturating_add(bucket.total),
                failed: sum.failed.saturating_add(bucket.failed),
            })
    }

    pub(crate) fn clear(&mut self) {
        self.buckets = [Counts::default(); BUCKETS];
    }

    fn slide(&mut self, length: Duration, now: Moment) {
        let width = (u64::try_from(length.as_millis()).unwrap_or(u64::MAX) / BUCKETS as u64).max(1);
        let newest = now.as_millis() / width;
        if width != self.width {
            self.width = width;
            self.newest = newest;
            self.clear();
        }
        // Threads report with moments that lie a little behind those of others: these go into the newest bucket.
        let gone = newest.saturating_sub(self.newest).min(BUCKETS as u64);
        for number in 0..gone {
            let place = place(newest - number);
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = Counts::default();
            }
        }
        self.newest = self.newest.max(newest);
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);
    const BAD: Counts = Counts {
        total: 1,
        failed: 1,
    };

    #[test]
    fn forgets_what_slid_out() {
        // The moments of failures in milliseconds, when it is looked at, how many are seen.
        for (failures, at, expect) in [
            (&[0, 1_000, 2_000][..], 2_000, 3),
            (&[0, 1_000, 2_000], 9_999, 3),
            (&[0, 1_000, 2_000], 10_000, 2),
            (&[0, 1_000, 2_000], 12_000, 0),
            (&[0], 1_000_000, 0),
            // Reports that come late count as of now.
            (&[5_000, 4_000, 0], 14_999, 3),
            (&[5_000, 4_000, 0], 15_000, 0),
        ] {
            let mut window = Window::default();
            for at in failures {
                window.add(LENGTH, Moment::from_millis(*at), BAD);
            }
            let seen = window.counts(LENGTH, Moment::from_millis(at));
            assert_eq!(seen.failed, expect, "{failures:?} at {at}");
        }
    }

    #[test]
    fn another_length_begins_anew() {
        let mut window = Window::default();
        window.add(LENGTH, Moment::from_millis(500), BAD);
        let longer = window.counts(LENGTH * 2, Moment::from_millis(500));
        assert_eq!(longer, Counts::default());
    }

    #[test]
    fn reaches_by_number_and_share() {
        for (total, failed, expect) in [
            (4, 4, false),
            (5, 2, false),
            (6, 3, true),
            (5, 5, true),
            (5, 0, false),
            (0, 5, true),
        ] {
            assert_eq!(
                Counts { total, failed }.reach(5, 500),
                expect,
                "{failed} of {total}"
            );
        }
        assert!(
            !Counts {
                total: 5,
                failed: 0
            }
            .reach(0, 0)
        );
    }
}
