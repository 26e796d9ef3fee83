//! Where a request goes: the configuration as one immutable [`Snapshot`], the [`plan`] of targets for a model name, and
//! the choice and health of keys. Pure: the moment is an argument, and nothing here waits, reads or sends.

mod callers;
mod cooldown;
mod keys;
mod moment;
mod plan;
mod provider;
mod route;
mod snapshot;

pub use callers::CallerKeys;
pub use cooldown::Cooldown;
pub use keys::{Key, KeyPool, KeyRef, fingerprint, label};
pub use moment::Moment;
pub use plan::{Ask, NoRoute, Plan, Target, plan};
pub use provider::{AuthScheme, Endpoint, Kind, Provider};
pub use route::{BadPattern, Pattern, Route, RouteTarget};
pub use snapshot::{
    Auth, CallerKey, Defaults, Handling, LossPolicy, Mode, Snapshot, State, StreamPolicy,
    UsagePolicy,
};
