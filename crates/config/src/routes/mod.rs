//! From the section `routes` to routes.

mod checks;
mod clock;
mod failure;
mod split;
mod target;
mod when;

use std::collections::HashSet;
use std::sync::Arc;

use lingate_routing::{
    By, Handling, Measure, Mode, Pattern, Provider, Route, Strategy, StreamPolicy,
};

use crate::read::{Reader, Value};
use crate::tenants::Names;

pub(crate) use checks::Written;
pub(crate) use clock::{shown_days, shown_time};
pub(crate) use split::share;
pub use when::token_count;

/// What routes may name.
pub(crate) struct Known<'a> {
    pub(crate) providers: &'a [Arc<Provider>],
    /// Providers whose problems are told elsewhere.
    pub(crate) broken: &'a [&'a str],
    pub(crate) callers: &'a Names,
}

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

/// Whether routes and defaults may convert.
pub(crate) fn mode(said: Option<&Value>) -> Option<Mode> {
    Some(match said?.text()? {
        "direct" => Mode::Direct,
        _ => Mode::Transform,
    })
}

impl Reader<'_> {
    /// All routes in order, each with where it is written; [`Self::check_routes`] looks at them together. One without a
    /// usable `model` is left out, and a problem says so.
    pub(crate) fn routes<'v>(
        &mut self,
        section: Option<&'v Value>,
        known: &Known<'_>,
    ) -> (Vec<Route>, Vec<Written<'v>>) {
        let values = section.map(Value::items).unwrap_or_default();
        let mut names = HashSet::new();
        for name in values.iter().filter_map(|value| value.get("name")) {
            if !names.insert(name.text().unwrap_or_default()) {
                self.problem(&name.place, &name.path, "a route before has this name");
            }
        }
        values
            .iter()
            .filter_map(|value| Some((self.route(value, known)?, Written(value))))
            .unzip()
    }

    fn route(&mut self, value: &Value, known: &Known<'_>) -> Option<Route> {
        let model = self.model(value);
        let when = self.when(value.get("when"), known.callers);
        let targets = self.targets(value, known);
        let split = self.split(value);
        let strategy = self.strategy(value, &targets);
        let mode = self.route_mode(value);
        let retry = self.retry(value.get("retry"));
        let last_resort = self.last_resort(value.get("last_resort"));
        let mirror = self.mirror(value.get("mirror"), known);
        Some(Route {
            name: value.get("name").and_then(Value::text).map(str::to_owned),
            when,
            mode,
            strategy,
            prefer_same_dialect: value
                .get("prefer_same_dialect")
                .and_then(Value::flag)
                .unwrap_or(false),
            split,
            fallbacks: failure::fallbacks(value),
            fallbacks_on: failure::fallbacks_on(value.get("fallbacks_on")),
            retry,
            last_resort,
            mirror,
            stream: value
                .get("stream")
                .and_then(Value::text)
                .map(|word| match word {
                    "never" => StreamPolicy::Never,
                    "always" => StreamPolicy::Always,
                    _ => StreamPolicy::Auto,
                }),
            continuations: continuations(value.get("anti_truncation")),
            ..Route::to(model?, targets)
        })
    }

    fn model(&mut self, route: &Value) -> Option<Pattern> {
        let Some(model) = route.get("model") else {
            self.problem(
                &route.place,
                &route.path,
                "a route needs a `model`: a name, a pattern or a regular expression",
            );
            return None;
        };
        self.pattern(model)
    }

    /// A name, a pattern or a regular expression.
    fn pattern(&mut self, said: &Value) -> Option<Pattern> {
        match Pattern::parse(said.text().unwrap_or_default()) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problem(&said.place, &said.path, error.to_string());
                None
            }
        }
    }

    fn route_mode(&mut self, route: &Value) -> Option<Mode> {
        let said = mode(route.get("mode"));
        let Some(direct) = route.get("direct") else {
            return said;
        };
        let mode = match direct.flag() {
            Some(true) => Mode::Direct,
            Some(false) | None => Mode::Transform,
        };
        if said.is_some_and(|said| said != mode) {
            self.problem(
                &direct.place,
                &direct.path,
                "contradicts `mode`; one of them is enough",
            );
        }
        Some(mode)
    }

    fn strategy(&mut self, route: &Value, targets: &[lingate_routing::RouteTarget]) -> Strategy {
        let weighs = |target: &Value| {
            target
                .get("weight")
                .and_then(Value::number)
                .is_some_and(|weight| weight > 0)
        };
        let weighed = route
            .get("targets")
            .map(Value::items)
            .unwrap_or_default()
            .iter()
            .find(|target| weighs(target));
        let Some(said) = route.get("strategy") else {
            return match weighed {
                Some(_) => Strategy::Weighted,
                None => Strategy::Priority,
            };
        };
        let strategy = match said.text() {
            Some("weighted") => Strategy::Weighted,
            Some("round_robin") => Strategy::RoundRobin,
            Some("least_busy") => Strategy::LeastBusy,
            Some("latency") => Strategy::Latency(Measure::default()),
            Some("cheapest") => Strategy::Cheapest,
            Some("sticky") => Strategy::Sticky(By::default()),
            Some("quota") => Strategy::Quota,
            Some(_) => Strategy::Priority,
            None => match said.entries() {
                [(name, value)] if name == "latency" => Strategy::Latency(measure(value)),
                [(_, value)] => Strategy::Sticky(by(value)),
                _ => {
                    if !self.told(&said.path) {
                        self.problem(
                            &said.place,
                            &said.path,
                            "expected one strategy: a word, or `{latency: …}` or `{sticky: …}`",
                        );
                    }
                    Strategy::Priority
                }
            },
        };
        let unweighed = matches!(strategy, Strategy::Priority | Strategy::RoundRobin);
        let differ = targets.iter().any(|target| target.weight > 1);
        if unweighed
            && differ
            && let Some(weight) = weighed.and_then(|target| target.get("weight"))
        {
            self.note(
                &weight.place,
                &weight.path,
                "has no effect with this strategy, which looks at no weights but 0",
            );
        }
        strategy
    }
}

fn measure(said: &Value) -> Measure {
    match said.text() {
        Some("per_token") => Measure::PerToken,
        Some(_) | None => Measure::FirstToken,
    }
}

/// What stays together.
fn by(said: &Value) -> By {
    match said.text() {
        Some("prefix") => By::Prefix,
        Some("user") => By::User,
        Some("key") => By::Key,
        Some(_) | None => By::Session,
    }
}
