//! Where a request would go if it came now, why, and why not elsewhere. Nothing changes by asking: no turn is taken, no probe begins,
//! and no model is remembered.

use std::sync::Arc;
use std::time::Duration;

use lingate_dialect::DialectId;

use crate::plan::{Claimed, Leg, On, Plan, Target, chains, claim};
use crate::strategy::Dice;
use crate::{
    Ask, Asked, By, Chosen, KeyCount, LastResort, Measure, Mode, Moment, NoRoute, Provider, Purse,
    Retry, Route, Skip, Skipped, Snapshot, Strategy, Wanted, plan, walk,
};

/// Everything that decides where a request goes.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The model that was asked for.
    pub model: String,
    /// How that name was claimed.
    pub claimed: ClaimedBy,
    /// Routes for that name that come before what claimed it, and why they did not; at most [`PASSED_OVER`].
    pub passed_over: Vec<PassedOver>,
    /// How many more there are of these.
    pub passed_over_more: usize,
    /// What is tried, in this order: the model that was asked for, then its fallbacks.
    pub legs: Vec<ExplainedLeg>,
    pub mirror: Option<ExplainedMirror>,
    pub retry: Retry,
    pub last_resort: LastResort,
    pub verdict: Verdict,
}

/// Routes that are told when they were passed over.
pub const PASSED_OVER: usize = 20;

/// How a name was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimedBy {
    /// It names its provider: `provider/model`.
    WrittenOut,
    Route {
        /// Its place in the configuration, from 0.
        index: usize,
        pattern: String,
    },
    Catalogue,
    Declared,
    Preferred,
    Only,
    Nobody,
}

/// A route that is for the name, but not for the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    pub index: usize,
    pub pattern: String,
    pub why: String,
}

/// The arm of a split that the request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedArm {
    /// The split's route.
    pub route: usize,
    pub split: String,
    /// The model that its arm goes on with.
    pub model: String,
    /// The weight of the arm, and of all.
    pub weight: u64,
    pub of: u64,
    /// What keeps the request in its arm; `None`: it is drawn by chance each time.
    pub by: Option<By>,
    /// The split is sticky, but the request does not say by what.
    pub unknown: bool,
}

/// The targets of one model.
#[derive(Debug, Clone)]
pub struct ExplainedLeg {
    pub on: On,
    /// The model as it was asked for or written.
    pub name: String,
    /// The model as it was resolved.
    pub model: String,
    pub claimed: ClaimedBy,
    pub arms: Vec<ExplainedArm>,
    pub strategy: Strategy,
    /// What the strategy holds together is known of this request.
    pub sticky: bool,
    pub prefer_same_dialect: bool,
    /// In the order in which they would be tried; those that are no part of the leg come last.
    pub candidates: Vec<ExplainedCandidate>,
}

/// A target as the strategy sees it.
#[derive(Debug, Clone)]
pub struct ExplainedCandidate {
    pub provider: String,
    /// The upstream's name of the model.
    pub model: String,
    /// What the provider is spoken to in; `None`: in nothing.
    pub dialect: Option<DialectId>,
    /// Whether the request is converted for it.
    pub converted: bool,
    pub tier: u32,
    pub weight: u32,
    /// Requests under way.
    pub in_flight: u32,
    /// Means of late, where there are any.
    pub first_token: Option<Duration>,
    pub per_token: Option<Duration>,
    /// What this request would cost here, in nano-dollars.
    pub price: Option<u64>,
    /// Which part is left of what the keys may use, from 0 to 1, as far as is known.
    pub headroom: Option<f32>,
    /// Tokens that a prompt may have, where it is known.
    pub context_window: Option<u64>,
    pub keys: KeyCount,
    /// The last four characters of the key that would be used.
    pub key: Option<String>,
    /// The request would be the one that tries whether the upstream is well again.
    pub probe: bool,
    /// Why it would not be tried.
    pub not: Option<Not>,
}

/// Why a candidate would not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Not {
    Skipped(Skip),
    /// It does not speak the caller's dialect, and mode `direct` does not convert.
    Direct,
    /// It is tried before, for another model of the list.
    Earlier,
    /// A caller's own keys belong to another provider.
    Foreign,
}

impl Not {
    /// For people.
    pub fn told(&self, now: Moment) -> String {
        match self {
            Self::Skipped(skip) => skip.told(now),
            Self::Direct => "mode direct: it does not speak the caller's dialect".to_owned(),
            Self::Earlier => "it is tried before".to_owned(),
            Self::Foreign => "the caller's own keys are another provider's".to_owned(),
        }
    }

    /// In scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Skipped(Skip::Drained) => "drained",
            Self::Skipped(Skip::Breaker(_)) => "breaker_open",
            Self::Skipped(Skip::Keys(_)) => "no_key_ready",
            Self::Skipped(Skip::Context) => "context_no_larger",
            Self::Direct => "mode_direct",
            Self::Earlier => "tried_before",
            Self::Foreign => "caller_keys",
        }
    }

    /// When it may be over; `None`: not by waiting, or nobody knows.
    pub fn until(&self) -> Option<Moment> {
        match self {
            Self::Skipped(Skip::Breaker(shut)) => Some(shut.until),
            Self::Skipped(Skip::Keys(unready)) => unready.ready_at,
            Self::Skipped(Skip::Drained | Skip::Context)
            | Self::Direct
            | Self::Earlier
            | Self::Foreign => None,
        }
    }
}

/// Where copies of requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedMirror {
    pub provider: String,
    pub model: String,
    /// In millionths.
    pub share: u32,
}

/// What would become of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This candidate of this leg is tried first.
    Goes {
        leg: usize,
        candidate: usize,
        chosen: Chosen,
    },
    /// It waits until then for something to be ready.
    Waits(Moment),
    /// Nothing is ready.
    Refused {
        /// When something is; `None`: nobody knows.
        ready_at: Option<Moment>,
        /// Because of limits only.
        limited: bool,
    },
    /// Nothing serves the model.
    NoRoute(NoRoute),
}

/// Explains where a request would go now.
pub fn explain(
    snapshot: &Snapshot,
    ask: &Ask<'_>,
    purse: &Purse,
    now: Moment,
    dice: Dice<'_>,
) -> Explanation {
    let asked = Asked::new(ask);
    let claimed = claim(snapshot, ask.model, &asked, &mut Vec::new());
    let (passed_over, passed_over_more) = passed_over(snapshot, ask, claimed);
    let planned = plan(snapshot, ask, dice);
    let (mut plan, none) = match planned {
        Ok(plan) => (Some(plan), None),
        Err(none) => (None, Some(none)),
    };
    let all: Vec<Target> = plan
        .as_ref()
        .map(|plan| plan.targets().cloned().collect())
        .unwrap_or_default();
    if let (Purse::Caller { .. }, Some(plan)) = (purse, &mut plan)
        && let Some(owner) = all.first()
    {
        plan.retain(|target| target.provider.name == owner.provider.name);
    }
    let route = match &plan {
        Some(plan) => plan.route,
        None => claimed.route(),
    };
    let route = route.and_then(|index| snapshot.routes.get(index));
    let look = Look {
        snapshot,
        ask,
        asked: &asked,
        purse,
        now,
        all,
    };
    let mut legs: Vec<Explained> = Vec::new();
    let named = std::iter::once((On::Asked, ask.model)).chain(route.into_iter().flat_map(chains));
    for (on, name) in named {
        let leg = plan.as_ref().and_then(|plan| {
            let mut legs = plan.legs.iter();
            let leg = legs.find(|leg| leg.on == on && leg.name == name)?;
            Some((plan, leg))
        });
        let mut explained = match leg {
            Some((plan, leg)) => look.leg(plan, leg, dice),
            None => look.empty(on, name),
        };
        look.left_out(&mut explained);
        legs.push(explained);
    }
    if let Some(plan) = &plan {
        too_small(plan, &mut legs);
    }
    let verdict = match (none, &plan) {
        (None, Some(plan)) => look.verdict(plan, &mut legs),
        (Some(none), _) => Verdict::NoRoute(none),
        (None, None) => Verdict::Refused {
            ready_at: None,
            limited: false,
        },
    };
    Explanation {
        model: ask.model.to_owned(),
        claimed: told(snapshot, claimed),
        passed_over,
        passed_over_more,
        mirror: route.and_then(|route| mirror(snapshot, route, ask.model)),
        retry: route.map(|route| route.retry).unwrap_or_default(),
        last_resort: route
            .map(|route| route.last_resort.clone())
            .unwrap_or_default(),
        legs: legs.into_iter().map(|leg| leg.told).collect(),
        verdict,
    }
}

impl ExplainedLeg {
    fn skipped(&self) -> impl Iterator<Item = Skipped> {
        self.candidates.iter().filter_map(|candidate| {
            let Some(Not::Skipped(why)) = &candidate.not else {
                return None;
            };
            Some(Skipped {
                provider: candidate.provider.clone(),
                model: candidate.model.clone(),
                why: why.clone(),
            })
        })
    }
}

/// A leg, with the targets of its candidates; `None` for what is no part of it.
struct Explained {
    told: ExplainedLeg,
    targets: Vec<Option<Target>>,
}

struct Look<'a> {
    snapshot: &'a Snapshot,
    ask: &'a Ask<'a>,
    asked: &'a Asked<'a>,
    purse: &'a Purse,
    now: Moment,
    /// Of all legs, those included that are not the caller's.
    all: Vec<Target>,
}

impl Look<'_> {
    /// The candidates of a leg, in the order in which they would be tried.
    fn leg(&self, plan: &Plan, leg: &Leg, dice: Dice<'_>) -> Explained {
        let turns = leg.turns.copy();
        let health = |target: &Target| target.provider.health.peek(&target.model, self.now);
        let weighs = |place: &usize| leg.targets.get(*place).is_some_and(|it| it.weight > 0);
        let (mut open, drained): (Vec<usize>, Vec<usize>) =
            (0..leg.targets.len()).partition(weighs);
        let tier = |place: usize| leg.targets.get(place).map(|target| target.tier);
        let mut order = Vec::with_capacity(leg.targets.len());
        while let Some(&foremost) = open.first() {
            let same = open
                .iter()
                .take_while(|place| tier(**place) == tier(foremost));
            let mut same: Vec<usize> = same.copied().collect();
            open.drain(..same.len());
            while !same.is_empty() {
                let (sticky, now) = (plan.sticky, self.now);
                let chosen = walk::pick(leg, &same, &turns, sticky, &health, now, dice);
                order.push(same.remove(chosen.min(same.len() - 1)));
            }
        }
        order.extend(drained);
        let targets = order.iter().filter_map(|place| leg.targets.get(*place));
        let (candidates, targets) = targets
            .map(|target| (self.candidate(plan, target), Some(target.clone())))
            .unzip();
        let arms = leg.splits.iter().filter_map(|drawn| {
            let split = self.snapshot.routes.get(drawn.route)?.split.as_ref()?;
            let arm = split.arms.get(drawn.arm)?;
            Some(ExplainedArm {
                route: drawn.route,
                split: split.name.clone(),
                model: arm.model.clone(),
                weight: arm.weight.into(),
                of: split.arms.iter().map(|arm| u64::from(arm.weight)).sum(),
                by: drawn.by,
                unknown: split.sticky.is_some() && drawn.by.is_none(),
            })
        });
        Explained {
            told: ExplainedLeg {
                on: leg.on,
                name: leg.name.clone(),
                model: leg.model.clone(),
                claimed: told(self.snapshot, leg.claimed),
                arms: arms.collect(),
                strategy: leg.strategy,
                sticky: matches!(leg.strategy, Strategy::Sticky(_)) && plan.sticky.is_some(),
                prefer_same_dialect: leg.prefer_same_dialect,
                candidates,
            },
            targets,
        }
    }

    /// A model of the list of which nothing is tried.
    fn empty(&self, on: On, name: &str) -> Explained {
        let claimed = claim(self.snapshot, name, self.asked, &mut Vec::new());
        let route = claimed
            .route()
            .and_then(|index| self.snapshot.routes.get(index));
        Explained {
            told: ExplainedLeg {
                on,
                name: name.to_owned(),
                model: name.to_owned(),
                claimed: told(self.snapshot, claimed),
                arms: Vec::new(),
                strategy: route.map(|route| route.strategy).unwrap_or_default(),
                sticky: false,
                prefer_same_dialect: route.is_some_and(|route| route.prefer_same_dialect),
                candidates: Vec::new(),
            },
            targets: Vec::new(),
        }
    }

    /// Adds who serves the model, too, but is no part of the leg.
    fn left_out(&self, leg: &mut Explained) {
        let mut wanted = Vec::new();
        let claimed = claim(self.snapshot, &leg.told.model, self.asked, &mut wanted);
        let route = claimed
            .route()
            .and_then(|index| self.snapshot.routes.get(index));
        let mode = route
            .and_then(|route| route.mode)
            .unwrap_or(self.snapshot.mode);
        for one in wanted {
            let is = |target: &Target| {
                Arc::ptr_eq(&target.provider, one.provider)
                    && target.model == one.model
                    && target.keys == one.keys
            };
            if leg.targets.iter().flatten().any(is) {
                continue;
            }
            let spoken = match mode {
                Mode::Transform => one.provider.endpoint(self.ask.dialect, &one.model),
                Mode::Direct => one.provider.speaks(self.ask.dialect),
            };
            let foreign = matches!(self.purse, Purse::Caller { .. })
                && self
                    .all
                    .first()
                    .is_some_and(|owner| owner.provider.name != one.provider.name);
            let not = match spoken {
                None => Not::Direct,
                Some(_) if foreign => Not::Foreign,
                Some(_) => Not::Earlier,
            };
            let mut target = Target::at(one.provider, 0, &one.model);
            target.keys = one.keys;
            let candidate = ExplainedCandidate {
                dialect: spoken.map(|(_, endpoint)| endpoint.dialect),
                converted: spoken.is_some_and(|(_, it)| it.dialect != self.ask.dialect),
                not: Some(not),
                ..self.seen(&target)
            };
            leg.told.candidates.push(candidate);
            leg.targets.push(None);
        }
    }

    /// A target, with the key that it would be tried with.
    fn candidate(&self, plan: &Plan, target: &Target) -> ExplainedCandidate {
        let mut seen = self.seen(target);
        if target.weight == 0 {
            seen.not = Some(Not::Skipped(Skip::Drained));
            return seen;
        }
        let health = &target.provider.health;
        match health.would_enter(&health.peek(&target.model, self.now), self.now) {
            Ok(probe) => seen.probe = probe,
            Err(shut) => seen.not = Some(Not::Skipped(Skip::Breaker(shut))),
        }
        if let Purse::Caller { .. } = self.purse {
            seen.key = Some("caller's".to_owned());
            return seen;
        }
        let wanted = wanted(plan, target);
        match target.provider.keys.peek(&wanted, self.now) {
            Ok(key) => seen.key = Some(key.label().to_owned()),
            Err(unready) => {
                let not = match seen.not.take() {
                    Some(Not::Skipped(Skip::Breaker(shut))) => Skip::longer(shut, Some(unready)),
                    Some(_) | None => Skip::Keys(unready),
                };
                seen.not = Some(Not::Skipped(not));
            }
        }
        seen
    }

    /// What is known of a target.
    fn seen(&self, target: &Target) -> ExplainedCandidate {
        let Target {
            provider,
            endpoint,
            model,
            handling: _,
            weight,
            tier,
            keys,
            same_dialect,
            price: _,
        } = target;
        let gauge = &provider.health.peek(model, self.now).gauge;
        let mean = |measure| {
            let micros = gauge.mean(measure, self.now)?;
            Duration::try_from_secs_f64(micros / 1e6).ok()
        };
        let own = matches!(self.purse, Purse::Caller { .. });
        let wanted = Wanted {
            from: *keys,
            ..Wanted::of(model)
        };
        ExplainedCandidate {
            provider: provider.name.clone(),
            model: model.clone(),
            dialect: provider.endpoints.get(*endpoint).map(|it| it.dialect),
            converted: !same_dialect,
            tier: *tier,
            weight: *weight,
            in_flight: gauge.in_flight(),
            first_token: mean(Measure::FirstToken),
            per_token: mean(Measure::PerToken),
            price: self.price(provider, model),
            headroom: (!own).then(|| provider.keys.headroom(*keys, self.now)),
            context_window: provider.context_window(model),
            keys: if own {
                KeyCount::default()
            } else {
                provider.keys.count_ready(&wanted, self.now)
            },
            key: None,
            probe: false,
            not: None,
        }
    }

    fn price(&self, provider: &Provider, model: &str) -> Option<u64> {
        provider.cost(model, self.asked.tokens(), self.asked.max_output())
    }

    /// What the request would meet first.
    fn verdict(&self, plan: &Plan, legs: &mut [Explained]) -> Verdict {
        let at_once = |leg: &&Explained| matches!(leg.told.on, On::Asked | On::Failure);
        let first = |leg: &Explained| {
            let mut candidates = leg.told.candidates.iter();
            let place = candidates.position(|candidate| candidate.not.is_none())?;
            let candidate = leg.told.candidates.get(place)?;
            let chosen = match leg.told.on {
                _ if candidate.probe => Chosen::Probe,
                On::Asked => Chosen::Strategy(leg.told.strategy.name()),
                on => Chosen::Fallback(on),
            };
            Some((place, chosen))
        };
        for (index, leg) in legs.iter().enumerate().filter(|(_, leg)| at_once(leg)) {
            if let Some((candidate, chosen)) = first(leg) {
                return Verdict::Goes {
                    leg: index,
                    candidate,
                    chosen,
                };
            }
        }
        let mut skipped: Vec<Skipped> = legs
            .iter()
            .filter(at_once)
            .flat_map(|leg| leg.told.skipped())
            .collect();
        let ready_at = skipped
            .iter()
            .filter_map(|skipped| skipped.why.ready_at(self.now))
            .min();
        match &plan.last_resort {
            LastResort::Refuse => {}
            LastResort::Usual => {
                if let Some(goes) = self.only_key(plan, legs) {
                    return goes;
                }
            }
            LastResort::Queue(patience) => {
                if let Some(at) =
                    ready_at.filter(|at| *at <= self.now.after(plan.retry.waits(*patience)))
                {
                    return Verdict::Waits(at);
                }
            }
            LastResort::LeastBad => {
                if let Some(goes) = self.least_bad(plan, legs) {
                    return goes;
                }
            }
            LastResort::Fallback(_) => {
                let last = legs.iter().position(|leg| leg.told.on == On::LastResort);
                if let Some(index) = last
                    && let Some(leg) = legs.get(index)
                    && let Some((candidate, chosen)) = first(leg)
                {
                    return Verdict::Goes {
                        leg: index,
                        candidate,
                        chosen,
                    };
                }
                skipped.extend(
                    last.and_then(|index| legs.get(index))
                        .into_iter()
                        .flat_map(|leg| leg.told.skipped()),
                );
            }
        }
        let mut rests = skipped
            .iter()
            .filter(|skipped| skipped.why != Skip::Drained)
            .peekable();
        Verdict::Refused {
            ready_at,
            limited: rests.peek().is_some() && rests.all(|skipped| skipped.why.is_limited()),
        }
    }

    /// The only key of the only target, though it rests.
    fn only_key(&self, plan: &Plan, legs: &mut [Explained]) -> Option<Verdict> {
        let planned = plan.legs.iter().filter(|leg| leg.on != On::LastResort);
        let mut targets = planned.flat_map(|leg| &leg.targets);
        let target = targets.next().filter(|_| targets.next().is_none())?;
        if target.weight == 0 || target.provider.keys.len() != 1 {
            return None;
        }
        let health = &target.provider.health;
        health
            .would_enter(&health.peek(&target.model, self.now), self.now)
            .ok()?;
        self.rests(plan, legs, target, Chosen::OnlyKey)
    }

    /// Of all that rest, the one that is ready first.
    fn least_bad(&self, plan: &Plan, legs: &mut [Explained]) -> Option<Verdict> {
        let mut resting: Vec<(Moment, &Target)> = Vec::new();
        for target in plan.targets() {
            let mut known = legs
                .iter()
                .flat_map(|leg| leg.targets.iter().zip(&leg.told.candidates));
            let found = known.find(|(of, _)| of.as_ref().is_some_and(|of| of.is(target)));
            if let Some((_, candidate)) = found
                && let Some(Not::Skipped(why)) = &candidate.not
                && let Some(at) = why.ready_at(self.now)
            {
                resting.push((at, target));
            }
        }
        resting.sort_by_key(|(at, _)| *at);
        resting
            .into_iter()
            .find_map(|(_, target)| self.rests(plan, legs, target, Chosen::LastResort))
    }

    /// That a target is tried though it rests, with this key.
    fn rests(
        &self,
        plan: &Plan,
        legs: &mut [Explained],
        target: &Target,
        chosen: Chosen,
    ) -> Option<Verdict> {
        let key = match self.purse {
            Purse::Caller { .. } => "caller's".to_owned(),
            Purse::Pool => {
                let pool = &target.provider.keys;
                let key = pool.peek_least_bad(&wanted(plan, target), self.now)?;
                key.label().to_owned()
            }
        };
        for (leg_index, leg) in legs.iter_mut().enumerate() {
            let is = |of: &Option<Target>| of.as_ref().is_some_and(|of| of.is(target));
            if let Some(place) = leg.targets.iter().position(is)
                && let Some(candidate) = leg.told.candidates.get_mut(place)
            {
                candidate.key = Some(key);
                return Some(Verdict::Goes {
                    leg: leg_index,
                    candidate: place,
                    chosen,
                });
            }
        }
        None
    }
}

/// After a prompt that was too long, only those are tried whose context is larger.
fn too_small(plan: &Plan, legs: &mut [Explained]) {
    let small = plan.legs.iter().filter(|leg| leg.on == On::Asked);
    let small: Vec<&Target> = small.flat_map(|leg| &leg.targets).collect();
    let windows = small
        .iter()
        .filter_map(|target| target.provider.context_window(&target.model));
    let Some(window) = windows.max() else {
        return;
    };
    for leg in legs {
        if leg.told.on != On::ContextLength {
            continue;
        }
        for candidate in &mut leg.told.candidates {
            let same = small.iter().any(|target| target.model == candidate.model);
            let no_larger = candidate.context_window.is_some_and(|own| own <= window);
            if candidate.not.is_none() && (same || no_larger) {
                candidate.not = Some(Not::Skipped(Skip::Context));
            }
        }
    }
}

fn wanted<'t>(plan: &Plan, target: &'t Target) -> Wanted<'t> {
    Wanted {
        from: target.keys,
        sticky: plan.sticky,
        tokens: plan.tokens,
        ..Wanted::of(&target.model)
    }
}

/// The routes for a name that come before the one that claimed it, and how many more there are.
fn passed_over(snapshot: &Snapshot, ask: &Ask<'_>, claimed: Claimed) -> (Vec<PassedOver>, usize) {
    // Who names a provider asks no route.
    if claimed == Claimed::WrittenOut {
        return (Vec::new(), 0);
    }
    let before = snapshot.routes.named(ask.model);
    let mut before = before.take_while(|index| Some(*index) != claimed.route());
    let passed_over = before.by_ref().take(PASSED_OVER).filter_map(|index| {
        let route = snapshot.routes.get(index)?;
        Some(PassedOver {
            index,
            pattern: route.model.to_string(),
            why: route.when.why_not(ask)?,
        })
    });
    let passed_over = passed_over.collect();
    (passed_over, before.count())
}

fn told(snapshot: &Snapshot, claimed: Claimed) -> ClaimedBy {
    match claimed {
        Claimed::WrittenOut => ClaimedBy::WrittenOut,
        Claimed::Route(index) => match snapshot.routes.get(index) {
            Some(route) => ClaimedBy::Route {
                index,
                pattern: route.model.to_string(),
            },
            None => ClaimedBy::Nobody,
        },
        Claimed::Catalogue => ClaimedBy::Catalogue,
        Claimed::Declared => ClaimedBy::Declared,
        Claimed::Preferred => ClaimedBy::Preferred,
        Claimed::Only => ClaimedBy::Only,
        Claimed::Nobody => ClaimedBy::Nobody,
    }
}

fn mirror(snapshot: &Snapshot, route: &Route, model: &str) -> Option<ExplainedMirror> {
    let mirror = route.mirror.as_ref()?;
    let provider = snapshot.providers.get(mirror.provider)?;
    Some(ExplainedMirror {
        provider: provider.name.clone(),
        model: mirror.model.as_deref().unwrap_or(model).to_owned(),
        share: mirror.share,
    })
}

#[cfg(test)]
mod tests;
