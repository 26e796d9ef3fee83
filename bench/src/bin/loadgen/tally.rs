//! What happened while measuring: counts, latencies, complaints.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// A broken gateway may complain in a new way for every request.
const MOST_COMPLAINTS: usize = 12;

#[derive(Debug)]
pub(crate) struct Tally {
    /// `None` while warming up and after the end: nothing is counted.
    since: Option<Instant>,
    ok: u64,
    errors: u64,
    checked: u64,
    invalid: u64,
    complaints: BTreeMap<String, u64>,
    /// In microseconds, up to a minute.
    latency: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            since: None,
            ok: 0,
            errors: 0,
            checked: 0,
            invalid: 0,
            complaints: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1, 60_000_000, 3)?,
        })
    }

    pub(crate) fn start(&mut self) {
        self.since = Some(Instant::now());
    }

    /// The seconds since [`Self::start`].
    pub(crate) fn stop(&mut self) -> f64 {
        self.since
            .take()
            .map_or(0.0, |since| since.elapsed().as_secs_f64())
    }

    pub(crate) fn counts(&self) -> bool {
        self.since.is_some()
    }

    pub(crate) fn success(&mut self, latency: Duration) {
        self.ok += 1;
        self.latency
            .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn failure(&mut self, complaint: String) {
        self.errors += 1;
        self.complain(complaint);
    }

    /// One of the successes was read: was it what the mock had sent?
    pub(crate) fn checked(&mut self, verdict: Result<(), String>) {
        self.checked += 1;
        if let Err(complaint) = verdict {
            self.invalid += 1;
            self.complain(format!("invalid: {complaint}"));
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MOST_COMPLAINTS || self.complaints.contains_key(&complaint) {
            *self.complaints.entry(complaint).or_default() += 1;
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.ok + self.errors
    }

    pub(crate) fn report(&self, seconds: f64) -> Value {
        json!({
            "seconds": seconds, "ok": self.ok, "errors": self.errors, "rps": self.ok as f64 / seconds,
            "checked": self.checked, "invalid": self.invalid, "complaints": self.complaints,
            "latency_us": {
                "p50": self.latency.value_at_quantile(0.5),
                "p90": self.latency.value_at_quantile(0.9),
                "p99": self.latency.value_at_quantile(0.99),
                "max": self.latency.max(),
            },
        })
    }
}
