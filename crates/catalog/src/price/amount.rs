//! Dollars in decimal, as whole nano-dollars, and back. Never through a float.

use std::fmt;

/// Digits after the point of dollars that an amount can hold.
const PLACES: i32 = 9;

/// Why a text is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAmount {
    NoNumber,
    Negative,
    /// More than nine digits after the point.
    TooFine,
    TooLarge,
}

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "expected dollars such as 0.25",
            Self::Negative => "a price cannot be negative",
            Self::TooFine => "a price has at most nine digits after the point",
            Self::TooLarge => "the price is too large",
        })
    }
}

impl std::error::Error for BadAmount {}

/// Dollars in decimal, `0.25` or `2.5e-1`, as nano-dollars. Never rounded.
pub fn nano_dollars(text: &str) -> Result<u64, BadAmount> {
    let (negative, plain) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i16 = exponent.parse().map_err(|_| BadAmount::NoNumber)?;
            (mantissa, i32::from(exponent))
        }
        None => (plain, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadAmount::NoNumber);
    }
    let significant = digits.trim_end_matches('0');
    let leading = significant.trim_start_matches('0');
    if leading.is_empty() {
        return Ok(0);
    }
    if negative {
        return Err(BadAmount::Negative);
    }
    // So many zeros follow the significant digits when the unit is the nano-dollar.
    let length = |text: &str| i32::try_from(text.len()).map_err(|_| BadAmount::TooLarge);
    let zeros = PLACES + exponent - length(fraction)? + length(&digits)? - length(significant)?;
    let zeros = u32::try_from(zeros).map_err(|_| BadAmount::TooFine)?;
    let number: u64 = leading.parse().map_err(|_| BadAmount::TooLarge)?;
    10u64
        .checked_pow(zeros)
        .and_then(|unit| number.checked_mul(unit))
        .ok_or(BadAmount::TooLarge)
}

/// Nano-dollars as dollars in decimal: the shortest text that [`nano_dollars`] reads as the same.
pub fn dollars(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_is_read_exactly() {
        let check = |text: &str, expect: Result<u64, BadAmount>| {
            assert_eq!(nano_dollars(text), expect, "{text}");
        };
        for (text, nano) in [
            ("0", 0),
            ("0.0", 0),
            ("-0", 0),
            ("0e-400", 0),
            ("0.1", 100_000_000),
            (".3", 300_000_000),
            ("3.", 3_000_000_000),
            ("2.5e-1", 250_000_000),
            ("1E3", 1_000_000_000_000),
            ("100", 100_000_000_000),
            ("0.000000001", 1),
            ("0.0000000010", 1),
            ("0.10000000000000", 100_000_000),
            ("000.5", 500_000_000),
            ("18446744073.709551615", u64::MAX),
        ] {
            check(text, Ok(nano));
            let shown = dollars(nano);
            assert_eq!(nano_dollars(&shown), Ok(nano), "{shown}");
        }
        for text in [
            "", ".", "-", "x", "1.2.3", "1,5", "NaN", "inf", "0x1", "1e", "+1", "1 ",
        ] {
            check(text, Err(BadAmount::NoNumber));
        }
        check("-0.1", Err(BadAmount::Negative));
        check("0.0000000001", Err(BadAmount::TooFine));
        check("1e-400", Err(BadAmount::TooFine));
        check("18446744073.709551616", Err(BadAmount::TooLarge));
        check("1e30000", Err(BadAmount::TooLarge));
        check(&"9".repeat(100_000), Err(BadAmount::TooLarge));
    }

    #[test]
    fn the_shortest_text_is_shown() {
        for (nano, expect) in [
            (0, "0"),
            (1, "0.000000001"),
            (100_000_000, "0.1"),
            (2_000_000_000, "2"),
            (100_000_000_000, "100"),
        ] {
            assert_eq!(dollars(nano), expect);
        }
    }
}
