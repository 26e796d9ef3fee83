//! Routes: which requests go where, and how.

use std::sync::Arc;
use std::time::Duration;

use crate::{Handling, Mode, Pattern, StreamPolicy, Turns, When};

/// A rule for requests. The first whose model and conditions match is used.
#[derive(Debug, Clone)]
pub struct Route {
    /// What people call it.
    pub name: Option<String>,
    pub model: Pattern,
    /// Conditions on the request; all of them must hold.
    pub when: When,
    /// `None`: as the snapshot says.
    pub mode: Option<Mode>,
    /// How to choose among targets of one priority.
    pub strategy: Strategy,
    /// Targets that speak the caller's dialect come before the others of their priority.
    pub prefer_same_dialect: bool,
    pub targets: Vec<RouteTarget>,
    /// An experiment: the request goes on as if it had asked for the model of its arm. Such a route has no targets.
    pub split: Option<Split>,
    /// Models that are resolved on their own and tried after all targets.
    pub fallbacks: Vec<String>,
    pub fallbacks_on: FallbacksOn,
    pub retry: Retry,
    pub last_resort: LastResort,
    pub mirror: Option<Mirror>,
    /// Whether to ask for streams; `None`: as the defaults say.
    pub stream: Option<StreamPolicy>,
    /// As [`Handling::continuations`]; `None`: as the defaults say.
    pub continuations: Option<u32>,
    /// Whose turn it is among its targets.
    pub turns: Arc<Turns>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// Index into the snapshot's providers.
    pub provider: usize,
    /// The upstream's name of the model; `None`: as asked for.
    pub model: Option<String>,
    /// Share among targets of one priority; 0: it is drained, and gets nothing.
    pub weight: u32,
    /// Lowest first.
    pub priority: u32,
    /// Only keys with one of these tags; empty: all keys.
    pub keys: Vec<String>,
}

/// How to choose among targets of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// As written.
    #[default]
    Priority,
    /// By weight, smoothly.
    Weighted,
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastBusy,
    /// Of two taken by chance, the one that answers sooner.
    Latency(Measure),
    /// The one where this request costs least.
    Cheapest,
    /// The same one for the same.
    Sticky(By),
    /// The one that is furthest from its limits.
    Quota,
}

impl Strategy {
    /// As it is written in `lingate.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::Latency(_) => "latency",
            Self::Cheapest => "cheapest",
            Self::Sticky(_) => "sticky",
            Self::Quota => "quota",
        }
    }
}

/// What `latency` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// Time to the first token.
    #[default]
    FirstToken,
    /// Time per token.
    PerToken,
}

/// What stays together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// A conversation; without one, what a prompt cache would find again.
    #[default]
    Session,
    /// What a prompt cache would find again.
    Prefix,
    User,
    /// The caller's key.
    Key,
}

impl By {
    /// As it is written in `lingate.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Prefix => "prefix",
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

/// An experiment between models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    pub name: String,
    /// `None`: each request draws anew.
    pub sticky: Option<By>,
    /// At least one with a weight.
    pub arms: Vec<Arm>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    pub weight: u32,
    pub model: String,
}

/// Models to try for one kind of failure in place of `fallbacks`; `None`: `fallbacks` are tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FallbacksOn {
    pub context_length: Option<Vec<String>>,
    pub refusal: Option<Vec<String>>,
    pub timeout: Option<Vec<String>>,
}

/// How much is tried for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retry {
    /// At most so many attempts; `None`: [`Self::ATTEMPTS`].
    pub attempts: Option<u32>,
    /// No new attempt when so long has passed since the request came.
    pub deadline: Option<Duration>,
    /// No new attempt when the last one took longer to fail.
    pub only_within: Option<Duration>,
}

impl Retry {
    /// How many attempts, where nobody says it.
    pub const ATTEMPTS: u32 = 8;

    /// For how long a request waits in a queue of so much patience. An attempt that begins when the deadline is over is one too late.
    pub(crate) fn waits(&self, patience: Duration) -> Duration {
        self.deadline.map_or(patience, |deadline| {
            patience.min(deadline.saturating_sub(Duration::from_millis(1)))
        })
    }
}

/// What is done when all targets are down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LastResort {
    /// The only key of the only target is tried though it rests: with nothing to choose from, the upstream's own answer tells
    /// more than one made up here. Else as [`Refuse`](Self::Refuse).
    #[default]
    Usual,
    /// The caller is told so, and when to come again.
    Refuse,
    /// The request waits for the first that is ready, at most so long.
    Queue(Duration),
    /// The one that is ready first is tried all the same.
    LeastBad,
    /// This model is tried.
    Fallback(String),
}

/// A share of requests is sent to another target, too, and the answers are thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Index into the snapshot's providers.
    pub provider: usize,
    /// `None`: as asked for.
    pub model: Option<String>,
    /// In millionths.
    pub share: u32,
}

impl Route {
    /// A route without conditions and settings.
    pub fn to(model: Pattern, targets: Vec<RouteTarget>) -> Self {
        Self {
            name: None,
            model,
            when: When::default(),
            mode: None,
            strategy: Strategy::default(),
            prefer_same_dialect: false,
            targets,
            split: None,
            fallbacks: Vec::new(),
            fallbacks_on: FallbacksOn::default(),
            retry: Retry::default(),
            last_resort: LastResort::default(),
            mirror: None,
            stream: None,
            continuations: None,
            turns: Arc::default(),
        }
    }

    /// The defaults, but for what the route says.
    pub fn handling(&self, defaults: Handling) -> Handling {
        Handling {
            stream: self.stream.unwrap_or(defaults.stream),
            continuations: self.continuations.unwrap_or(defaults.continuations),
        }
    }
}

impl RouteTarget {
    /// A provider's model with all of its keys.
    pub fn at(provider: usize, model: Option<&str>) -> Self {
        Self {
            provider,
            model: model.map(str::to_owned),
            weight: 1,
            priority: 0,
            keys: Vec::new(),
        }
    }
}
