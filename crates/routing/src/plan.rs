//! Which targets serve a model name, and in which order.

use std::fmt;
use std::sync::Arc;

use lingate_dialect::DialectId;

use crate::{Ask, Asked, Auth, Handling, Mode, Moment, Provider, Snapshot, Wanted};

/// The targets to try, in order; at least one.
#[derive(Debug)]
pub struct Plan {
    pub targets: Vec<Target>,
    /// The route that claimed the model, as an index into the snapshot's routes.
    pub route: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Target {
    pub provider: Arc<Provider>,
    /// Index into the provider's endpoints.
    pub endpoint: usize,
    /// The upstream's name of the model.
    pub model: String,
    pub handling: Handling,
}

/// Nothing serves this model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoute {
    pub model: String,
    /// Known names that look like it, the closest first.
    pub close: Vec<String>,
    /// In mode `direct`: the provider that has the model but does not speak the caller's dialect.
    pub unspoken: Option<(String, DialectId)>,
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((provider, dialect)) = &self.unspoken {
            return write!(
                f,
                "the provider `{provider}` of the model `{}` does not speak the dialect {dialect}, and mode `direct` does not convert",
                self.model
            );
        }
        write!(f, "no provider serves the model `{}`", self.model)?;
        if !self.close.is_empty() {
            write!(f, "; close matches: {}", self.close.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NoRoute {}

/// Decides who serves a model. The first of these that claims the name does:
///
/// 1. `provider/model` written out, where the first segment names a configured provider; the rest is the model, slashes and all;
/// 2. the first matching route: its targets, then its fallbacks;
/// 3. the catalogue's provider of the model, if it is configured with a key;
/// 4. every provider with a key that declares the model in its `models`;
/// 5. the preferred provider;
/// 6. the only provider there is with a key.
///
/// Targets whose keys all rest at `now` are tried last.
pub fn plan(snapshot: &Snapshot, ask: &Ask<'_>, now: Moment) -> Result<Plan, NoRoute> {
    let asked = Asked::new(ask);
    let mut wanted = Vec::new();
    let route = claim(snapshot, ask.model, &asked, &mut wanted);
    if let Some(route) = route.and_then(|index| snapshot.routes.get(index)) {
        for fallback in &route.fallbacks {
            claim(snapshot, fallback, &asked, &mut wanted);
        }
    }

    // Fallbacks too are tried for this route's sake, and handled as it says.
    let defaults = snapshot.defaults.handling;
    let handling = route
        .and_then(|index| snapshot.routes.get(index))
        .map_or(defaults, |route| route.handling(defaults));
    let mut targets: Vec<Target> = Vec::with_capacity(wanted.len());
    let mut unspoken = None;
    for (provider, model) in wanted {
        let endpoint = match snapshot.mode {
            Mode::Transform => provider.endpoint(ask.dialect, &model),
            Mode::Direct => provider.speaks(ask.dialect),
        };
        let Some((endpoint, _)) = endpoint else {
            unspoken.get_or_insert_with(|| (provider.name.clone(), ask.dialect));
            continue;
        };
        let known = targets
            .iter()
            .any(|target| Arc::ptr_eq(&target.provider, provider) && target.model == model);
        if !known {
            targets.push(Target {
                provider: Arc::clone(provider),
                endpoint,
                model,
                handling,
            });
        }
    }
    if targets.is_empty() {
        return Err(NoRoute {
            model: ask.model.to_owned(),
            close: close_matches(snapshot, ask.model),
            unspoken,
        });
    }
    if targets.len() > 1 && snapshot.auth != Auth::Passthrough {
        targets.sort_by_cached_key(|target| {
            target
                .provider
                .keys
                .ready(&Wanted::of(&target.model), now)
                .is_err()
        });
    }
    Ok(Plan { targets, route })
}

/// Adds those who serve `model` to `wanted`, with the upstream's name; returns the route that decided, if one did.
fn claim<'s>(
    snapshot: &'s Snapshot,
    model: &str,
    asked: &Asked<'_>,
    wanted: &mut Vec<(&'s Arc<Provider>, String)>,
) -> Option<usize> {
    if let Some((name, rest)) = model.split_once('/')
        && !rest.is_empty()
        && let Some(provider) = snapshot.provider(name)
    {
        wanted.push((provider, rest.to_owned()));
        return None;
    }

    if let Some(index) = snapshot.routes.find(model, asked)
        && let Some(route) = snapshot.routes.get(index)
    {
        let mut targets: Vec<_> = route.targets.iter().collect();
        targets.sort_by_key(|target| target.priority);
        for target in targets {
            if let Some(provider) = snapshot.providers.get(target.provider) {
                let model = target.model.as_deref().unwrap_or(model);
                wanted.push((provider, model.to_owned()));
            }
        }
        return Some(index);
    }

    let cataloged = lingate_catalog::builtin()
        .providers_of_model(model)
        .find_map(|row| {
            let mut following = snapshot.providers.following(&row.id);
            following.find(|provider| has_key(snapshot, provider))
        });
    if let Some(provider) = cataloged {
        wanted.push((provider, model.to_owned()));
        return None;
    }

    let before = wanted.len();
    wanted.extend(
        snapshot
            .providers
            .declaring(model)
            .filter(|provider| has_key(snapshot, provider))
            .map(|provider| (provider, model.to_owned())),
    );
    if wanted.len() > before {
        return None;
    }

    let preferred = snapshot
        .preferred_provider
        .and_then(|index| snapshot.providers.get(index));
    let mut usable = snapshot
        .providers
        .iter()
        .filter(|provider| has_key(snapshot, provider));
    let only = usable.next().filter(|_| usable.next().is_none());
    if let Some(provider) = preferred.or(only) {
        wanted.push((provider, model.to_owned()));
    }
    None
}

fn has_key(snapshot: &Snapshot, provider: &Provider) -> bool {
    snapshot.auth == Auth::Passthrough || !provider.keys.is_empty()
}

/// Longer names are not compared: the cost grows with the product of the lengths.
const LONGEST_COMPARED: usize = 200;

fn close_matches(snapshot: &Snapshot, model: &str) -> Vec<String> {
    if model.is_empty() || model.len() > LONGEST_COMPARED {
        return Vec::new();
    }
    let routes = snapshot
        .routes
        .iter()
        .filter_map(|route| route.model.exact());
    let declared = snapshot
        .providers
        .iter()
        .flat_map(|provider| provider.models.iter())
        .map(String::as_str)
        .filter(|name| !name.contains('*'));
    let cataloged = snapshot
        .providers
        .iter()
        .filter(|provider| has_key(snapshot, provider))
        .filter_map(|provider| provider.catalog_id.as_deref())
        .flat_map(|id| lingate_catalog::builtin().models_of(id))
        .map(|model| model.id.as_str());

    let asked = model.to_lowercase();
    let mut scored: Vec<(f64, &str)> = routes
        .chain(declared)
        .chain(cataloged)
        .filter(|name| name.len() <= LONGEST_COMPARED)
        .map(|name| (strsim::jaro_winkler(&asked, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 0.85)
        .collect();
    scored.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let mut close: Vec<String> = Vec::new();
    for (_, name) in scored {
        if close.len() == 3 {
            break;
        }
        if !close.iter().any(|known| known == name) {
            close.push(name.to_owned());
        }
    }
    close
}

#[cfg(test)]
mod tests;
