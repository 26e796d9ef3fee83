//! A circuit breaker: what fails too often is left alone for a while, then tried by one request at a time.

use std::fmt;
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
    /// It never opens for fewer requests than this within the window.
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
            requests: 5,
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
        let mut inner = self.lock();
        if ticket.generation != inner.generation || ticket.counted {
            return false;
        }
        ticket.counted = true;
        ticket.probe = false;
        let closes = inner.open.take().is_some();
        if closes {
            inner.window.clear();
            inner.streak = 0;
        }
        let served = Counts {
            total: 1,
            failed: 0,
        };
        inner.window.add(rules.window, now, served);
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
        let mut inner = self.lock();
        // Admitted before it opened, or a probe that was given up: it tells nothing new.
        if ticket.generation != inner.generation {
            return false;
        }
        let total = u32::from(!ticket.counted);
        ticket.counted = true;
        if let Some(open) = &mut inner.open {
            if ticket.probe {
                ticket.probe = false;
                let why = Arc::clone(&open.why);
                inner.open(rules, why, fault.retry_after, now);
                return true;
            }
            return false;
        }
        inner
            .window
            .add(rules.window, now, Counts { total, failed: 1 });
        let counts = inner.window.counts(rules.window, now);
        if !rules.enabled || !counts.reach(rules.requests, rules.ratio) {
            return false;
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
        let mut inner = self.lock();
        if ticket.probe && ticket.generation == inner.generation {
            ticket.probe = false;
            if let Some(open) = &mut inner.open {
                open.probe = None;
            }
        }
    }

    /// Opens it for a reason that is not in its own window. One that is open stays as it is; returns whether it opened.
    pub fn trip(&self, cause: Cause, rules: &BreakerRules, now: Moment) -> bool {
        let mut inner = self.lock();
        if !rules.enabled || inner.open.is_some() {
            return false;
        }
        let retry_after = cause.last().retry_after;
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
