//! One request's way through targets and keys: what is tried next, and what is learned from what came of it.

mod attempt;
mod end;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use secrecy::SecretString;

use crate::health::ModelHealth;
use crate::plan::{Leg, On, Plan, Target};
use crate::strategy::{self, Candidate, Dice, Hints, Turns, identity};
use crate::{
    CallerKeys, Class, Fault, Key, KeyRef, LastResort, Moment, Provider, Retry, Strategy, Unready,
    Wanted,
};

pub use attempt::{Attempt, Chosen, Step};
pub use end::{Down, End, Skip, Skipped};

use attempt::{AttemptKey, KeyId};
use end::{MOMENT, skip};

/// Whose keys a request goes upstream with.
#[derive(Debug, Clone)]
pub enum Purse {
    /// The provider's own.
    Pool,
    /// The caller's, which belong to one provider only.
    Caller {
        keys: Arc<[SecretString]>,
        memory: Arc<CallerKeys>,
    },
}

/// A request on its way. Ask [`next`](Self::next) for what to try, tell [`failed`](Self::failed) or [`served`](Self::served) what
/// came of it, and ask again after a failure. Nothing is tried twice with the same key.
#[derive(Debug)]
pub struct Walk {
    plan: Plan,
    purse: Purse,
    began: Moment,
    /// How those targets have fared that failed, by leg and place.
    progress: FxHashMap<(usize, usize), Progress>,
    /// After a key was turned away the next key of the same target is asked, without choosing anew: leg and place.
    stay: Option<(usize, usize)>,
    tried: Vec<Tried>,
    attempts: u32,
    last: Option<Last>,
    /// The content was refused, so whoever else serves the same model would refuse it, too.
    refused: bool,
    /// The last attempt took too long, or was made for the sake of one that did.
    timed_out: bool,
    /// A key was forbidden (403).
    forbidden: bool,
    /// Keys that were forbidden after another one was: it may be for the request, as long as no key is served with it.
    suspects: Vec<Suspect>,
    /// Models whose context was too small, and the largest of their windows that is known.
    too_small: Vec<String>,
    window: Option<u64>,
    /// Why what was not tried was passed over; the last reason for each target.
    skipped: Vec<Skipped>,
}

/// How one target has fared with this request.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    failures: u8,
    /// No other key of it is worth trying.
    done: bool,
    /// It is not asked for this request, not even as a last resort.
    passed_over: bool,
}

/// A target and a key that have been tried.
#[derive(Debug)]
struct Tried {
    provider: String,
    model: String,
    key: KeyId,
}

impl Tried {
    fn is(&self, target: &Target) -> bool {
        self.provider == target.provider.name && self.model == target.model
    }
}

/// Which targets are chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Any,
    /// Those that have not been tried with any key.
    Untried,
}

/// A key that was forbidden.
#[derive(Debug)]
struct Suspect {
    provider: Arc<Provider>,
    model: String,
    key: KeyRef,
    fault: Fault,
    now: Moment,
}

impl Suspect {
    fn report(self, class: Class) {
        let Self {
            provider,
            model,
            key,
            fault,
            now,
        } = self;
        provider
            .keys
            .report(&key, &model, &Fault { class, ..fault }, now);
    }
}

/// The last failure.
#[derive(Debug, Clone, Copy)]
struct Last {
    class: Class,
    /// How long it took.
    took: Duration,
}

/// What to do now.
#[derive(Debug)]
pub enum Next {
    Try(Box<Attempt>),
    /// Nothing is ready; ask again at this moment.
    Wait(Moment),
    End(End),
}

impl Drop for Walk {
    /// Who is under suspicion to the end is let go; that the requests failed counts.
    fn drop(&mut self) {
        for suspect in self.suspects.drain(..) {
            suspect.report(Class::Unfit);
        }
    }
}

impl Walk {
    pub fn new(mut plan: Plan, purse: Purse, now: Moment) -> Self {
        // A caller's own keys belong to one vendor: they never go to a fallback of another.
        if let Purse::Caller { .. } = purse {
            let owner = plan
                .targets()
                .next()
                .map(|target| Arc::clone(&target.provider));
            plan.retain(|target| {
                owner
                    .as_ref()
                    .is_some_and(|owner| owner.name == target.provider.name)
            });
        }
        Self {
            plan,
            purse,
            began: now,
            progress: FxHashMap::default(),
            stay: None,
            tried: Vec::new(),
            attempts: 0,
            last: None,
            refused: false,
            timed_out: false,
            forbidden: false,
            suspects: Vec::new(),
            too_small: Vec::new(),
            window: None,
            skipped: Vec::new(),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many attempts were made, those included that asked the same target again.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What to do at first, and after each failure.
    pub fn next(&mut self, now: Moment, dice: Dice<'_>) -> Next {
        if let Some(end) = self.spent(now) {
            return Next::End(end);
        }
        // The last attempt is kept for a target that has not been tried, be the others as rich in keys as they may.
        let is_last = self.attempts > 0 && self.attempts + 1 >= self.most_attempts();
        let which: &[Which] = if is_last {
            &[Which::Untried, Which::Any]
        } else {
            &[Which::Any]
        };
        for which in which {
            self.skipped.clear();
            for index in 0..self.plan.legs.len() {
                let on = self.plan.legs.get(index).map(|leg| leg.on);
                if on.is_some_and(|on| self.is_for_now(on))
                    && let Some(attempt) = self.choose(index, *which, now, dice)
                {
                    return Next::Try(Box::new(attempt));
                }
            }
        }
        self.last_resort(now, dice)
    }

    /// The attempt failed.
    pub fn failed(&mut self, mut attempt: Attempt, fault: &Fault, now: Moment) -> Step {
        let took = attempt.began.until(now);
        match self.suspect(&attempt, fault, now) {
            Some(suspect) => {
                attempt.pass.failed(fault, None, now);
                self.suspects.push(suspect);
            }
            None => attempt.tell_health(fault, now),
        }
        let target = &attempt.target;
        self.tried.push(Tried {
            provider: target.provider.name.clone(),
            model: target.model.clone(),
            key: attempt.id(),
        });
        self.last = Some(Last {
            class: fault.class,
            took,
        });
        if fault.class == Class::Refused {
            self.refused = true;
        }
        self.forbidden |= fault.class == Class::KeyDead && fault.status == 403;
        let leg = self.plan.legs.get(attempt.place.0);
        self.timed_out = fault.class == Class::Timeout
            || self.timed_out && leg.is_some_and(|leg| leg.on == On::Timeout);
        if fault.class == Class::ContextLength {
            self.window = self
                .window
                .max(target.provider.context_window(&target.model));
            self.too_small.push(target.model.clone());
        }
        self.stay = fault.class.is_of_key().then_some(attempt.place);
        let progress = self.progress.entry(attempt.place).or_default();
        match fault.class {
            Class::KeyDead | Class::Exhausted | Class::RateLimited => {}
            Class::Overloaded | Class::Upstream | Class::BadAnswer => progress.failures += 1,
            // Another key meets the same host, the same model and the same limits.
            Class::Client
            | Class::Unfit
            | Class::ContextLength
            | Class::Refused
            | Class::Timeout
            | Class::Network => progress.done = true,
        }
        attempt.step(Some(fault.clone()), now)
    }

    /// The attempt is not made after all, for reasons of who asks: nobody is to blame, and another target is next.
    pub fn pass_over(&mut self, attempt: &Attempt) {
        let progress = self.progress.entry(attempt.place).or_default();
        progress.done = true;
        progress.passed_over = true;
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// The attempt has answered; `streamed` as in [`Attempt::served`].
    pub fn served(&mut self, attempt: &mut Attempt, streamed: bool, now: Moment) -> Step {
        // That another key is served with the same shows that it was for the keys.
        let target = &attempt.target;
        let (forbidden, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.suspects)
            .into_iter()
            .partition(|suspect| {
                Arc::ptr_eq(&suspect.provider, &target.provider) && suspect.model == target.model
            });
        self.suspects = others;
        for suspect in forbidden {
            suspect.report(Class::KeyDead);
        }
        attempt.served(streamed, now)
    }

    /// A key that was forbidden after another one of the same target was: one request would else put aside as many keys as it has
    /// attempts, if what it asks for is forbidden to all.
    fn suspect(&self, attempt: &Attempt, fault: &Fault, now: Moment) -> Option<Suspect> {
        let target = &attempt.target;
        let key = attempt.pool_key()?;
        let again = fault.class == Class::KeyDead
            && fault.status == 403
            && self.forbidden
            && self
                .tried
                .iter()
                .any(|tried| tried.provider == target.provider.name && tried.model == target.model);
        again.then(|| Suspect {
            provider: Arc::clone(&target.provider),
            model: target.model.clone(),
            key,
            fault: fault.clone(),
            now,
        })
    }

    /// The same target is asked again, with what it refused left out; such an attempt counts, too.
    pub fn again(&mut self, attempt: &mut Attempt, fault: &Fault, now: Moment) -> Step {
        let step = attempt.step(Some(fault.clone()), now);
        self.attempts += 1;
        attempt.chosen = Chosen::Again;
        attempt.began = now;
        attempt.writes_since = now;
        step
    }

    /// Whether the same target may be asked once more, as far as the number of attempts goes.
    pub fn may_ask_again(&self) -> bool {
        self.attempts < self.most_attempts()
    }

    fn most_attempts(&self) -> u32 {
        self.plan.retry.attempts.unwrap_or(Retry::ATTEMPTS)
    }

    /// Why nothing more may be tried, if so.
    fn spent(&self, now: Moment) -> Option<End> {
        let last = self.last.as_ref()?;
        if last.class == Class::Client {
            return Some(End::Final);
        }
        if self.attempts >= self.most_attempts() {
            return Some(End::Attempts);
        }
        let Retry {
            deadline,
            only_within,
            ..
        } = self.plan.retry;
        let late = deadline.is_some_and(|deadline| self.began.until(now) >= deadline);
        let slow = only_within.is_some_and(|within| last.took > within);
        (late || slow).then_some(End::Time)
    }

    /// Whether a leg is tried after the failures that there were.
    fn is_for_now(&self, on: On) -> bool {
        let own = &self.plan.own;
        // A route may name models for one kind of failure, which then stand in place of the others.
        let cause = if self.refused {
            Some((On::Refusal, own.refusal))
        } else if !self.too_small.is_empty() {
            Some((On::ContextLength, own.context_length))
        } else if self.timed_out {
            Some((On::Timeout, own.timeout))
        } else {
            None
        };
        match on {
            On::Asked => !self.refused,
            On::Failure => cause.is_none_or(|(_, own)| !own),
            On::ContextLength | On::Refusal | On::Timeout => {
                cause.is_some_and(|(cause, _)| cause == on)
            }
            On::LastResort => false,
        }
    }

    /// The next target and key of a leg, if one is ready.
    fn choose(
        &mut self,
        leg_index: usize,
        which: Which,
        now: Moment,
        dice: Dice<'_>,
    ) -> Option<Attempt> {
        if let Some((leg, place)) = self.stay
            && which == Which::Any
            && leg == leg_index
            && let Some(attempt) = self.take(leg_index, place, Chosen::NextKey, now)
        {
            return Some(attempt);
        }
        let first = self.attempts == 0;
        for round in 0..2 {
            let mut open: Vec<usize> = self.open(leg_index, round, which);
            while let Some(&foremost) = open.first() {
                let leg = self.plan.legs.get(leg_index)?;
                let tier = leg.targets.get(foremost)?.tier;
                let behind = open.iter().position(|place| {
                    let target = leg.targets.get(*place);
                    target.is_some_and(|target| target.tier != tier)
                });
                let behind = open.split_off(behind.unwrap_or(open.len()));
                let mut same = mem::replace(&mut open, behind);
                while !same.is_empty() {
                    let chosen = self.pick(leg_index, &same, now, dice);
                    let place = same.remove(chosen.min(same.len() - 1));
                    let why = match (round, self.plan.legs.get(leg_index)?.on) {
                        (0, On::Asked) if first => {
                            Chosen::Strategy(self.plan.legs.get(leg_index)?.strategy.name())
                        }
                        (0, On::Asked) => Chosen::NextTarget,
                        (0, on) => Chosen::Fallback(on),
                        _ => Chosen::SecondRound,
                    };
                    if let Some(attempt) = self.take(leg_index, place, why, now) {
                        return Some(attempt);
                    }
                }
            }
        }
        None
    }

    /// The targets of a leg that may be tried in a round: those that have not failed, then those that have once.
    fn open(&mut self, leg_index: usize, round: u8, which: Which) -> Vec<usize> {
        let Some(leg) = self.plan.legs.get(leg_index) else {
            return Vec::new();
        };
        let mut skipped = Vec::new();
        let open = leg.targets.iter().enumerate();
        let open = open.filter_map(|(place, target)| {
            let progress = self.progress.get(&(leg_index, place));
            let progress = progress.copied().unwrap_or_default();
            let passed = which == Which::Untried && self.tried.iter().any(|tried| tried.is(target));
            if progress.done || progress.failures != round || passed {
                return None;
            }
            if target.weight == 0 {
                skipped.push(skip(target, Skip::Drained));
                return None;
            }
            if !self.too_small.is_empty() && !self.is_larger(target) {
                skipped.push(skip(target, Skip::Context));
                return None;
            }
            Some(place)
        });
        let open = open.collect();
        self.skipped.extend(skipped);
        open
    }

    /// Whether a target may take a prompt that was too long for others.
    fn is_larger(&self, target: &Target) -> bool {
        let window = target.provider.context_window(&target.model);
        let larger = match (window, self.window) {
            (Some(window), Some(small)) => window > small,
            (None, _) | (_, None) => true,
        };
        larger && !self.too_small.contains(&target.model)
    }

    /// Which of these the strategy prefers, as an index into `places`.
    fn pick(&self, leg_index: usize, places: &[usize], now: Moment, dice: Dice<'_>) -> usize {
        let Some(leg) = self.plan.legs.get(leg_index) else {
            return 0;
        };
        let health = |target: &Target| target.provider.health.model(&target.model, now);
        pick(
            leg,
            places,
            &leg.turns,
            self.plan.sticky,
            &health,
            now,
            dice,
        )
    }

    /// Takes a key of a target, if its breakers and its keys let.
    fn take(
        &mut self,
        leg_index: usize,
        place: usize,
        chosen: Chosen,
        now: Moment,
    ) -> Option<Attempt> {
        let target = self.plan.legs.get(leg_index)?.targets.get(place)?;
        let provider = Arc::clone(&target.provider);
        let model = provider.health.model(&target.model, now);
        let pass = match provider.health.enter(&model, now) {
            Ok(pass) => pass,
            Err(shut) => {
                let keys = self.would_be_key(target, now).err();
                let skipped = skip(target, Skip::longer(shut, keys));
                self.skipped.push(skipped);
                return None;
            }
        };
        let key = match self.key(target, false, now) {
            Ok(key) => key,
            Err(unready) => {
                let skipped = skip(target, Skip::Keys(unready));
                self.skipped.push(skipped);
                return None;
            }
        };
        let attempt = Attempt {
            target: target.clone(),
            chosen: if pass.is_probe() {
                Chosen::Probe
            } else {
                chosen
            },
            key,
            began: now,
            writes_since: now,
            place: (leg_index, place),
            pass,
        };
        self.attempts += 1;
        Some(attempt)
    }

    /// A key of the target that this request has not tried there. `resting`: one that rests will do.
    fn key(&self, target: &Target, resting: bool, now: Moment) -> Result<AttemptKey, Unready> {
        let here: Vec<&KeyId> = self
            .tried
            .iter()
            .filter(|tried| tried.is(target))
            .map(|tried| &tried.key)
            .collect();
        match &self.purse {
            Purse::Pool => {
                let tried = |key: &Key| here.contains(&&KeyId::Pool(*key.fingerprint()));
                let wanted = Wanted {
                    from: target.keys,
                    model: &target.model,
                    sticky: self.plan.sticky,
                    tokens: self.plan.tokens,
                    tried: &tried,
                };
                let pool = &target.provider.keys;
                if here.len() >= pool.len().max(1) {
                    return Err(Unready::TRIED);
                }
                let least_bad = resting.then(|| pool.take_least_bad(&wanted, now)).flatten();
                match least_bad {
                    Some(key) => Ok(AttemptKey::Pool(key)),
                    None => pool.take(&wanted, now).map(AttemptKey::Pool),
                }
            }
            Purse::Caller { keys, memory } => {
                let left: Vec<usize> = (0..keys.len())
                    .filter(|place| !here.contains(&&KeyId::Caller(*place)))
                    .collect();
                let secrets: Vec<&SecretString> =
                    left.iter().filter_map(|place| keys.get(*place)).collect();
                let chosen = memory.choose(&target.provider.name, &secrets, now);
                let found = chosen.and_then(|chosen| {
                    let place = *left.get(chosen)?;
                    Some((place, keys.get(place)?.clone()))
                });
                let (place, secret) = found.ok_or(Unready::TRIED)?;
                Ok(AttemptKey::Caller {
                    place,
                    secret,
                    memory: Arc::clone(memory),
                })
            }
        }
    }

    /// Nothing is ready: what the route wants to be done then.
    fn last_resort(&mut self, now: Moment, dice: Dice<'_>) -> Next {
        let ready_at = self
            .skipped
            .iter()
            .filter_map(|skipped| skipped.why.ready_at(now))
            .min();
        match self.plan.last_resort.clone() {
            LastResort::Refuse => {}
            LastResort::Usual => {
                if let Some(attempt) = self.only_key(now) {
                    return Next::Try(Box::new(attempt));
                }
            }
            LastResort::Queue(patience) => {
                let latest = self.began.after(self.plan.retry.waits(patience));
                // What was tried is not tried again, however long it is waited for.
                let fresh = self
                    .skipped
                    .iter()
                    .filter(|skipped| !skipped.why.is_tried());
                let ready_at = fresh.filter_map(|skipped| skipped.why.ready_at(now)).min();
                if let Some(ready_at) = ready_at.filter(|at| *at <= latest && now < latest) {
                    return Next::Wait(ready_at.max(now.after(MOMENT)).min(latest));
                }
            }
            LastResort::LeastBad => {
                if let Some(attempt) = self.least_bad(now) {
                    return Next::Try(Box::new(attempt));
                }
            }
            LastResort::Fallback(_) => {
                let last = self
                    .plan
                    .legs
                    .iter()
                    .position(|leg| leg.on == On::LastResort);
                if let Some(leg) = last
                    && let Some(attempt) = self.choose(leg, Which::Any, now, dice)
                {
                    return Next::Try(Box::new(attempt));
                }
            }
        }
        Next::End(if self.attempts > 0 {
            End::Tried {
                // How long the only one rests that was tried concerns nobody: the upstream's own word stands.
                ready_at: if self.attempts > 1 {
                    self.ready_again(now)
                } else {
                    ready_at
                },
            }
        } else {
            let rests = self
                .skipped
                .iter()
                .filter(|skipped| skipped.why != Skip::Drained);
            End::Down(Down {
                ready_at,
                limited: rests.clone().count() > 0
                    && rests.clone().all(|skipped| skipped.why.is_limited()),
                skipped: mem::take(&mut self.skipped),
            })
        })
    }

    /// Whether there is a key for the target, tried or not; nothing changes.
    fn would_be_key(&self, target: &Target, now: Moment) -> Result<(), Unready> {
        let provider = &target.provider;
        match &self.purse {
            Purse::Pool => {
                let wanted = Wanted {
                    from: target.keys,
                    tokens: self.plan.tokens,
                    ..Wanted::of(&target.model)
                };
                provider.keys.ready(&wanted, now)
            }
            Purse::Caller { keys, memory } => match memory.ready_at(&provider.name, keys) {
                Some(ready_at) if ready_at <= now => Ok(()),
                ready_at => Err(Unready {
                    ready_at,
                    ..Unready::TRIED
                }),
            },
        }
    }

    /// When the first of all targets is ready again, what was tried included; `None`: one is, or nobody knows.
    fn ready_again(&self, now: Moment) -> Option<Moment> {
        let legs = self.plan.legs.iter().filter(|leg| leg.on != On::LastResort);
        let targets = legs
            .flat_map(|leg| &leg.targets)
            .filter(|target| target.weight > 0);
        let ready = targets.filter_map(|target| {
            let provider = &target.provider;
            let keys = match self.would_be_key(target, now) {
                Ok(()) => now,
                Err(unready) => unready.ready_at?,
            };
            let model = provider.health.model(&target.model, now);
            let shut = provider.health.would_enter(&model, now).err();
            Some(keys.max(shut.map_or(now, |shut| shut.until)))
        });
        ready.min().filter(|at| *at > now)
    }

    /// The only key of the only target, though it rests. An open breaker is left alone all the same.
    fn only_key(&mut self, now: Moment) -> Option<Attempt> {
        let legs = self.plan.legs.iter().filter(|leg| leg.on != On::LastResort);
        let targets = || legs.clone().flat_map(|leg| &leg.targets);
        let target = targets().next().filter(|_| targets().nth(1).is_none())?;
        let is_over = self.progress.values().any(|progress| progress.passed_over);
        if target.weight == 0 || target.provider.keys.len() != 1 || is_over {
            return None;
        }
        let model = target.provider.health.model(&target.model, now);
        let pass = target.provider.health.enter(&model, now).ok()?;
        let attempt = Attempt {
            target: target.clone(),
            chosen: Chosen::OnlyKey,
            key: self.key(target, true, now).ok()?,
            began: now,
            writes_since: now,
            place: (0, 0),
            pass,
        };
        self.attempts += 1;
        Some(attempt)
    }

    /// Of all that rest, the one that is ready first, whatever its breakers say.
    fn least_bad(&mut self, now: Moment) -> Option<Attempt> {
        let mut resting: Vec<(Moment, usize, usize)> = Vec::new();
        for (leg_index, leg) in self.plan.legs.iter().enumerate() {
            for (place, target) in leg.targets.iter().enumerate() {
                let progress = self.progress.get(&(leg_index, place));
                if progress.is_some_and(|progress| progress.passed_over) {
                    continue;
                }
                let found = self.skipped.iter().find(|skipped| {
                    skipped.provider == target.provider.name && skipped.model == target.model
                });
                if let Some(at) = found.and_then(|skipped| skipped.why.ready_at(now)) {
                    resting.push((at, leg_index, place));
                }
            }
        }
        resting.sort_unstable();
        resting.into_iter().find_map(|(_, leg, place)| {
            let target = self.plan.legs.get(leg)?.targets.get(place)?;
            let key = self.key(target, true, now).ok()?;
            let model = target.provider.health.model(&target.model, now);
            let attempt = Attempt {
                target: target.clone(),
                chosen: Chosen::LastResort,
                key,
                began: now,
                writes_since: now,
                place: (leg, place),
                pass: target.provider.health.enter_anyway(&model, now),
            };
            self.attempts += 1;
            Some(attempt)
        })
    }
}

/// Which of these targets of a leg its strategy prefers, as an index into `places`.
pub(crate) fn pick(
    leg: &Leg,
    places: &[usize],
    turns: &Turns,
    sticky: Option<u64>,
    health: &dyn Fn(&Target) -> Arc<ModelHealth>,
    now: Moment,
    dice: Dice<'_>,
) -> usize {
    // As written: no need to look how each of them fares.
    let as_written = leg.strategy == Strategy::Priority && !leg.prefer_same_dialect;
    if places.len() < 2 || as_written {
        return 0;
    }
    let targets: Vec<(&Target, Arc<ModelHealth>)> = places
        .iter()
        .filter_map(|place| leg.targets.get(*place))
        .map(|target| (target, health(target)))
        .collect();
    let candidates: Vec<Candidate<'_>> = targets
        .iter()
        .map(|(target, health)| Candidate {
            identity: identity(&target.provider.name, &target.model),
            weight: target.weight,
            gauge: &health.gauge,
            price: target.price,
            headroom: (leg.strategy == Strategy::Quota)
                .then(|| target.provider.keys.headroom(target.keys, now)),
            same_dialect: target.same_dialect,
        })
        .collect();
    let hints = Hints {
        sticky,
        prefer_same_dialect: leg.prefer_same_dialect,
        now,
    };
    strategy::pick(leg.strategy, &candidates, turns, hints, dice).unwrap_or(0)
}

#[cfg(test)]
mod tests;
