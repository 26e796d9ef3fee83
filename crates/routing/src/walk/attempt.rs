//! One attempt: what is held for as long as it lasts, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::health::{Blame, KeyOf, Pass};
use crate::plan::{On, Target};
use crate::{CallerKeys, Class, Fault, KeyRef, Lease, Moment};

/// Why a target and a key were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The route's strategy says so.
    Strategy(&'static str),
    /// The key before it was turned away.
    NextKey,
    /// The target before it failed.
    NextTarget,
    /// Every target has failed; this one has another key.
    SecondRound,
    /// A fallback, after a failure of this kind.
    Fallback(On),
    /// Whether it is well again is to be seen.
    Probe,
    /// It rests, but there is no other.
    OnlyKey,
    /// Nothing better is there.
    LastResort,
    /// The same target, with what it refused left out.
    Again,
}

impl Chosen {
    /// In headers and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strategy(name) => name,
            Self::NextKey => "next_key",
            Self::NextTarget => "next_target",
            Self::SecondRound => "second_round",
            Self::Fallback(On::ContextLength) => "fallback_context_length",
            Self::Fallback(On::Refusal) => "fallback_refusal",
            Self::Fallback(On::Timeout) => "fallback_timeout",
            Self::Fallback(On::Asked | On::Failure) => "fallback",
            Self::Fallback(On::LastResort) | Self::LastResort => "last_resort",
            Self::Probe => "probe",
            Self::OnlyKey => "only_key",
            Self::Again => "again",
        }
    }
}

/// One attempt, as it is told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub provider: String,
    pub model: String,
    /// The last four characters of the key, or what stands for it.
    pub key: String,
    pub chosen: Chosen,
    /// Why it failed; `None`: it answered.
    pub fault: Option<Fault>,
    /// To the failure, or to the first content.
    pub took: Duration,
}

/// One attempt: a target, a key, and what is held for as long as it lasts. Keep it to the end of the answer.
#[derive(Debug)]
pub struct Attempt {
    pub target: Target,
    pub chosen: Chosen,
    pub(super) key: AttemptKey,
    pub(super) began: Moment,
    /// From when on its tokens came: those of a whole answer since the request was sent.
    pub(super) writes_since: Moment,
    /// The leg and the target in it.
    pub(super) place: (usize, usize),
    pub(super) pass: Pass,
}

#[derive(Debug)]
pub(super) enum AttemptKey {
    Pool(Lease),
    Caller {
        place: usize,
        secret: SecretString,
        memory: Arc<CallerKeys>,
    },
}

impl Attempt {
    /// The secret to send; `None` where the provider wants none.
    pub fn secret(&self) -> Option<&SecretString> {
        match &self.key {
            AttemptKey::Pool(key) => (!key.is_none()).then(|| key.secret()),
            AttemptKey::Caller { secret, .. } => Some(secret),
        }
    }

    /// What people may see of the key; nothing of a caller's own.
    pub fn label(&self) -> &str {
        match &self.key {
            AttemptKey::Pool(key) => key.label(),
            AttemptKey::Caller { .. } => "caller's",
        }
    }

    /// The key, where it is the provider's.
    pub fn pool_key(&self) -> Option<KeyRef> {
        match &self.key {
            AttemptKey::Pool(key) => Some(key.key()),
            AttemptKey::Caller { .. } => None,
        }
    }

    pub(super) fn id(&self) -> KeyId {
        match &self.key {
            AttemptKey::Pool(key) => KeyId::Pool(*key.fingerprint()),
            AttemptKey::Caller { place, .. } => KeyId::Caller(*place),
        }
    }

    /// The attempt has answered: its first content is there, or all of it where it came in one piece.
    pub fn served(&mut self, streamed: bool, now: Moment) -> Step {
        let provider = &self.target.provider;
        match &self.key {
            AttemptKey::Pool(key) => provider.keys.served(key, &self.target.model, now),
            AttemptKey::Caller { secret, memory, .. } => memory.served(&provider.name, secret),
        }
        let of = self.key_of();
        self.pass.succeeded(of, now);
        let (took, gauge) = (self.began.until(now), &self.pass.model().gauge);
        if streamed {
            gauge.first_token(took, now);
            self.writes_since = now;
        } else {
            gauge.whole(took, now);
        }
        self.step(None, now)
    }

    pub(super) fn step(&self, fault: Option<Fault>, now: Moment) -> Step {
        Step {
            provider: self.target.provider.name.clone(),
            model: self.target.model.clone(),
            key: self.label().to_owned(),
            chosen: self.chosen,
            fault,
            took: self.began.until(now),
        }
    }

    /// The answer is complete, and has `output` tokens.
    pub fn finished(&self, output: u64, now: Moment) {
        let took = self.writes_since.until(now);
        self.pass.model().gauge.answered(output, took, now);
    }

    /// So many tokens of prompt and answer were used, whatever was estimated; the key's minute is put right.
    pub fn spent(&mut self, tokens: u64) {
        if let AttemptKey::Pool(key) = &mut self.key {
            key.spent(tokens);
        }
    }

    /// The answer broke off after the caller had begun to read it. Nothing else is tried, but the failure counts.
    pub fn broke(&mut self, fault: &Fault, now: Moment) {
        self.tell_health(fault, now);
    }

    /// What a failure tells of the health of the provider, of its model and of the key.
    pub(super) fn tell_health(&mut self, fault: &Fault, now: Moment) {
        let of = self.key_of();
        let blame = self.pass.failed(fault, of, now);
        match &self.key {
            AttemptKey::Pool(key) => {
                let pool = &self.target.provider.keys;
                // A key rests as long as its upstream says, storm or not: asking sooner would only be turned away again.
                let told = fault.class == Class::RateLimited && fault.retry_after.is_some();
                if told || blame == Blame::Key {
                    pool.report(key, &self.target.model, fault, now);
                }
                if let Blame::Forgive(storm) = blame {
                    pool.forgive(storm.since, now);
                }
            }
            AttemptKey::Caller { secret, memory, .. } => {
                memory.report(&self.target.provider.name, secret, fault, now);
            }
        }
    }

    pub(super) fn key_of(&self) -> Option<KeyOf> {
        match &self.key {
            AttemptKey::Pool(key) => {
                let pool = self.target.provider.keys.len();
                Some(KeyOf::new(key.fingerprint(), pool))
            }
            AttemptKey::Caller { .. } => None,
        }
    }
}

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyId {
    Pool([u8; 32]),
    Caller(usize),
}
