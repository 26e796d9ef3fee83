//! When a provider is left alone, and how it is asked if it still answers.

use std::time::Duration;

use lingate_routing::{BreakerRules, HealthCheck};

use crate::read::{Reader, Value};
use crate::routes::share;

/// More often would be traffic of its own.
const SHORTEST: Duration = Duration::from_secs(1);

impl Reader<'_> {
    pub(super) fn breaker(&mut self, said: Option<&Value>) -> BreakerRules {
        let usual = BreakerRules::default();
        let Some(said) = said else {
            return usual;
        };
        if let Some(enabled) = said.flag() {
            return BreakerRules { enabled, ..usual };
        }
        let duration = |name: &str| said.get(name).and_then(Value::duration);
        let mut ratio = usual.ratio;
        if let Some(said) = said.get("ratio") {
            match share(said.text().unwrap_or_default()).map(|millionths| millionths / 1_000) {
                Some(thousandths) if thousandths > 0 => ratio = thousandths,
                Some(_) | None => {
                    let message =
                        "expected a share such as 50% or 0.5, more than none and at most all";
                    self.problem(&said.place, &said.path, message);
                }
            }
        }
        let rules = BreakerRules {
            enabled: true,
            window: duration("window").unwrap_or(usual.window),
            requests: said
                .get("requests")
                .and_then(Value::number)
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(usual.requests),
            ratio,
            cooldown: duration("cooldown").unwrap_or(usual.cooldown),
            longest: duration("longest").unwrap_or(usual.longest),
        };
        match (said.get("longest"), said.get("cooldown")) {
            (Some(longest), _) if rules.longest < rules.cooldown => {
                let message = "is shorter than the `cooldown`";
                self.problem(&longest.place, &longest.path, message);
            }
            // The usual longest gives way to a cooldown that somebody wrote.
            (None, Some(_)) => {
                return BreakerRules {
                    longest: rules.longest.max(rules.cooldown),
                    ..rules
                };
            }
            (Some(_) | None, _) => {}
        }
        rules
    }

    pub(super) fn health_check(&mut self, said: Option<&Value>) -> Option<HealthCheck> {
        let said = said?;
        if said.flag() == Some(false) {
            return None;
        }
        let interval = match said.get("interval") {
            Some(interval) => {
                let time = interval.duration()?;
                if time < SHORTEST {
                    self.problem(&interval.place, &interval.path, "expected at least 1s");
                }
                time
            }
            None => HealthCheck::INTERVAL,
        };
        Some(HealthCheck {
            interval,
            model: said.get("model").and_then(Value::text).map(str::to_owned),
        })
    }
}
