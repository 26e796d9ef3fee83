//! What models cost, exactly: integers, no floats.
//!
//! The unit of a rate is the nano-dollar per million tokens, so that `$0.1` per million is 100,000,000 and every price that
//! vendors print is whole. The unit of a cost is the nano-dollar.

mod amount;
mod bill;
mod cells;
mod exact;
mod formula;
mod hours;
mod rates;

use lingate_dialect::hub::Usage;

use crate::Money;

pub use amount::{BadAmount, dollars, nano_dollars};
pub use bill::{Bill, Item, Line};
pub use exact::{Exact, Factor};
pub use formula::Formula;
pub use hours::Hours;
pub use rates::{Column, Rates};

/// What a model costs at one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    pub rates: Rates,
    /// Where other rates hold, in any order; see [`Price::rate`].
    pub tiers: Vec<Tier>,
    /// When the tiers of [`When::OffPeak`] hold.
    pub off_peak: Option<Hours>,
    /// What tokens cost more or less in a region, or at a speed, by its name.
    pub factors: Vec<(Box<str>, Factor)>,
    /// A request with searches pays for one, however many there are.
    pub search_once: bool,
    /// Stands in the place of all the above.
    pub formula: Option<Formula>,
}

/// Rates that differ: what is left out is as without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub when: When,
    /// Holds for prompts of more tokens than this, cached ones counted too; zero: for all.
    pub above: u64,
    pub rates: Rates,
}

/// For which requests a tier holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    Always,
    /// In the hours that the price names.
    OffPeak,
    /// Served so: `batch`, `flex`, `priority`, or another word of the vendor's.
    Service(Box<str>),
}

/// What a price may depend on, beside what was used. What is not known is `None`, and costs as usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// How the provider says that it served the request, not what was asked for.
    pub service_tier: Option<&'a str>,
    /// Where it was served: `us`, `eu`, `us-central1`.
    pub region: Option<&'a str>,
    /// How fast: `fast`.
    pub speed: Option<&'a str>,
    /// When it began, in milliseconds since 1970.
    pub moment: i64,
    pub images_given: u64,
    pub images_made: u64,
    /// How much of the web a search reads.
    pub search_context: SearchContext,
}

/// How much of the web a search reads; vendors take the middle where nobody says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SearchContext {
    Low,
    #[default]
    Medium,
    High,
}

impl Circumstances<'_> {
    /// The service tier in the words of prices: vendors have several for the usual one, which is empty here.
    pub fn service(&self) -> &str {
        match self.service_tier.unwrap_or_default() {
            "standard" | "default" | "auto" | "on_demand" | "standard_only" => "",
            "batches" => "batch",
            "fast" => "priority",
            other => other,
        }
    }
}

/// Which tiers of a price hold for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold<'a> {
    prompt: u64,
    service: &'a str,
    off_peak: bool,
}

impl Price {
    /// Nano-dollars per million tokens of prompt and answer, and nothing else.
    pub fn flat(input: u64, output: u64) -> Self {
        Self {
            rates: Rates::flat(input, output),
            ..Self::default()
        }
    }

    /// For a request of text alone whose prompt is in no cache, served as usual, in the dear hours.
    pub fn cost(&self, input: u64, output: u64) -> Money {
        let usage = Usage {
            input,
            output,
            ..Usage::default()
        };
        let usual = Circumstances {
            moment: i64::MAX,
            ..Circumstances::default()
        };
        self.bill(&usage, &usual).total().rounded()
    }

    /// What was used costs, rounded once, half up; never less than nothing.
    pub fn cost_of(&self, usage: &Usage, circumstances: &Circumstances<'_>) -> Money {
        self.bill(usage, circumstances).total().rounded()
    }

    fn holds(&self, prompt: u64, circumstances: &Circumstances<'_>) -> Hold<'_> {
        let wanted = circumstances.service();
        // The name as the price has it, so that it lives as long as the price does.
        let service = self.tiers.iter().find_map(|tier| match &tier.when {
            When::Service(name) if name.eq_ignore_ascii_case(wanted) => Some(&**name),
            When::Service(_) | When::Always | When::OffPeak => None,
        });
        let hours = self.off_peak.as_ref();
        Hold {
            prompt,
            service: service.unwrap_or_default(),
            off_peak: hours.is_some_and(|hours| hours.hold(circumstances.moment)),
        }
    }

    /// The rate of a column for a request: as the tier says that is for the longest prompts, then for the service or the hours;
    /// what no tier says, the price itself. So a length that has no price of its own for a service costs what it does usually.
    pub(crate) fn rate(&self, column: Column, hold: &Hold<'_>) -> Option<u64> {
        let told = self.tiers.iter().filter_map(|tier| {
            let rank = match &tier.when {
                When::Always => 0,
                When::OffPeak if hold.off_peak => 1,
                When::Service(name) if **name == *hold.service => 2,
                When::OffPeak | When::Service(_) => return None,
            };
            let reaches = tier.above == 0 || hold.prompt > tier.above;
            reaches.then_some(())?;
            Some(((tier.above, rank), tier.rates.get(column)?))
        });
        told.max_by_key(|(rank, _)| *rank)
            .map(|(_, rate)| rate)
            .or_else(|| self.rates.get(column))
    }

    /// Whether a column has a rate of its own, in whatever tier.
    pub fn names(&self, column: Column) -> bool {
        if let Some(formula) = &self.formula {
            return formula.names(column);
        }
        let tiers = self.tiers.iter().map(|tier| &tier.rates);
        let mut all = std::iter::once(&self.rates).chain(tiers);
        all.any(|rates| rates.get(column).is_some())
    }
}

#[cfg(test)]
mod tests;
