//! For how long a key is left alone after the upstream has turned it away.

use std::time::Duration;

use crate::{Class, Fault};

/// Why a key should rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cooldown {
    /// Too many requests (429), and for how long the upstream says so.
    Limited { retry_after: Option<Duration> },
    /// The key is not accepted (401, 403) or has no money left (402).
    Refused,
}

impl From<Cooldown> for Fault {
    fn from(cooldown: Cooldown) -> Self {
        match cooldown {
            Cooldown::Limited { retry_after } => Self {
                retry_after,
                ..Self::new(Class::RateLimited)
            },
            Cooldown::Refused => Self::new(Class::KeyDead),
        }
    }
}
