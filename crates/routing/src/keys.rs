//! The keys of a provider: which one is next, which must rest, and how they fare.

mod account;
mod bell;
mod bits;
mod bucket;
mod health;
mod key;
mod line;
mod news;
mod pool;
mod rest;
mod ring;
mod shared;
mod spec;
mod standing;
mod tally;
mod unready;
mod weights;

use std::time::Duration;

use self::rest::Cause;
use crate::{Class, Fault};

pub use health::Quota;
pub use key::{Key, KeyRef, Lease};
pub use news::{KeyNews, KeyTurn};
pub use pool::{KeyCount, KeyPool, Selection, Wanted};
pub use spec::{KeyLimits, KeySettings, KeySpec, fingerprint, label};
pub use standing::{KeyCensus, KeyState, SavedKey, SavedState, Standing};
pub use tally::Tally;
pub use unready::{Hindrance, Unready};

/// For how long a key rests that failed so many times in a row for its own fault.
pub(crate) fn rest_after(fault: &Fault, strikes: u32) -> Duration {
    let (cause, told) = match fault.class {
        Class::KeyDead => (Cause::Disabled, None),
        Class::Exhausted => (Cause::Exhausted, fault.retry_after),
        Class::Client
        | Class::Unfit
        | Class::ContextLength
        | Class::Refused
        | Class::RateLimited
        | Class::Overloaded
        | Class::Upstream
        | Class::Timeout
        | Class::Network
        | Class::BadAnswer => (Cause::Cooling, fault.retry_after),
    };
    cause.wait(told, strikes)
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
