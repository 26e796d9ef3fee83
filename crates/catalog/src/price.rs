//! What tokens cost, exactly: integers, no floats.
//!
//! The unit of a rate is the nano-dollar per million tokens, so that `$0.1` per million is 100,000,000 and every price that
//! vendors print is whole. The unit of a cost is the nano-dollar.

use std::fmt;

use lingate_dialect::hub::Usage;

/// Digits after the point of dollars that a rate can hold.
const PLACES: i32 = 9;

/// What a model costs at one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    pub rates: Rates,
    /// Rates of the whole request when its prompt is longer, shortest first.
    pub tiers: Vec<Tier>,
}

/// Nano-dollars per million tokens. `None`: the vendor names no price of its own, and the token costs what `input` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: u64,
    pub output: u64,
    pub cache_read: Option<u64>,
    /// Kept for five minutes, or for however long the vendor keeps what nobody asked it to keep longer.
    pub cache_write: Option<u64>,
    /// Kept for an hour; as `cache_write` if left out.
    pub cache_write_1h: Option<u64>,
}

/// Rates above a length of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Holds for prompts of more tokens than this, cached ones counted too.
    pub above: u64,
    pub rates: Rates,
}

impl Price {
    /// Nano-dollars for a request whose prompt is in no cache.
    pub fn cost(&self, input: u64, output: u64) -> u64 {
        self.cost_of(&Usage {
            input,
            output,
            ..Usage::default()
        })
    }

    /// Nano-dollars for what was used, rounded once, half up; `u64::MAX` ($18 billion) if it is more. Audio and images cost
    /// as much as text, and searches nothing.
    pub fn cost_of(&self, usage: &Usage) -> u64 {
        let prompt = [
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
        ];
        let rates = self.rates_for(prompt.into_iter().fold(0, u64::saturating_add));
        let write = rates.cache_write.unwrap_or(rates.input);
        let millionths = [
            (usage.input, rates.input),
            (usage.output, rates.output),
            (usage.cache_read, rates.cache_read.unwrap_or(rates.input)),
            (usage.cache_write_5m, write),
            (usage.cache_write_1h, rates.cache_write_1h.unwrap_or(write)),
        ]
        .into_iter()
        .map(|(tokens, rate)| u128::from(tokens) * u128::from(rate))
        .fold(0, u128::saturating_add);
        let whole = millionths.saturating_add(500_000) / 1_000_000;
        u64::try_from(whole).unwrap_or(u64::MAX)
    }

    /// The rates of a request with a prompt of so many tokens.
    pub fn rates_for(&self, prompt: u64) -> &Rates {
        let above = self.tiers.iter().rev().find(|tier| prompt > tier.above);
        above.map_or(&self.rates, |tier| &tier.rates)
    }
}

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

    #[test]
    fn a_longer_prompt_reprices_the_whole_request() {
        let rates = |input, output| Rates {
            input,
            output,
            ..Rates::default()
        };
        let price = Price {
            rates: rates(1_000_000_000, 10_000_000_000),
            tiers: vec![
                Tier {
                    above: 1000,
                    rates: rates(2_000_000_000, 15_000_000_000),
                },
                Tier {
                    above: 2000,
                    rates: rates(4_000_000_000, 0),
                },
            ],
        };
        for (input, output, expect) in [
            (0, 0, 0),
            (1000, 10, 1_000_000 + 100_000),
            (1001, 10, 2_002_000 + 150_000),
            (2001, 10, 8_004_000),
        ] {
            assert_eq!(price.cost(input, output), expect, "{input} {output}");
        }
        // Cached tokens are part of the length.
        let cached = Usage {
            input: 1,
            cache_read: 1000,
            ..Usage::default()
        };
        assert_eq!(price.cost_of(&cached), 1001 * 2_000);
    }

    #[test]
    fn nothing_overflows() {
        let most = Some(u64::MAX);
        let price = Price {
            rates: Rates {
                input: u64::MAX,
                output: u64::MAX,
                cache_read: most,
                cache_write: most,
                cache_write_1h: most,
            },
            tiers: Vec::new(),
        };
        let usage = Usage {
            input: u64::MAX,
            output: u64::MAX,
            cache_read: u64::MAX,
            cache_write_5m: u64::MAX,
            cache_write_1h: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(price.cost_of(&usage), u64::MAX);
        assert_eq!(price.cost(u64::MAX, 0), u64::MAX);
        // A millionth of a million: rounded half up.
        let fine = Price {
            rates: Rates {
                input: 1,
                ..Rates::default()
            },
            tiers: Vec::new(),
        };
        assert_eq!(fine.cost(499_999, 0), 0);
        assert_eq!(fine.cost(500_000, 0), 1);
    }
}
