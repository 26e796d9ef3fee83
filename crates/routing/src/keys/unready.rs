//! Why no key can be had.

use std::fmt;

use super::rest::Cause;
use crate::Moment;

/// No key can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// When to ask again; `None`: nobody can say. It may be sooner, when a request that is under way ends.
    pub ready_at: Option<Moment>,
    pub why: Hindrance,
    /// All that rests does so because of limits, the upstream's or those of the configuration: the caller asked too often, and
    /// nothing is broken.
    pub only_limits: bool,
    /// What the key that is ready first rests for, as the upstream said it: `401 invalid_api_key`.
    pub reason: Option<String>,
}

impl Unready {
    /// There is no key that has not been tried.
    pub(crate) const TRIED: Self = Self {
        ready_at: None,
        why: Hindrance::Tried,
        only_limits: false,
        reason: None,
    };
}

/// Why no key can be had; of several reasons that of the key that is ready first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hindrance {
    /// There is none, or none with the tags that are asked for.
    NoKeys,
    /// Those there are have weight 0.
    Drained,
    /// This request has tried all of them.
    Tried,
    /// Too many requests: they cool down.
    Cooling,
    /// They fail where others do not.
    Failing,
    /// They have no money or quota left.
    Exhausted,
    /// They are not accepted, and are tested again later.
    Disabled,
    /// As much as the configuration allows is under way.
    AtCaps,
    /// They are switched off by hand.
    Off,
}

impl Hindrance {
    pub const ALL: [Self; 9] = [
        Self::NoKeys,
        Self::Drained,
        Self::Tried,
        Self::Cooling,
        Self::Failing,
        Self::Exhausted,
        Self::Disabled,
        Self::AtCaps,
        Self::Off,
    ];

    /// In the middle of a sentence about keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoKeys => "none configured",
            Self::Drained => "drained",
            Self::Tried => "tried already",
            Self::Cooling => "cooling",
            Self::Failing => "failing",
            Self::Exhausted => "exhausted",
            Self::Disabled => "disabled",
            Self::AtCaps => "at their limits",
            Self::Off => "off by hand",
        }
    }

    /// A limit, not a failure.
    pub(super) fn is_limit(self) -> bool {
        matches!(self, Self::Cooling | Self::AtCaps)
    }
}

impl From<Cause> for Hindrance {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Cooling => Self::Cooling,
            Cause::Failing => Self::Failing,
            Cause::Exhausted => Self::Exhausted,
            Cause::Disabled => Self::Disabled,
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why.name())?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unready {}
