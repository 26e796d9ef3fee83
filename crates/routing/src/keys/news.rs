//! What has happened to keys that people should hear of, and whether something is to be kept over a restart.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::health::Health;
use super::rest::Cause;
use crate::Moment;

/// A key has come to be left alone, or to be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNews {
    /// As [`Key::id`](super::Key::id).
    pub id: String,
    /// As [`Key::label`](super::Key::label).
    pub label: String,
    pub turn: KeyTurn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTurn {
    /// It is not accepted; tested again after `wait`.
    Disabled { reason: String, wait: Duration },
    /// It has no money or quota left; tested again after `wait`.
    Exhausted { reason: String, wait: Duration },
    /// By hand.
    Off { reason: String },
    /// It is used again: it was served, it was switched on by hand, or it was not the key's fault.
    Enabled,
}

/// News that nobody has heard yet, the first of them, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Board {
    changes: AtomicU64,
    pinned: Mutex<Pinned>,
}

#[derive(Debug, Default)]
struct Pinned {
    news: VecDeque<KeyNews>,
    left_out: u64,
}

/// More at a time help nobody.
const PINNED: usize = 32;

impl Board {
    /// Something changed that is to be kept over a restart.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// How often that was.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn pin(&self, news: KeyNews) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if pinned.news.len() < PINNED {
            pinned.news.push_back(news);
        } else {
            pinned.left_out += 1;
        }
    }

    pub(super) fn take(&self) -> (Vec<KeyNews>, u64) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = std::mem::take(&mut pinned.left_out);
        (pinned.news.drain(..).collect(), left_out)
    }
}

/// How a key stood before something happened to it.
pub(super) struct Before {
    grave: Option<Cause>,
    kept: Kept,
}

/// What would be kept of a key and of one of its models, as far as it can change.
#[derive(PartialEq)]
struct Kept {
    off: bool,
    of_key: Option<(Cause, Moment, u32)>,
    of_model: Option<(Cause, Moment, u32)>,
}

impl Before {
    pub(super) fn of(health: &Health, model: &str, now: Moment) -> Self {
        Self {
            grave: grave(health),
            kept: Kept::of(health, model, now),
        }
    }

    /// What has come of it since; and whether something that is kept has changed.
    pub(super) fn since(
        &self,
        health: &Health,
        model: &str,
        now: Moment,
    ) -> (Option<KeyTurn>, bool) {
        let after = grave(health);
        let rest = health.rest.as_ref().filter(|_| after != self.grave);
        let turn = match (after, rest) {
            (Some(Cause::Disabled), Some(rest)) => Some(KeyTurn::Disabled {
                reason: rest.reason.to_string(),
                wait: now.until(rest.until),
            }),
            (Some(_), Some(rest)) => Some(KeyTurn::Exhausted {
                reason: rest.reason.to_string(),
                wait: now.until(rest.until),
            }),
            (Some(_), None) => None,
            (None, _) => self.grave.map(|_| KeyTurn::Enabled),
        };
        (turn, Kept::of(health, model, now) != self.kept)
    }
}

impl Kept {
    fn of(health: &Health, model: &str, now: Moment) -> Self {
        let kept = |rest: &super::rest::Rest| {
            rest.is_kept(now)
                .then_some((rest.cause, rest.until, rest.strikes))
        };
        let of_model = health.model(model).and_then(|known| known.rest.as_deref());
        Self {
            off: health.off.is_some(),
            of_key: health.rest.as_deref().and_then(kept),
            of_model: of_model.and_then(kept),
        }
    }
}

/// What people hear of: whatever is less is over by itself.
fn grave(health: &Health) -> Option<Cause> {
    let rest = health.rest.as_ref()?;
    matches!(rest.cause, Cause::Exhausted | Cause::Disabled).then_some(rest.cause)
}
