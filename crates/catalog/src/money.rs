//! Amounts of money: whole nano-dollars.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::price::{dollars, nano_dollars};

/// Nano-dollars (10⁻⁹ US dollars), up to 9.2 billion dollars. Sums and products never wrap: they stop at the ends.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_nano(nano: i64) -> Self {
        Self(nano)
    }

    pub const fn nano(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// Dollars in decimal, as they are shown. Never rounded.
impl FromStr for Money {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let (sign, plain) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let is_plain = plain
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let nano = nano_dollars(plain).ok().filter(|_| is_plain);
        nano.and_then(|nano| i64::try_from(nano).ok())
            .map(|nano| Self(sign * nano))
            .ok_or(BadMoney)
    }
}

/// A text that is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadMoney;

impl fmt::Display for BadMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected dollars as text, such as \"12.5\", with at most nine digits after the point",
        )
    }
}

impl std::error::Error for BadMoney {}

/// Dollars in decimal, without a sign for the currency: `0.000125`, `-3`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        f.pad(&dollars(self.0.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_dollars() {
        for (nano, expect) in [
            (0, "0"),
            (1, "0.000000001"),
            (-2_500_000_000, "-2.5"),
            (3_000_000_000, "3"),
        ] {
            assert_eq!(Money::from_nano(nano).to_string(), expect);
            assert_eq!(expect.parse(), Ok(Money::from_nano(nano)));
        }
        for bad in [
            "",
            "-",
            "1e3",
            "--1",
            "+1",
            "1,5",
            "0.0000000001",
            "10000000000",
            "x",
        ] {
            assert_eq!(bad.parse::<Money>(), Err(BadMoney), "{bad}");
        }
    }

    #[test]
    fn sums_stop_at_the_ends() {
        let most = Money::MAX;
        assert_eq!(most.plus(Money::from_nano(1)), most);
        assert_eq!(Money::from_nano(i64::MIN).minus(most).nano(), i64::MIN);
        let sum: Money = [1, 2, 3].into_iter().map(Money::from_nano).sum();
        assert_eq!(sum.nano(), 6);
    }
}
