//! Where a request goes: the configuration as one immutable [`Snapshot`], the [`plan`] of targets for a model name, and
//! the choice and health of keys. Pure: the moment is an argument, and nothing here waits, reads or sends.

mod ask;
mod asked;
mod callers;
mod condition;
mod cycles;
mod explain;
mod fault;
mod health;
mod keys;
mod keyword;
mod known;
mod language;
mod moment;
mod names;
mod pattern;
mod plan;
mod provider;
mod providers;
mod route;
mod snapshot;
mod strategy;
mod table;
mod walk;

pub use ask::{Ask, Clock, Facts, Stated};
pub use asked::Asked;
pub use callers::CallerKeys;
pub use condition::{TimeSpan, When};
pub use cycles::cycles;
pub use explain::{
    ClaimedBy, ExplainedArm, ExplainedCandidate, ExplainedLeg, ExplainedMirror, Explanation, Not,
    PASSED_OVER, PassedOver, Verdict, explain,
};
pub use fault::{Class, Fault, Scope};
pub use health::{
    Blame, Breaker, BreakerNews, BreakerRules, BreakerState, BreakerTurn, Cause, Counts, Gauge,
    InFlight, KeyOf, ModelHealth, Open, Pass, ProviderHealth, Shut, Storm, Ticket, Whose, Why,
};
pub use keys::{
    Hindrance, Key, KeyCensus, KeyCount, KeyLimits, KeyNews, KeyPool, KeyRef, KeySettings, KeySpec,
    KeyState, KeyTurn, Lease, Quota, SavedKey, SavedState, Selection, Standing, Tally, Unready,
    Wanted, fingerprint, label,
};
pub use keyword::{BadKeyword, Keyword};
pub use known::KnownNames;
pub use language::Language;
pub use moment::Moment;
pub use pattern::{BadPattern, Pattern};
pub use plan::{ChosenArm, Claimed, Drawn, Leg, NoRoute, On, Plan, Target, plan};
pub use provider::{AuthScheme, Endpoint, HealthCheck, Kind, Provider, TYPICAL_OUTPUT};
pub use providers::Providers;
pub use route::{
    Arm, By, FallbacksOn, LastResort, Measure, Mirror, Retry, Route, RouteTarget, Split, Strategy,
};
pub use snapshot::{
    Auth, Defaults, Handling, LossPolicy, Mode, Snapshot, State, StreamPolicy, UsagePolicy,
};
pub use strategy::{Candidate, Dice, Hints, NameHash, Turns, arm, identity, name_hash, pick};
pub use table::Routes;
pub use walk::{Attempt, Chosen, Down, End, Next, Purse, Skip, Skipped, Step, Walk};
