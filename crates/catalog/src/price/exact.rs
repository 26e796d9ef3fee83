//! Amounts that are not rounded yet: fractions of integers.

use std::fmt;

use crate::Money;

use super::amount::{BadAmount, dollars, nano_dollars};

/// Nano-dollars as a fraction that is never negative. It holds what any request can cost exactly; beyond some 10²⁰ dollars
/// it stops at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    numerator: u128,
    /// Never zero.
    denominator: u128,
}

impl Exact {
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };

    /// Millionths of a nano-dollar: tokens times a rate.
    pub(super) const fn from_millionths(millionths: u128) -> Self {
        Self {
            numerator: millionths,
            denominator: 1_000_000,
        }
    }

    pub(super) const fn new(numerator: u128, denominator: u128) -> Self {
        if denominator == 0 {
            return Self::ZERO;
        }
        Self {
            numerator,
            denominator,
        }
    }

    #[must_use]
    pub fn times(self, factor: Factor) -> Self {
        if factor == Factor::ONE {
            return self;
        }
        let (over, under) = factor.lowest();
        let product = |of: Self| {
            Some(Self {
                numerator: of.numerator.checked_mul(u128::from(over))?,
                denominator: of.denominator.checked_mul(u128::from(under))?,
            })
        };
        product(self)
            .or_else(|| product(self.lowest()))
            .unwrap_or(Self {
                numerator: u128::MAX,
                denominator: 1,
            })
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.denominator == other.denominator {
            return Self {
                numerator: self.numerator.saturating_add(other.numerator),
                ..self
            };
        }
        let (one, two) = (self.lowest(), other.lowest());
        let common = divisor(one.denominator, two.denominator);
        let sum = || {
            let denominator = one.denominator.checked_mul(two.denominator / common)?;
            let left = one.numerator.checked_mul(denominator / one.denominator)?;
            let right = two.numerator.checked_mul(denominator / two.denominator)?;
            Some(Self {
                numerator: left.checked_add(right)?,
                denominator,
            })
        };
        sum().unwrap_or(Self {
            numerator: u128::MAX,
            denominator: 1,
        })
    }

    pub fn is_more_than(self, other: Self) -> bool {
        if self.denominator == other.denominator {
            return self.numerator > other.numerator;
        }
        let whole = |of: Self| of.numerator / of.denominator;
        let rest = |of: Self| (of.numerator % of.denominator, of.denominator);
        if whole(self) != whole(other) {
            return whole(self) > whole(other);
        }
        let ((one, of_one), (two, of_two)) = (rest(self), rest(other));
        match (one.checked_mul(of_two), two.checked_mul(of_one)) {
            (Some(one), Some(two)) => one > two,
            // Less than a nano-dollar apart, in fractions that no price makes.
            _ => false,
        }
    }

    /// Whole nano-dollars, half up.
    pub fn rounded(self) -> Money {
        let whole = self.numerator / self.denominator;
        let rest = self.numerator % self.denominator;
        // Half of a denominator, without a sum that could be too large.
        let up = rest >= self.denominator - rest;
        i64::try_from(whole)
            .ok()
            .and_then(|nano| nano.checked_add(i64::from(up)))
            .map_or(Money::MAX, Money::from_nano)
    }

    /// The same amount in the smallest numbers.
    fn lowest(self) -> Self {
        let common = divisor(self.numerator, self.denominator);
        Self {
            numerator: self.numerator / common,
            denominator: self.denominator / common,
        }
    }
}

/// Dollars in decimal, to twelve places more than nano-dollars have; what is beyond is cut off.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.numerator / self.denominator;
        let mut rest = self.numerator % self.denominator;
        let mut text = format!("{}.{:09}", whole / 1_000_000_000, whole % 1_000_000_000);
        for _ in 0..12 {
            let Some(tens) = rest.checked_mul(10) else {
                break;
            };
            text.push(char::from(
                b'0' + u8::try_from(tens / self.denominator).unwrap_or(0),
            ));
            rest = tens % self.denominator;
        }
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What an amount is multiplied with: a decimal of at most six places, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(u64);

impl Factor {
    pub const ONE: Self = Self(1_000_000);

    /// `1.2`; never rounded.
    pub fn parse(text: &str) -> Result<Self, BadAmount> {
        let nano = nano_dollars(text)?;
        if nano % 1_000 != 0 {
            return Err(BadAmount::TooFine);
        }
        Ok(Self(nano / 1_000))
    }

    /// In millionths.
    pub const fn millionths(self) -> u64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    fn lowest(self) -> (u64, u64) {
        let common = divisor(u128::from(self.0), 1_000_000);
        let common = u64::try_from(common).unwrap_or(1);
        (self.0 / common, 1_000_000 / common)
    }
}

impl Default for Factor {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&dollars(self.0.saturating_mul(1_000)))
    }
}

/// The greatest that divides both; at least one.
fn divisor(mut one: u128, mut other: u128) -> u128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded_before_the_end() {
        let factor = |text| Factor::parse(text).unwrap();
        let check = |exact: Exact, nano: i64, shown: &str| {
            assert_eq!(exact.rounded().nano(), nano, "{exact:?}");
            assert_eq!(exact.to_string(), shown);
        };
        let millionths = Exact::from_millionths;
        check(millionths(499_999), 0, "0.000000000499999");
        check(millionths(500_000), 1, "0.0000000005");
        check(millionths(1_500_000), 2, "0.0000000015");
        check(
            millionths(3_000_000).times(factor("1.2")),
            4,
            "0.0000000036",
        );
        check(
            millionths(1_000_000).times(factor("0.000001")),
            0,
            "0.000000000000001",
        );
        // 0.25 and 0.25 are half a nano-dollar together.
        let quarter = millionths(1_000_000).times(factor("0.25"));
        check(quarter.plus(quarter), 1, "0.0000000005");
        check(quarter.plus(millionths(250_000)), 1, "0.0000000005");
        check(Exact::new(1, 3).plus(Exact::new(1, 6)), 1, "0.0000000005");
        check(Exact::new(7, 0), 0, "0");
        let third = Exact::new(1, 3);
        for (one, other, expect) in [
            (third, quarter, true),
            (quarter, third, false),
            (third, third, false),
            (Exact::new(7, 3), quarter, true),
            (millionths(2), millionths(1), true),
        ] {
            assert_eq!(one.is_more_than(other), expect, "{one:?} {other:?}");
        }
    }

    #[test]
    fn sums_and_products_stop_at_the_end() {
        let most = Exact::from_millionths(u128::MAX);
        for amount in [
            most,
            most.plus(most),
            most.times(Factor(u64::MAX)),
            most.plus(Exact::new(u128::MAX, u128::MAX - 2)),
        ] {
            assert_eq!(amount.rounded(), Money::MAX);
            assert!(!amount.to_string().is_empty());
        }
    }

    #[test]
    fn factors_are_decimals() {
        for (text, expect) in [
            ("1", Ok("1")),
            ("1.10", Ok("1.1")),
            ("0", Ok("0")),
            ("0.000001", Ok("0.000001")),
            ("0.0000001", Err(BadAmount::TooFine)),
            ("-1", Err(BadAmount::Negative)),
            ("x", Err(BadAmount::NoNumber)),
        ] {
            let found = Factor::parse(text).map(|factor| factor.to_string());
            assert_eq!(found.as_deref().map_err(|error| *error), expect, "{text}");
        }
    }
}
