//! Prices that somebody lays over the catalogue's, by patterns of models.

use crate::glob;
use crate::price::Price;

/// Rows of a pattern in lower case and a price. The first that covers a model holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnPrices(Vec<(String, Price)>);

impl OwnPrices {
    /// In the order in which they are asked. Letters of patterns may be of any case.
    pub fn new(rows: impl IntoIterator<Item = (String, Price)>) -> Self {
        let lower = |(pattern, price): (String, Price)| (pattern.to_lowercase(), price);
        Self(rows.into_iter().map(lower).collect())
    }

    /// The price of a model. A pattern is held against the whole name and against its last path segment.
    pub fn find(&self, model: &str) -> Option<&Price> {
        if self.0.is_empty() {
            return None;
        }
        let name = model.to_lowercase();
        let last = name.rsplit('/').next().unwrap_or(&name);
        self.0
            .iter()
            .find(|(pattern, _)| glob::matches(pattern, &name) || glob::matches(pattern, last))
            .map(|(_, price)| price)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rows(&self) -> &[(String, Price)] {
        &self.0
    }
}
