//! Experiments: requests divided between models, and requests sent twice.

use lingate_routing::{Arm, Mirror, Split};

use super::{Known, by};
use crate::read::{Reader, Value};

/// A part of the whole in millionths: `5%`, or `0.05`.
pub(crate) fn share(text: &str) -> Option<u32> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim(), 100.0),
        None => (text, 1.0),
    };
    let part = number.parse::<f64>().ok()? / whole;
    if !(0.0..=1.0).contains(&part) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 1 000 000"
    )]
    Some((part * 1e6).round() as u32)
}

impl Reader<'_> {
    /// The split of a route, with at least one arm that has a weight.
    pub(super) fn split(&mut self, route: &Value) -> Option<Split> {
        let said = route.get("split")?;
        let name = said.get("name").or(route.get("model"));
        let mut arms = Vec::new();
        for arm in said.get("arms").map(Value::items).unwrap_or_default() {
            let Some(model) = arm.get("model").and_then(Value::text) else {
                if !self.told(&arm.path) {
                    self.problem(&arm.place, &arm.path, "an arm needs a `model`");
                }
                continue;
            };
            let weight = arm.get("weight").and_then(Value::number).unwrap_or(1);
            arms.push(Arm {
                weight: u32::try_from(weight).unwrap_or(u32::MAX),
                model: model.to_owned(),
            });
        }
        if arms.iter().all(|arm| arm.weight == 0) && !self.told(&said.path) {
            let message = if arms.is_empty() {
                "a split needs `arms`: `[{weight: 90, model: a}, {weight: 10, model: b}]`"
            } else {
                "at least one arm needs a weight above 0"
            };
            self.problem(&said.place, &said.path, message);
        }
        Some(Split {
            name: name.and_then(Value::text).unwrap_or_default().to_owned(),
            sticky: said.get("sticky").map(by),
            arms,
        })
    }

    pub(super) fn mirror(&mut self, said: Option<&Value>, known: &Known<'_>) -> Option<Mirror> {
        let said = said?;
        let Some(provider) = said.get("provider") else {
            if !self.told(&said.path) {
                self.problem(&said.place, &said.path, "a mirror needs a `provider`");
            }
            return None;
        };
        let index = self.provider_index(provider, provider.text().unwrap_or_default(), known);
        let Some(share_said) = said.get("share") else {
            if !self.told(&said.path) {
                let message = "a mirror needs a `share`, since what it sends is paid for: `5%`";
                self.problem(&said.place, &said.path, message);
            }
            return None;
        };
        let Some(share) = share(share_said.text().unwrap_or_default()) else {
            let message = "expected a share such as 5% or 0.05, at most all";
            self.problem(&share_said.place, &share_said.path, message);
            return None;
        };
        Some(Mirror {
            provider: index?,
            model: said.get("model").and_then(Value::text).map(str::to_owned),
            share,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares() {
        for (text, expect) in [
            ("5%", Some(50_000)),
            ("0.05", Some(50_000)),
            ("0.1 %", Some(1_000)),
            ("100%", Some(1_000_000)),
            ("1", Some(1_000_000)),
            ("0", Some(0)),
            ("5", None),
            ("101%", None),
            ("-1%", None),
            ("NaN", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(share(text), expect, "{text}");
        }
    }
}
