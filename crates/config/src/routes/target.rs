//! Where a route sends requests.

use lingate_routing::{KeySettings, RouteTarget};

use super::Known;
use crate::environment::unknown_provider;
use crate::place::did_you_mean;
use crate::read::{Reader, Value};

impl Reader<'_> {
    /// Those that can be used; the others are problems, or are told as problems of their provider.
    pub(super) fn targets(&mut self, route: &Value, known: &Known<'_>) -> Vec<RouteTarget> {
        let written = route.get("targets").map(Value::items).unwrap_or_default();
        match (written.is_empty(), route.get("split")) {
            (true, None) if !self.told(&format!("{}.targets", route.path)) => {
                self.problem(
                    &route.place,
                    &route.path,
                    "a route needs `targets` or a `split`",
                );
            }
            (false, Some(split)) => self.problem(
                &split.place,
                &split.path,
                "a route has `targets` or a `split`, not both: the arms have routes of their own",
            ),
            (true | false, _) => {}
        }
        let targets: Vec<RouteTarget> = written
            .iter()
            .filter_map(|target| self.target(target, known))
            .collect();
        if !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
            self.note(
                &route.place,
                &route.path,
                "drained: all targets have the weight 0, so only its fallbacks are left",
            );
        }
        targets
    }

    fn target(&mut self, target: &Value, known: &Known<'_>) -> Option<RouteTarget> {
        if let Some(text) = target.text() {
            let (provider, model) = match text.split_once('/') {
                Some((provider, model)) => (provider, Some(model)),
                None => (text, None),
            };
            if model.is_some_and(str::is_empty) {
                let message = "expected `provider` or `provider/model`";
                self.problem(&target.place, &target.path, message);
                return None;
            }
            let index = self.provider_index(target, provider, known)?;
            return Some(RouteTarget::at(index, model));
        }
        let Some(provider) = target.get("provider") else {
            self.problem(&target.place, &target.path, "a target needs a `provider`");
            return None;
        };
        let name = provider.text().unwrap_or_default();
        let index = self.provider_index(provider, name, known)?;
        let number = |key: &str, usual: u32| {
            target
                .get(key)
                .and_then(Value::number)
                .map_or(usual, |number| u32::try_from(number).unwrap_or(u32::MAX))
        };
        self.tags(target.get("keys"), index, known);
        Some(RouteTarget {
            provider: index,
            model: target.get("model").and_then(Value::text).map(str::to_owned),
            weight: number("weight", 1),
            priority: number("priority", 0),
            keys: Value::texts(target.get("keys")),
        })
    }

    /// Where the provider of this name is, which `said` names.
    pub(super) fn provider_index(
        &mut self,
        said: &Value,
        name: &str,
        known: &Known<'_>,
    ) -> Option<usize> {
        let names = || known.providers.iter().map(|known| known.name.as_str());
        let index = names().position(|known| known == name);
        if index.is_none() && !known.broken.contains(&name) {
            let message = unknown_provider(name, names());
            self.problem(&said.place, &said.path, message);
        }
        index
    }

    /// A tag that no key has would leave the target without keys.
    fn tags(&mut self, said: Option<&Value>, provider: usize, known: &Known<'_>) {
        let (Some(said), Some(provider)) = (said, known.providers.get(provider)) else {
            return;
        };
        for value in said.items() {
            let tag = value.text().unwrap_or_default();
            if !provider.keys.select(&[tag.to_owned()]).is_empty() {
                continue;
            }
            let settings: Vec<KeySettings<'_>> = provider.keys.settings().collect();
            let tags = settings.iter().flat_map(|settings| settings.tags.iter());
            let message = format!(
                "no key of `{}` has the tag `{tag}`{}",
                provider.name,
                did_you_mean(tag, tags.map(|tag| &**tag))
            );
            self.problem(&value.place, &value.path, message);
        }
    }
}
