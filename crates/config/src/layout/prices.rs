//! Keys of prices, plans and currencies.

use super::field;
use super::tenants::{DENY_MODELS, LIMITS, MODELS};
use crate::shape::{Field, Shape};

const fn dollars(name: &'static str, about: &'static str) -> Field {
    field(name, Shape::Dollars, about)
}

const RATES: [Field; 19] = [
    dollars(
        "input",
        "Of the prompt. These up to `image_cache_read` are in dollars per million tokens.",
    ),
    dollars("output", "Of the answer."),
    dollars(
        "cache_read",
        "Of the prompt, where a cache held it; as `input` if left out.",
    ),
    dollars(
        "cache_write",
        "Of the prompt, where it goes into a cache; as `input` if left out.",
    ),
    dollars(
        "cache_write_1h",
        "The same, to be kept for longer: an hour, or twelve where the vendor sells that; as `cache_write` if left out.",
    ),
    dollars(
        "reasoning",
        "Of the answer, where it is reasoning; as `output` if left out.",
    ),
    dollars(
        "audio_in",
        "Of the prompt, where it is sound; as `input` if left out.",
    ),
    dollars(
        "audio_out",
        "Of the answer, where it is sound; as `output` if left out.",
    ),
    dollars(
        "audio_cache_read",
        "Of the prompt, where it is sound that a cache held; as `cache_read` if left out.",
    ),
    dollars(
        "image_in",
        "Of the prompt, where it is pictures; as `input` if left out.",
    ),
    dollars(
        "image_out",
        "Of the answer, where it is pictures; as `output` if left out.",
    ),
    dollars(
        "image_cache_read",
        "Of the prompt, where it is pictures that a cache held; as `cache_read` if left out.",
    ),
    dollars("request", "Dollars for each request."),
    dollars(
        "image_given",
        "Dollars for each picture of the prompt, beside its tokens.",
    ),
    dollars(
        "image_made",
        "Dollars for each picture of the answer, beside its tokens.",
    ),
    dollars(
        "search",
        "Dollars for each search of the web that the vendor runs.",
    ),
    dollars(
        "search_low",
        "The same, where the request wants little of the web read.",
    ),
    dollars(
        "search_medium",
        "The same, where it wants the usual amount or does not say.",
    ),
    dollars("search_high", "The same, where it wants much."),
];

const SETTINGS: [Field; 5] = [
    field(
        "search_once",
        Shape::Flag,
        "A request with searches pays for one, however many there are.",
    ),
    field(
        "tiers",
        Shape::List(&Shape::Record(&TIER)),
        "Rates that differ for longer prompts, service tiers and hours; what a tier leaves out is as without it.",
    ),
    field(
        "off_peak",
        Shape::Text,
        "The hours of the tiers with `off_peak: true`: a time zone, then days and times, such as `Asia/Shanghai;mon-fri,00:30-08:30;sat-sun`.",
    ),
    field(
        "times",
        Shape::Map(&Shape::Factor),
        "What tokens cost times as much in a region or at a speed that the vendor tells, by its name: `{us: 1.1, fast: 2}`.",
    ),
    field(
        "formula",
        Shape::Text,
        "The whole price in place of rates: `if prompt > 200k then input * $6/M + output * $22.5/M else input * $3/M + output * $15/M`.",
    ),
];

const WHICH: [Field; 3] = [
    field(
        "above",
        Shape::Number {
            least: 1,
            most: 1_000_000_000,
        },
        "Holds for prompts of more tokens than this, and then for the whole request.",
    ),
    field(
        "service",
        Shape::Text,
        "Holds for requests that the vendor says it served so: `batch`, `flex`, `priority`.",
    ),
    field(
        "off_peak",
        Shape::Flag,
        "Holds in the hours of the price's `off_peak`.",
    ),
];

const WHOSE: [Field; 2] = [
    field(
        "provider",
        Shape::Text,
        "A name of `providers`, or a pattern with `*`; left out: all.",
    ),
    field(
        "model",
        Shape::Text,
        "A model or a pattern with `*`, as the upstream calls it, else as the caller does.",
    ),
];

const TIER: [Field; 22] = joined(WHICH, RATES);
const PRICE_OF: [Field; 24] = joined(RATES, SETTINGS);
const OVERRIDE_OF: [Field; 26] = joined(WHOSE, PRICE_OF);

/// A price of a provider's models.
pub(crate) const PRICE: &[Field] = &PRICE_OF;

/// A price, and whose it is.
pub(crate) const OVERRIDE: &[Field] = &OVERRIDE_OF;

pub(crate) const PLAN: &[Field] = &[
    field(
        "multiplier",
        Shape::Factor,
        "Tenants are charged so many times what a request costs; 1 if left out. Exact, and rounded once.",
    ),
    field(
        "prices",
        Shape::List(&Shape::Record(OVERRIDE)),
        "What they are charged for some models instead, as in `prices`. It is not multiplied.",
    ),
    MODELS,
    DENY_MODELS,
    LIMITS,
];

const fn joined<const N: usize, const M: usize, const BOTH: usize>(
    first: [Field; N],
    second: [Field; M],
) -> [Field; BOTH] {
    let mut all = [first[0]; BOTH];
    let mut at = 0;
    while at < BOTH {
        all[at] = if at < N { first[at] } else { second[at - N] };
        at += 1;
    }
    all
}
