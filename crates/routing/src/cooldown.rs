//! For how long a key is left alone after the upstream has turned it away.

use std::time::Duration;

use crate::Moment;

/// Why a key should rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cooldown {
    /// Too many requests (429): for as long as the upstream says, else 1 s, doubled with each time in a row, at most 60 s.
    Limited { retry_after: Option<Duration> },
    /// The key is not accepted (401, 403) or has no money left (402): 60 s, doubled with each time in a row, at most one hour.
    Refused,
}

/// However long an upstream says, or the doubling gives: after this a key is tried again.
const LONGEST: Duration = Duration::from_hours(1);

impl Cooldown {
    /// When a key may be used again that has already been turned away `strikes` times in a row.
    pub(crate) fn until(self, strikes: u32, now: Moment) -> Moment {
        let doubled = |first: Duration| first.saturating_mul(1 << strikes.min(12));
        let wait = match self {
            Self::Limited {
                retry_after: Some(wait),
            } => wait.min(LONGEST),
            Self::Limited { retry_after: None } => {
                doubled(Duration::from_secs(1)).min(Duration::from_mins(1))
            }
            Self::Refused => doubled(Duration::from_mins(1)).min(LONGEST),
        };
        now.after(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_each_time_in_a_row() {
        let told = |seconds| Cooldown::Limited {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let untold = Cooldown::Limited { retry_after: None };
        for (cooldown, strikes, expect) in [
            (told(7), 0, 7_000),
            (told(7), 9, 7_000),
            (told(86_400), 0, 3_600_000),
            (untold, 0, 1_000),
            (untold, 3, 8_000),
            (untold, 30, 60_000),
            (Cooldown::Refused, 0, 60_000),
            (Cooldown::Refused, 2, 240_000),
            (Cooldown::Refused, u32::MAX, 3_600_000),
        ] {
            let until = cooldown.until(strikes, Moment::from_millis(500));
            assert_eq!(until.as_millis(), 500 + expect, "{cooldown:?} {strikes}");
        }
    }
}
