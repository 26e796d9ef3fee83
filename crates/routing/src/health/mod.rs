//! How the upstreams fare: what is left alone, how busy they are, how fast they answer.
//!
//! There is a breaker for each provider and one for each of its models. A model's counts whatever is the upstream's
//! fault. A provider's counts what befalls all of its models alike: a host that cannot be reached, keys that fail
//! together, models that fail together.

mod breaker;
mod gauge;
mod models;
mod news;
mod storm;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use breaker::{Breaker, BreakerRules, BreakerState, Cause, Open, Ticket, Why};
pub use gauge::{Gauge, InFlight};
pub use models::ModelHealth;
pub use news::{BreakerNews, BreakerTurn};
pub use storm::Storm;
pub use window::Counts;

use models::Models;
use storm::Storms;
use window::Window;

use crate::{Class, Fault, Moment};

/// The health of a provider and of its models. The rules are those of one configuration; the state is shared with the
/// configurations before and after it, so that requests under way report to the same.
#[derive(Debug, Default)]
pub struct ProviderHealth {
    rules: BreakerRules,
    /// Set by the first request, or by [`inherit`](Self::inherit).
    shared: OnceLock<Arc<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    breaker: Breaker,
    models: Models,
    board: news::Board,
    storms: Mutex<Storms>,
    /// What all models together failed in.
    failures: Mutex<Window>,
}

/// Leave for one attempt. Dropped without a report, it gives the leave back: whoever hung up tells nothing of the
/// upstream. Keep it until the answer has ended, since it counts as a request under way.
#[derive(Debug)]
pub struct Pass {
    entered: Moment,
    shared: Arc<Shared>,
    model: Arc<ModelHealth>,
    rules: BreakerRules,
    of_provider: Ticket,
    of_model: Ticket,
    _in_flight: InFlight,
}

/// A breaker is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    pub whose: Whose,
    /// When to ask again; later than now.
    pub until: Moment,
    pub why: Arc<Why>,
}

/// Whose breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    Provider,
    Model,
}

/// The key of an attempt, as far as storms are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyOf {
    /// The same for the same key, different for others.
    pub id: u64,
    /// How many keys of the provider there are.
    pub pool: usize,
}

/// What is to be done with the key of a failed attempt, when the failure is of the key's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// What is done for this kind of failure.
    Key,
    /// Nothing: it failed in a storm. The attempt began before the breaker opened, or is its probe; were probes to burn a
    /// key each, none would be left when the provider is well again.
    Spare,
    /// Nothing, and what befell other keys in this storm should be forgiven. A breaker is open by now.
    Forgive(Storm),
}

impl KeyOf {
    /// `fingerprint`: the SHA-256 of the key.
    pub fn new(fingerprint: &[u8; 32], pool: usize) -> Self {
        let id = fingerprint
            .iter()
            .take(8)
            .fold(0, |id, byte| (id << 8) | u64::from(*byte));
        Self { id, pool }
    }
}

impl ProviderHealth {
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            shared: OnceLock::new(),
        }
    }

    pub fn rules(&self) -> &BreakerRules {
        &self.rules
    }

    /// Shares the state of the same provider in the configuration before. Call it before the first request.
    pub fn inherit(&self, old: &Self) {
        // Was there a request before, its state stays: nothing is lost but what the old one knew.
        let _ = self.shared.set(Arc::clone(old.shared()));
    }

    /// The health of a model. Look it up once per target and keep it.
    pub fn model(&self, name: &str, now: Moment) -> Arc<ModelHealth> {
        self.shared().models.of(name, now)
    }

    /// As [`model`](Self::model), for whoever only looks: a model that nobody has asked for is not remembered.
    pub fn peek(&self, name: &str, now: Moment) -> Arc<ModelHealth> {
        self.shared().models.peek(name, now)
    }

    /// All models that are known, by name, for tables.
    pub fn models(&self) -> Vec<Arc<ModelHealth>> {
        self.shared().models.all()
    }

    /// Breakers that opened or closed since it was asked last, and how many more that are left out; cheap, to be asked often.
    pub fn news(&self) -> (Vec<BreakerNews>, u64) {
        self.shared().board.take()
    }

    /// The provider's own breaker, for tables.
    pub fn state(&self, now: Moment) -> BreakerState {
        self.shared().breaker.state(&self.rules, now)
    }

    /// A model's breaker, for tables.
    pub fn state_of(&self, model: &ModelHealth, now: Moment) -> BreakerState {
        model.breaker.state(&self.rules, now)
    }

    /// Asks for leave to try a model here. Of two breakers that are open the one that is so for longer is told.
    pub fn enter(&self, model: &Arc<ModelHealth>, now: Moment) -> Result<Pass, Shut> {
        let shared = self.shared();
        let mut of_model = model.breaker.admit(&self.rules, now).map_err(|open| {
            let longer = self.would_enter(model, now).err();
            longer.unwrap_or_else(|| Shut::of(Whose::Model, open))
        })?;
        match shared.breaker.admit(&self.rules, now) {
            Ok(of_provider) => Ok(self.pass(model, of_provider, of_model, now)),
            Err(open) => {
                model.breaker.released(&mut of_model);
                Err(Shut::of(Whose::Provider, open))
            }
        }
    }

    /// Whether [`enter`](Self::enter) would give leave, without taking it; `Ok(true)`: as a probe. Of two breakers that are
    /// open the one that is so for longer is told.
    pub fn would_enter(&self, model: &ModelHealth, now: Moment) -> Result<bool, Shut> {
        let of_model = model.breaker.would_admit(&self.rules, now);
        let of_provider = self.shared().breaker.would_admit(&self.rules, now);
        match (of_model, of_provider) {
            (Ok(left), Ok(right)) => Ok(left || right),
            (Err(left), Err(right)) if left.until > right.until => {
                Err(Shut::of(Whose::Model, left))
            }
            (_, Err(open)) => Err(Shut::of(Whose::Provider, open)),
            (Err(open), Ok(_)) => Err(Shut::of(Whose::Model, open)),
        }
    }

    /// Leave for a request that is sent though a breaker may be open, for want of anything better.
    pub fn enter_anyway(&self, model: &Arc<ModelHealth>, now: Moment) -> Pass {
        let of_provider = self.shared().breaker.admit_anyway();
        self.pass(model, of_provider, model.breaker.admit_anyway(), now)
    }

    /// A question of the gateway's own was answered, which is in nobody's count: what is open closes before its time. `model`: the one
    /// that was asked; `None`: the provider, which shows that it can be reached, and what failed only because it could not is tried
    /// again.
    pub fn check_passed(&self, model: Option<&ModelHealth>, now: Moment) {
        let shared = self.shared();
        let close = |breaker: &Breaker, name: Option<&str>| {
            let mut ticket = breaker.admit_anyway();
            if breaker.succeeded(&mut ticket, &self.rules, now) {
                shared.board.closed(name);
            }
        };
        close(&shared.breaker, None);
        if let Some(model) = model {
            close(&model.breaker, Some(model.name()));
        }
        for model in shared.models.all() {
            let why = model.breaker.why();
            let unreached = why.is_some_and(|why| {
                matches!(why.cause.last().class, Class::Network | Class::Timeout)
            });
            if unreached {
                close(&model.breaker, Some(model.name()));
            }
        }
    }

    /// It failed for the upstream's fault.
    pub fn check_failed(&self, model: Option<&ModelHealth>, fault: &Fault, now: Moment) {
        let shared = self.shared();
        let fail = |breaker: &Breaker, name: Option<&str>| {
            let mut ticket = breaker.admit_anyway();
            if breaker.failed(&mut ticket, fault, &self.rules, now) {
                shared.board.opened(name, breaker, &self.rules, now);
            }
        };
        if let Some(model) = model {
            fail(&model.breaker, Some(model.name()));
        }
        // Of one model that fails the provider knows nothing.
        if model.is_none() || matches!(fault.class, Class::Network | Class::Timeout) {
            fail(&shared.breaker, None);
        }
    }

    fn pass(
        &self,
        model: &Arc<ModelHealth>,
        of_provider: Ticket,
        of_model: Ticket,
        now: Moment,
    ) -> Pass {
        Pass {
            entered: now,
            shared: Arc::clone(self.shared()),
            rules: self.rules,
            of_provider,
            of_model,
            _in_flight: model.gauge.begin(),
            model: Arc::clone(model),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared.get_or_init(Arc::default)
    }
}

impl Shut {
    fn of(whose: Whose, open: Open) -> Self {
        Self {
            whose,
            until: open.until,
            why: open.why,
        }
    }
}

impl Pass {
    /// This attempt is the one that tries whether the upstream is well again.
    pub fn is_probe(&self) -> bool {
        self.of_provider.is_probe() || self.of_model.is_probe()
    }

    pub fn model(&self) -> &Arc<ModelHealth> {
        &self.model
    }

    /// It is served: call it as soon as that is certain, when a stream has begun, so that a probe closes the breaker then
    /// and not at the end of a long answer. `key`: `None` for a caller's own.
    pub fn succeeded(&mut self, key: Option<KeyOf>, now: Moment) {
        self.model.gauge.count_served();
        self.model.note_success(now);
        let breaker = &self.model.breaker;
        if breaker.succeeded(&mut self.of_model, &self.rules, now) {
            self.shared.board.closed(Some(self.model.name()));
        }
        self.provider_succeeded(now);
        if let Some(key) = key {
            self.shared.storms().succeeded(key.id, self.entered);
        }
    }

    /// It failed, or broke off after [`succeeded`](Self::succeeded). Tells what is to be done with the key, when the failure
    /// is the key's. `key`: `None` for a caller's own, whose failures tell nothing of the provider.
    pub fn failed(&mut self, fault: &Fault, key: Option<KeyOf>, now: Moment) -> Blame {
        self.model.gauge.count_failed();
        // Before the breakers are told: what they say of this attempt is about when it began.
        let blame = key.map_or(Blame::Key, |key| self.blame(fault, key, now));
        let of_keys = self.model.breaker.probes_keys(&self.of_model)
            || self.shared.breaker.probes_keys(&self.of_provider);
        let spent = of_keys
            && fault.class.is_of_key()
            && key.is_some_and(|key| self.shared.storms().failed_in_probe(key.id));
        self.tell_model(fault, spent, now);
        self.tell_provider(fault, spent, now);
        if fault.is_of_upstream() {
            self.tell_of_models(fault, now);
        }
        blame
    }

    fn blame(&self, fault: &Fault, key: KeyOf, now: Moment) -> Blame {
        if storm::is_limit(fault).is_none() {
            return Blame::Key;
        }
        let storms = |breaker: &Breaker, ticket| {
            breaker.stormed_since(ticket) || breaker.probes_keys(ticket)
        };
        if storms(&self.model.breaker, &self.of_model)
            || storms(&self.shared.breaker, &self.of_provider)
        {
            return Blame::Spare;
        }
        let storm =
            self.shared
                .storms()
                .failed(key.id, key.pool, self.model.name_hash(), fault, now);
        let Some(storm) = storm else {
            return Blame::Key;
        };
        let breaker = if storm.one_model {
            &self.model.breaker
        } else {
            &self.shared.breaker
        };
        let cause = Cause::Keys {
            keys: storm.keys,
            last: fault.clone(),
        };
        if breaker.trip(cause, &self.rules, now) {
            let model = storm.one_model.then(|| self.model.name());
            self.shared.board.opened(model, breaker, &self.rules, now);
            Blame::Forgive(storm)
        } else {
            Blame::Key
        }
    }

    /// `spent`: enough keys have failed in the probe of a storm.
    fn tell_model(&mut self, fault: &Fault, spent: bool, now: Moment) {
        let breaker = &self.model.breaker;
        if fault.is_of_upstream() {
            self.model.note_failure(now);
            let probed = self.of_model.is_probe();
            if breaker.failed(&mut self.of_model, fault, &self.rules, now) && !probed {
                let model = Some(self.model.name());
                self.shared.board.opened(model, breaker, &self.rules, now);
            }
        } else if spent && breaker.probes_keys(&self.of_model) {
            breaker.failed(&mut self.of_model, fault, &self.rules, now);
        } else {
            breaker.released(&mut self.of_model);
        }
    }

    fn tell_provider(&mut self, fault: &Fault, spent: bool, now: Moment) {
        let breaker = &self.shared.breaker;
        let failed = match breaker.why().filter(|_| self.of_provider.is_probe()) {
            _ if matches!(fault.class, Class::Network | Class::Timeout) => Some(true),
            // That it answered at all is a success as far as the provider can be reached.
            None => Some(false),
            Some(why) => match why.cause {
                Cause::Failures { .. } => Some(false),
                Cause::Keys { .. } => spent.then_some(true),
                Cause::Models { .. } => fault.is_of_upstream().then_some(true),
            },
        };
        match failed {
            Some(true) => {
                let probed = self.of_provider.is_probe();
                if breaker.failed(&mut self.of_provider, fault, &self.rules, now) && !probed {
                    self.shared.board.opened(None, breaker, &self.rules, now);
                }
            }
            Some(false) => self.provider_succeeded(now),
            None => breaker.released(&mut self.of_provider),
        }
    }

    fn provider_succeeded(&mut self, now: Moment) {
        let breaker = &self.shared.breaker;
        if breaker.succeeded(&mut self.of_provider, &self.rules, now) {
            self.shared.board.closed(None);
        }
    }

    /// Opens the provider's breaker when its models fail all over, each perhaps too rarely for a breaker of its own.
    fn tell_of_models(&self, fault: &Fault, now: Moment) {
        let window = self.rules.window;
        let failed = {
            let mut failures = self.shared.failures();
            let one = Counts {
                total: 1,
                failed: 1,
            };
            failures.add(window, now, one);
            failures.counts(window, now).failed
        };
        if failed < self.rules.requests.saturating_mul(2) {
            return;
        }
        let spread = self.shared.models.spread(window, now);
        // Not by the ratio of the rules: where half of the models serve, the others' breakers are the better remedy.
        let enough = usize::try_from(self.rules.requests).unwrap_or(usize::MAX);
        if spread.failing >= enough.max(2) && spread.serving * 4 <= spread.failing {
            let cause = Cause::Models {
                models: spread.failing,
                last: fault.clone(),
            };
            let breaker = &self.shared.breaker;
            if breaker.trip(cause, &self.rules, now) {
                self.shared.board.opened(None, breaker, &self.rules, now);
                self.shared.failures().clear();
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.model.breaker.released(&mut self.of_model);
        self.shared.breaker.released(&mut self.of_provider);
    }
}

impl Shared {
    fn storms(&self) -> MutexGuard<'_, Storms> {
        // Nothing under this lock panics half way.
        self.storms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Window> {
        // As above.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
