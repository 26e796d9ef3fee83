//! Prices and limits of models by provider: the text that they are kept in, and finding one's row in it.
//!
//! The text has a head, `prices 1 2026-11-30` (the form of the text, the day of the facts), then for each provider a line
//! `[openai]` and a line for each of its models, sorted. A row is a name in lower case and cells `column=value`; what is not
//! known has no cell. `context` and `max_output` are tokens, all else dollars per million tokens. `>200000` begins the rates of
//! prompts of more tokens than that: cells after it say only what differs.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::price::{Price, Rates, Tier, dollars, nano_dollars};
use crate::{BadData, Catalog};

/// The only form there is. A program that meets another one must not guess.
const FORM: &str = "1";

/// Longer names are nobody's models.
const LONGEST_NAME: usize = 256;

/// What clouds put in front of a model, and a dot, to say where it runs.
const REGIONS: [&str; 9] = [
    "us", "eu", "global", "apac", "jp", "au", "ca", "us-gov", "sa",
];

/// What is known of one model at one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub price: Option<Price>,
    /// Tokens that a prompt may have.
    pub context: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output: Option<u64>,
}

/// All prices of one day.
#[derive(Debug)]
pub struct PriceBook {
    date: String,
    rows: Vec<Row>,
    /// Provider → name in lower case → place in `rows`.
    places: FxHashMap<Box<str>, FxHashMap<Box<str>, usize>>,
}

/// The prices that this version of Lingate was built with, read at the first question (milliseconds).
///
/// # Panics
/// Never: the file is part of the crate, and a test reads it.
pub fn prices() -> &'static PriceBook {
    static BUILTIN: LazyLock<PriceBook> = LazyLock::new(|| {
        // Cannot fail: `tests::every_row_is_read` reads the same text.
        PriceBook::parse(include_str!("../data/prices.txt")).expect("the prices are well-formed")
    });
    &BUILTIN
}

impl Catalog {
    /// What a provider of the catalogue takes for a model; `None` when that is not known, which is not the same as nothing.
    /// The name is the provider's own, or a variant of it: see [`PriceBook::row`].
    pub fn price(&self, provider: &str, model: &str) -> Option<&'static Price> {
        prices().row(provider, model)?.price.as_ref()
    }

    /// Tokens that a prompt may have: as the provider's own list of models says, else as its prices say, else as of the model
    /// wherever it is.
    pub fn context_window(&self, provider: Option<&str>, model: &str) -> Option<u64> {
        self.limit(provider, model, |model| model.context, |row| row.context)
    }

    /// Tokens that an answer may have, found as [`Catalog::context_window`] is.
    pub fn max_output(&self, provider: Option<&str>, model: &str) -> Option<u64> {
        self.limit(
            provider,
            model,
            |model| model.max_output,
            |row| row.max_output,
        )
    }

    fn limit(
        &self,
        provider: Option<&str>,
        model: &str,
        known: impl Fn(&crate::Model) -> Option<u64>,
        priced: impl Fn(&Row) -> Option<u64>,
    ) -> Option<u64> {
        let own = provider.and_then(|id| self.models_of(id).iter().find(|own| own.id == model));
        own.and_then(&known)
            .or_else(|| priced(prices().row(provider?, model)?))
            .or_else(|| self.model(model).and_then(known))
    }
}

impl PriceBook {
    pub fn parse(text: &str) -> Result<Self, BadData> {
        let (date, entries) = Self::read(text)?;
        let mut rows = Vec::with_capacity(entries.len());
        let mut places: FxHashMap<Box<str>, FxHashMap<Box<str>, usize>> = FxHashMap::default();
        for (provider, name, row) in entries {
            if !places.contains_key(provider) {
                places.insert(provider.into(), FxHashMap::default());
            }
            let models = places.get_mut(provider);
            let before = models.and_then(|models| models.insert(name.into(), rows.len()));
            if before.is_some() {
                return Err(BadData(format!(
                    "prices: {provider}: `{name}` is there twice"
                )));
            }
            rows.push(row);
        }
        for models in places.values_mut() {
            add_undated(models);
        }
        Ok(Self {
            date: date.to_owned(),
            rows,
            places,
        })
    }

    /// The day and the rows as they stand in the text, with provider and name.
    #[expect(clippy::type_complexity, reason = "a day, and rows of three things")]
    pub fn read(text: &str) -> Result<(&str, Vec<(&str, &str, Row)>), BadData> {
        let mut date = None;
        let mut rows = Vec::new();
        let mut provider = None;
        for (index, line) in text.lines().enumerate() {
            let bad = |what: &str| BadData(format!("prices, line {}: {what}", index + 1));
            let mut cells = line.split_ascii_whitespace();
            let Some(first) = cells.next().filter(|cell| !cell.starts_with('#')) else {
                continue;
            };
            if date.is_none() {
                if first != "prices" || cells.next() != Some(FORM) {
                    return Err(bad("expected `prices 1` and a day"));
                }
                date = Some(cells.next().ok_or_else(|| bad("no day"))?);
            } else if let Some(id) = first.strip_prefix('[') {
                let id = id.strip_suffix(']').ok_or_else(|| bad("expected `[id]`"))?;
                provider = Some(id);
            } else {
                let provider = provider.ok_or_else(|| bad("no provider yet"))?;
                if first != first.to_lowercase() {
                    return Err(bad("names are in lower case"));
                }
                let row = Row::parse(cells).map_err(|what| bad(&what))?;
                rows.push((provider, first, row));
            }
        }
        let date = date.ok_or_else(|| BadData("prices: the text is empty".to_owned()))?;
        Ok((date, rows))
    }

    /// The day of its facts: `2026-11-30`.
    pub fn date(&self) -> &str {
        &self.date
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of a model at a provider, which is an id of the catalogue.
    ///
    /// A name that has no row is looked for without what comes and goes: `models/` and vendors in front, a region in front
    /// (`us.`), a day (`-2025-08-07`, `-20250929`, `@20250929`), `-latest` or a version (`-v1:0`) behind; a name without a
    /// day has the row of the latest. A tuned model (`ft:gpt-4o:org::id`) has that of its base.
    pub fn row(&self, provider: &str, model: &str) -> Option<&Row> {
        if model.len() > LONGEST_NAME {
            return None;
        }
        let models = self.places.get(provider)?;
        let name = if model.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(model.to_lowercase())
        } else {
            Cow::Borrowed(model)
        };
        let place = models.get(&*name).or_else(|| {
            // Each is shorter than the one before, so that the closest name is found first.
            let whole = name.strip_prefix("models/").unwrap_or(&name);
            let after_first = whole.split_once('/').map(|(_, rest)| rest);
            let last = whole.rsplit_once('/').map(|(_, last)| last);
            let last = last.filter(|_| last != after_first);
            let beginnings = [Some(whole), after_first, last];
            beginnings.into_iter().flatten().find_map(|name| {
                let elsewhere = name
                    .split_once('.')
                    .and_then(|(region, rest)| REGIONS.contains(&region).then_some(rest));
                let names = [Some(name), elsewhere];
                names.into_iter().flatten().find_map(|name| {
                    std::iter::successors(Some(name), |name| shorter(name))
                        .find_map(|name| models.get(name))
                })
            })
        });
        self.rows.get(*place?)
    }

    /// The providers that it says something of, in no order.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(|id| &**id)
    }
}

impl Row {
    /// The cells after the name.
    pub fn parse<'a>(cells: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut row = Self::default();
        let mut priced = (false, false);
        let mut price = Price::default();
        for cell in cells {
            if let Some(above) = cell.strip_prefix('>') {
                let above = tokens(above).ok_or_else(|| format!("`{cell}` is no length"))?;
                let below = price.tiers.last().copied().unwrap_or(Tier {
                    above: 0,
                    rates: price.rates,
                });
                if above <= below.above {
                    return Err(format!("`{cell}` is not above what stands before it"));
                }
                price.tiers.push(Tier { above, ..below });
                continue;
            }
            let (column, value) = cell
                .split_once('=')
                .ok_or_else(|| format!("`{cell}` is no cell"))?;
            if matches!(column, "context" | "max_output") {
                let limit = tokens(value).ok_or_else(|| format!("`{cell}` is no length"))?;
                let place = match column {
                    "context" => &mut row.context,
                    _ => &mut row.max_output,
                };
                *place = Some(limit);
                continue;
            }
            let rate = nano_dollars(value).map_err(|error| format!("`{cell}`: {error}"))?;
            let in_tier = !price.tiers.is_empty();
            let rates = match price.tiers.last_mut() {
                Some(tier) => &mut tier.rates,
                None => &mut price.rates,
            };
            match column {
                "input" => rates.input = rate,
                "output" => rates.output = rate,
                "cache_read" => rates.cache_read = Some(rate),
                "cache_write" => rates.cache_write = Some(rate),
                "cache_write_1h" => rates.cache_write_1h = Some(rate),
                _ => return Err(format!("there is no column `{column}`")),
            }
            if !in_tier {
                priced.0 |= column == "input";
                priced.1 |= column == "output";
            }
        }
        row.price = match priced {
            (true, true) => Some(price),
            (false, false) if price == Price::default() => None,
            _ => return Err("a price has `input` and `output`".to_owned()),
        };
        Ok(row)
    }

    /// The cells after the name, as [`Row::parse`] reads them.
    pub fn cells(&self) -> String {
        let mut out = String::new();
        let mut cell = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a text cannot fail.
                let _ = write!(out, " {name}={value}");
            }
        };
        cell("context", self.context.map(|tokens| tokens.to_string()));
        cell(
            "max_output",
            self.max_output.map(|tokens| tokens.to_string()),
        );
        let Some(price) = &self.price else {
            return out;
        };
        out.push_str(&differences(&price.rates, None));
        let mut below = &price.rates;
        for tier in &price.tiers {
            let _ = write!(out, " >{}", tier.above);
            out.push_str(&differences(&tier.rates, Some(below)));
            below = &tier.rates;
        }
        out
    }
}

/// The rates that are not as those of shorter prompts.
fn differences(rates: &Rates, below: Option<&Rates>) -> String {
    let columns = |rates: &Rates| {
        [
            ("input", Some(rates.input)),
            ("output", Some(rates.output)),
            ("cache_read", rates.cache_read),
            ("cache_write", rates.cache_write),
            ("cache_write_1h", rates.cache_write_1h),
        ]
    };
    let known = below.map(columns).unwrap_or_default();
    let mut out = String::new();
    for (column, before) in columns(rates).into_iter().zip(known) {
        if let (name, Some(rate)) = column
            && column != before
        {
            let _ = write!(out, " {name}={}", dollars(rate));
        }
    }
    out
}

fn tokens(text: &str) -> Option<u64> {
    text.parse().ok().filter(|tokens| *tokens > 0)
}

/// Lets a name without its day stand for the latest day that has a row.
fn add_undated(models: &mut FxHashMap<Box<str>, usize>) {
    let mut dated: Vec<(Box<str>, Box<str>, usize)> = models
        .iter()
        .filter_map(|(name, place)| {
            let bare = shorter(name)?;
            (!models.contains_key(bare)).then(|| (bare.into(), name.clone(), *place))
        })
        .collect();
    // `-latest` is behind every day in the order of the alphabet.
    dated.sort();
    for (bare, _, place) in dated {
        models.insert(bare, place);
    }
}

/// The name without the last thing in it that is no name; `None` when there is no such thing.
fn shorter(name: &str) -> Option<&str> {
    if let Some(tuned) = name.strip_prefix("ft:")
        && tuned.contains(':')
    {
        return name.rsplit_once(':').map(|(base, _)| base);
    }
    if let Some(bare) = name.strip_suffix("-latest") {
        return Some(bare);
    }
    let bytes = name.as_bytes();
    let fits = |pattern: &[u8]| {
        let start = bytes
            .len()
            .checked_sub(pattern.len())
            .filter(|at| *at > 0)?;
        let same = |(byte, pattern): (&u8, &u8)| match pattern {
            b'0' => byte.is_ascii_digit(),
            b'-' => matches!(byte, b'-' | b'@'),
            other => byte == other,
        };
        let end = bytes.get(start..)?;
        let year = end.get(1..3).is_some_and(|century| century == b"20");
        (year && end.iter().zip(pattern).all(same)).then_some(start)
    };
    if let Some(start) = fits(b"-0000-00-00").or_else(|| fits(b"-00000000")) {
        return name.get(..start);
    }
    let (bare, version) = name.rsplit_once('-')?;
    let number = version.strip_prefix('v')?;
    let (major, minor) = number.split_once(':').unwrap_or((number, "0"));
    let digits =
        |text: &str| !text.is_empty() && text.len() < 3 && text.bytes().all(|b| b.is_ascii_digit());
    // `deepseek-v3` is a name: a version of a packaging has its day or a colon.
    let packaged = number.contains(':') || shorter(bare).is_some();
    (!bare.is_empty() && packaged && digits(major) && digits(minor)).then_some(bare)
}

#[cfg(test)]
mod tests;
