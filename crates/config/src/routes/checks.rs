//! What only shows when all routes are looked at together: names that nothing serves, chains that come back to where they
//! began, and routes that nobody reaches.

use std::collections::HashMap;

use lingate_dialect::DialectId;
use lingate_routing::{Ask, Pattern, Route, Snapshot, Stated, cycles, plan};

use crate::read::{Reader, Value};

/// Where a route is written.
#[derive(Clone, Copy)]
pub(crate) struct Written<'v>(pub(super) &'v Value);

/// Patterns without conditions that are held against what comes after them. More are not: the work grows with the product.
const MOST_COMPARED: usize = 200;

impl Reader<'_> {
    /// Checks the routes of a snapshot, each of which has its place in `written`.
    pub(crate) fn check_routes(&mut self, snapshot: &Snapshot, written: &[Written<'_>]) {
        self.unreachable(&snapshot.routes, written);
        self.unserved(snapshot, written);
        self.circular(snapshot, written);
    }

    /// Routes behind one that takes all they would.
    fn unreachable(&mut self, routes: &[Route], written: &[Written<'_>]) {
        let mut same: HashMap<String, usize> = HashMap::new();
        let mut wide: Vec<(&Pattern, usize)> = Vec::new();
        for (place, (route, Written(value))) in routes.iter().zip(written).enumerate() {
            let name = route.model.to_string();
            let covers = |pattern: &Pattern| match (&route.model, pattern) {
                (Pattern::Exact(name), pattern) => pattern.matches(name),
                (Pattern::Glob(_) | Pattern::Regex(_), pattern) => {
                    matches!(pattern, Pattern::Glob(all) if all == "*")
                }
            };
            let earlier = same.get(&name).copied().or_else(|| {
                let found = wide.iter().find(|(pattern, _)| covers(pattern));
                found.map(|(_, place)| *place)
            });
            if let Some(Written(earlier)) = earlier.and_then(|place| written.get(place)) {
                let by = earlier.get("model").and_then(Value::text).unwrap_or("");
                let message = format!(
                    "never reached: the route for `{by}` at {} takes all of it",
                    earlier.place
                );
                self.note(&value.place, &value.path, message);
            } else if route.when.is_empty() {
                same.insert(name, place);
                if route.model.exact().is_none() && wide.len() < MOST_COMPARED {
                    wide.push((&route.model, place));
                }
            }
        }
    }

    /// Models to go on with that nothing would ever answer for.
    fn unserved(&mut self, snapshot: &Snapshot, written: &[Written<'_>]) {
        let facts = Stated::default();
        let mut known: HashMap<&str, Option<String>> = HashMap::new();
        for Written(value) in written {
            for name in names(value) {
                let model = name.text().unwrap_or_default();
                let missing = known.entry(model).or_insert_with(|| {
                    // A route with conditions may not take this request, and still another one.
                    if snapshot.routes.named(model).next().is_some() {
                        return None;
                    }
                    let ask = Ask {
                        model,
                        dialect: DialectId::Chat,
                        stream: false,
                        facts: &facts,
                    };
                    let missing = plan(snapshot, &ask, &mut || 0).err()?;
                    // Whether somebody speaks the caller's dialect is for the request to say.
                    missing.unspoken.is_none().then(|| missing.to_string())
                });
                if let Some(message) = missing.clone() {
                    self.problem(&name.place, &name.path, message);
                }
            }
        }
    }

    /// Chains that come back to where they began.
    fn circular(&mut self, snapshot: &Snapshot, written: &[Written<'_>]) {
        for (route, way) in cycles(&snapshot.routes, &snapshot.providers) {
            let Some(Written(value)) = written.get(route) else {
                continue;
            };
            let first = way.get(1).map(String::as_str);
            let said = names(value).into_iter().find(|name| name.text() == first);
            let said = said.unwrap_or(value);
            let message = format!("comes back to where it began: {}", way.join(" → "));
            self.problem(&said.place, &said.path, message);
        }
    }
}

/// The names of models that a route goes on with.
fn names(route: &Value) -> Vec<&Value> {
    let causes = route
        .get("fallbacks_on")
        .map(Value::entries)
        .unwrap_or_default();
    let arms = route
        .get("split")
        .and_then(|split| split.get("arms"))
        .map(Value::items)
        .unwrap_or_default();
    let last = route
        .get("last_resort")
        .and_then(|resort| resort.get("fallback"));
    let fallbacks = route.get("fallbacks").map(Value::items).unwrap_or_default();
    fallbacks
        .iter()
        .chain(causes.iter().flat_map(|(_, models)| models.items()))
        .chain(arms.iter().filter_map(|arm| arm.get("model")))
        .chain(last)
        .collect()
}
