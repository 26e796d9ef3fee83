//! What a request costs, line by line: every token stands in one line, and the lines are summed before anything is rounded.

use std::fmt;

use lingate_dialect::hub::Usage;

use super::exact::{Exact, Factor};
use super::formula::Facts;
use super::rates::Column;
use super::{Circumstances, Price, SearchContext};

/// What a request costs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// What costs nothing because there is none of it is left out.
    pub lines: Vec<Line>,
}

/// So many of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub item: Item,
    pub quantity: u64,
    /// Nano-dollars per million tokens, or for one; `None`: a formula says.
    pub rate: Option<u64>,
    /// Of the region and of the speed; one where there is none.
    pub factors: [Factor; 2],
    pub amount: Exact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    Column(Column),
    /// All of the request.
    Formula,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Column(column) => column.name(),
            Self::Formula => "formula",
        })
    }
}

impl Bill {
    /// The sum of the lines, not rounded yet.
    pub fn total(&self) -> Exact {
        self.lines
            .iter()
            .fold(Exact::ZERO, |sum, line| sum.plus(line.amount))
    }
}

/// How often each column is paid for. No token is counted twice, and none is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts([u64; Column::ALL.len()]);

impl Counts {
    fn get(&self, column: Column) -> u64 {
        self.0.get(column as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, column: Column, count: u64) {
        if let Some(place) = self.0.get_mut(column as usize) {
            *place = count;
        }
    }

    /// Takes at most so many out of one column into another; gives how many could not be had.
    fn part(&mut self, whole: Column, part: Column, count: u64) -> u64 {
        let taken = count.min(self.get(whole));
        self.set(whole, self.get(whole) - taken);
        self.set(part, self.get(part).saturating_add(taken));
        count - taken
    }
}

impl Price {
    /// What was used costs, line by line.
    pub fn bill(&self, usage: &Usage, circumstances: &Circumstances<'_>) -> Bill {
        let prompt = [
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
        ];
        let prompt = prompt.into_iter().fold(0, u64::saturating_add);
        let counts = self.counts(usage, circumstances);
        if let Some(formula) = &self.formula {
            let facts = Facts {
                count: &|column| counts.get(column),
                prompt,
                answer: usage.output,
                circumstances,
            };
            let line = Line {
                item: Item::Formula,
                quantity: 1,
                rate: None,
                factors: [Factor::ONE; 2],
                amount: formula.amount(&facts),
            };
            return Bill { lines: vec![line] };
        }
        let hold = self.holds(prompt, circumstances);
        let factors = [circumstances.region, circumstances.speed].map(|name| self.factor(name));
        let mut lines = Vec::with_capacity(6);
        for column in Column::ALL {
            let quantity = counts.get(column);
            if quantity == 0 {
                continue;
            }
            let mut from = Some(column);
            let rate = std::iter::from_fn(|| {
                let column = from?;
                from = column.whole();
                Some(self.rate(column, &hold))
            });
            let Some(rate) = rate.flatten().next() else {
                continue;
            };
            let product = u128::from(quantity).saturating_mul(u128::from(rate));
            let (factors, amount) = if column.is_tokens() {
                let amount = Exact::from_millionths(product);
                (factors, factors.into_iter().fold(amount, Exact::times))
            } else {
                let millionths = product.saturating_mul(1_000_000);
                ([Factor::ONE; 2], Exact::from_millionths(millionths))
            };
            lines.push(Line {
                item: Item::Column(column),
                quantity,
                rate: Some(rate),
                factors,
                amount,
            });
        }
        Bill { lines }
    }

    /// Parts that have no price of their own stay in their whole.
    fn counts(&self, usage: &Usage, circumstances: &Circumstances<'_>) -> Counts {
        let Usage {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            reasoning,
            audio_in,
            audio_out,
            image_in,
            image_out,
            searches,
        } = *usage;
        let mut counts = Counts([0; Column::ALL.len()]);
        counts.set(Column::Input, input);
        counts.set(Column::Output, output);
        for (column, count) in [
            (Column::CacheRead, cache_read),
            (Column::CacheWrite, cache_write_5m),
            (Column::CacheWriteLong, cache_write_1h),
        ] {
            let place = self.place(column);
            counts.set(place, counts.get(place).saturating_add(count));
        }
        // Vendors seldom say which part of the sound was cached: what is left of it beside the prompt that was not.
        for (fresh, cached, count) in [
            (Column::AudioIn, Column::AudioCacheRead, audio_in),
            (Column::ImageIn, Column::ImageCacheRead, image_in),
        ] {
            if count == 0 {
                continue;
            }
            let uncached = count.min(input);
            if self.names(fresh) {
                counts.part(Column::Input, fresh, uncached);
            }
            if self.names(cached) {
                counts.part(self.place(Column::CacheRead), cached, count - uncached);
            }
        }
        for (part, count) in [
            (Column::Reasoning, reasoning.unwrap_or(0)),
            (Column::AudioOut, audio_out),
            (Column::ImageOut, image_out),
        ] {
            if count > 0 && self.names(part) {
                counts.part(Column::Output, part, count);
            }
        }
        counts.set(Column::Request, 1);
        counts.set(Column::ImageGiven, circumstances.images_given);
        counts.set(Column::ImageMade, circumstances.images_made);
        let search = match circumstances.search_context {
            _ if self.formula.is_some() => Column::SearchMedium,
            SearchContext::Low => Column::SearchLow,
            SearchContext::Medium => Column::SearchMedium,
            SearchContext::High => Column::SearchHigh,
        };
        let most = if self.search_once { 1 } else { u64::MAX };
        counts.set(search, searches.min(most));
        counts
    }

    /// Where a column is counted: in itself if it is named, else in what it is a part of.
    fn place(&self, column: Column) -> Column {
        let mut place = column;
        while !self.names(place) {
            let Some(whole) = place.whole() else { break };
            place = whole;
        }
        place
    }

    fn factor(&self, name: Option<&str>) -> Factor {
        let Some(name) = name else { return Factor::ONE };
        let found = self.factors.iter().find(|(known, _)| &**known == name);
        found.map_or(Factor::ONE, |(_, factor)| *factor)
    }
}
