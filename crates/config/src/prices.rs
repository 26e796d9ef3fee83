//! A provider's own prices: from dollars per million tokens in `lingate.yml` to integers.

use lingate_catalog::{Price, Rates};

use crate::read::{Reader, Value};

impl Reader<'_> {
    /// Patterns in lower case, in the order written. A price that is not whole is a problem: half of one would make a provider
    /// look cheap.
    pub(crate) fn prices(&mut self, provider: &Value) -> Vec<(String, Price)> {
        let said = provider.get("prices").map_or(&[][..], Value::entries);
        let mut prices = Vec::with_capacity(said.len());
        for (pattern, said) in said {
            let rate = |name: &str| said.get(name).and_then(Value::dollars);
            let (Some(input), Some(output)) = (rate("input"), rate("output")) else {
                if !self.told(&said.path) {
                    let message = "a price needs `input` and `output`";
                    self.problem(&said.place, &said.path, message);
                }
                continue;
            };
            let rates = Rates {
                input,
                output,
                cache_read: rate("cache_read"),
                cache_write: rate("cache_write"),
                cache_write_1h: rate("cache_write_1h"),
            };
            let tiers = Vec::new();
            prices.push((pattern.to_lowercase(), Price { rates, tiers }));
        }
        prices
    }
}
