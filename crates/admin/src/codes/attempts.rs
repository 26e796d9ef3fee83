//! Wrong codes are few: whoever tries many is told to wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many wrong codes, in so long.
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_mins(10);
/// So many who try are remembered.
const REMEMBERED: usize = 100_000;

/// Who has tried wrong codes lately, in this process.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<String, (u32, Instant)>>);

impl Attempts {
    /// How long these have to wait; `None`: not at all.
    pub(crate) fn wait(&self, who: &[String], now: Instant) -> Option<Duration> {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        who.iter()
            .filter_map(|who| attempts.get(who))
            .filter(|(count, _)| *count >= MOST)
            .filter_map(|(_, since)| (*since + WINDOW).checked_duration_since(now))
            .max()
    }

    pub(crate) fn failed(&self, who: &[String], now: Instant) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= REMEMBERED {
            attempts.retain(|_, (_, since)| now.duration_since(*since) < WINDOW);
        }
        for who in who {
            let (count, since) = attempts.entry(who.clone()).or_insert((0, now));
            if now.duration_since(*since) >= WINDOW {
                (*count, *since) = (0, now);
            }
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_many_waits() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let who = ["account a".to_owned(), "address 1".to_owned()];
        for _ in 0..MOST {
            assert_eq!(attempts.wait(&who, now), None);
            attempts.failed(&who, now);
        }
        assert_eq!(attempts.wait(&who[1..], now), Some(WINDOW));
        assert_eq!(attempts.wait(&["account b".to_owned()], now), None);
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!(attempts.wait(&who, later), None);
        attempts.failed(&who, later);
        assert_eq!(attempts.wait(&who, later), None);
    }
}
