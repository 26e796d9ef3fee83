//! How busy one target is and how fast it has been.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Measure, Moment};

/// Requests under way, times, counts.
#[derive(Debug, Default)]
pub struct Gauge {
    in_flight: AtomicU32,
    first_token: Mutex<PeakEwma>,
    whole: Mutex<PeakEwma>,
    per_token: Mutex<PeakEwma>,
    served: AtomicU64,
    failed: AtomicU64,
}

/// One request under way; it ends when this is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Gauge>);

/// A mean that jumps up at once and comes down by and by, as finagle and linkerd balance by: one slow answer is believed,
/// and good ones have to repeat themselves.
#[derive(Debug, Clone, Copy, Default)]
struct PeakEwma {
    /// Microseconds, at the moment `at`; `None`: nothing was observed.
    value: Option<f64>,
    at: Moment,
}

/// After so long half of a mean is what was seen since.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// After so long without being observed, a mean is taken for half of what it was. Much longer than the other: where
/// requests are rare, a slow target must not look fast merely because the last request went elsewhere.
const FORGETS: Duration = Duration::from_mins(2);

impl PeakEwma {
    fn observe(&mut self, micros: f64, now: Moment) {
        let decayed = match self.value {
            Some(value) if micros < value => {
                let keeps = halved(self.at.until(now), HALF_LIFE);
                value * keeps + micros * (1.0 - keeps)
            }
            Some(_) | None => micros,
        };
        self.value = Some(decayed);
        self.at = self.at.max(now);
    }

    fn read(&self, now: Moment) -> Option<f64> {
        Some(self.value? * halved(self.at.until(now), FORGETS))
    }
}

/// What is left of 1 after `passed`.
fn halved(passed: Duration, half_life: Duration) -> f64 {
    (-passed.as_secs_f64() / half_life.as_secs_f64()).exp2()
}

impl Gauge {
    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The first token of an answer came so long after its request was sent.
    pub fn first_token(&self, took: Duration, now: Moment) {
        observe(&self.first_token, micros(took), now);
    }

    /// An answer that came in one piece came so long after its request was sent.
    pub fn whole(&self, took: Duration, now: Moment) {
        observe(&self.whole, micros(took), now);
    }

    /// From its first token on, an answer of `tokens` took so long. One without tokens tells nothing.
    pub fn answered(&self, tokens: u64, took: Duration, now: Moment) {
        if tokens > 0 {
            #[expect(
                clippy::cast_precision_loss,
                reason = "no answer has 2^52 tokens, and a mean does not need the last one"
            )]
            let tokens = tokens as f64;
            observe(&self.per_token, micros(took) / tokens, now);
        }
    }

    /// The mean, weighted by time and with peaks believed, in microseconds; `None` while nothing was observed. Where no answer was
    /// streamed, the first token is one with the last: else nothing would be known where nobody asks for streams.
    pub fn mean(&self, measure: Measure, now: Moment) -> Option<f64> {
        let read = |mean: &Mutex<PeakEwma>| {
            let mean = mean.lock().unwrap_or_else(PoisonError::into_inner);
            mean.read(now)
        };
        match measure {
            Measure::FirstToken => read(&self.first_token).or_else(|| read(&self.whole)),
            Measure::PerToken => read(&self.per_token),
        }
    }

    /// Requests that were served, since the start.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Attempts that failed, since the start, whoever was at fault.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn count_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn observe(mean: &Mutex<PeakEwma>, micros: f64, now: Moment) {
    mean.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .observe(micros, now);
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn jumps_up_and_comes_down_by_and_by() {
        // (second, milliseconds) that were observed; when it is read; milliseconds that are expected.
        for (observed, read, expect) in [
            (&[][..], 0, None),
            (&[(0, 400)], 0, Some(400)),
            (&[(0, 400), (1, 900)], 1, Some(900)),
            (&[(0, 800), (10, 400)], 10, Some(600)),
            (&[(0, 800), (10, 400), (20, 400)], 20, Some(500)),
            // In the same moment there is nothing to decay by.
            (&[(0, 800), (0, 400)], 0, Some(800)),
            (&[(0, 800), (600, 400)], 600, Some(400)),
            // Unobserved, it is forgotten much more slowly.
            (&[(0, 800)], 120, Some(400)),
            (&[(0, 800)], 240, Some(200)),
            // A report that comes late is of now.
            (&[(10, 800), (9, 900)], 10, Some(900)),
        ] {
            let gauge = Gauge::default();
            for (second, millis) in observed {
                gauge.first_token(Duration::from_millis(*millis), at(*second));
            }
            #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
            let mean = gauge
                .mean(Measure::FirstToken, at(read))
                .map(|micros| (micros / 1000.0).round() as i64);
            assert_eq!(mean, expect, "{observed:?} at {read}");
            assert_eq!(gauge.mean(Measure::PerToken, at(read)), None);
        }
    }

    #[test]
    fn a_token_takes_its_part_of_the_answer() {
        let gauge = Gauge::default();
        gauge.answered(0, Duration::from_secs(9), at(0));
        assert_eq!(gauge.mean(Measure::PerToken, at(0)), None);
        gauge.answered(200, Duration::from_secs(4), at(0));
        assert_eq!(gauge.mean(Measure::PerToken, at(0)), Some(20_000.0));
    }

    #[test]
    fn a_request_is_under_way_until_it_is_dropped() {
        let gauge = Arc::new(Gauge::default());
        let first = gauge.begin();
        let second = gauge.begin();
        assert_eq!(gauge.in_flight(), 2);
        drop(first);
        assert_eq!(gauge.in_flight(), 1);
        drop(second);
        assert_eq!(gauge.in_flight(), 0);
    }
}
