//! The providers as they are in truth: what they answer to whom and when, which Lingate has to find out.

use std::ops::Range;
use std::time::Duration;

use lingate_routing::{Class, Fault, Scope};
use rustc_hash::FxHashMap;

use crate::clients::Request;
use crate::dice::Dice;

/// Moments, in milliseconds from midnight.
pub(crate) type Span = Range<u64>;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// So long after a provider is well again Lingate may go on leaving it alone: the longest cooldown of a breaker, and what a
/// probe takes.
const BREAKER_SETTLES: u64 = 5 * MINUTE + 30 * SECOND;
/// The same for a key that was not accepted, or without money: the longest rest, and a probe.
const KEY_SETTLES: u64 = HOUR + MINUTE;
/// The same for a key that was limited by an upstream that does not say for how long.
const LIMIT_SETTLES: u64 = MINUTE + SECOND;

pub(crate) struct Vendor {
    pub(crate) name: &'static str,
    /// Milliseconds on average.
    pub(crate) first_token: f64,
    pub(crate) per_token: f64,
    /// Shares of requests that fail by chance, are answered with nothing, break off.
    pub(crate) fails: f64,
    pub(crate) empty: f64,
    pub(crate) breaks: f64,
    pub(crate) keys: Vec<Secret>,
    pub(crate) troubles: Vec<(Span, Trouble)>,
    /// Requests in each minute, and what they are counted by.
    pub(crate) limit: Option<(u32, Scope)>,
    /// Says in `Retry-After` when a limit is over.
    pub(crate) tells: bool,
    /// Tokens that models take; others take any number.
    pub(crate) windows: Vec<(&'static str, u64)>,
    /// Models that it does not have.
    pub(crate) absent: Vec<&'static str>,
    /// Some content is refused.
    pub(crate) prudish: bool,
    /// Nano-dollars for a thousand tokens.
    pub(crate) price: Option<u64>,
    pub(crate) meters: FxHashMap<String, Meter>,
    /// Requests that reached it, by key; those that it turned down included.
    pub(crate) met: FxHashMap<String, u64>,
}

/// What it counts requests by, in a minute that begins with the first of them.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    began: u64,
    requests: u32,
    /// When it turned one down last.
    refused: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) weight: u32,
    pub(crate) account: &'static str,
    /// It is not accepted.
    pub(crate) dead: Vec<Span>,
    /// Its account has no money.
    pub(crate) broke: Vec<Span>,
    /// Its own limit, in place of the provider's.
    pub(crate) limit: Option<u32>,
    /// Requests at the same time that Lingate is configured to keep to.
    pub(crate) cap: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    /// Connections are refused.
    Unreachable,
    /// Nothing is answered.
    Silent,
    Overloaded,
    /// A page for people.
    Page,
    /// No key is accepted, though nothing is wrong with them.
    Unaccepting,
    /// Every key is over its limit.
    Stormy,
    /// It takes so many times as long.
    Slow(f64),
}

pub(crate) enum Reply {
    Fails {
        fault: Fault,
        took: u64,
    },
    Serves {
        first: u64,
        rest: u64,
        tokens: u64,
        breaks: bool,
    },
}

impl Secret {
    pub(crate) fn new(vendor: &str, number: usize) -> Self {
        Self {
            text: format!("sk-{vendor}-{number:04}"),
            weight: 1,
            account: "",
            dead: Vec::new(),
            broke: Vec::new(),
            limit: None,
            cap: None,
        }
    }

    fn counted_by(&self, model: &str, scope: Scope) -> String {
        match scope {
            Scope::Key => self.text.clone(),
            Scope::Model => format!("{} {model}", self.text),
            Scope::Account => format!("{} {model}", self.account),
        }
    }
}

impl Vendor {
    /// One that answers everything at once.
    pub(crate) fn new(name: &'static str, keys: usize) -> Self {
        Self {
            name,
            first_token: 400.0,
            per_token: 10.0,
            fails: 0.0,
            empty: 0.0,
            breaks: 0.0,
            keys: (0..keys).map(|number| Secret::new(name, number)).collect(),
            troubles: Vec::new(),
            limit: None,
            tells: true,
            windows: Vec::new(),
            absent: Vec::new(),
            prudish: false,
            price: None,
            meters: FxHashMap::default(),
            met: FxHashMap::default(),
        }
    }

    fn key(&self, secret: &str) -> Option<&Secret> {
        self.keys.iter().find(|key| key.text == secret)
    }

    fn trouble(&self, now: u64) -> Option<Trouble> {
        let found = self.troubles.iter().find(|(span, _)| span.contains(&now));
        found.map(|(_, trouble)| *trouble)
    }

    /// What a request meets.
    pub(crate) fn ask(
        &mut self,
        secret: &str,
        model: &str,
        request: &Request,
        now: u64,
        dice: &mut Dice,
    ) -> Reply {
        *self.met.entry(secret.to_owned()).or_default() += 1;
        let quick = dice.latency(60.0);
        let fails = |class, status, code: &str, took| Reply::Fails {
            fault: Fault {
                status,
                code: code.to_owned(),
                ..Fault::new(class)
            },
            took,
        };
        let mut slow = 1.0;
        match self.trouble(now) {
            None => {}
            Some(Trouble::Unreachable) => return fails(Class::Network, 0, "no connection", 5),
            Some(Trouble::Silent) => {
                return fails(Class::Timeout, 0, "no answer in time", 20 * SECOND);
            }
            Some(Trouble::Overloaded) => return fails(Class::Overloaded, 503, "overloaded", quick),
            Some(Trouble::Page) => return fails(Class::BadAnswer, 200, "html", quick),
            Some(Trouble::Unaccepting) => {
                return fails(Class::KeyDead, 401, "invalid_api_key", quick);
            }
            Some(Trouble::Stormy) => return self.limited(secret, Scope::Key, 30 * SECOND, quick),
            Some(Trouble::Slow(times)) => slow = times,
        }
        let Some(key) = self.key(secret).cloned() else {
            return fails(Class::KeyDead, 401, "invalid_api_key", quick);
        };
        if within(&key.dead, now) {
            return fails(Class::KeyDead, 401, "invalid_api_key", quick);
        }
        if within(&key.broke, now) {
            return fails(Class::Exhausted, 402, "insufficient_quota", quick);
        }
        if self.absent.contains(&model) {
            return fails(Class::Unfit, 404, "model_not_found", quick);
        }
        if request.faulty {
            return fails(Class::Client, 400, "invalid_request", quick);
        }
        if !self.takes(model, request.tokens) {
            return fails(Class::ContextLength, 400, "context_length_exceeded", quick);
        }
        if let Some((usual, scope)) = self.limit {
            let limit = key.limit.unwrap_or(usual);
            let by = key.counted_by(model, scope);
            let meter = self.meters.entry(by).or_default();
            if now >= meter.began + MINUTE {
                meter.began = now;
                meter.requests = 0;
            }
            if meter.requests >= limit {
                meter.refused = Some(now);
                let left = meter.began + MINUTE - now;
                return self.limited(secret, scope, left, quick);
            }
            meter.requests += 1;
        }
        if self.prudish && request.touchy {
            return fails(Class::Refused, 400, "content_filter", quick);
        }
        let first = dice.latency(self.first_token * slow);
        if dice.chance(self.fails) {
            return fails(Class::Upstream, 500, "internal_error", first);
        }
        if dice.chance(self.empty) {
            return fails(Class::BadAnswer, 200, "empty", first);
        }
        let tokens = 20 + dice.below(200);
        let breaks = dice.chance(self.breaks);
        let each = self.per_token * slow;
        let rest = (0..tokens / 20).map(|_| dice.latency(each * 20.0)).sum();
        Reply::Serves {
            first,
            rest,
            tokens,
            breaks,
        }
    }

    fn limited(&self, secret: &str, scope: Scope, left: u64, took: u64) -> Reply {
        // As the header is written: whole seconds. The moment counts from the answer, which comes a little later.
        let seconds = left.div_ceil(SECOND);
        let account = self.key(secret).map(|key| key.account).unwrap_or_default();
        let fault = Fault {
            status: 429,
            code: "rate_limit_exceeded".to_owned(),
            retry_after: self.tells.then(|| Duration::from_secs(seconds)),
            scope,
            account: (scope == Scope::Account).then(|| account.to_owned()),
            ..Fault::new(Class::RateLimited)
        };
        Reply::Fails { fault, took }
    }

    fn takes(&self, model: &str, tokens: u64) -> bool {
        let window = self.windows.iter().find(|(known, _)| *known == model);
        window.is_none_or(|(_, window)| tokens <= *window)
    }

    /// Whether a request would be answered, if chance does not want otherwise. `settled`: and whether all that was wrong is so long
    /// past that Lingate must have found out.
    pub(crate) fn would_answer(
        &self,
        secret: &str,
        model: &str,
        request: &Request,
        settled: bool,
        now: u64,
    ) -> bool {
        let Some(key) = self.key(secret) else {
            return false;
        };
        let recent = |spans: &[Span], settles: u64| {
            let settles = if settled { settles } else { 0 };
            let begin = now.saturating_sub(settles);
            spans
                .iter()
                .any(|span| span.start <= now && begin < span.end)
        };
        let troubles: Vec<Span> = self
            .troubles
            .iter()
            .filter(|(_, trouble)| !matches!(trouble, Trouble::Slow(_)))
            .map(|(span, _)| span.clone())
            .collect();
        if recent(&troubles, BREAKER_SETTLES)
            || recent(&key.dead, KEY_SETTLES)
            || recent(&key.broke, KEY_SETTLES)
            || self.absent.contains(&model)
            || request.faulty
            || !self.takes(model, request.tokens)
            || self.prudish && request.touchy
        {
            return false;
        }
        let Some((usual, scope)) = self.limit else {
            return true;
        };
        let meter = self.meters.get(&key.counted_by(model, scope));
        meter.is_none_or(|meter| {
            let limit = key.limit.unwrap_or(usual);
            let full = now < meter.began + MINUTE && meter.requests >= limit;
            let refused = |refused| settled && now < refused + LIMIT_SETTLES;
            !full && !meter.refused.is_some_and(refused)
        })
    }

    /// Which part of its limit a key has left, and when it is whole again, as some tell in headers.
    pub(crate) fn left(&self, secret: &str, model: &str, now: u64) -> Option<(f32, u64)> {
        let (usual, scope) = self.limit.filter(|_| self.tells)?;
        let key = self.key(secret)?;
        let meter = self.meters.get(&key.counted_by(model, scope))?;
        let limit = u16::try_from(key.limit.unwrap_or(usual)).ok()?;
        let used = u16::try_from(meter.requests).ok()?;
        let left = 1.0 - f32::from(used) / f32::from(limit);
        (now < meter.began + MINUTE).then_some((left, meter.began + MINUTE))
    }
}

fn within(spans: &[Span], now: u64) -> bool {
    spans.iter().any(|span| span.contains(&now))
}
