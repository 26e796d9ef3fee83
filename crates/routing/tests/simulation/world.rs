//! A simulated time: clients come, walks go from upstream to upstream, and every step is held against the rules.
//!
//! The world knows the truth of the upstreams; what Lingate believes is read by its public interface before each attempt, so that
//! a walk is never its own witness.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use lingate_catalog::{OwnPrices, Price};
use lingate_dialect::DialectId;
use lingate_routing::{
    Attempt, AuthScheme, BreakerRules, BreakerState, Chosen, Class, End, Endpoint, Fault,
    Hindrance, KeyLimits, KeyPool, KeySpec, KeyState, LastResort, Moment, Next, On, Pattern, Plan,
    Provider, ProviderHealth, Purse, Quota, Retry, Route, RouteTarget, Scope, Skip, Snapshot,
    Standing, Target, Walk, plan,
};
use rustc_hash::FxHashMap;
use secrecy::{ExposeSecret, SecretString};

use crate::clients::{Clients, Request};
use crate::dice::Dice;
use crate::upstream::{Reply, Span, Vendor};

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Law {
    /// No target is tried twice with the same key for one request.
    Twice,
    /// An open breaker gets its probe and nothing else.
    OpenBreaker,
    /// A resting key gets its probe and nothing else.
    RestingKey,
    /// Nobody asks again before the moment that the upstream told.
    TooSoon,
    /// What has weight 0 gets nothing.
    Drained,
    /// No more attempts, and no later ones, than the route says.
    Limits,
    /// A queue is waited in no longer than the route says.
    Queue,
    /// What clients do wrong penalises nothing.
    ClientFault,
    /// No more requests at the same time than a key may have.
    Cap,
    /// Who comes when told finds something, unless others took it.
    Honest,
    /// Nothing is held when all is over.
    Leak,
}

#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) law: Law,
    pub(crate) told: String,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct Tale {
    pub(crate) request: Request,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) steps: Vec<Told>,
    pub(crate) outcome: Outcome,
    /// Some target and key would have answered at any moment of it, and had been well for so long that this must be known.
    pub(crate) settled: bool,
    /// The same, however short the time that it had been well.
    pub(crate) well: bool,
    pub(crate) arm: Option<String>,
    /// The client came at the moment that it was told before, and when it was told.
    pub(crate) again: Option<u64>,
    pub(crate) waits: u32,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) secret: String,
    pub(crate) chosen: Chosen,
    pub(crate) class: Option<Class>,
    pub(crate) at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served,
    Ended(End),
    HungUp,
}

#[derive(Debug)]
enum Event {
    Arrives,
    Asks(Request, Option<u64>),
    Replies(u64, u64),
    Ends(u64, u64),
    Wakes(u64, u64),
    HangsUp(u64),
    Reloads,
}

struct Visit {
    id: u64,
    request: Request,
    walk: Walk,
    began: u64,
    attempt: Option<Box<Attempt>>,
    reply: Option<Reply>,
    /// Raised with each step, so that events of an earlier one are known for what they are.
    serial: u64,
    served: bool,
    asked_again: bool,
    steps: Vec<Told>,
    paths: Vec<Path>,
    again: Option<u64>,
    waits: u32,
}

/// A target and a key that might serve a request.
struct Path {
    vendor: usize,
    model: String,
    secret: String,
    settled: bool,
    well: bool,
}

/// A probe that is under way.
struct Probe {
    visit: u64,
    since: u64,
    /// What tells this rest or opening from others.
    of: u64,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) tales: Vec<Tale>,
    pub(crate) findings: Vec<Finding>,
    /// Who is told when to come again does.
    pub(crate) obedient: bool,
    /// Attempts whose chosen key or breaker was let through although it rests.
    pub(crate) excused: u32,
    pub(crate) probed: u32,
    rules: BreakerRules,
    routes: fn() -> Vec<Route>,
    clients: Option<Clients>,
    closes: u64,
    events: BTreeMap<(u64, u64), Event>,
    visits: FxHashMap<u64, Visit>,
    count: u64,
    dice: Dice,
    chance: Dice,
    probes: FxHashMap<String, Probe>,
    /// When each provider was asked, or answered, last.
    tried: FxHashMap<String, u64>,
    /// Until when an upstream wants to be left alone, by what it counts by.
    told: FxHashMap<String, u64>,
}

/// How long the pools wait for a key's probe.
const PATIENCE: u64 = 30_000;

pub(crate) fn moment(at: u64) -> Moment {
    Moment::from_millis(at)
}

/// A route for one name.
pub(crate) fn route(model: &str, targets: Vec<RouteTarget>) -> Route {
    let pattern = Pattern::parse(model).unwrap_or_else(|bad| panic!("{model}: {bad:?}"));
    Route::to(pattern, targets)
}

/// A provider's model as a target, with a weight and a priority.
pub(crate) fn target(provider: usize, model: &str, weight: u32, priority: u32) -> RouteTarget {
    RouteTarget {
        weight,
        priority,
        ..RouteTarget::at(provider, Some(model))
    }
}

/// As people write it.
pub(crate) fn clock(at: u64) -> String {
    let (seconds, millis) = (at / 1000, at % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

fn configured(vendor: &Vendor, rules: BreakerRules) -> Provider {
    let keys = vendor.keys.iter().map(|key| KeySpec {
        weight: key.weight,
        account: (!key.account.is_empty()).then(|| key.account.to_owned()),
        limits: KeyLimits {
            concurrency: key.cap,
            ..KeyLimits::default()
        },
        ..KeySpec::new(SecretString::from(key.text.clone()))
    });
    let price = vendor
        .price
        .map(|price| Price::flat(price * 1_000_000, price * 1_000_000));
    Provider {
        name: vendor.name.to_owned(),
        endpoints: vec![Endpoint {
            dialect: DialectId::Chat,
            base_url: format!("https://{}.example/v1", vendor.name),
            auth: AuthScheme {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
            },
            headers: Vec::new(),
        }],
        keys: KeyPool::new(keys),
        prices: Arc::new(OwnPrices::new(price.map(|price| ("*".to_owned(), price)))),
        health: ProviderHealth::new(rules),
        ..Provider::default()
    }
}

impl World {
    pub(crate) fn new(seed: u64, vendors: Vec<Vendor>, routes: fn() -> Vec<Route>) -> Self {
        let mut world = Self {
            seed,
            now: 0,
            snapshot: Arc::default(),
            vendors,
            tales: Vec::new(),
            findings: Vec::new(),
            obedient: false,
            excused: 0,
            probed: 0,
            rules: BreakerRules::default(),
            routes,
            clients: None,
            closes: 0,
            events: BTreeMap::new(),
            visits: FxHashMap::default(),
            count: 0,
            dice: Dice::new(seed),
            chance: Dice::new(seed ^ 0x5eed),
            probes: FxHashMap::default(),
            tried: FxHashMap::default(),
            told: FxHashMap::default(),
        };
        world.snapshot = Arc::new(world.configure());
        world
    }

    fn configure(&self) -> Snapshot {
        let providers = self.vendors.iter();
        let providers = providers.map(|vendor| Arc::new(configured(vendor, self.rules)));
        Snapshot {
            providers: providers.collect(),
            routes: (self.routes)().into(),
            ..Snapshot::default()
        }
    }

    /// The configuration is read anew at this moment.
    pub(crate) fn reload_at(&mut self, at: u64) {
        self.schedule(at, Event::Reloads);
    }

    /// Clients come until a moment, and all that they began is brought to its end.
    pub(crate) fn run(&mut self, clients: Clients, until: u64) {
        let first = clients.next(self.now, &mut self.dice);
        self.clients = Some(clients);
        self.closes = until;
        self.schedule(first, Event::Arrives);
        self.drain();
        self.now = self.now.max(until);
    }

    /// Brings all that is under way to its end.
    pub(crate) fn drain(&mut self) {
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            match event {
                Event::Arrives => self.arrives(),
                Event::Asks(request, again) => self.begins(request, again),
                Event::Replies(visit, serial) => self.replies(visit, serial),
                Event::Ends(visit, serial) => self.ends(visit, serial),
                Event::Wakes(visit, serial) => {
                    if let Some(visit) = self.take(visit, serial) {
                        self.go_on(visit);
                    }
                }
                Event::HangsUp(visit) => {
                    if let Some(visit) = self.visits.remove(&visit) {
                        let outcome = if visit.served {
                            Outcome::Served
                        } else {
                            Outcome::HungUp
                        };
                        self.finish(visit, outcome);
                    }
                }
                Event::Reloads => {
                    let snapshot = self.configure();
                    snapshot.inherit(&self.snapshot);
                    self.snapshot = Arc::new(snapshot);
                }
            }
        }
        self.look_for_leaks();
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    fn arrives(&mut self) {
        let Some(clients) = &self.clients else {
            return;
        };
        let (draw, next) = (clients.draw, clients.next(self.now, &mut self.dice));
        let request = draw(&mut self.dice);
        self.begins(request, None);
        if next < self.closes {
            self.schedule(next, Event::Arrives);
        }
    }

    fn begins(&mut self, request: Request, again: Option<u64>) {
        let facts = request.facts();
        let planned = plan(&self.snapshot, &request.ask(&facts), &mut || {
            self.chance.roll()
        });
        let plan = planned.unwrap_or_else(|none| panic!("seed {}: {none}", self.seed));
        let paths = self.paths(&plan, &request);
        self.count += 1;
        let id = self.count;
        if let Some(patience) = request.patience {
            self.schedule(self.now + patience, Event::HangsUp(id));
        }
        self.go_on(Visit {
            id,
            walk: Walk::new(plan, Purse::Pool, moment(self.now)),
            request,
            began: self.now,
            attempt: None,
            reply: None,
            serial: 0,
            served: false,
            asked_again: false,
            steps: Vec::new(),
            paths,
            again,
            waits: 0,
        });
    }

    /// Which targets and keys may serve a request, by what its route says.
    fn paths(&self, plan: &Plan, request: &Request) -> Vec<Path> {
        let own = plan
            .route
            .and_then(|route| self.snapshot.routes.get(route))
            .map(|route| route.fallbacks_on.clone())
            .unwrap_or_default();
        let mut paths = Vec::new();
        for leg in &plan.legs {
            let reached = match leg.on {
                // Where one refuses, others who serve the same are not asked.
                On::Asked => !request.touchy,
                On::Failure => {
                    own.timeout.is_none()
                        && (!request.touchy || own.refusal.is_none())
                        && own.context_length.is_none()
                }
                // Only after a failure that the world cannot foresee.
                On::Refusal | On::ContextLength | On::Timeout | On::LastResort => false,
            };
            if !reached {
                continue;
            }
            for target in leg.targets.iter().filter(|target| target.weight > 0) {
                let place = self.place(&target.provider.name);
                let keys = self.vendors[place].keys.iter();
                paths.extend(keys.filter(|key| key.weight > 0).map(|key| Path {
                    vendor: place,
                    model: target.model.clone(),
                    secret: key.text.clone(),
                    settled: true,
                    well: true,
                }));
            }
        }
        paths
    }

    fn place(&self, vendor: &str) -> usize {
        let place = self.vendors.iter().position(|known| known.name == vendor);
        place.unwrap_or_else(|| panic!("seed {}: no vendor {vendor}", self.seed))
    }

    fn take(&mut self, visit: u64, serial: u64) -> Option<Visit> {
        let current = self.visits.get(&visit)?.serial == serial;
        current.then(|| self.visits.remove(&visit)).flatten()
    }

    /// Asks the walk what to do, and does it.
    fn go_on(&mut self, mut visit: Visit) {
        self.look_at_paths(&mut visit);
        let before = Before::of(&visit.walk, self.now);
        let chance = &mut self.chance;
        let next = visit.walk.next(moment(self.now), &mut || chance.roll());
        visit.serial += 1;
        match next {
            Next::Try(attempt) => {
                self.watch(&visit, &attempt, &before);
                visit.steps.push(Told {
                    provider: attempt.target.provider.name.clone(),
                    model: attempt.target.model.clone(),
                    secret: secret(&attempt),
                    chosen: attempt.chosen,
                    class: None,
                    at: self.now,
                });
                visit.attempt = Some(attempt);
                self.send(visit);
            }
            Next::Wait(until) => {
                let until = until.as_millis();
                let latest = match visit.walk.plan().last_resort {
                    LastResort::Queue(patience) => visit.began + millis(patience),
                    _ => self.now,
                };
                if until > latest || until <= self.now {
                    let told = format!("waits until {}", clock(until));
                    self.breaks(Law::Queue, &visit, &told);
                }
                visit.waits += 1;
                self.schedule(
                    until.max(self.now + 1),
                    Event::Wakes(visit.id, visit.serial),
                );
                self.visits.insert(visit.id, visit);
            }
            Next::End(end) => {
                if let Some(told) = visit.again.filter(|_| visit.steps.is_empty())
                    && let End::Down(down) = &end
                {
                    let targets = visit.walk.plan().targets();
                    let mut tried = targets.map(|target| self.tried.get(&target.provider.name));
                    if !tried.any(|at| at.is_some_and(|at| *at >= told)) {
                        let what = format!("told at {} to come now: {down:?}", clock(told));
                        self.breaks(Law::Honest, &visit, &what);
                    }
                }
                if let End::Down(down) = &end
                    && self.obedient
                    && visit.again.is_none()
                    && let Some(ready_at) = down.ready_at
                    // When a key that has as much under way as it may is free is a guess.
                    && !down.skipped.iter().any(|skipped| is_guess(&skipped.why))
                {
                    let request = visit.request.clone();
                    self.schedule(ready_at.as_millis(), Event::Asks(request, Some(self.now)));
                }
                self.finish(visit, Outcome::Ended(end));
            }
        }
    }

    /// Sends the attempt of a visit to its upstream.
    fn send(&mut self, mut visit: Visit) {
        let Some(attempt) = &visit.attempt else {
            return;
        };
        let model = attempt.target.model.clone();
        let place = self.place(&attempt.target.provider.name);
        let secret = secret(attempt);
        let vendor = &mut self.vendors[place];
        let reply = vendor.ask(&secret, &model, &visit.request, self.now, &mut self.dice);
        let wait = match &reply {
            Reply::Fails { took, .. } => *took,
            Reply::Serves { first, .. } => *first,
        };
        visit.reply = Some(reply);
        self.schedule(self.now + wait, Event::Replies(visit.id, visit.serial));
        self.visits.insert(visit.id, visit);
    }

    fn replies(&mut self, visit: u64, serial: u64) {
        let Some(mut visit) = self.take(visit, serial) else {
            return;
        };
        let now = moment(self.now);
        let Some((mut attempt, reply)) = visit.attempt.take().zip(visit.reply.take()) else {
            return;
        };
        if visit.request.odd && !visit.asked_again && visit.walk.may_ask_again() {
            visit.asked_again = true;
            let step = visit
                .walk
                .again(&mut attempt, &Fault::new(Class::Client), now);
            assert_eq!(step.took, moment(attempt_began(&visit)).until(now));
            visit.serial += 1;
            visit.attempt = Some(attempt);
            self.send(visit);
            return;
        }
        self.look_at_paths(&mut visit);
        let provider = attempt.target.provider.name.clone();
        self.tried.insert(provider, self.now);
        match reply {
            Reply::Fails { fault, .. } => {
                let before = Before::of(&visit.walk, self.now);
                self.remember(&attempt, &fault);
                let step = visit.walk.failed(*attempt, &fault, now);
                if let Some(told) = visit.steps.last_mut() {
                    told.class = Some(fault.class);
                }
                assert_eq!(step.fault.as_ref(), Some(&fault));
                self.probes.retain(|_, probe| probe.visit != visit.id);
                if let Class::Client | Class::Unfit | Class::ContextLength | Class::Refused =
                    fault.class
                {
                    let after = Before::of(&visit.walk, self.now);
                    if let Some(told) = before.grew_worse(&after) {
                        self.breaks(Law::ClientFault, &visit, &told);
                    }
                }
                self.go_on(visit);
            }
            Reply::Serves {
                first,
                rest,
                tokens,
                breaks,
            } => {
                attempt.served(visit.request.stream, now);
                self.probes.retain(|_, probe| probe.visit != visit.id);
                let place = self.place(&attempt.target.provider.name);
                let left =
                    self.vendors[place].left(&secret(&attempt), &attempt.target.model, self.now);
                if let Some((left, reset_at)) = left
                    && let Some(key) = attempt.pool_key()
                {
                    let reset_at = moment(reset_at);
                    attempt
                        .target
                        .provider
                        .keys
                        .quota(&key, Quota { left, reset_at });
                }
                visit.served = true;
                visit.serial += 1;
                visit.attempt = Some(attempt);
                visit.reply = Some(Reply::Serves {
                    first,
                    rest,
                    tokens,
                    breaks,
                });
                let lasts = if breaks { rest / 2 } else { rest };
                self.schedule(self.now + lasts, Event::Ends(visit.id, visit.serial));
                self.visits.insert(visit.id, visit);
            }
        }
    }

    fn ends(&mut self, visit: u64, serial: u64) {
        let Some(mut visit) = self.take(visit, serial) else {
            return;
        };
        let now = moment(self.now);
        if let Some((mut attempt, reply)) = visit.attempt.take().zip(visit.reply.take())
            && let Reply::Serves { tokens, breaks, .. } = reply
        {
            if breaks {
                attempt.broke(&Fault::new(Class::Network), now);
            } else {
                attempt.finished(tokens, now);
            }
        }
        self.finish(visit, Outcome::Served);
    }

    fn finish(&mut self, visit: Visit, outcome: Outcome) {
        self.probes.retain(|_, probe| probe.visit != visit.id);
        let arm = visit.walk.plan().arm.as_ref().map(|arm| arm.model.clone());
        self.tales.push(Tale {
            settled: visit.paths.iter().any(|path| path.settled),
            well: visit.paths.iter().any(|path| path.well),
            request: visit.request,
            began: visit.began,
            ended: self.now,
            steps: visit.steps,
            outcome,
            arm,
            again: visit.again,
            waits: visit.waits,
        });
    }

    fn look_at_paths(&self, visit: &mut Visit) {
        for path in &mut visit.paths {
            let vendor = &self.vendors[path.vendor];
            let would = |settled| {
                vendor.would_answer(&path.secret, &path.model, &visit.request, settled, self.now)
            };
            path.well = path.well && would(false);
            path.settled = path.settled && path.well && would(true);
        }
    }

    /// Keeps in mind what an upstream told of a limit.
    fn remember(&mut self, attempt: &Attempt, fault: &Fault) {
        let Some(wait) = fault.retry_after else {
            return;
        };
        let what = match (fault.scope, &fault.account) {
            (Scope::Account, Some(account)) => {
                let provider = &attempt.target.provider.name;
                format!("{provider} {account} {}", attempt.target.model)
            }
            (Scope::Model | Scope::Account, _) => {
                format!("{} {}", secret(attempt), attempt.target.model)
            }
            (Scope::Key, _) => secret(attempt),
        };
        let until = self.now + millis(wait);
        let known = self.told.entry(what).or_default();
        *known = until.max(*known);
    }

    fn breaks(&mut self, law: Law, visit: &Visit, what: &str) {
        let mut told = format!(
            "{law:?}: seed {} at {}: {} of session {}: {what};",
            self.seed,
            clock(self.now),
            visit.request.model,
            visit.request.session
        );
        write_steps(&mut told, &visit.steps);
        self.findings.push(Finding { law, told });
    }

    /// Holds a new attempt against what is known from before it.
    fn watch(&mut self, visit: &Visit, attempt: &Attempt, before: &Before) {
        let provider = attempt.target.provider.name.clone();
        let model = attempt.target.model.clone();
        let secret = secret(attempt);
        let now = moment(self.now);
        let mut broken: Vec<(Law, String)> = Vec::new();
        self.tried.insert(provider.clone(), self.now);
        let is_tried =
            |told: &Told| told.provider == provider && told.model == model && told.secret == secret;
        if visit.steps.iter().any(is_tried) {
            broken.push((Law::Twice, format!("{provider}/{model} {secret} again")));
        }
        let least_bad = attempt.chosen == Chosen::LastResort
            && visit.walk.plan().last_resort == LastResort::LeastBad;
        let only_key = attempt.chosen == Chosen::OnlyKey
            && visit.walk.plan().last_resort == LastResort::Usual
            && visit.walk.plan().targets().count() == 1;
        let pool = before
            .keys
            .get(&provider)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let breakers = [
            (provider.clone(), before.providers.get(&provider)),
            (
                format!("{provider}/{model}"),
                before.models.get(&(provider.clone(), model.clone())),
            ),
        ];
        for (name, state) in breakers {
            match state {
                None | Some(BreakerState::Closed(_)) => {}
                Some(_) if least_bad => self.excused += 1,
                Some(BreakerState::Open(open)) => {
                    let until = clock(open.until.as_millis());
                    broken.push((Law::OpenBreaker, format!("{name} is open until {until}")));
                }
                Some(BreakerState::HalfOpen { probing, why }) => {
                    let since = why.since.as_millis();
                    let other = self.probes.get(&name).filter(|probe| {
                        probe.of == since && probe.since + millis(self.rules.longest) > self.now
                    });
                    if *probing || other.is_some() {
                        broken.push((Law::OpenBreaker, format!("a second probe of {name}")));
                    }
                    self.probed += 1;
                    let probe = Probe {
                        visit: visit.id,
                        since: self.now,
                        of: since,
                    };
                    self.probes.insert(name, probe);
                }
            }
        }
        let standing = pool.iter().find(|standing| {
            Some(standing.key.fingerprint())
                == attempt.pool_key().as_ref().map(|key| key.fingerprint())
        });
        if let Some(standing) = standing {
            let of_model = standing.models.iter().find(|(known, _)| **known == *model);
            let resting = [Some(&standing.state), of_model.map(|(_, state)| state)];
            for state in resting.into_iter().flatten() {
                let until = state.until().map(Moment::as_millis);
                match (state, until) {
                    (KeyState::Off { .. }, _) => {
                        broken.push((Law::RestingKey, format!("{secret} is off")));
                    }
                    (KeyState::Healthy, _) | (_, None) => {}
                    (_, Some(_)) if least_bad || only_key => self.excused += 1,
                    (state, Some(until)) if until > self.now => {
                        let (name, until) = (state.name(), clock(until));
                        broken.push((Law::RestingKey, format!("{secret} is {name} until {until}")));
                    }
                    (_, Some(until)) => {
                        let other = self
                            .probes
                            .get(&secret)
                            .filter(|probe| probe.of == until && probe.since + PATIENCE > self.now);
                        if other.is_some() {
                            broken.push((Law::RestingKey, format!("a second probe of {secret}")));
                        }
                        self.probed += 1;
                        let probe = Probe {
                            visit: visit.id,
                            since: self.now,
                            of: until,
                        };
                        self.probes.insert(secret.clone(), probe);
                    }
                }
            }
            if standing.weight == 0 || attempt.target.weight == 0 {
                broken.push((Law::Drained, format!("{provider}/{model} {secret}")));
            }
            let place = self.place(&provider);
            let cap = self.vendors[place]
                .keys
                .iter()
                .find(|key| key.text == secret);
            if let Some(cap) = cap.and_then(|key| key.cap)
                && standing.in_flight >= cap
            {
                broken.push((
                    Law::Cap,
                    format!("{secret} has {} under way", standing.in_flight),
                ));
            }
            let mut counted = vec![secret.clone(), format!("{secret} {model}")];
            let account = standing.account.as_ref();
            counted.extend(account.map(|account| format!("{provider} {account} {model}")));
            let told = counted.iter().filter_map(|what| self.told.get(what)).max();
            if let Some(until) = told.filter(|until| **until > self.now)
                && !(least_bad || only_key)
            {
                let until = clock(*until);
                broken.push((
                    Law::TooSoon,
                    format!("{secret} wants to rest until {until}"),
                ));
            }
        } else {
            broken.push((Law::RestingKey, format!("{secret} is none of the pool's")));
        }
        let Retry {
            attempts,
            deadline,
            only_within,
        } = visit.walk.plan().retry;
        let waited = moment(visit.began).until(now);
        if visit.walk.attempts() > attempts.unwrap_or(Retry::ATTEMPTS) {
            broken.push((Law::Limits, format!("attempt {}", visit.walk.attempts())));
        }
        if deadline.is_some_and(|deadline| waited > deadline) {
            broken.push((Law::Limits, format!("after {waited:?}")));
        }
        if let Some((within, last)) = only_within.zip(visit.steps.last())
            && visit.waits == 0
            && moment(last.at).until(now) > within
            && !visit.asked_again
        {
            broken.push((
                Law::Limits,
                format!("the last took {:?}", moment(last.at).until(now)),
            ));
        }
        for (law, what) in broken {
            let what = format!("{} {what}", attempt.chosen.name());
            self.breaks(law, visit, &what);
        }
    }

    /// Requests that began within a time.
    pub(crate) fn within(&self, span: &Span) -> impl Iterator<Item = &Tale> + Clone {
        self.tales.iter().filter({
            let span = span.clone();
            move |tale| span.contains(&tale.began)
        })
    }

    /// Of the requests that began within a time the part that a provider served; and how many were served.
    pub(crate) fn share(&self, span: &Span, provider: &str) -> (f64, usize) {
        let served = self.within(span).filter_map(Tale::served_by);
        let mine = served.clone().filter(|told| told.provider == provider);
        let all = served.count();
        (ratio(mine.count(), all), all)
    }

    /// The laws have been kept; `scene` tells which world this is.
    pub(crate) fn check(&self, scene: &str) {
        let first = self
            .findings
            .iter()
            .take(5)
            .map(|finding| finding.told.as_str());
        let first: Vec<&str> = first.collect();
        assert!(
            first.is_empty(),
            "{scene}: {} findings:\n{}",
            self.findings.len(),
            first.join("\n")
        );
    }

    /// What is still held though nobody asks.
    fn look_for_leaks(&mut self) {
        let mut held = Vec::new();
        for provider in &self.snapshot.providers {
            for key in provider.keys.keys().filter(|key| key.in_flight() > 0) {
                held.push(format!("{key:?} has {} under way", key.in_flight()));
            }
            for model in provider.health.models() {
                let (name, busy) = (model.name(), model.gauge.in_flight());
                if busy > 0 {
                    held.push(format!("{}/{name} has {busy} under way", provider.name));
                }
                let now = moment(self.now);
                let states = [
                    provider.health.state(now),
                    provider.health.state_of(&model, now),
                ];
                let probing = |state: &BreakerState| {
                    matches!(state, BreakerState::HalfOpen { probing: true, .. })
                };
                if states.iter().any(probing) {
                    held.push(format!("{}/{name} is being probed", provider.name));
                }
            }
        }
        let seed = self.seed;
        self.findings.extend(held.into_iter().map(|what| Finding {
            law: Law::Leak,
            told: format!("Leak: seed {seed}: {what}"),
        }));
    }
}

/// How all that a walk may try stands.
struct Before {
    providers: BTreeMap<String, BreakerState>,
    models: BTreeMap<(String, String), BreakerState>,
    keys: BTreeMap<String, Vec<Standing>>,
}

impl Before {
    fn of(walk: &Walk, now: u64) -> Self {
        let now = moment(now);
        let mut before = Self {
            providers: BTreeMap::new(),
            models: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        for Target {
            provider, model, ..
        } in walk.plan().targets()
        {
            let (name, health) = (&provider.name, &provider.health);
            if !before.keys.contains_key(name) {
                before.keys.insert(name.clone(), provider.keys.states(now));
                before.providers.insert(name.clone(), health.state(now));
            }
            let state = health.state_of(&health.model(model, now), now);
            before.models.insert((name.clone(), model.clone()), state);
        }
        before
    }

    /// What is worse now.
    fn grew_worse(&self, after: &Self) -> Option<String> {
        let breakers = |states: &Self| {
            let providers = states.providers.values().cloned();
            providers
                .chain(states.models.values().cloned())
                .collect::<Vec<_>>()
        };
        let failed = |state: &BreakerState| match state {
            BreakerState::Closed(counts) => counts.failed,
            BreakerState::HalfOpen { .. } => u32::MAX - 1,
            BreakerState::Open(_) => u32::MAX,
        };
        let pairs = breakers(self).into_iter().zip(breakers(after));
        for (before, after) in pairs {
            if failed(&after) > failed(&before) {
                return Some(format!("{before:?} became {after:?}"));
            }
        }
        let keys = self
            .keys
            .values()
            .flatten()
            .zip(after.keys.values().flatten());
        for (before, after) in keys {
            if before.state != after.state || after.models.len() > before.models.len() {
                return Some(format!("{before:?} became {after:?}"));
            }
        }
        None
    }
}

fn is_guess(why: &Skip) -> bool {
    matches!(why, Skip::Keys(unready) if unready.why == Hindrance::AtCaps && unready.ready_at.is_none())
}

/// A part of a whole, from 0 to 1.
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    let float = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    float(part) / float(whole).max(1.0)
}

fn attempt_began(visit: &Visit) -> u64 {
    visit.steps.last().map_or(visit.began, |told| told.at)
}

fn secret(attempt: &Attempt) -> String {
    let secret = attempt
        .secret()
        .map(|secret| secret.expose_secret().to_owned());
    secret.unwrap_or_default()
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn write_steps(out: &mut String, steps: &[Told]) {
    for step in steps {
        let class = step.class.map_or("", Class::name);
        let Told {
            provider,
            model,
            secret,
            chosen,
            at,
            ..
        } = step;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            " {} {provider}/{model} {secret} {} {class};",
            clock(*at),
            chosen.name()
        );
    }
}

impl Tale {
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Ended(_))
    }

    /// Who served it.
    pub(crate) fn served_by(&self) -> Option<&Told> {
        let served = self.outcome == Outcome::Served;
        self.steps.last().filter(|_| served)
    }
}

impl fmt::Display for Tale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = String::new();
        write_steps(&mut steps, &self.steps);
        write!(
            f,
            "{} {} of session {}:{steps} {:?}",
            clock(self.began),
            self.request.model,
            self.request.session,
            self.outcome
        )
    }
}
