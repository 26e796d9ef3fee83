//! Prices and limits of models by provider: the text that they are kept in, and finding one's row in it.
//!
//! The text has a head, `prices 2 2026-11-30` (the form of the text, the day of the facts), then for each provider a line
//! `[openai]` and a line for each of its models, sorted, and an end that says how many these are, `end 2145`. A row is a name in
//! lower case and cells `column=value`; what is not known has no cell. `context` and `max_output` are tokens; what the others say is
//! told in `price/cells.rs`.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};

use crate::price::Price;
use crate::{BadData, Catalog};

/// The only form there is. A program that meets another one must not guess.
const FORM: &str = "2";

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
    version: Box<str>,
    rows: Vec<Row>,
    /// Provider and name of each row.
    names: Vec<(Box<str>, Box<str>)>,
    /// Provider → name in lower case → place in `rows`.
    places: FxHashMap<Box<str>, FxHashMap<Box<str>, usize>>,
}

/// A text of prices, read but not put in order.
#[derive(Debug)]
pub struct Entries<'a> {
    pub date: &'a str,
    /// Provider, name, and what is known.
    pub rows: Vec<(&'a str, &'a str, Row)>,
    /// How many rows it says that it has; `None`: it has no end.
    pub end: Option<usize>,
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
        let Entries {
            date,
            rows: entries,
            end,
        } = Self::read(text)?;
        if end != Some(entries.len()) {
            let found = entries.len();
            let what = match end {
                None => format!("there are {found} rows and no `end`: a part of it is missing"),
                Some(end) => format!("there are {found} rows of {end}: a part of it is missing"),
            };
            return Err(BadData(format!("prices: {what}")));
        }
        let mut rows = Vec::with_capacity(entries.len());
        let mut names = Vec::with_capacity(entries.len());
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
            names.push((provider.into(), name.into()));
        }
        for models in places.values_mut() {
            add_undated(models);
        }
        let digest = Sha256::digest(text.as_bytes());
        let mut version = date.to_owned();
        version.push('-');
        for byte in digest.iter().take(4) {
            // Writing to a text cannot fail.
            let _ = write!(version, "{byte:02x}");
        }
        Ok(Self {
            date: date.to_owned(),
            version: version.into(),
            rows,
            names,
            places,
        })
    }

    /// The rows as they stand in the text, which need not be whole.
    pub fn read(text: &str) -> Result<Entries<'_>, BadData> {
        let mut date = None;
        let mut rows = Vec::new();
        let mut provider = None;
        let mut end: Option<usize> = None;
        for (index, line) in text.lines().enumerate() {
            let bad = |what: &str| BadData(format!("prices, line {}: {what}", index + 1));
            let line = line.trim();
            let (first, cells) = line.split_once(' ').unwrap_or((line, ""));
            if first.is_empty() || first.starts_with('#') {
                continue;
            }
            if end.is_some() {
                return Err(bad("there is more behind the end"));
            }
            if date.is_none() {
                let (form, day) = cells.trim().split_once(' ').unwrap_or((cells.trim(), ""));
                if first != "prices" || form != FORM {
                    return Err(bad("expected `prices 2` and a day"));
                }
                date = Some(
                    Some(day)
                        .filter(|day| is_day(day))
                        .ok_or_else(|| bad("no day"))?,
                );
            } else if first == "end" && !cells.contains('=') {
                end = Some(
                    cells
                        .trim()
                        .parse()
                        .map_err(|_| bad("expected `end` and the number of rows"))?,
                );
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
        Ok(Entries { date, rows, end })
    }

    /// The day of its facts: `2026-11-30`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The day, and eight digits of a hash of the text: what stands in records. No two books have the same.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Provider, name and what is known, in the order of the text.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &Row)> {
        let names = self.names.iter().zip(&self.rows);
        names.map(|((provider, name), row)| (&**provider, &**name, row))
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
    /// Reads the cells after the name.
    pub fn parse(cells: &str) -> Result<Self, String> {
        let mut row = Self::default();
        let price = Price::parse(cells, |column, value| {
            let place = match column {
                "context" => &mut row.context,
                "max_output" => &mut row.max_output,
                _ => return Ok(false),
            };
            let limit = tokens(value).ok_or_else(|| format!("`{column}={value}` is no length"))?;
            if place.replace(limit).is_some() {
                return Err(format!("`{column}` is there twice"));
            }
            Ok(true)
        })?;
        row.price = price;
        Ok(row)
    }

    /// The cells after the name, as [`Row::parse`] reads them.
    pub fn cells(&self) -> String {
        let mut out = String::new();
        for (name, limit) in [("context", self.context), ("max_output", self.max_output)] {
            if let Some(limit) = limit {
                // Writing to a text cannot fail.
                let _ = write!(out, " {name}={limit}");
            }
        }
        if let Some(price) = &self.price {
            out.push_str(&price.cells());
        }
        out
    }
}

/// `2026-11-30`.
fn is_day(text: &str) -> bool {
    let like = |(byte, place): (u8, &u8)| match place {
        b'0' => byte.is_ascii_digit(),
        place => byte == *place,
    };
    text.len() == 10 && text.bytes().zip(b"0000-00-00").all(like)
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
