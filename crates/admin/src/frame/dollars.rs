//! Money as it is told: decimal dollars in text, so that no program rounds it.

use std::fmt;

use lingate_metering::Money;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// Decimal dollars, exact to the nano-dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, example = "12.5", pattern = r"^-?[0-9]+(\.[0-9]{1,9})?$")]
pub(crate) struct Dollars(pub(crate) Money);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'d> Deserialize<'d> for Dollars {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Money> for Dollars {
    fn from(money: Money) -> Self {
        Self(money)
    }
}
