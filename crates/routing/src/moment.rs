//! The time as this crate sees it.

use std::time::{Duration, Instant};

/// Milliseconds on a clock that never goes back, counted from wherever the caller began. All moments handed to one
/// snapshot, and to those that inherit from it, count from the same beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// `now` as counted from `start`, which a process keeps from its beginning.
    pub fn since(start: Instant, now: Instant) -> Self {
        Self(0).after(now.saturating_duration_since(start))
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment that lies `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long it takes from here until `later`; zero when that is past.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}
