//! A circuit breaker: what fails too often is left alone for a while, then tried by one request at a time.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::window::{Counts, Window};
use crate::{Fault, Moment};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Otherwise everything is admitted.
    pub enabled: bool,
    /// What ended so long ago no longer counts.
    pub window: Duration,
    /// It never opens for fewer requests than this within the window; for so many failures in a row it opens whatever the ratio. Usually 20, as Hystrix had it: one bad answer is no outage, and where
    /// there is nothing else to try, a breaker that opens early helps nobody.
    pub requests: u32,
    /// The share of failures that opens it, in thousandths.
    pub ratio: u32,
    /// For how long it opens the first time; doubled with each probe that fails.
    pub cooldown: Duration,
    /// However often it was doubled, and whatever the upstream says: after this it is tried again.
    pub longest: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_secs(30),
            requests: 20,
            ratio: 500,
            cooldown: Duration::from_secs(5),
            longest: Duration::from_mins(5),
        }
    }
}

/// Closed, open until a moment, or half open with one probe under way. Never open for good: after the cooldown the next
/// request is the probe, and one that never reports is given up after [`BreakerRules::longest`].
///
/// Whoever was admitted holds a [`Ticket`] and reports with it, or gives it back.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    window: Window,
    /// Failures since the last success, none longer than the window after the one before; and when the last was.
    in_a_row: u32,
    last_failed: Moment,
    /// Raised whenever it opens and with each probe: what was admitted in an earlier one has nothing to say any more.
    generation: u64,
    /// How often in a row it opened without a success.
    streak: u32,
    open: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    until: Moment,
    why: Arc<Why>,
    /// When the probe that is under way was admitted.
    probe: Option<Moment>,
}

/// Why a breaker is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// When it opened first; probes that failed since do not change it.
    pub since: Moment,
    pub cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Too many requests failed; the last one so.
    Failures { counts: Counts, last: Fault },
    /// So many keys failed one after the other that it cannot be for them; the last one so.
    Keys { keys: usize, last: Fault },
    /// So many models failed, and hardly any served, that it cannot be for them; the last one so.
    Models { models: usize, last: Fault },
}

/// Leave to go on. Each has to be reported or given back.
#[derive(Debug)]
#[must_use = "a probe that nobody reports keeps others from probing"]
pub struct Ticket {
    generation: u64,
    probe: bool,
    /// Its success was counted.
    counted: bool,
}

/// Nothing is admitted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// When to ask again; later than now.
    pub until: Moment,
    pub why: Arc<Why>,
}

/// What tables show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// What ended within the window.
    Closed(Counts),
    Open(Open),
    /// The next request is the probe, or one is under way.
    HalfOpen {
        probing: bool,
        why: Arc<Why>,
    },
}

/// What is told to those who ask while a probe is under way: its end is not known, and most end soon.
const PROBE_TAKES: Duration = Duration::from_secs(1);

impl Breaker {
    /// Asks for leave. When its cooldown is over, one request at a time is let through, to probe.
    pub fn admit(&self, rules: &BreakerRules, now: Moment) -> Result<Ticket, Open> {
        let mut inner = self.lock();
        let mut ticket = Ticket {
            generation: inner.generation,
            probe: false,
            counted: false,
        };
        if !rules.enabled {
            return Ok(ticket);
        }
        let Some(open) = &mut inner.open else {
            return Ok(ticket);
        };
        if let Some(until) = open.closed_until(rules, now) {
            return Err(Open {
                until,
                why: Arc::clone(&open.why),
            });
        }
        open.probe = Some(now);
        inner.generation += 1;
        ticket.generation = inner.generation;
        ticket.probe = true;
        Ok(ticket)
    }

    /// Whether [`admit`](Self::admit) would give leave, without taking it; `Ok(true)`: as the probe.
    pub fn would_admit(&self, rules: &BreakerRules, now: Moment) -> Result<bool, Open> {
        if !rules.enabled {
            return Ok(false);
        }
        match &self.lock().open {
            None => Ok(false),
            Some(open) => match open.closed_until(rules, now) {
                None => Ok(true),
                Some(until) => Err(Open {
                    until,
                    why: Arc::clone(&open.why),
                }),
            },
        }
    }

    /// Leave for a request that is sent whether or not it is open, for want of anything better. Its success closes it,
    /// its failure does not prolong it.
    pub fn admit_anyway(&self) -> Ticket {
        Ticket {
            generation: self.lock().generation,
            probe: false,
            counted: false,
        }
    }

    /// It was served; as soon as that is known, not when a long answer ends. Returns whether this closed the breaker.
    pub fn succeeded(&self, ticket: &mut Ticket, rules: &BreakerRules, now: Moment) -> bool {
        ticket.probe = false;
        let mut inner = self.lock();
        if ticket.generation != inner.generation || ticket.counted {
            return false;
        }
        ticket.counted = true;
        // Its window is clean: opening it did that, and nothing was counted since.
        let closes = inner.open.take().is_some();
        if closes {
            inner.streak = 0;
        }
        let served = Counts {
            total: 1,
            failed: 0,
        };
        inner.window.add(rules.window, now, served);
        inner.in_a_row = 0;
        closes
    }

    /// It failed for the upstream's fault. Returns whether this opened the breaker, or opened it again.
    pub fn failed(
        &self,
        ticket: &mut Ticket,
        fault: &Fault,
        rules: &BreakerRules,
        now: Moment,
    ) -> bool {
        let probe = mem::take(&mut ticket.probe);
        let mut inner = self.lock();
        // Admitted before it opened, or a probe that was given up: it tells nothing new.
        if ticket.generation != inner.generation {
            return false;
        }
        let total = u32::from(!ticket.counted);
        ticket.counted = true;
        if let Some(open) = &mut inner.open {
            if probe {
                let why = Arc::clone(&open.why);
                inner.open(rules, why, fault.retry_after, now);
                return true;
            }
            return false;
        }
        inner
            .window
            .add(rules.window, now, Counts { total, failed: 1 });
        if inner.last_failed.until(now) >= rules.window {
            inner.in_a_row = 0;
        }
        inner.last_failed = now;
        inner.in_a_row = inner.in_a_row.saturating_add(1);
        let mut counts = inner.window.counts(rules.window, now);
        if !rules.enabled {
            return false;
        }
        if !counts.reach(rules.requests, rules.ratio) {
            // Where much is asked, what was served before the outage would hide it for half of the window.
            let row = inner.in_a_row;
            if row < rules.requests.max(1) {
                return false;
            }
            counts = Counts {
                total: row,
                failed: row,
            };
        }
        let why = Why {
            since: now,
            cause: Cause::Failures {
                counts,
                last: fault.clone(),
            },
        };
        inner.open(rules, Arc::new(why), fault.retry_after, now);
        true
    }

    /// The request ended without telling anything of the upstream: the caller hung up, or was at fault.
    pub fn released(&self, ticket: &mut Ticket) {
        if !mem::take(&mut ticket.probe) {
            return;
        }
        let mut inner = self.lock();
        if ticket.generation == inner.generation
            && let Some(open) = &mut inner.open
        {
            open.probe = None;
        }
    }

    /// Opens it for a reason that is not in its own window. One that is open stays as it is; returns whether it opened.
    pub fn trip(&self, cause: Cause, rules: &BreakerRules, now: Moment) -> bool {
        let mut inner = self.lock();
        if !rules.enabled || inner.open.is_some() {
            return false;
        }
        let retry_after = match &cause {
            // It was said of a key, which rests as long; others may be ready before.
            Cause::Keys { .. } => None,
            Cause::Failures { last, .. } | Cause::Models { last, .. } => last.retry_after,
        };
        let why = Why { since: now, cause };
        inner.open(rules, Arc::new(why), retry_after, now);
        true
    }

    /// For tables, and for whoever explains a choice.
    pub fn state(&self, rules: &BreakerRules, now: Moment) -> BreakerState {
        let mut inner = self.lock();
        if let Some(open) = inner.open.as_ref().filter(|_| rules.enabled) {
            let why = Arc::clone(&open.why);
            return if open.until > now {
                BreakerState::Open(Open {
                    until: open.until,
                    why,
                })
            } else {
                BreakerState::HalfOpen {
                    probing: open.probe.is_some(),
                    why,
                }
            };
        }
        BreakerState::Closed(inner.window.counts(rules.window, now))
    }

    /// Why it is open, if it is.
    pub fn why(&self) -> Option<Arc<Why>> {
        let inner = self.lock();
        inner.open.as_ref().map(|open| Arc::clone(&open.why))
    }

    /// A storm of keys opened it after the ticket was given.
    pub(super) fn stormed_since(&self, ticket: &Ticket) -> bool {
        let inner = self.lock();
        ticket.generation != inner.generation && inner.open.as_ref().is_some_and(Opened::is_by_keys)
    }

    /// The ticket is the probe of a breaker that a storm of keys opened.
    pub(super) fn probes_keys(&self, ticket: &Ticket) -> bool {
        ticket.probe && self.lock().open.as_ref().is_some_and(Opened::is_by_keys)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock panics half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn open(
        &mut self,
        rules: &BreakerRules,
        why: Arc<Why>,
        retry_after: Option<Duration>,
        now: Moment,
    ) {
        let doubled = rules.cooldown.saturating_mul(1 << self.streak.min(16));
        let wait = doubled
            .max(retry_after.unwrap_or_default())
            .min(rules.longest);
        self.streak = self.streak.saturating_add(1);
        self.generation += 1;
        self.window.clear();
        self.open = Some(Opened {
            until: now.after(wait),
            why,
            probe: None,
        });
    }
}

impl Opened {
    fn is_by_keys(&self) -> bool {
        matches!(self.why.cause, Cause::Keys { .. })
    }

    /// When to ask again; `None`: now, as the probe.
    fn closed_until(&self, rules: &BreakerRules, now: Moment) -> Option<Moment> {
        // Of a configuration that was replaced the cooldown may be longer than is allowed now.
        let until = self.until.min(now.after(rules.longest));
        if until > now {
            return Some(until);
        }
        let probing = self
            .probe
            .is_some_and(|since| since.until(now) < rules.longest.max(PROBE_TAKES));
        probing.then(|| now.after(PROBE_TAKES))
    }
}

impl Ticket {
    /// What it admits is the one request that tries whether the upstream is well again.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

impl Cause {
    /// The failure that opened it.
    pub fn last(&self) -> &Fault {
        match self {
            Self::Failures { last, .. } | Self::Keys { last, .. } | Self::Models { last, .. } => {
                last
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = match self {
            Self::Failures { counts, last } => {
                let total = counts.total.max(counts.failed);
                write!(f, "{} of {total} requests failed", counts.failed)?;
                last
            }
            Self::Keys { keys, last } => {
                write!(f, "{keys} keys failed in a row")?;
                last
            }
            Self::Models { models, last } => {
                write!(f, "{models} models failed")?;
                last
            }
        };
        write!(f, ", last: {}", last.class.name())?;
        if last.status != 0 {
            write!(f, " {}", last.status)?;
        }
        if !last.code.is_empty() {
            write!(f, " {}", last.code)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::Class;

    const RULES: BreakerRules = BreakerRules {
        enabled: true,
        window: Duration::from_secs(30),
        requests: 5,
        ratio: 500,
        cooldown: Duration::from_secs(5),
        longest: Duration::from_mins(5),
    };

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn fault() -> Fault {
        Fault::new(Class::Upstream)
    }

    /// As requests that end as soon as they begin: `s` is served, `f` fails, `g` gives its leave back. Those that are
    /// not admitted are told as `-`, probes in capitals.
    fn requests(breaker: &Breaker, ends: &str, now: Moment) -> String {
        let one = |end: char| {
            let Ok(mut ticket) = breaker.admit(&RULES, now) else {
                return '-';
            };
            let probe = ticket.is_probe();
            match end {
                's' => {
                    breaker.succeeded(&mut ticket, &RULES, now);
                }
                'f' => {
                    breaker.failed(&mut ticket, &fault(), &RULES, now);
                }
                _ => breaker.released(&mut ticket),
            }
            if probe { end.to_ascii_uppercase() } else { end }
        };
        ends.chars().map(one).collect()
    }

    #[test]
    fn opens_by_the_share_and_closes_by_a_probe() {
        for (case, script) in [
            ("too few", &[(0, "ffff", "ffff"), (1, "s", "s")][..]),
            ("all fail", &[(0, "fffffff", "fffff--")]),
            ("half fail", &[(0, "sfsfsfs", "sfsfsf-")]),
            ("fewer than half fail", &[(0, "ssfsfssf", "ssfsfssf")]),
            (
                "an outage after much that was served",
                &[
                    (0, "ssssssssssssssssssss", "ssssssssssssssssssss"),
                    (1, "ffffsfffff-", "ffffsfffff-"),
                ],
            ),
            (
                "what was long ago is forgotten",
                &[(0, "ffff", "ffff"), (30_000, "ffffs", "ffffs")],
            ),
            (
                "within the window",
                &[(0, "ffff", "ffff"), (26_999, "fs", "f-")],
            ),
            (
                "a served probe closes it, and nothing is held against it",
                &[
                    (0, "fffff", "fffff"),
                    (4_999, "s", "-"),
                    (5_000, "sfff", "Sfff"),
                    (5_001, "s", "s"),
                ],
            ),
            (
                "a failed one opens it for twice as long",
                &[
                    (0, "fffff", "fffff"),
                    (5_000, "fs", "F-"),
                    (14_999, "s", "-"),
                    (15_000, "fs", "F-"),
                    (34_999, "s", "-"),
                    (35_000, "ss", "Ss"),
                ],
            ),
            (
                "then it begins at the shortest again",
                &[
                    (0, "fffff", "fffff"),
                    (5_000, "f", "F"),
                    (15_000, "s", "S"),
                    (15_000, "fffff", "ffff-"),
                    (20_000, "s", "S"),
                ],
            ),
            (
                "one who gave the leave back was no probe",
                &[(0, "fffff", "fffff"), (5_000, "gggs", "GGGS")],
            ),
        ] {
            let breaker = Breaker::default();
            for (now, ends, expect) in script {
                assert_eq!(
                    requests(&breaker, ends, at(*now)),
                    *expect,
                    "{case} at {now}"
                );
            }
        }
    }

    #[test]
    fn is_never_open_for_longer_than_the_longest() {
        let breaker = Breaker::default();
        requests(&breaker, "fffff", at(0));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..70 {
            let open = breaker.admit(&RULES, now).unwrap_err();
            waits.push(now.until(open.until).as_secs());
            now = open.until;
            assert_eq!(requests(&breaker, "f", now), "F");
        }
        assert_eq!(waits[..8], [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(waits[8..].iter().all(|wait| *wait == 300));
        now = breaker.admit(&RULES, now).unwrap_err().until;
        assert_eq!(requests(&breaker, "ss", now), "Ss");
    }

    #[test]
    fn an_upstream_that_says_how_long_is_believed_within_bounds() {
        for (told, expect) in [(0, 5), (3, 5), (17, 17), (86_400, 300)] {
            let breaker = Breaker::default();
            let fault = Fault {
                retry_after: Some(Duration::from_secs(told)),
                ..fault()
            };
            for _ in 0..5 {
                let mut ticket = breaker.admit(&RULES, at(0)).unwrap();
                breaker.failed(&mut ticket, &fault, &RULES, at(0));
            }
            let open = breaker.admit(&RULES, at(0)).unwrap_err();
            assert_eq!(open.until, at(expect * 1000), "{told}");
        }
    }

    #[test]
    fn what_began_before_it_opened_changes_nothing() {
        let breaker = Breaker::default();
        let mut early: Vec<_> = (0..8)
            .map(|_| breaker.admit(&RULES, at(0)).unwrap())
            .collect();
        requests(&breaker, "fffff", at(10));
        let open = breaker.admit(&RULES, at(10)).unwrap_err();
        for (ticket, now) in early.iter_mut().take(2).zip([20, 4_000]) {
            breaker.failed(ticket, &fault(), &RULES, at(now));
            breaker.succeeded(ticket, &RULES, at(now));
        }
        assert_eq!(breaker.admit(&RULES, at(4_000)).unwrap_err(), open);
        // Nor while it is probed, nor after it has closed.
        let mut probe = breaker.admit(&RULES, open.until).unwrap();
        breaker.failed(&mut early[2], &fault(), &RULES, open.until);
        breaker.released(&mut early[3]);
        assert!(breaker.admit(&RULES, open.until).is_err());
        assert!(breaker.succeeded(&mut probe, &RULES, open.until));
        for ticket in &mut early {
            breaker.failed(ticket, &fault(), &RULES, open.until);
        }
        let state = breaker.state(&RULES, open.until);
        let one = Counts {
            total: 1,
            failed: 0,
        };
        assert_eq!(state, BreakerState::Closed(one));
    }

    #[test]
    fn a_stream_that_breaks_off_counts_once() {
        let breaker = Breaker::default();
        for expect in [1, 2, 3, 4, 5] {
            let mut ticket = breaker.admit(&RULES, at(0)).unwrap();
            breaker.succeeded(&mut ticket, &RULES, at(0));
            let opened = breaker.failed(&mut ticket, &fault(), &RULES, at(0));
            assert_eq!(opened, expect == 5);
        }
        let why = breaker.why().unwrap();
        assert_eq!(
            why.cause.to_string(),
            "5 of 5 requests failed, last: upstream_error"
        );
    }

    #[test]
    fn a_probe_that_never_reports_is_given_up() {
        let breaker = Breaker::default();
        requests(&breaker, "fffff", at(0));
        let mut lost = breaker.admit(&RULES, at(5_000)).unwrap();
        assert!(lost.is_probe());
        let open = breaker.admit(&RULES, at(5_000)).unwrap_err();
        assert_eq!(open.until, at(6_000));
        assert!(breaker.admit(&RULES, at(304_999)).is_err());
        let mut second = breaker.admit(&RULES, at(305_000)).unwrap();
        assert!(second.is_probe());
        breaker.failed(&mut lost, &fault(), &RULES, at(305_000));
        breaker.released(&mut lost);
        assert!(breaker.admit(&RULES, at(305_000)).is_err());
        assert!(breaker.succeeded(&mut second, &RULES, at(305_000)));
        assert_eq!(requests(&breaker, "s", at(305_000)), "s");
    }

    #[test]
    fn asking_takes_nothing() {
        let breaker = Breaker::default();
        assert_eq!(breaker.would_admit(&RULES, at(0)), Ok(false));
        requests(&breaker, "fffff", at(0));
        assert_eq!(
            breaker.would_admit(&RULES, at(1)).unwrap_err().until,
            at(5_000)
        );
        for _ in 0..3 {
            assert_eq!(breaker.would_admit(&RULES, at(5_000)), Ok(true));
        }
        let probe = breaker.admit(&RULES, at(5_000)).unwrap();
        assert!(probe.is_probe() && breaker.would_admit(&RULES, at(5_000)).is_err());
    }

    #[test]
    fn says_what_it_does_and_why() {
        let breaker = Breaker::default();
        let fault = Fault {
            status: 503,
            code: "over capacity".to_owned(),
            ..Fault::new(Class::Overloaded)
        };
        requests(&breaker, "ss", at(0));
        for _ in 0..3 {
            let mut ticket = breaker.admit(&RULES, at(7)).unwrap();
            breaker.failed(&mut ticket, &fault, &RULES, at(7));
        }
        let BreakerState::Open(open) = breaker.state(&RULES, at(8)) else {
            panic!("it is closed");
        };
        assert_eq!((open.until, open.why.since), (at(5_007), at(7)));
        assert_eq!(
            open.why.cause.to_string(),
            "3 of 5 requests failed, last: overloaded 503 over capacity"
        );
        let half = |probing| BreakerState::HalfOpen {
            probing,
            why: Arc::clone(&open.why),
        };
        assert_eq!(breaker.state(&RULES, at(5_007)), half(false));
        let mut probe = breaker.admit(&RULES, at(5_007)).unwrap();
        assert_eq!(breaker.state(&RULES, at(5_007)), half(true));
        breaker.failed(&mut probe, &self::fault(), &RULES, at(5_007));
        // The reason stays that of the first time.
        assert_eq!(breaker.why(), Some(open.why));
    }

    #[test]
    fn without_rules_everything_is_admitted() {
        let off = BreakerRules {
            enabled: false,
            ..RULES
        };
        let breaker = Breaker::default();
        requests(&breaker, "fffff", at(0));
        let mut ticket = breaker.admit(&off, at(1)).unwrap();
        assert!(!ticket.is_probe());
        assert!(matches!(
            breaker.state(&off, at(1)),
            BreakerState::Closed(_)
        ));
        breaker.failed(&mut ticket, &fault(), &off, at(1));
        let cause = Cause::Keys {
            keys: 3,
            last: fault(),
        };
        assert!(!Breaker::default().trip(cause, &off, at(0)));
        let other = Breaker::default();
        for _ in 0..50 {
            let mut ticket = other.admit(&off, at(0)).unwrap();
            assert!(!other.failed(&mut ticket, &fault(), &off, at(0)));
        }
        assert!(other.admit(&off, at(0)).is_ok());
    }

    #[test]
    fn a_shorter_longest_holds_for_one_that_is_open() {
        let breaker = Breaker::default();
        requests(&breaker, "fffff", at(0));
        let shorter = BreakerRules {
            longest: Duration::from_secs(2),
            ..RULES
        };
        assert_eq!(breaker.admit(&shorter, at(0)).unwrap_err().until, at(2_000));
    }

    #[test]
    fn what_is_sent_anyway_may_close_it_and_not_prolong_it() {
        let breaker = Breaker::default();
        requests(&breaker, "fffff", at(0));
        let mut bad = breaker.admit_anyway();
        breaker.failed(&mut bad, &fault(), &RULES, at(1));
        assert_eq!(breaker.admit(&RULES, at(1)).unwrap_err().until, at(5_000));
        let mut good = breaker.admit_anyway();
        assert!(breaker.succeeded(&mut good, &RULES, at(2)));
        assert_eq!(requests(&breaker, "s", at(2)), "s");
    }

    #[test]
    fn of_many_threads_one_probes() {
        let breaker = Breaker::default();
        for round in 0..50_u64 {
            let cause = Cause::Models {
                models: 5,
                last: fault(),
            };
            let opened = at(round * 1_000_000);
            assert!(breaker.trip(cause, &RULES, opened));
            let now = breaker.admit(&RULES, opened).unwrap_err().until;
            let probes = AtomicU32::new(0);
            let barrier = std::sync::Barrier::new(8);
            let tickets: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            let mine: Vec<_> = (0..100)
                                .filter_map(|_| breaker.admit(&RULES, now).ok())
                                .collect();
                            let count = u32::try_from(mine.len()).unwrap();
                            probes.fetch_add(count, Ordering::Relaxed);
                            mine
                        })
                    })
                    .collect();
                let joined = threads.into_iter().map(|thread| thread.join().unwrap());
                joined.flatten().collect()
            });
            assert_eq!(probes.load(Ordering::Relaxed), 1);
            for mut ticket in tickets {
                assert!(breaker.succeeded(&mut ticket, &RULES, now));
            }
        }
    }

    /// What may happen to a breaker, in any order.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// So many milliseconds pass.
        Wait(u64),
        Ask,
        /// The request under way of this number, modulo how many there are, ends.
        Serve(usize),
        Fail(usize),
        Release(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            1 => (0_u64..8_000).prop_map(Event::Wait),
            3 => Just(Event::Ask),
            1 => any::<usize>().prop_map(Event::Serve),
            2 => any::<usize>().prop_map(Event::Fail),
            1 => any::<usize>().prop_map(Event::Release),
        ]
    }

    proptest! {
        #[test]
        fn in_any_order(events in prop::collection::vec(event(), 1..300)) {
            let breaker = Breaker::default();
            let mut now = at(0);
            let mut under_way: Vec<Ticket> = Vec::new();
            for event in events {
                match event {
                    Event::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                    Event::Ask => {
                        let state = breaker.state(&RULES, now);
                        let probes = under_way.iter().filter(|ticket| ticket.is_probe()).count();
                        match (state, breaker.admit(&RULES, now)) {
                            (BreakerState::Closed(_), Ok(ticket)) => {
                                prop_assert!(!ticket.is_probe());
                                under_way.push(ticket);
                            }
                            (BreakerState::Open(open), Err(told)) => {
                                prop_assert_eq!(&open, &told);
                                prop_assert!(told.until > now);
                                prop_assert!(now.until(told.until) <= RULES.longest);
                            }
                            // A single probe: nobody asks for longer than the longest here.
                            (BreakerState::HalfOpen { probing: false, .. }, Ok(ticket)) => {
                                prop_assert!(ticket.is_probe());
                                prop_assert_eq!(probes, 0);
                                under_way.push(ticket);
                            }
                            (BreakerState::HalfOpen { probing: true, .. }, Err(told)) => {
                                prop_assert_eq!(probes, 1);
                                prop_assert!(told.until > now);
                            }
                            (BreakerState::HalfOpen { probing: true, .. }, Ok(ticket)) => {
                                // The one before was given up.
                                prop_assert!(ticket.is_probe());
                                under_way.retain(|ticket| !ticket.is_probe());
                                under_way.push(ticket);
                            }
                            (state, answer) => prop_assert!(false, "{state:?} {answer:?}"),
                        }
                    }
                    Event::Serve(which) | Event::Fail(which) | Event::Release(which) => {
                        if under_way.is_empty() {
                            continue;
                        }
                        let which = which % under_way.len();
                        let mut ticket = under_way.swap_remove(which);
                        let probe = ticket.is_probe();
                        let before = breaker.state(&RULES, now);
                        match event {
                            Event::Serve(_) => {
                                prop_assert_eq!(breaker.succeeded(&mut ticket, &RULES, now), probe);
                            }
                            Event::Fail(_) => {
                                let opened = breaker.failed(&mut ticket, &fault(), &RULES, now);
                                prop_assert!(opened || !probe);
                            }
                            _ => breaker.released(&mut ticket),
                        }
                        // Whoever is no probe changes nothing while it is not closed.
                        if !probe && !matches!(before, BreakerState::Closed(_)) {
                            prop_assert_eq!(breaker.state(&RULES, now), before);
                        }
                    }
                }
            }
            // However it went: all hang up, the upstream is well, and after the longest cooldown it is closed.
            for mut ticket in under_way {
                breaker.released(&mut ticket);
            }
            let now = now.after(RULES.longest);
            let mut ticket = breaker.admit(&RULES, now).unwrap();
            breaker.succeeded(&mut ticket, &RULES, now);
            let served = Counts { total: 1, failed: 0 };
            prop_assert_eq!(breaker.state(&RULES, now), BreakerState::Closed(served));
        }
    }
}
