//! What can be asked of and told to the mock while it runs: `GET /mock/pace?us=10000`, `GET /mock/reset`, `GET /mock/report`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lingate_bench::{request, wire::Wire};
use serde_json::json;

/// Parsing costs more than answering, so only every so-many-th request is looked at.
const CHECK_EVERY: u64 = 64;

static PACE_US: AtomicU64 = AtomicU64::new(0);
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static CHECKED: AtomicU64 = AtomicU64::new(0);
static DAMAGED: AtomicU64 = AtomicU64::new(0);
static COMPLAINT: Mutex<String> = Mutex::new(String::new());

/// The pause between two events of a stream.
pub(crate) fn pace() -> Duration {
    Duration::from_micros(PACE_US.load(Relaxed))
}

/// Counts a request and, now and then, checks that it is what a faithful gateway would have sent.
pub(crate) fn count(wire: Wire, body: &[u8]) {
    if !REQUESTS.fetch_add(1, Relaxed).is_multiple_of(CHECK_EVERY) {
        return;
    }
    CHECKED.fetch_add(1, Relaxed);
    if let Err(complaint) = request::check(wire, body) {
        DAMAGED.fetch_add(1, Relaxed);
        complain(complaint);
    }
}

pub(crate) fn complain(text: String) {
    *COMPLAINT.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Answers a path of the mock's own; `None` when it is not one.
pub(crate) fn control(path: &str) -> Option<String> {
    if let Some(pace) = path.strip_prefix("/mock/pace?us=") {
        PACE_US.store(pace.parse().ok()?, Relaxed);
    } else if path == "/mock/reset" {
        for counter in [&REQUESTS, &CHECKED, &DAMAGED] {
            counter.store(0, Relaxed);
        }
        complain(String::new());
    } else if path != "/mock/report" {
        return None;
    }
    let report = json!({
        "requests": REQUESTS.load(Relaxed), "checked": CHECKED.load(Relaxed), "damaged": DAMAGED.load(Relaxed),
        "last_complaint": *COMPLAINT.lock().unwrap_or_else(PoisonError::into_inner),
    });
    Some(report.to_string())
}
