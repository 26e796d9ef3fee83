//! One model of LiteLLM's list of prices, as a row of ours.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lingate_catalog::{Column, Factor, Hours, Price, Rates, Row, Tier, When};
use serde_json::{Map, Value};

type Fact = Map<String, Value>;

/// Kinds of models that answer requests; others are paid by the second or by the page.
pub(crate) const MODES: [&str; 6] = [
    "chat",
    "responses",
    "completion",
    "embedding",
    "image_generation",
    "rerank",
];

/// What the list calls our columns, the better name first.
const NAMES: [(Column, &[&str]); 12] = [
    (Column::Input, &["input_cost_per_token"]),
    (Column::Output, &["output_cost_per_token"]),
    (Column::CacheRead, &["cache_read_input_token_cost"]),
    (Column::CacheWrite, &["cache_creation_input_token_cost"]),
    (
        Column::CacheWriteLong,
        &[
            "cache_creation_input_token_cost_above_1hr",
            "cache_creation_input_token_cost_above_12hr",
        ],
    ),
    (Column::Reasoning, &["output_cost_per_reasoning_token"]),
    (Column::AudioIn, &["input_cost_per_audio_token"]),
    (Column::AudioOut, &["output_cost_per_audio_token"]),
    (
        Column::AudioCacheRead,
        &["cache_read_input_audio_token_cost"],
    ),
    (Column::ImageIn, &["input_cost_per_image_token"]),
    (Column::ImageOut, &["output_cost_per_image_token"]),
    (
        Column::ImageCacheRead,
        &["cache_read_input_image_token_cost"],
    ),
];

/// What the list calls service tiers, and our word for them.
const SERVICES: [(&str, &str); 5] = [
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
];

const REGIONS: [(&str, &str); 3] = [
    ("regional_processing_uplift_multiplier_us", "us"),
    ("regional_processing_uplift_multiplier_eu", "eu"),
    ("regional_endpoint_uplift_multiplier", "regional"),
];

const SEARCHES: [(&str, Column); 3] = [
    ("search_context_size_low", Column::SearchLow),
    ("search_context_size_medium", Column::SearchMedium),
    ("search_context_size_high", Column::SearchHigh),
];

/// Where a request with searches pays for one, unless the list says `per_query`.
const SEARCH_ONCE: [&str; 3] = ["gemini", "vertex_ai", "vertex_ai-language-models"];

/// `free`: a price of nothing is one.
pub(crate) fn row(fact: &Fact, free: bool) -> Result<Row, String> {
    let limit = |name: &str| fact.get(name).and_then(tokens).filter(|tokens| *tokens > 0);
    let costs = |price: &Price| free || price.rates.iter().any(|(_, rate)| rate > 0);
    Ok(Row {
        price: price(fact)?.filter(costs),
        context: limit("max_input_tokens"),
        max_output: limit("max_output_tokens"),
    })
}

/// `None` where input or output has no price.
fn price(fact: &Fact) -> Result<Option<Price>, String> {
    let word = |name: &str| fact.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut price = Price::default();
    let mut tiers: BTreeMap<(When, u64), Rates> = BTreeMap::new();
    let ranges = fact.get("tiered_pricing").and_then(Value::as_array);
    let ranges: Vec<&Fact> = ranges
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|range| range.contains_key("range"))
        .collect();
    for (place, range) in ranges.iter().enumerate() {
        let above = range.get("range").and_then(|range| range.get(0));
        let above = above.and_then(tokens).ok_or("a range without a start")?;
        let rates = tiers.entry((When::Always, if place == 0 { 0 } else { above }));
        read(range, "", rates.or_default())?;
    }
    if ranges.is_empty() {
        let mut lengths: Vec<(u64, String)> = vec![(0, String::new())];
        for thousands in lengths_of(fact) {
            lengths.push((thousands * 1000, format!("_above_{thousands}k_tokens")));
        }
        for (above, length) in lengths {
            read(
                fact,
                &length,
                tiers.entry((When::Always, above)).or_default(),
            )?;
            for (ending, service) in SERVICES {
                let place = (When::Service(service.into()), above);
                read(
                    fact,
                    &format!("{length}{ending}"),
                    tiers.entry(place).or_default(),
                )?;
            }
        }
    }
    if let Some(Value::Object(off_peak)) = fact.get("off_peak_pricing") {
        price.off_peak = Some(hours(off_peak)?);
        read(off_peak, "", tiers.entry((When::OffPeak, 0)).or_default())?;
    }
    let mut base = tiers.remove(&(When::Always, 0)).unwrap_or_default();
    whole(fact, word("mode"), &mut base)?;
    let (Some(input), Some(output)) = (base.get(Column::Input), base.get(Column::Output)) else {
        return Ok(None);
    };
    for (column, rate) in base.iter() {
        // No vendor gives a cache away beside tokens that cost something: a zero is a blank there.
        if rate > 0 || matches!(column, Column::Input | Column::Output) {
            price.rates.set(column, Some(rate));
        }
    }
    for ((when, above), said) in tiers {
        let mut rates = Rates::default();
        for (column, rate) in said.iter().filter(|(_, rate)| *rate > 0) {
            rates.set(column, Some(rate));
        }
        if !rates.is_empty() {
            price.tiers.push(Tier { when, above, rates });
        }
    }
    if input + output > 0 {
        without_repetitions(&mut price);
    }
    price.search_once = SEARCH_ONCE.contains(&word("litellm_provider"))
        && price.names(Column::SearchMedium)
        && word("web_search_billing_unit") != "per_query";
    price.factors = factors(fact)?;
    Ok(Some(price))
}

/// What is paid for by the piece, and what is not said because it goes without saying.
fn whole(fact: &Fact, mode: &str, base: &mut Rates) -> Result<(), String> {
    let piece = |name: &str| match fact.get(name) {
        Some(Value::Number(number)) => per_one(&number.to_string()).map(Some),
        _ => Ok(None),
    };
    let mut paid = piece("input_cost_per_request")?;
    match mode {
        // There is no answer in tokens.
        "embedding" => base.set(Column::Output, Some(0)),
        "rerank" => {
            paid = paid.or(piece("input_cost_per_query")?);
            base.set(Column::Output, Some(0));
            base.set(Column::Input, base.get(Column::Input).or(Some(0)));
        }
        "image_generation" => {
            let tokens = base.get(Column::ImageOut);
            // The same pictures are told by the piece beside.
            if tokens.is_none() && base.get(Column::Output).is_none_or(|rate| rate == 0) {
                let picture = piece("output_cost_per_image")?.filter(|rate| *rate > 0);
                base.set(Column::ImageMade, picture);
            }
            if tokens.is_some() || base.get(Column::ImageMade).is_some() {
                let output = base.get(Column::Output).or(tokens).unwrap_or(0);
                base.set(Column::Output, Some(output));
                base.set(Column::Input, base.get(Column::Input).or(Some(0)));
            }
        }
        _ => {}
    }
    base.set(Column::Request, paid.filter(|rate| *rate > 0));
    if let Some(Value::Object(sizes)) = fact.get("search_context_cost_per_query") {
        for (name, column) in SEARCHES {
            if let Some(Value::Number(number)) = sizes.get(name) {
                base.set(column, Some(per_one(&number.to_string())?));
            }
        }
    }
    Ok(())
}

/// Thousands of tokens above which some key says something.
fn lengths_of(fact: &Fact) -> Vec<u64> {
    let mut lengths: Vec<u64> = fact
        .keys()
        .filter_map(|key| {
            let (_, length) = key.rsplit_once("_above_")?;
            let (thousands, _) = length.split_once("k_tokens")?;
            thousands.parse().ok()
        })
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// The rates of the keys that end so.
fn read(fact: &Fact, ending: &str, rates: &mut Rates) -> Result<(), String> {
    for (column, names) in NAMES {
        let mut told = names
            .iter()
            .map(|name| fact.get(&format!("{name}{ending}")));
        if let Some(Value::Number(number)) = told.find_map(|told| told) {
            rates.set(column, Some(per_million(&number.to_string())?));
        }
    }
    Ok(())
}

/// Leaves out what a part costs where that is what its whole costs, everywhere that the list speaks of both.
fn without_repetitions(price: &mut Price) {
    for column in Column::ALL {
        let Some(whole) = column.whole() else {
            continue;
        };
        let mut all: Vec<&mut Rates> = vec![&mut price.rates];
        all.extend(price.tiers.iter_mut().map(|tier| &mut tier.rates));
        let same = |rates: &&mut Rates| {
            let own = rates.get(column);
            own.is_none() || own == rates.get(whole)
        };
        if all.iter().all(same) {
            for rates in all {
                rates.set(column, None);
            }
        }
    }
    price.tiers.retain(|tier| !tier.rates.is_empty());
}

fn factors(fact: &Fact) -> Result<Vec<(Box<str>, Factor)>, String> {
    let mut factors: BTreeMap<&str, Factor> = BTreeMap::new();
    let mut take = |name, told: Option<&Value>| match told {
        Some(Value::Number(number)) => {
            let factor = Factor::parse(&number.to_string());
            let factor = factor.map_err(|error| format!("{name} {number}: {error}"))?;
            factors.insert(name, factor);
            Ok::<_, String>(())
        }
        _ => Ok(()),
    };
    for (key, name) in REGIONS {
        take(name, fact.get(key))?;
    }
    let own = fact.get("provider_specific_entry");
    for name in ["us", "eu", "fast"] {
        take(name, own.and_then(|own| own.get(name)))?;
    }
    let real = |(_, factor): &(&str, Factor)| *factor != Factor::ONE;
    Ok(factors
        .into_iter()
        .filter(real)
        .map(|(name, factor)| (name.into(), factor))
        .collect())
}

/// The hours of `off_peak_pricing`. Times are in UTC; days may be those of another zone, which must not change its clocks.
fn hours(off_peak: &Fact) -> Result<Hours, String> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let zone = off_peak.get("weekday_timezone").and_then(Value::as_str);
    let zone = zone.unwrap_or("UTC");
    let offset = offset(zone)?;
    let mut text = zone.to_owned();
    let windows = off_peak.get("windows").and_then(Value::as_array);
    for window in windows.ok_or("off-peak prices without windows")? {
        let days = window.get("weekdays").and_then(Value::as_array);
        let days: Vec<usize> = days
            .into_iter()
            .flatten()
            .filter_map(|day| usize::try_from(day.as_u64()?).ok()?.checked_sub(1))
            .collect();
        let runs = days.chunk_by(|one, next| one + 1 == *next);
        let run = |run: &[usize]| match run {
            [one] => DAYS.get(*one).map(|day| (*day).to_owned()),
            [first, .., last] => Some(format!("{}-{}", DAYS.get(*first)?, DAYS.get(*last)?)),
            [] => None,
        };
        let days: Option<Vec<String>> = runs.map(run).collect();
        text.extend([";", &days.ok_or("off-peak prices on no day")?.join(",")]);
        let spans = match window.get("hours_utc") {
            Some(Value::String(span)) => vec![span.as_str()],
            Some(Value::Array(spans)) => spans.iter().filter_map(Value::as_str).collect(),
            _ => return Err("off-peak prices without hours".to_owned()),
        };
        for span in spans {
            let bad = || format!("`{span}` are no hours");
            let (from, to) = span.split_once('-').ok_or_else(bad)?;
            let minute = |time: &str| {
                let (hour, minute) = time.split_once(':')?;
                Some(hour.parse::<i32>().ok()? * 60 + minute.parse::<i32>().ok()?)
            };
            let (from, to) = (minute(from).ok_or_else(bad)?, minute(to).ok_or_else(bad)?);
            let to = if to == 0 { 24 * 60 } else { to };
            // Each piece on its own day there: a day is a day of that zone.
            let (from, to) = (from + offset, to + offset);
            for day in [-24 * 60, 0, 24 * 60] {
                let (from, to) = ((from - day).max(0), (to - day).min(24 * 60));
                if from < to && (from, to) != (0, 24 * 60) {
                    let piece = [from / 60, from % 60, to / 60, to % 60].map(|n| format!("{n:02}"));
                    let [a, b, c, d] = piece;
                    text.extend([",", &a, ":", &b, "-", &c, ":", &d]);
                }
            }
        }
    }
    Hours::parse(&text)
}

/// Minutes that a zone is ahead of UTC, all year long.
fn offset(zone: &str) -> Result<i32, String> {
    let known = TimeZone::get(zone).map_err(|error| format!("{zone}: {error}"))?;
    let at = |day: &str| {
        let moment: Timestamp = day.parse().ok()?;
        Some(known.to_offset(moment).seconds() / 60)
    };
    match (at("2026-01-01T00:00Z"), at("2026-07-01T00:00Z")) {
        (Some(winter), Some(summer)) if winter == summer => Ok(winter),
        _ => Err(format!(
            "{zone} changes its clocks: its days are no fixed hours of UTC"
        )),
    }
}

fn tokens(value: &Value) -> Option<u64> {
    let text = value.as_number()?.to_string();
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

/// Dollars for one thing, as nano-dollars.
fn per_one(text: &str) -> Result<u64, String> {
    whole_units(text, 9)
}

/// Dollars per token in decimal, as nano-dollars per million tokens.
fn per_million(text: &str) -> Result<u64, String> {
    whole_units(text, 15)
}

/// A decimal in units of so many places.
///
/// Digits beyond are noise of binary fractions (`2.0000000000000002e-07`) or of currencies (`8 / 7` yuan), and are rounded. More
/// than a hundred-millionth is never lost that way.
fn whole_units(text: &str, places: i32) -> Result<u64, String> {
    let bad = || format!("`{text}` is no price that can be kept");
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| bad())?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = [whole, fraction].concat().parse().map_err(|_| bad())?;
    let fraction = i32::try_from(fraction.len()).map_err(|_| bad())?;
    let shift = places + exponent - fraction;
    let unit = 10u128.checked_pow(shift.unsigned_abs()).ok_or_else(bad)?;
    let nano = if shift >= 0 {
        digits.checked_mul(unit).ok_or_else(bad)?
    } else {
        let rounded = (digits + unit / 2) / unit;
        let lost = (rounded * unit).abs_diff(digits);
        if lost
            .checked_mul(100_000_000)
            .is_none_or(|lost| lost > digits)
        {
            return Err(bad());
        }
        rounded
    };
    u64::try_from(nano).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost_but_noise() {
        for (text, expect) in [
            ("0", Some(0)),
            ("1e-07", Some(100_000_000)),
            ("0.00001", Some(10_000_000_000)),
            ("2.0000000000000002e-07", Some(200_000_000)),
            ("9.499999999999999e-07", Some(950_000_000)),
            ("0.0000011428571428571428", Some(1_142_857_143)),
            ("1e-15", Some(1)),
            ("1.5e-15", None),
            ("1e-16", None),
            ("-1e-07", None),
            ("1e9", None),
            ("1e400", None),
        ] {
            assert_eq!(per_million(text).ok(), expect, "{text}");
        }
    }
}
