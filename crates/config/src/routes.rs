//! From the section `routes` to routes.

use std::sync::Arc;

use lingate_routing::{Handling, Pattern, Provider, Route, RouteTarget, StreamPolicy};

use crate::environment::unknown_provider;
use crate::providers::texts;
use crate::read::{Reader, Value};

/// What `anti_truncation` says, where it is said.
pub(crate) fn continuations(said: Option<&Value>) -> Option<u32> {
    let said = said?;
    match said.flag() {
        Some(false) => Some(0),
        Some(true) => Some(Handling::CONTINUATIONS),
        None => Some(
            said.get("attempts")
                .and_then(Value::number)
                .map_or(Handling::CONTINUATIONS, |number| {
                    u32::try_from(number).unwrap_or(u32::MAX)
                }),
        ),
    }
}

impl Reader<'_> {
    /// All routes that are in effect, in order. One with conditions or a split is left out: taking it without them would
    /// send requests where nobody wanted them. Targets at `broken` providers, whose problems are told elsewhere, are passed over.
    pub(crate) fn routes(
        &mut self,
        section: Option<&Value>,
        providers: &[Arc<Provider>],
        broken: &[&str],
    ) -> Vec<Route> {
        let mut routes = Vec::new();
        for value in section.map(Value::items).unwrap_or_default() {
            let pattern = self.pattern(value);
            let targets: Vec<RouteTarget> = value
                .get("targets")
                .map(Value::items)
                .unwrap_or_default()
                .iter()
                .filter_map(|target| self.target(target, providers, broken))
                .collect();
            let split = value.get("split").is_some();
            if !split
                && value
                    .get("targets")
                    .is_none_or(|targets| targets.items().is_empty())
            {
                self.problem(&value.place, &value.path, "a route needs `targets`");
            }
            if let Some(model) = pattern
                && !split
                && value.get("when").is_none()
            {
                routes.push(Route {
                    fallbacks: texts(value.get("fallbacks")),
                    stream: value
                        .get("stream")
                        .and_then(Value::text)
                        .map(|word| match word {
                            "never" => StreamPolicy::Never,
                            "always" => StreamPolicy::Always,
                            _ => StreamPolicy::Auto,
                        }),
                    continuations: continuations(value.get("anti_truncation")),
                    ..Route::to(model, targets)
                });
            }
        }
        routes
    }

    fn pattern(&mut self, route: &Value) -> Option<Pattern> {
        let Some(model) = route.get("model") else {
            self.problem(
                &route.place,
                &route.path,
                "a route needs a `model`: a name, a pattern or a regular expression",
            );
            return None;
        };
        match Pattern::parse(model.text().unwrap_or_default()) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problem(&model.place, &model.path, error.to_string());
                None
            }
        }
    }

    fn target(
        &mut self,
        target: &Value,
        providers: &[Arc<Provider>],
        broken: &[&str],
    ) -> Option<RouteTarget> {
        let Some(provider) = target.get("provider") else {
            self.problem(&target.place, &target.path, "a target needs a `provider`");
            return None;
        };
        let name = provider.text().unwrap_or_default();
        let Some(index) = providers.iter().position(|known| known.name == name) else {
            if broken.contains(&name) {
                return None;
            }
            let message = unknown_provider(name, providers.iter().map(|known| known.name.as_str()));
            self.problem(&provider.place, &provider.path, message);
            return None;
        };
        let number = |key: &str, usual: u32| {
            target
                .get(key)
                .and_then(Value::number)
                .map_or(usual, |number| u32::try_from(number).unwrap_or(u32::MAX))
        };
        Some(RouteTarget {
            provider: index,
            model: target.get("model").and_then(Value::text).map(str::to_owned),
            weight: number("weight", 1),
            priority: number("priority", 0),
            keys: texts(target.get("keys")),
        })
    }
}
