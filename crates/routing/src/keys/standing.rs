//! How keys stand, for tables, and what of it is kept over a restart.

use std::sync::Arc;
use std::time::Duration;

use super::health::{Health, Off, Quota};
use super::key::{Key, KeyRef};
use super::pool::Row;
use super::rest::{Cause, Rest};
use super::tally::Tally;
use crate::Moment;

/// Whether a key is used, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    Healthy,
    /// Too many requests: it rests.
    Cooling {
        until: Moment,
        reason: String,
    },
    /// Its requests fail where those of other keys do not: it rests.
    Failing {
        until: Moment,
        reason: String,
    },
    /// It has no money or quota left.
    Exhausted {
        until: Moment,
        reason: String,
    },
    /// It is not accepted; at this moment one request tests it again.
    Disabled {
        until: Moment,
        reason: String,
    },
    /// By hand, until it is switched on by hand.
    Off {
        reason: String,
    },
}

impl KeyState {
    /// All that [`name`](Self::name) may say.
    pub const NAMES: [&str; 6] = [
        "healthy",
        "cooling",
        "failing",
        "exhausted",
        "disabled",
        "off",
    ];

    /// In tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Cooling { .. } => "cooling",
            Self::Failing { .. } => "failing",
            Self::Exhausted { .. } => "exhausted",
            Self::Disabled { .. } => "disabled",
            Self::Off { .. } => "off",
        }
    }

    /// When it ends; a moment that may be past, where the next request tests the key.
    pub fn until(&self) -> Option<Moment> {
        match self {
            Self::Cooling { until, .. }
            | Self::Failing { until, .. }
            | Self::Exhausted { until, .. }
            | Self::Disabled { until, .. } => Some(*until),
            Self::Healthy | Self::Off { .. } => None,
        }
    }

    /// As the upstream or the person said it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Cooling { reason, .. }
            | Self::Failing { reason, .. }
            | Self::Exhausted { reason, .. }
            | Self::Disabled { reason, .. }
            | Self::Off { reason } => Some(reason),
            Self::Healthy => None,
        }
    }
}

/// A key in a table.
#[derive(Debug, Clone)]
pub struct Standing {
    pub key: KeyRef,
    pub tags: Vec<Arc<str>>,
    /// As configured, or as it was learned.
    pub account: Option<Arc<str>>,
    pub weight: u32,
    pub state: KeyState,
    /// Models for which it rests, though it may be used for others.
    pub models: Vec<(Arc<str>, KeyState)>,
    pub in_flight: u32,
    /// What the upstream said last, if that still holds.
    pub quota: Option<Quota>,
    pub tally: Tally,
}

/// All keys of a pool together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyCensus {
    pub keys: usize,
    /// How many are in which state, in the order of [`KeyState::NAMES`].
    states: [usize; KeyState::NAMES.len()],
    pub tally: Tally,
}

impl KeyCensus {
    /// How many keys are in which state.
    pub fn states(&self) -> impl Iterator<Item = (&'static str, usize)> {
        KeyState::NAMES.into_iter().zip(self.states)
    }

    /// Counts the keys of another pool, too.
    pub fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        for (mine, others) in self.states.iter_mut().zip(other.states) {
            *mine += others;
        }
        self.tally.add(&other.tally);
    }

    pub(super) fn count(&mut self, key: &Key, now: Moment) {
        let health = key.health();
        let place = match (&health.off, health.resting(now)) {
            (Some(_), _) => 5,
            (None, None) => 0,
            (None, Some(rest)) => match rest.cause {
                Cause::Cooling => 1,
                Cause::Failing => 2,
                Cause::Exhausted => 3,
                Cause::Disabled => 4,
            },
        };
        self.keys += 1;
        if let Some(count) = self.states.get_mut(place) {
            *count += 1;
        }
        self.tally.add(&health.tally);
    }
}

/// What is kept of a key over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedKey {
    pub fingerprint: [u8; 32],
    /// The upstream's name of the model that it rests for; `None`: for all.
    pub model: Option<Arc<str>>,
    pub state: SavedState,
    pub reason: String,
    /// Until the key is tested again; zero for one that is off.
    pub left: Duration,
    /// How often it was turned away in a row.
    pub strikes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SavedState {
    Cooling,
    Exhausted,
    Disabled,
    Off,
}

impl SavedState {
    pub const ALL: [Self; 4] = [Self::Cooling, Self::Exhausted, Self::Disabled, Self::Off];

    /// In files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cooling => "cooling",
            Self::Exhausted => "exhausted",
            Self::Disabled => "disabled",
            Self::Off => "off",
        }
    }
}

impl Standing {
    pub(super) fn of(key: &Arc<Key>, row: &Row, now: Moment) -> Self {
        let health = key.health();
        let mut models: Vec<(Arc<str>, KeyState)> = health
            .models
            .iter()
            .filter_map(|known| {
                let rest = known
                    .rest
                    .as_ref()
                    .filter(|rest| rest.blocks(now).is_some())?;
                Some((Arc::clone(&known.model), state(rest)))
            })
            .collect();
        if let Some(account) = &health.account {
            let of_account = account.resting(now).into_iter();
            models.extend(of_account.map(|(model, rest)| (model, state(&rest))));
        }
        Self {
            key: KeyRef(Arc::clone(key)),
            tags: row.tags.to_vec(),
            account: health
                .account
                .as_ref()
                .map(|account| Arc::clone(&account.name)),
            weight: row.weight,
            state: health.state(now),
            models,
            in_flight: health.in_flight,
            quota: health.quota.filter(|quota| quota.reset_at > now),
            tally: health.tally.clone(),
        }
    }
}

impl Health {
    fn state(&self, now: Moment) -> KeyState {
        match (&self.off, self.resting(now)) {
            (Some(off), _) => KeyState::Off {
                reason: off.reason.to_string(),
            },
            (None, Some(rest)) => state(rest),
            (None, None) => KeyState::Healthy,
        }
    }

    /// What the key rests for. What was only a limit is over when its time has come; the others stand until a request was served.
    fn resting(&self, now: Moment) -> Option<&Rest> {
        let rest = self.rest.as_deref()?;
        (rest.until > now || rest.cause > Cause::Failing).then_some(rest)
    }

    /// What the key rests for, as the upstream said it.
    pub(super) fn reason(&self, model: &str, now: Moment) -> Option<String> {
        if let Some(off) = &self.off {
            return Some(off.reason.to_string());
        }
        let of_model = self.model(model).and_then(|known| known.rest.as_deref());
        let rest = self
            .rest
            .as_deref()
            .into_iter()
            .chain(of_model)
            .find(|rest| rest.blocks(now).is_some());
        if let Some(rest) = rest {
            return Some(rest.reason.to_string());
        }
        let of_account = self.account.as_ref().and_then(|account| account.of(model));
        of_account
            .filter(|rest| rest.blocks(now).is_some())
            .map(|rest| rest.reason.to_string())
    }

    /// Adds what is to be kept; a key that is off in the configuration is so anyway. What an account rests for is kept with each of
    /// its keys, since whose they are may not be known after the restart.
    pub(super) fn save(&self, fingerprint: [u8; 32], now: Moment, saved: &mut Vec<SavedKey>) {
        if let Some(off) = self.off.as_ref().filter(|off| !off.configured) {
            saved.push(SavedKey {
                fingerprint,
                model: None,
                state: SavedState::Off,
                reason: off.reason.to_string(),
                left: Duration::ZERO,
                strikes: 0,
            });
        }
        let mut keep = |model: Option<&Arc<str>>, rest: &Rest| {
            let state = match rest.cause {
                _ if !rest.is_kept(now) => return,
                Cause::Failing => return,
                Cause::Cooling => SavedState::Cooling,
                Cause::Exhausted => SavedState::Exhausted,
                Cause::Disabled => SavedState::Disabled,
            };
            saved.push(SavedKey {
                fingerprint,
                model: model.cloned(),
                state,
                reason: rest.reason.to_string(),
                left: now.until(rest.until),
                strikes: rest.strikes,
            });
        };
        if let Some(rest) = &self.rest {
            keep(None, rest);
        }
        for known in &self.models {
            if let Some(rest) = &known.rest {
                keep(Some(&known.model), rest);
            }
        }
        let account = self.account.as_ref();
        for (model, rest) in account.map(|account| account.resting(now)).iter().flatten() {
            keep(Some(model), rest);
        }
    }

    /// What was kept of it; what is known already counts more. Of what was kept twice, the one that lasts longer.
    pub(super) fn restore(&mut self, saved: &SavedKey, now: Moment) {
        let cause = match saved.state {
            SavedState::Off => {
                self.off.get_or_insert_with(|| {
                    Box::new(Off {
                        reason: saved.reason.as_str().into(),
                        configured: false,
                    })
                });
                return;
            }
            // A limit that is over by now.
            SavedState::Cooling if saved.left.is_zero() => return,
            SavedState::Cooling => Cause::Cooling,
            SavedState::Exhausted => Cause::Exhausted,
            SavedState::Disabled => Cause::Disabled,
        };
        let until = now.after(saved.left);
        let restored = Rest::restored(cause, saved.strikes, &saved.reason, until, now);
        let rest = match &saved.model {
            Some(model) => &mut self.touch(model, now).rest,
            None => &mut self.rest,
        };
        if rest.as_ref().is_none_or(|rest| rest.until < until) {
            *rest = Some(Box::new(restored));
        }
    }
}

fn state(rest: &Rest) -> KeyState {
    let until = rest.until;
    let reason = rest.reason.to_string();
    match rest.cause {
        Cause::Cooling => KeyState::Cooling { until, reason },
        Cause::Failing => KeyState::Failing { until, reason },
        Cause::Exhausted => KeyState::Exhausted { until, reason },
        Cause::Disabled => KeyState::Disabled { until, reason },
    }
}
