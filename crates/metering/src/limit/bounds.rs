//! The limits of one principal, ready to be asked by every request of his.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lingate_catalog::glob;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::window::Edges;
use super::{Each, Limit, Window};
use crate::counter::{Charge, CounterKey, Span};
use crate::tenant::{ApiKey, Organization, PlanRules, Plans, Prepaid, Project, Rules, User};
use crate::{Id, Millis};

/// Where a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Key,
    User,
    Project,
    Organization,
    /// What the organization has paid in advance.
    Wallet,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Project => "project",
            Self::Organization => "organization",
            Self::Wallet => "wallet",
        }
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub level: Level,
    pub id: Id,
    /// `acme/web`
    pub name: String,
    /// The plan that it is of, which this one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// `project acme/web`
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.level == Level::Wallet {
            return write!(f, "the wallet of organization {}", self.name);
        }
        if let Some(plan) = &self.plan {
            write!(f, "the plan `{plan}` of ")?;
        }
        write!(f, "{} {}", self.level.name(), self.name)
    }
}

/// A limit and what every request would work out anew.
#[derive(Debug)]
pub struct Bound {
    limit: Limit,
    scope: Scope,
    /// What names its counter, and where each has the amount for itself, the part that all of them share.
    name: Sha256,
    counter: CounterKey,
    /// Models that it does not refuse: the one that it names itself, and those that later limits of the same list name instead of
    /// that one. Who asks for the last step of a ladder is not sent up.
    steps: Box<[String]>,
    window: Recent,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.limit == other.limit && self.scope == other.scope
    }
}

impl Bound {
    /// The limits of one key, user, project or organization.
    pub fn all(limits: &[Limit], scope: &Scope) -> Vec<Arc<Self>> {
        let of = |(place, limit): (usize, &Limit)| {
            let mut steps: Vec<String> = limit.downgrade.iter().cloned().collect();
            for later in limits.iter().skip(place + 1) {
                let covers = |step: &String| covers(later.model.as_deref(), step);
                if let Some(to) = &later.downgrade
                    && !steps.contains(to)
                    && steps.iter().any(covers)
                {
                    steps.push(to.clone());
                }
            }
            Arc::new(Self::new(limit.clone(), scope.clone(), steps))
        };
        limits.iter().enumerate().map(of).collect()
    }

    fn new(limit: Limit, scope: Scope, steps: Vec<String>) -> Self {
        let mut name = Sha256::new();
        name.update(limit.id.as_u128().to_be_bytes());
        word(&mut name, limit.measure.name());
        match &limit.window {
            Window::Sliding(seconds) => word(&mut name, &format!("sliding {seconds}")),
            Window::Calendar { unit, zone } => {
                word(
                    &mut name,
                    &format!("calendar {} {}", unit.name(), zone.name()),
                );
            }
            Window::Total => word(&mut name, "total"),
            Window::Now => word(&mut name, "now"),
        }
        for only in [&limit.model, &limit.provider] {
            word(&mut name, only.as_deref().unwrap_or_default());
        }
        Self {
            counter: key_of(name.clone()),
            limit,
            scope,
            name,
            steps: steps.into(),
            window: Recent::default(),
        }
    }

    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What counters are asked to see how much of it is used; nothing is taken. `None`: each has the amount for itself, and so there is no
    /// one counter.
    pub fn counted(&self, now: Millis) -> Option<Charge> {
        self.limit.each.is_empty().then(|| Charge {
            counter: self.counter,
            span: self.span(now),
            capacity: None,
            ask: 0,
        })
    }

    /// Whether it can be asked only once a provider is chosen.
    pub fn is_of_provider(&self) -> bool {
        self.limit.provider.is_some() || self.limit.each.contains(&Each::Provider)
    }

    /// The counter of those that have none for each of something, and the time that it is of.
    pub fn whole(&self, now: Millis) -> (CounterKey, Span) {
        (self.counter, self.span(now))
    }

    /// Whether requests for a model that goes by any of these names count.
    pub(super) fn covers<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let pattern = self.limit.model.as_deref();
        names.into_iter().any(|name| covers(pattern, name))
    }

    pub(super) fn steps(&self) -> &[String] {
        &self.steps
    }

    pub(super) fn counter(
        &self,
        model: &str,
        provider: Option<&str>,
        end_user: Option<&str>,
    ) -> CounterKey {
        if self.limit.each.is_empty() {
            return self.counter;
        }
        let mut name = self.name.clone();
        for each in [Each::EndUser, Each::Model, Each::Provider] {
            if !self.limit.each.contains(&each) {
                continue;
            }
            word(&mut name, each.name());
            let one = match each {
                Each::EndUser => end_user,
                Each::Model => Some(model),
                Each::Provider => provider,
            };
            // Nobody is not somebody with an empty name.
            name.update([u8::from(one.is_some())]);
            word(&mut name, one.unwrap_or_default());
        }
        key_of(name)
    }

    pub(super) fn span(&self, now: Millis) -> Span {
        match &self.limit.window {
            Window::Calendar { unit, zone } => {
                let Edges { begins, ends } = self
                    .window
                    .at(now)
                    .unwrap_or_else(|| self.window.keep(Edges::of(*unit, zone, now)));
                Span::Fixed { begins, ends }
            }
            window @ (Window::Sliding(_) | Window::Total | Window::Now) => window.span(now),
        }
    }
}

fn covers(pattern: Option<&str>, model: &str) -> bool {
    pattern.is_none_or(|pattern| glob::matches(pattern, model))
}

fn word(name: &mut Sha256, word: &str) {
    name.update(word.len().to_be_bytes());
    name.update(word);
}

fn key_of(name: Sha256) -> CounterKey {
    let digest: [u8; 32] = name.finalize().into();
    CounterKey(Id::from_digest(&digest))
}

/// The part of the calendar that the last request was in: looking into a time zone costs more than everything else here.
#[derive(Debug, Default)]
struct Recent(AtomicU64);

impl Recent {
    /// Bits of the length in seconds, which a year fits into; the others hold the beginning.
    const LENGTH: u32 = 25;

    fn at(&self, now: Millis) -> Option<Edges> {
        let both = self.0.load(Ordering::Relaxed);
        let length = both & ((1 << Self::LENGTH) - 1);
        let begins = i64::try_from(both >> Self::LENGTH).ok()? * 1_000;
        let ends = begins + i64::try_from(length).ok()? * 1_000;
        (begins <= now && now < ends).then_some(Edges { begins, ends })
    }

    fn keep(&self, edges: Edges) -> Edges {
        let begins = u64::try_from(edges.begins / 1_000).ok();
        let length = u64::try_from((edges.ends - edges.begins) / 1_000).ok();
        let length = length.filter(|length| *length < 1 << Self::LENGTH);
        if let (Some(begins), Some(length)) = (begins, length) {
            self.0
                .store(begins << Self::LENGTH | length, Ordering::Relaxed);
        }
        edges
    }
}

/// All limits that requests of one principal must satisfy, from the key to the organization.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bounds {
    pub(super) list: Vec<Arc<Bound>>,
    of_providers: bool,
}

/// Makes the bounds of many principals, who share those of their user, project and organization.
#[derive(Debug)]
pub(crate) struct Binder<'a> {
    shared: FxHashMap<(Level, Id), Vec<Arc<Bound>>>,
    /// By organization.
    prepaid: &'a FxHashMap<Id, Prepaid>,
    plans: &'a Plans,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(prepaid: &'a FxHashMap<Id, Prepaid>, plans: &'a Plans) -> Self {
        Self {
            shared: FxHashMap::default(),
            prepaid,
            plans,
        }
    }

    /// Those of a principal; `None`: callers have no keys.
    pub(crate) fn bounds(
        &mut self,
        key: Option<&ApiKey>,
        user: Option<&User>,
        project: &Project,
        organization: &Organization,
    ) -> Bounds {
        let within = || format!("{}/{}", organization.name, project.name);
        let mut list = Vec::new();
        if let Some(key) = key {
            list.extend(bound(self.plans, &key.rules, Level::Key, key.id, &key.name));
        }
        if let Some(user) = user {
            let shared = self.shared.entry((Level::User, user.id));
            list.extend_from_slice(shared.or_insert_with(|| {
                bound(self.plans, &user.rules, Level::User, user.id, &user.name)
            }));
        }
        let shared = self.shared.entry((Level::Project, project.id));
        list.extend_from_slice(shared.or_insert_with(|| {
            bound(
                self.plans,
                &project.rules,
                Level::Project,
                project.id,
                &within(),
            )
        }));
        let Organization { id, name, rules } = organization;
        let shared = self.shared.entry((Level::Organization, *id));
        list.extend_from_slice(
            shared.or_insert_with(|| bound(self.plans, rules, Level::Organization, *id, name)),
        );
        if let Some(prepaid) = self.prepaid.get(id) {
            let shared = self.shared.entry((Level::Wallet, *id));
            list.extend_from_slice(shared.or_insert_with(|| {
                let scope = Scope {
                    level: Level::Wallet,
                    id: *id,
                    name: name.clone(),
                    plan: None,
                };
                Bound::all(&[prepaid.limit()], &scope)
            }));
        }
        list.into_iter().collect()
    }
}

/// The limits of one level, and those of its plan: of that, each who has it has all for itself.
fn bound(plans: &Plans, rules: &Rules, level: Level, id: Id, name: &str) -> Vec<Arc<Bound>> {
    let mut scope = Scope {
        level,
        id,
        name: name.to_owned(),
        plan: None,
    };
    let mut all = Bound::all(&rules.limits, &scope);
    let plan = rules.plan.as_ref().and_then(|plan| plans.get(plan));
    if let Some(PlanRules { plan, rules }) = plan.map(AsRef::as_ref) {
        let whose = id.to_string();
        let own = |limit: &Limit| Limit {
            id: Id::declared(&["plan", &limit.id.to_string(), &whose]),
            ..limit.clone()
        };
        let limits: Vec<Limit> = rules.limits.iter().map(own).collect();
        scope.plan = Some(plan.clone());
        all.extend(Bound::all(&limits, &scope));
    }
    all
}

impl Bounds {
    /// Whether requests need not be counted at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether some can be asked only once a provider is chosen.
    pub fn are_of_providers(&self) -> bool {
        self.of_providers
    }

    pub fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.list.iter().map(AsRef::as_ref)
    }
}

impl FromIterator<Arc<Bound>> for Bounds {
    fn from_iter<T: IntoIterator<Item = Arc<Bound>>>(bounds: T) -> Self {
        let list: Vec<_> = bounds.into_iter().collect();
        Self {
            of_providers: list.iter().any(|bound| bound.is_of_provider()),
            list,
        }
    }
}
