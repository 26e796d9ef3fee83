//! How one key fares: whether it may be used, and what follows from what its requests brought.

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::bucket::Bucket;
use super::rest::{Cause, Rest};
use super::spec::KeyLimits;
use super::tally::Tally;
use super::unready::Hindrance;
use crate::{Class, Fault, Moment, Scope};

/// What is known of a key beside its secret. Pools of an older and a newer configuration share it.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) off: Option<Box<Off>>,
    pub(super) rest: Option<Box<Rest>>,
    /// Few: only models for which the key rests or has lately failed.
    pub(super) models: Vec<ModelHealth>,
    pub(super) account: Option<Arc<Account>>,
    /// The configuration says whose it is.
    pub(super) account_configured: bool,
    pub(super) quota: Option<Quota>,
    pub(super) tally: Tally,
    pub(super) in_flight: u32,
    requests: Bucket,
    tokens: Bucket,
    serial: u32,
    /// Somebody put the key aside until one of its requests ends.
    parked: bool,
}

/// Switched off by hand.
#[derive(Debug, Clone)]
pub(super) struct Off {
    pub(super) reason: Box<str>,
    /// In the configuration, not at run time.
    pub(super) configured: bool,
}

/// What an upstream says is left of what a key may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// From 0 to 1; of several limits the one of which least is left.
    pub left: f32,
    /// When it is whole again.
    pub reset_at: Moment,
}

/// A key with less than this left is passed over while others have more.
const SCARCE: f32 = 0.05;

/// Models for which one key rests or has lately failed. Beyond, the one that has been left alone longest is forgotten.
const MODELS: usize = 32;

#[derive(Debug)]
pub(super) struct ModelHealth {
    pub(super) model: Arc<str>,
    pub(super) rest: Option<Box<Rest>>,
    window: Window,
}

/// Attempts of the last 30 seconds, in two halves.
#[derive(Debug, Default)]
struct Window {
    began: Moment,
    now: Counts,
    before: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    served: u32,
    failed: u32,
}

const HALF: u64 = 15_000;

/// Fewer attempts than this tell nothing.
const ENOUGH: u32 = 5;

/// What is to be done with a key.
pub(super) struct Use<'a> {
    pub(super) limits: KeyLimits,
    pub(super) model: &'a str,
    pub(super) tokens: u64,
    pub(super) now: Moment,
}

/// Whether a key may be used.
#[derive(Debug, PartialEq)]
pub(super) enum Offer {
    Ready,
    /// `until`: when to look again, if nothing is heard before; `of_model`: for this model only.
    Asleep {
        why: Hindrance,
        until: Option<Moment>,
        of_model: bool,
    },
    /// While there are others, not before this.
    Scarce(Moment),
    /// Not for so many tokens, before this.
    TooMany(Moment),
}

impl Health {
    /// Whether it may be used, `sparing` those of which little is left.
    pub(super) fn offer(&mut self, wanted: &Use<'_>, sparing: bool) -> Offer {
        let Use {
            limits,
            model,
            tokens,
            now,
        } = *wanted;
        if self.off.is_some() {
            return Offer::Asleep {
                why: Hindrance::Off,
                until: None,
                of_model: false,
            };
        }
        if let Some(rest) = &self.rest
            && let Some(until) = rest.blocks(now)
        {
            self.parked |= rest.is_probed();
            return Offer::Asleep {
                why: rest.cause.into(),
                until: Some(until),
                of_model: false,
            };
        }
        if let Some(rest) = self.model(model).and_then(|known| known.rest.as_ref())
            && let Some(until) = rest.blocks(now)
        {
            let why = rest.cause.into();
            self.parked |= rest.is_probed();
            return Offer::Asleep {
                why,
                until: Some(until),
                of_model: true,
            };
        }
        if let Some(account) = &self.account
            && let Some(until) = account.blocks(model, now)
        {
            return Offer::Asleep {
                why: Hindrance::Cooling,
                until: Some(until),
                of_model: true,
            };
        }
        if limits
            .concurrency
            .is_some_and(|most| self.in_flight >= most.max(1))
        {
            self.parked = true;
            return Offer::Asleep {
                why: Hindrance::AtCaps,
                until: None,
                of_model: false,
            };
        }
        if let Some(limit) = limits.requests_per_minute {
            let until = self.requests.has(1, u64::from(limit));
            if until > now {
                return Offer::Asleep {
                    why: Hindrance::AtCaps,
                    until: Some(until),
                    of_model: false,
                };
            }
        }
        if let Some(limit) = limits.tokens_per_minute {
            let until = self.tokens.has(1, limit);
            if until > now {
                return Offer::Asleep {
                    why: Hindrance::AtCaps,
                    until: Some(until),
                    of_model: false,
                };
            }
        }
        if sparing
            && let Some(quota) = self.quota
            && quota.left < SCARCE
            && quota.reset_at > now
        {
            return Offer::Scarce(quota.reset_at);
        }
        if let Some(limit) = limits.tokens_per_minute {
            let until = self.tokens.has(tokens, limit);
            if until > now {
                return Offer::TooMany(until);
            }
        }
        Offer::Ready
    }

    /// Since when, or from when on, there is room for as many tokens; `None`: they are not counted.
    pub(super) fn has_room(&self, wanted: &Use<'_>) -> Option<Moment> {
        let limit = wanted.limits.tokens_per_minute?;
        Some(self.tokens.has(wanted.tokens, limit))
    }

    /// A request begins; it has a number when others wait for what it brings.
    pub(super) fn begin(&mut self, wanted: &Use<'_>) -> Option<u32> {
        let now = wanted.now;
        self.in_flight = self.in_flight.saturating_add(1);
        self.tally.used(now);
        if let Some(limit) = wanted.limits.requests_per_minute {
            self.requests.take(1, u64::from(limit), now);
        }
        if let Some(limit) = wanted.limits.tokens_per_minute {
            self.tokens.take(wanted.tokens, limit, now);
        }
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let of_model = self
            .models
            .iter_mut()
            .find(|known| *known.model == *wanted.model);
        let of_model = of_model.and_then(|known| known.rest.as_mut());
        let mut probes = false;
        for rest in self.rest.iter_mut().chain(of_model) {
            if rest.wants_probe() {
                rest.probe(serial, now);
                probes = true;
            }
        }
        probes.then_some(serial)
    }

    /// A request used another number of tokens than was taken for it.
    pub(super) fn spent(&mut self, taken: u64, tokens: u64, limit: u64) {
        self.tokens.correct(taken, tokens, limit);
    }

    /// A request is over, whatever was told of it. Whether somebody waits for that.
    pub(super) fn end(&mut self, probe: Option<u32>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(serial) = probe {
            let of_models = self
                .models
                .iter_mut()
                .filter_map(|known| known.rest.as_mut());
            for rest in self.rest.iter_mut().chain(of_models) {
                rest.abandon(serial);
            }
        }
        std::mem::take(&mut self.parked)
    }

    /// A request failed. `elsewhere`: other keys are served with this model. Whether the key may be used sooner than was
    /// thought.
    pub(super) fn failed(
        &mut self,
        model: &str,
        fault: &Fault,
        elsewhere: bool,
        now: Moment,
    ) -> bool {
        let reason = reason(fault);
        let (cause, told) = match fault.class {
            Class::KeyDead => (Cause::Disabled, None),
            Class::Exhausted => (Cause::Exhausted, fault.retry_after),
            Class::RateLimited => (Cause::Cooling, fault.retry_after),
            Class::Overloaded
            | Class::Upstream
            | Class::Timeout
            | Class::Network
            | Class::BadAnswer => {
                self.touch(model, now).broke(&reason, elsewhere, now);
                return false;
            }
            Class::Client | Class::Unfit | Class::ContextLength | Class::Refused => return false,
        };
        match (fault.scope, &self.account) {
            (Scope::Key, _) => return self.rests(cause, told, &reason, now),
            (Scope::Account, Some(account)) if cause != Cause::Disabled => {
                account.limited(model, cause, told, &reason, now);
            }
            (Scope::Account | Scope::Model, _) => {
                self.touch(model, now).rests(cause, told, &reason, now);
            }
        }
        false
    }

    /// Whether it may be used sooner than before.
    fn rests(&mut self, cause: Cause, told: Option<Duration>, reason: &str, now: Moment) -> bool {
        let before = self.rest.take();
        // A key that is not accepted is not so because of a limit that another of its requests met; unless that request went
        // to see whether it is accepted.
        let graver = |rest: &Rest| rest.cause > cause && rest.until > now;
        if before.as_ref().is_some_and(|rest| graver(rest)) {
            self.rest = before;
            return false;
        }
        let rest = Rest::after(before.as_deref(), cause, told, reason, now);
        let sooner = before.is_some_and(|before| before.blocks(now) > rest.blocks(now));
        self.rest = Some(Box::new(rest));
        sooner
    }

    /// A request was served. Whether the key may be used sooner than was thought.
    pub(super) fn served(&mut self, model: &str, now: Moment) -> bool {
        let mut sooner = false;
        if let Some(rest) = &mut self.rest {
            if rest.cause == Cause::Cooling && rest.until > now {
                // This request began before the limit was met; that it was served does not lift the limit.
                rest.strikes = 0;
            } else {
                sooner = rest.blocks(now).is_some();
                self.rest = None;
            }
        }
        if let Some(account) = &self.account {
            account.served(model, now);
        }
        let known = self.models.iter().position(|known| *known.model == *model);
        if let Some(place) = known
            && let Some(known) = self.models.get_mut(place)
        {
            known.window.count(now).served += 1;
            if let Some(rest) = &mut known.rest {
                if rest.until > now {
                    rest.strikes = 0;
                } else {
                    sooner |= rest.blocks(now).is_some();
                    known.rest = None;
                }
            }
            if known.is_idle(now) {
                self.models.swap_remove(place);
            }
        }
        sooner
    }

    /// It is accepted, as far as a question tells that costs nothing. Whether it may be used sooner than was thought.
    pub(super) fn accepted(&mut self, now: Moment) -> bool {
        let disabled = |rest: &mut Box<Rest>| rest.cause == Cause::Disabled;
        let rest = self.rest.take_if(disabled);
        rest.is_some_and(|rest| rest.blocks(now).is_some())
    }

    /// When a question may show whether it is well again, `paid`: one that costs something; `None`: it needs none, or it is off.
    pub(super) fn tested_at(&self, paid: bool, now: Moment) -> Option<Moment> {
        let rest = self.rest.as_ref().filter(|_| self.off.is_none())?;
        let shown = rest.cause == Cause::Disabled || paid && rest.cause == Cause::Exhausted;
        shown.then(|| rest.blocks(now).unwrap_or(now))
    }

    /// Takes back that it was disabled or exhausted, if that was since a moment. Whether it was.
    pub(super) fn forgive(&mut self, since: Moment, now: Moment) -> bool {
        let grave = |rest: &mut Box<Rest>| {
            matches!(rest.cause, Cause::Disabled | Cause::Exhausted) && rest.since >= since
        };
        let Some(rest) = self.rest.take_if(grave) else {
            return false;
        };
        self.rest = rest.forgiven(now);
        true
    }

    /// Whether it may be used sooner than was thought.
    pub(super) fn told(&mut self, quota: Quota) -> bool {
        let before = self.quota.replace(quota);
        before.is_some_and(|before| before.left < SCARCE) && quota.left >= SCARCE
    }

    /// Which part is left of what it may use, from 0 to 1, as far as anybody says.
    pub(super) fn headroom(&self, limits: KeyLimits, now: Moment) -> f32 {
        if self.off.is_some()
            || self
                .rest
                .as_ref()
                .is_some_and(|rest| rest.blocks(now).is_some())
        {
            return 0.0;
        }
        let mut left = 1.0_f32;
        if let Some(quota) = self.quota.filter(|quota| quota.reset_at > now) {
            left = left.min(quota.left.clamp(0.0, 1.0));
        }
        if limits.requests_per_minute.is_some() {
            left = left.min(self.requests.left(now));
        }
        if limits.tokens_per_minute.is_some() {
            left = left.min(self.tokens.left(now));
        }
        if limits
            .concurrency
            .is_some_and(|most| self.in_flight >= most.max(1))
        {
            left = 0.0;
        }
        left
    }

    pub(super) fn model(&self, model: &str) -> Option<&ModelHealth> {
        self.models.iter().find(|known| *known.model == *model)
    }

    pub(super) fn touch(&mut self, model: &str, now: Moment) -> &mut ModelHealth {
        if let Some(place) = self.models.iter().position(|known| *known.model == *model) {
            return &mut self.models[place];
        }
        self.models.retain(|known| !known.is_idle(now));
        if self.models.len() >= MODELS {
            let until = |known: &ModelHealth| known.rest.as_ref().map(|rest| rest.until);
            let first =
                (0..self.models.len()).min_by_key(|place| self.models.get(*place).map(until));
            first.map(|place| self.models.swap_remove(place));
        }
        self.models.push(ModelHealth {
            model: model.into(),
            rest: None,
            window: Window::default(),
        });
        let last = self.models.len() - 1;
        &mut self.models[last]
    }
}

impl ModelHealth {
    fn rests(&mut self, cause: Cause, told: Option<Duration>, reason: &str, now: Moment) {
        let rest = Rest::after(self.rest.as_deref(), cause, told, reason, now);
        self.rest = Some(Box::new(rest));
    }

    /// The upstream failed, which may be because of the key only when it serves others.
    fn broke(&mut self, reason: &str, elsewhere: bool, now: Moment) {
        let counts = self.window.count(now);
        counts.failed += 1;
        let Counts { served, failed } = self.window.sum();
        let probed = self.rest.as_ref().is_some_and(|rest| rest.is_probed());
        let enough = failed + served >= ENOUGH && failed >= served;
        if elsewhere && (enough || probed) {
            self.rests(Cause::Failing, None, reason, now);
            self.window = Window::default();
        }
    }

    fn is_idle(&self, now: Moment) -> bool {
        self.rest.is_none() && now.as_millis() >= self.window.began.as_millis() + 2 * HALF
            || self.rest.is_none() && self.window.sum().failed == 0
    }
}

impl Window {
    fn count(&mut self, now: Moment) -> &mut Counts {
        let age = now.as_millis().saturating_sub(self.began.as_millis());
        if age >= HALF {
            self.before = if age < 2 * HALF {
                self.now
            } else {
                Counts::default()
            };
            self.now = Counts::default();
            self.began = now;
        }
        &mut self.now
    }

    fn sum(&self) -> Counts {
        Counts {
            served: self.now.served.saturating_add(self.before.served),
            failed: self.now.failed.saturating_add(self.before.failed),
        }
    }
}

/// `401 invalid_api_key`, at most 120 characters.
fn reason(fault: &Fault) -> String {
    let code = if fault.code.is_empty() {
        fault.class.name()
    } else {
        &fault.code
    };
    let code: String = code.chars().take(115).collect();
    match fault.status {
        0 => code,
        status => format!("{status} {code}"),
    }
}
