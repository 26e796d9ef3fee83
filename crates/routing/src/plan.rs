//! Which targets may serve a request: those of its route, and what stands behind them.

use std::fmt;
use std::sync::Arc;

use lingate_dialect::DialectId;

use crate::strategy::{Dice, Turns, arm, name_hash};
use crate::{
    Ask, Asked, Auth, By, Facts, Handling, LastResort, Mode, Provider, Retry, Route, Selection,
    Snapshot, Strategy,
};

/// The targets that may be tried for a request; at least one.
#[derive(Debug)]
pub struct Plan {
    /// The route that claimed the model, as an index into the snapshot's routes.
    pub route: Option<usize>,
    /// The experiment that the request takes part in.
    pub arm: Option<ChosenArm>,
    /// What is tried one after the other: the model that was asked for first, then its fallbacks.
    pub legs: Vec<Leg>,
    pub retry: Retry,
    pub last_resort: LastResort,
    /// Kinds of failures for which the route names models of their own, be it none.
    pub(crate) own: OwnChains,
    /// Where a copy of the request goes whose answer is thrown away.
    pub mirror: Option<Target>,
    /// The same for requests that should meet the same target and key.
    pub(crate) sticky: Option<u64>,
    /// Estimated tokens of the prompt, where a key's limit or a price needs them.
    pub(crate) tokens: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnChains {
    pub(crate) context_length: bool,
    pub(crate) refusal: bool,
    pub(crate) timeout: bool,
}

/// The arm of a split that a request was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenArm {
    pub split: String,
    pub model: String,
}

/// How a model's name came to those who serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// `provider/model`.
    WrittenOut,
    /// By the route of this index.
    Route(usize),
    /// The catalogue knows whose model it is.
    Catalogue,
    /// Providers declare it in their `models`.
    Declared,
    /// Nobody claims it, and `preferred_provider` gets what nobody claims.
    Preferred,
    /// Nobody claims it, and there is but one provider.
    Only,
    Nobody,
}

impl Claimed {
    pub fn route(self) -> Option<usize> {
        match self {
            Self::Route(index) => Some(index),
            Self::WrittenOut
            | Self::Catalogue
            | Self::Declared
            | Self::Preferred
            | Self::Only
            | Self::Nobody => None,
        }
    }
}

/// A split that a model's name came to, and where it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// The split's route.
    pub route: usize,
    /// Which of its arms.
    pub arm: usize,
    /// What keeps the request in its arm; `None`: it was drawn by chance.
    pub by: Option<By>,
}

/// The targets of one model.
#[derive(Debug)]
pub struct Leg {
    /// After which failures it is tried.
    pub on: On,
    /// The model, as it was asked for or written.
    pub name: String,
    /// How [`model`](Self::model) was claimed.
    pub claimed: Claimed,
    /// The splits on the way from the one to the other.
    pub splits: Vec<Drawn>,
    /// The model, as it was resolved.
    pub model: String,
    pub strategy: Strategy,
    pub prefer_same_dialect: bool,
    /// Sorted by tier.
    pub targets: Vec<Target>,
    pub(crate) turns: Arc<Turns>,
}

/// When a leg is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// At once: it is what was asked for.
    Asked,
    /// After any failure that has no leg of its own.
    Failure,
    ContextLength,
    Refusal,
    Timeout,
    /// When everything else is down.
    LastResort,
}

#[derive(Debug, Clone)]
pub struct Target {
    pub provider: Arc<Provider>,
    /// Index into the provider's endpoints.
    pub endpoint: usize,
    /// The upstream's name of the model.
    pub model: String,
    pub handling: Handling,
    /// Share among those of its tier; 0: drained.
    pub weight: u32,
    /// Lowest first.
    pub tier: u32,
    /// Which of the provider's keys may be used.
    pub keys: Selection,
    /// It speaks the caller's dialect.
    pub same_dialect: bool,
    /// What the request would cost here, in nano-dollars, where somebody asks.
    pub price: Option<u64>,
}

impl Target {
    /// A provider's endpoint, with all of its keys.
    pub fn at(provider: &Arc<Provider>, endpoint: usize, model: &str) -> Self {
        Self {
            provider: Arc::clone(provider),
            endpoint,
            model: model.to_owned(),
            handling: Handling::default(),
            weight: 1,
            tier: 0,
            keys: Selection::default(),
            same_dialect: false,
            price: None,
        }
    }

    /// The same for the same provider, model and keys.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.provider, &other.provider)
            && self.model == other.model
            && self.keys == other.keys
    }
}

impl Plan {
    /// One target and nothing else.
    pub fn only(target: Target) -> Self {
        let leg = Leg {
            on: On::Asked,
            name: target.model.clone(),
            claimed: Claimed::WrittenOut,
            splits: Vec::new(),
            model: target.model.clone(),
            strategy: Strategy::default(),
            prefer_same_dialect: false,
            targets: vec![target],
            turns: Arc::default(),
        };
        Self {
            route: None,
            arm: None,
            legs: vec![leg],
            retry: Retry::default(),
            last_resort: LastResort::Refuse,
            own: OwnChains::default(),
            mirror: None,
            sticky: None,
            tokens: 0,
        }
    }

    /// Whether the route has models for content that was refused.
    pub fn answers_refusals(&self) -> bool {
        self.legs.iter().any(|leg| leg.on == On::Refusal)
    }

    /// All targets, those that are tried first in front.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.legs.iter().flat_map(|leg| &leg.targets)
    }

    /// Leaves out targets. What is left may be nothing.
    pub fn retain(&mut self, mut keep: impl FnMut(&Target) -> bool) {
        for leg in &mut self.legs {
            leg.targets.retain(&mut keep);
        }
        self.legs.retain(|leg| !leg.targets.is_empty());
    }
}

/// Nothing serves this model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoute {
    pub model: String,
    /// Known names that look like it, the closest first.
    pub close: Vec<String>,
    /// In mode `direct`: the provider that has the model but does not speak the caller's dialect.
    pub unspoken: Option<(String, DialectId)>,
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((provider, dialect)) = &self.unspoken {
            return write!(
                f,
                "the provider `{provider}` of the model `{}` does not speak the dialect {dialect}, and mode `direct` does not convert",
                self.model
            );
        }
        write!(f, "no provider serves the model `{}`", self.model)?;
        if !self.close.is_empty() {
            write!(f, "; close matches: {}", self.close.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NoRoute {}

/// Decides who may serve a request. The first of these that claims the model's name does:
///
/// 1. `provider/model` written out, where the first segment names a configured provider; the rest is the model, slashes and all;
/// 2. the first route whose model and conditions match: its targets, then its fallbacks; or the arm of its split;
/// 3. the catalogue's provider of the model, if it is configured with a key;
/// 4. every provider with a key that declares the model in its `models`;
/// 5. the preferred provider;
/// 6. the only provider there is with a key.
///
/// Which of the targets is tried when depends on how they fare: see [`Walk`](crate::Walk).
pub fn plan(snapshot: &Snapshot, ask: &Ask<'_>, dice: Dice<'_>) -> Result<Plan, NoRoute> {
    let asked = Asked::new(ask);
    let mut planner = Planner {
        snapshot,
        ask,
        asked: &asked,
        legs: Vec::new(),
        arm: None,
        unspoken: None,
    };
    let route_index = planner.leg(On::Asked, ask.model, None, dice);
    let route = route_index.and_then(|index| snapshot.routes.get(index));
    if let Some(route) = route {
        // Fallbacks too are tried for this route's sake, and handled as it says.
        for (on, model) in chains(route) {
            planner.leg(on, model, Some(route), dice);
        }
    }
    let Planner {
        legs,
        arm,
        unspoken,
        ..
    } = planner;
    if legs.is_empty() {
        return Err(NoRoute {
            model: ask.model.to_owned(),
            close: snapshot.known.close(snapshot, ask.model),
            unspoken,
        });
    }
    let limited = |target: &Target| target.provider.keys.counts_tokens();
    let counted = legs.iter().flat_map(|leg| &leg.targets).any(limited);
    let sticky = legs.iter().find_map(|leg| match leg.strategy {
        Strategy::Sticky(by) => sticky(ask.facts, by),
        _ => None,
    });
    Ok(Plan {
        route: route_index,
        arm,
        own: route
            .map(|route| OwnChains {
                context_length: route.fallbacks_on.context_length.is_some(),
                refusal: route.fallbacks_on.refusal.is_some(),
                timeout: route.fallbacks_on.timeout.is_some(),
            })
            .unwrap_or_default(),
        mirror: route.and_then(|route| mirrored(snapshot, route, ask, dice)),
        retry: route.map(|route| route.retry).unwrap_or_default(),
        last_resort: route
            .map(|route| route.last_resort.clone())
            .unwrap_or_default(),
        sticky,
        tokens: if counted { ask.facts.tokens() } else { 0 },
        legs,
    })
}

/// What a route tries after the model that was asked for, and when.
pub(crate) fn chains(route: &Route) -> impl Iterator<Item = (On, &str)> {
    let last = match &route.last_resort {
        LastResort::Fallback(model) => Some(model),
        LastResort::Usual | LastResort::Refuse | LastResort::Queue(_) | LastResort::LeastBad => {
            None
        }
    };
    let own = &route.fallbacks_on;
    let named = [
        (On::Failure, Some(&route.fallbacks)),
        (On::ContextLength, own.context_length.as_ref()),
        (On::Refusal, own.refusal.as_ref()),
        (On::Timeout, own.timeout.as_ref()),
    ];
    let named = named.into_iter().flat_map(|(on, models)| {
        let models = models.into_iter().flatten();
        models.map(move |model| (on, model.as_str()))
    });
    named.chain(last.map(|model| (On::LastResort, model.as_str())))
}

/// The hash of what stays together; `None` where the request does not tell it.
pub(crate) fn sticky(facts: &dyn Facts, by: By) -> Option<u64> {
    let hash = |text: &str| name_hash(text);
    match by {
        By::Session => Some(
            facts
                .session()
                .map_or_else(|| facts.prefix(), |session| hash(&session)),
        ),
        By::Prefix => Some(facts.prefix()),
        By::User => facts.user().map(|user| hash(&user)),
        By::Key => facts.key().map(hash),
    }
}

/// Where a copy of the request goes, if this one is among the share.
fn mirrored(snapshot: &Snapshot, route: &Route, ask: &Ask<'_>, dice: Dice<'_>) -> Option<Target> {
    let mirror = route.mirror.as_ref()?;
    if dice() % 1_000_000 >= u64::from(mirror.share) {
        return None;
    }
    let provider = snapshot.providers.get(mirror.provider)?;
    let model = mirror.model.as_deref().unwrap_or(ask.model);
    let (endpoint, _) = provider.endpoint(ask.dialect, model)?;
    Some(Target {
        handling: route.handling(snapshot.defaults.handling),
        ..Target::at(provider, endpoint, model)
    })
}

/// How deep splits may lead into splits.
const SPLITS: usize = 8;

/// Gathers the legs of a plan.
struct Planner<'a> {
    snapshot: &'a Snapshot,
    ask: &'a Ask<'a>,
    asked: &'a Asked<'a>,
    legs: Vec<Leg>,
    arm: Option<ChosenArm>,
    unspoken: Option<(String, DialectId)>,
}

/// One who serves a model, before it is known how it is spoken to.
pub(crate) struct Wanted<'s> {
    pub(crate) provider: &'s Arc<Provider>,
    pub(crate) model: String,
    weight: u32,
    tier: u32,
    pub(crate) keys: Selection,
}

impl<'s> Wanted<'s> {
    fn plain(provider: &'s Arc<Provider>, model: &str) -> Self {
        Self {
            provider,
            model: model.to_owned(),
            weight: 1,
            tier: 0,
            keys: Selection::default(),
        }
    }
}

impl Planner<'_> {
    /// Adds the targets of a model that no earlier leg has; returns the route that decided, if one did. `of`: the route whose
    /// fallback it is.
    fn leg(&mut self, on: On, model: &str, of: Option<&Route>, dice: Dice<'_>) -> Option<usize> {
        let name = model;
        let mut model = name.to_owned();
        let mut wanted = Vec::new();
        let mut claimed = claim(self.snapshot, &model, self.asked, &mut wanted);
        let mut splits: Vec<Drawn> = Vec::new();
        for _ in 0..SPLITS {
            let index = claimed.route();
            let route = index.and_then(|index| self.snapshot.routes.get(index));
            let Some(split) = route.and_then(|route| route.split.as_ref()) else {
                break;
            };
            let hash = split.sticky.and_then(|by| sticky(self.ask.facts, by));
            let Some((place, arm)) =
                arm(split, hash, dice).and_then(|place| Some((place, split.arms.get(place)?)))
            else {
                break;
            };
            let chosen = ChosenArm {
                split: split.name.clone(),
                model: arm.model.clone(),
            };
            self.arm.get_or_insert(chosen);
            model.clone_from(&arm.model);
            splits.extend(index.map(|route| Drawn {
                route,
                arm: place,
                by: split.sticky.filter(|_| hash.is_some()),
            }));
            claimed = claim(self.snapshot, &model, self.asked, &mut wanted);
        }
        // An arm without a route of its own is tried as the split's route says.
        let outer = splits.last().map(|drawn| drawn.route);
        let index = claimed.route().or(outer);
        let route = index.and_then(|index| self.snapshot.routes.get(index));
        let handling = of
            .or(route)
            .map_or(self.snapshot.defaults.handling, |route| {
                route.handling(self.snapshot.defaults.handling)
            });
        let mode = route
            .and_then(|route| route.mode)
            .unwrap_or(self.snapshot.mode);
        let strategy = route.map(|route| route.strategy).unwrap_or_default();
        let mut targets: Vec<Target> = Vec::with_capacity(wanted.len());
        for Wanted {
            provider,
            model,
            weight,
            tier,
            keys,
        } in wanted
        {
            let endpoint = match mode {
                Mode::Transform => provider.endpoint(self.ask.dialect, &model),
                Mode::Direct => provider.speaks(self.ask.dialect),
            };
            let Some((endpoint, spoken)) = endpoint else {
                self.unspoken
                    .get_or_insert_with(|| (provider.name.clone(), self.ask.dialect));
                continue;
            };
            let target = Target {
                provider: Arc::clone(provider),
                endpoint,
                handling,
                weight,
                tier,
                keys,
                same_dialect: spoken.dialect == self.ask.dialect,
                price: None,
                model,
            };
            let earlier = self.legs.iter().flat_map(|leg| &leg.targets);
            if !earlier.chain(&targets).any(|known| known.is(&target)) {
                targets.push(target);
            }
        }
        if strategy == Strategy::Cheapest {
            let (tokens, output) = (self.ask.facts.tokens(), self.ask.facts.max_output());
            for target in &mut targets {
                target.price = target.provider.cost(&target.model, tokens, output);
            }
        }
        targets.sort_by_key(|target| target.tier);
        if !targets.is_empty() {
            self.legs.push(Leg {
                on,
                name: name.to_owned(),
                claimed,
                splits,
                model,
                strategy,
                prefer_same_dialect: route.is_some_and(|route| route.prefer_same_dialect),
                targets,
                turns: route
                    .map(|route| Arc::clone(&route.turns))
                    .unwrap_or_default(),
            });
        }
        index
    }
}

/// Adds those who serve `model` to `wanted`, with the upstream's name; returns what decided.
pub(crate) fn claim<'s>(
    snapshot: &'s Snapshot,
    model: &str,
    asked: &Asked<'_>,
    wanted: &mut Vec<Wanted<'s>>,
) -> Claimed {
    if let Some((name, rest)) = model.split_once('/')
        && !rest.is_empty()
        && let Some(provider) = snapshot.provider(name)
    {
        wanted.push(Wanted::plain(provider, rest));
        return Claimed::WrittenOut;
    }

    if let Some(index) = snapshot.routes.find(model, asked)
        && let Some(route) = snapshot.routes.get(index)
    {
        for target in &route.targets {
            if let Some(provider) = snapshot.providers.get(target.provider) {
                wanted.push(Wanted {
                    provider,
                    model: target.model.as_deref().unwrap_or(model).to_owned(),
                    weight: target.weight,
                    tier: target.priority,
                    keys: match target.keys.as_slice() {
                        [] => Selection::ALL,
                        // Looked up: the pool keeps what the configuration asked of it.
                        tags => provider.keys.select(tags),
                    },
                });
            }
        }
        return Claimed::Route(index);
    }

    let cataloged = lingate_catalog::builtin()
        .providers_of_model(model)
        .find_map(|row| {
            let mut following = snapshot.providers.following(&row.id);
            following.find(|provider| has_key(snapshot, provider))
        });
    if let Some(provider) = cataloged {
        wanted.push(Wanted::plain(provider, model));
        return Claimed::Catalogue;
    }

    let before = wanted.len();
    wanted.extend(
        snapshot
            .providers
            .declaring(model)
            .filter(|provider| has_key(snapshot, provider))
            .map(|provider| Wanted::plain(provider, model)),
    );
    if wanted.len() > before {
        return Claimed::Declared;
    }

    let preferred = snapshot
        .preferred_provider
        .and_then(|index| snapshot.providers.get(index));
    let mut usable = snapshot
        .providers
        .iter()
        .filter(|provider| has_key(snapshot, provider));
    let only = usable.next().filter(|_| usable.next().is_none());
    let last = preferred.map(|provider| (provider, Claimed::Preferred));
    let last = last.or_else(|| only.map(|provider| (provider, Claimed::Only)));
    let Some((provider, claimed)) = last else {
        return Claimed::Nobody;
    };
    wanted.push(Wanted::plain(provider, model));
    claimed
}

pub(crate) fn has_key(snapshot: &Snapshot, provider: &Provider) -> bool {
    snapshot.auth == Auth::Passthrough || !provider.keys.is_empty()
}

#[cfg(test)]
mod tests;
