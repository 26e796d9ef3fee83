//! Moments of the routing as times that people read.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lingate_routing::Moment;

/// The present, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    now: Moment,
    /// Milliseconds since 1970.
    millis: i64,
}

impl Wall {
    pub(crate) fn at(now: Moment) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Self {
            now,
            millis: i64::try_from(millis).unwrap_or(i64::MAX),
        }
    }

    /// RFC 3339, to the second.
    pub(crate) fn time(self, moment: Moment) -> Option<String> {
        let [moment, now] = [moment, self.now].map(|it| i64::try_from(it.as_millis()).ok());
        let millis = self.millis.checked_add(moment?.checked_sub(now?)?)?;
        let time = Timestamp::from_second(millis.div_euclid(1000)).ok()?;
        Some(time.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_and_after_now() {
        let wall = Wall {
            now: Moment::from_millis(10_000),
            millis: 1_796_083_200_500,
        };
        for (millis, expect) in [
            (10_000, "2026-12-01T00:00:00Z"),
            (10_500, "2026-12-01T00:00:01Z"),
            (0, "2026-11-30T23:59:50Z"),
            (70_000, "2026-12-01T00:01:00Z"),
        ] {
            let told = wall.time(Moment::from_millis(millis));
            assert_eq!(told.as_deref(), Some(expect));
        }
        assert_eq!(wall.time(Moment::from_millis(u64::MAX)), None);
    }
}
