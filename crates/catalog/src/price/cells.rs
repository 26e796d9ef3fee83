//! A price as text: `input=1.25 output=10 >200000 input=2.5 @flex input=0.6 @flex>200000 input=1.2`.
//!
//! `column=dollars` are rates: dollars per million tokens, or for one thing. `off_peak=UTC;mon-fri,16:30-00:30` are the hours of
//! `@off_peak`. `times.us=1.1` is what tokens cost more in a region or at a speed. `search=0.01` is
//! that of searches of every kind, `searches=once`: a request pays for one at most. Then the tiers, each with what differs: `>200000` of prompts of more tokens than that, `@flex` of a service tier,
//! `@flex>200000` of both. `formula=…`, to the end of the line, stands in the place of all rates.

use std::fmt::{self, Write as _};

use super::amount::dollars;
use super::rates::{Column, Rates};
use super::{Factor, Formula, Hours, Price, Tier, When, nano_dollars};

impl Price {
    /// Reads cells; a cell that is none of a price's is given to `other`, which says whether it knows it. `None`: there was
    /// nothing of a price.
    pub(crate) fn parse(
        cells: &str,
        mut other: impl FnMut(&str, &str) -> Result<bool, String>,
    ) -> Result<Option<Self>, String> {
        let mut price = Self::default();
        let mut said = false;
        // Below the line of the base, a cell belongs to the last tier.
        let mut rest = cells.trim();
        while !rest.is_empty() {
            if let Some(formula) = rest.strip_prefix("formula=") {
                price.formula = Some(Formula::compile(formula.trim())?);
                said = true;
                break;
            }
            let (cell, after) = rest
                .split_once(|c: char| c.is_ascii_whitespace())
                .unwrap_or((rest, ""));
            rest = after.trim_start();
            if cell.starts_with(['>', '@']) {
                price.begin_tier(cell)?;
                continue;
            }
            let (name, value) = cell
                .split_once('=')
                .ok_or_else(|| format!("`{cell}` is no cell"))?;
            if let Some(column) = Column::from_name(name) {
                let rate = nano_dollars(value).map_err(|error| format!("`{cell}`: {error}"))?;
                let rates = match price.tiers.last_mut() {
                    Some(tier) => &mut tier.rates,
                    None => &mut price.rates,
                };
                if rates.get(column).is_some() {
                    return Err(format!("`{name}` is there twice"));
                }
                rates.set(column, Some(rate));
                said = true;
            } else if name == "search" {
                let rate = nano_dollars(value).map_err(|error| format!("`{cell}`: {error}"))?;
                price
                    .set_search(rate)
                    .map_err(|what| format!("`{cell}`: {what}"))?;
                said = true;
            } else if other(name, value)? {
                // It is theirs.
            } else {
                said = true;
                price.setting(cell, name, value)?;
            }
        }
        if !said && price.tiers.is_empty() {
            return Ok(None);
        }
        price.check()?;
        Ok(Some(price))
    }

    fn setting(&mut self, cell: &str, name: &str, value: &str) -> Result<(), String> {
        let bad = |what: &str| format!("`{cell}`: {what}");
        if !self.tiers.is_empty() {
            return Err(bad("only rates stand in a tier"));
        }
        if name == "off_peak" && self.off_peak.is_none() {
            self.off_peak = Some(Hours::parse(value).map_err(|what| bad(&what))?);
        } else if cell == "searches=once" && !self.search_once {
            self.search_once = true;
        } else if let Some(place) = name.strip_prefix("times.") {
            let factor = Factor::parse(value).map_err(|error| bad(&error.to_string()))?;
            if place.is_empty() || self.factors.iter().any(|(known, _)| **known == *place) {
                return Err(bad("is there twice, or has no name"));
            }
            self.factors.push((place.into(), factor));
        } else {
            return Err(format!("there is no column `{name}`"));
        }
        Ok(())
    }

    /// One rate for searches of every kind, in the last tier.
    fn set_search(&mut self, rate: u64) -> Result<(), String> {
        let rates = match self.tiers.last_mut() {
            Some(tier) => &mut tier.rates,
            None => &mut self.rates,
        };
        for column in Column::SEARCHES {
            if rates.get(column).is_some() {
                return Err("there is a price of searches already".to_owned());
            }
            rates.set(column, Some(rate));
        }
        Ok(())
    }

    fn begin_tier(&mut self, cell: &str) -> Result<(), String> {
        let (name, above) = cell.split_once('>').unwrap_or((cell, ""));
        let when = match name.strip_prefix('@') {
            None => When::Always,
            Some("off_peak") => When::OffPeak,
            Some("") => return Err(format!("`{cell}` has no name")),
            Some(service) => When::Service(service.into()),
        };
        let above = if cell.contains('>') {
            let length = above.parse().ok().filter(|tokens| *tokens > 0);
            length.ok_or_else(|| format!("`{cell}` is no length"))?
        } else {
            0
        };
        self.tiers.push(Tier {
            when,
            above,
            rates: Rates::default(),
        });
        Ok(())
    }

    /// What every price must be, wherever it is from.
    pub fn check(&self) -> Result<(), String> {
        let said = |column| self.rates.get(column).is_some();
        if self.formula.is_some() {
            if !self.rates.is_empty() || !self.tiers.is_empty() {
                return Err("a formula stands alone: it is the whole price".to_owned());
            }
            return Ok(());
        }
        if !said(Column::Input) || !said(Column::Output) {
            return Err("a price has `input` and `output`, or a `formula`".to_owned());
        }
        for (place, tier) in self.tiers.iter().enumerate() {
            let name = tier.name();
            if tier.rates.is_empty() {
                return Err(format!("`{name}` says nothing"));
            }
            let before = self.tiers.iter().take(place);
            if before.clone().any(|other| other.name() == name) {
                return Err(format!("`{name}` is there twice"));
            }
            if tier.when == When::OffPeak && self.off_peak.is_none() {
                return Err("`@off_peak` without its hours".to_owned());
            }
        }
        Ok(())
    }

    /// The cells, each with a space in front, as [`Price::parse`] reads them.
    pub(crate) fn cells(&self) -> String {
        let mut out = String::new();
        if let Some(formula) = &self.formula {
            // Writing to a text cannot fail.
            let _ = write!(out, " formula={formula}");
            return out;
        }
        rates(&mut out, &self.rates);
        if self.search_once {
            out.push_str(" searches=once");
        }
        for (name, factor) in &self.factors {
            let _ = write!(out, " times.{name}={factor}");
        }
        if let Some(hours) = &self.off_peak {
            let _ = write!(out, " off_peak={hours}");
        }
        for tier in &self.tiers {
            let _ = write!(out, " {}", tier.name());
            rates(&mut out, &tier.rates);
        }
        out
    }
}

/// As [`Price::parse`] reads it, with a space in front.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cells())
    }
}

impl Tier {
    /// `>200000`, `@flex`, `@flex>200000`.
    pub fn name(&self) -> String {
        let mut name = match &self.when {
            When::Always => String::new(),
            When::OffPeak => "@off_peak".to_owned(),
            When::Service(service) => format!("@{service}"),
        };
        if self.above > 0 || name.is_empty() {
            let _ = write!(name, ">{}", self.above);
        }
        name
    }
}

fn rates(out: &mut String, rates: &Rates) {
    let search = rates.search();
    for (column, rate) in rates.iter() {
        if search.is_none() || !Column::SEARCHES.contains(&column) {
            let _ = write!(out, " {}={}", column.name(), dollars(rate));
        }
    }
    if let Some(rate) = search {
        let _ = write!(out, " search={}", dollars(rate));
    }
}
