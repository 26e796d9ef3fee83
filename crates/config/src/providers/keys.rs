//! The keys of a provider: from its section, from files, or from the environment.

use std::collections::{HashMap, HashSet};

use lingate_catalog as catalog;
use lingate_routing::{KeyLimits, KeyPool, KeySpec, Snapshot, fingerprint};
use secrecy::{ExposeSecret, SecretString};

use super::Surroundings;
use crate::overlay::DocumentKind;
use crate::place::Place;
use crate::read::{Reader, Typed, Value};

impl Reader<'_> {
    pub(super) fn keys(
        &mut self,
        name: &str,
        value: &Value,
        row: Option<&catalog::Provider>,
        around: &Surroundings<'_>,
    ) -> KeyPool {
        if let Some(keys) = value.get("keys") {
            let specs = self.key_specs(keys);
            let none = |spec: &KeySpec| spec.secret.expose_secret().eq_ignore_ascii_case("none");
            if specs.iter().any(none) {
                if specs.len() > 1 {
                    self.problem(
                        &keys.place,
                        &keys.path,
                        "`none` stands alone: it says that the server wants no key",
                    );
                }
                return KeyPool::keyless();
            }
            let specs = self.with_stored(name, specs);
            if specs.is_empty() && !around.passthrough {
                self.note(
                    &keys.place,
                    &keys.path,
                    format!("no key, so `{name}` is not used"),
                );
            }
            if !specs.is_empty() && specs.iter().all(|spec| spec.weight == 0) {
                self.note(
                    &keys.place,
                    &keys.path,
                    format!("all keys have the weight 0, so `{name}` is drained"),
                );
            }
            return KeyPool::new(specs);
        }
        let own = format!("{}_API_KEY", name.to_uppercase().replace(['-', '.'], "_"));
        let mut variables: Vec<String> = row.map(|row| row.env.clone()).unwrap_or_default();
        if !variables.contains(&own) {
            variables.push(own);
        }
        if let Some((variable, keys)) = self.environment.first(&variables) {
            let keys = self.split_keys(variable, keys);
            return KeyPool::new(self.with_stored(name, keys));
        }
        let stored = self.with_stored(name, Vec::new());
        if !stored.is_empty() {
            return KeyPool::new(stored);
        }
        if row.is_some_and(|row| row.keyless) {
            return KeyPool::keyless();
        }
        if !around.passthrough {
            let hint = if row.is_some() {
                ""
            } else {
                ", or `keys: [none]` if it wants none"
            };
            let message = format!(
                "no key, so `{name}` is not used: set {} or write `keys`{hint}",
                variables.join(" or ")
            );
            self.note(&value.place, &value.path, message);
        }
        KeyPool::default()
    }

    /// The keys of a variable, with commas or on lines.
    pub(super) fn split_keys(&mut self, variable: &str, keys: &str) -> Vec<KeySpec> {
        let keys: Vec<&str> = keys
            .split([',', '\n'])
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .collect();
        if !keys
            .iter()
            .all(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            self.problem(
                &Place::variable(variable),
                "",
                "holds characters that a header cannot carry",
            );
        }
        keys.into_iter()
            .map(|key| KeySpec::new(key.into()))
            .collect()
    }

    /// The keys, and behind them those that are stored for the provider; what is there twice counts as the first.
    pub(super) fn with_stored(&self, name: &str, mut specs: Vec<KeySpec>) -> Vec<KeySpec> {
        let Some(stored) = self.overlay.keys.get(name) else {
            return specs;
        };
        let print = |spec: &KeySpec| fingerprint(spec.secret.expose_secret());
        let mut known: HashSet<[u8; 32]> = specs.iter().map(print).collect();
        let new = stored.iter().filter(|spec| known.insert(print(spec)));
        specs.extend(new.cloned());
        specs
    }

    /// Keys that are stored for nobody are worth a word.
    pub(crate) fn note_lost_keys(&mut self, snapshot: &Snapshot) {
        let overlay = self.overlay;
        for (name, keys) in &overlay.keys {
            let place = Place::stored(DocumentKind::Provider, name);
            let provider = snapshot
                .providers
                .iter()
                .find(|provider| provider.name == *name);
            let message = match provider {
                _ if keys.is_empty() => continue,
                None => format!(
                    "{} keys are stored for it, and there is no such provider",
                    keys.len()
                ),
                Some(provider) if provider.keys.keys().all(|key| key.is_none()) => format!(
                    "{} keys are stored for it and not used: it wants none",
                    keys.len()
                ),
                Some(_) => continue,
            };
            self.note(&place, "", message);
        }
    }

    /// Each key once, in order.
    fn key_specs(&mut self, keys: &Value) -> Vec<KeySpec> {
        let mut specs: Vec<KeySpec> = Vec::new();
        // Of each key, by which entry of the list it came.
        let mut known: HashMap<[u8; 32], usize> = HashMap::new();
        for (entry, value) in keys.items().iter().enumerate() {
            let (usual, secrets) = self.key_entry(value);
            let (mut again, mut elsewhere) = (0_usize, None);
            for secret in secrets {
                let fingerprint = fingerprint(secret.expose_secret());
                if let Some(first) = known.get(&fingerprint) {
                    again += 1;
                    elsewhere = elsewhere.or(Some(*first).filter(|first| *first != entry));
                } else {
                    known.insert(fingerprint, entry);
                    specs.push(KeySpec {
                        secret,
                        ..usual.clone()
                    });
                }
            }
            let settings = |value: &Value| !value.entries().is_empty();
            let first = elsewhere.and_then(|first| keys.items().get(first));
            if let Some(first) = first
                && (settings(first) || settings(value))
            {
                let message = format!(
                    "a key of it is also at {}, with other settings",
                    first.place
                );
                self.problem(&value.place, &value.path, message);
            } else if again > 0 {
                let message = match again {
                    1 => "a key is here twice, and counts once".to_owned(),
                    again => format!("{again} keys are here twice, and count once"),
                };
                self.note(&value.place, &value.path, message);
            }
        }
        specs
    }

    /// The settings of an entry, and the keys that have them.
    fn key_entry(&mut self, value: &Value) -> (KeySpec, Vec<SecretString>) {
        let mut spec = KeySpec::new(SecretString::default());
        if let Typed::Secrets(secrets) = &value.typed {
            return (spec, secrets.clone());
        }
        let count = |name: &str| {
            let number = value.get(name).and_then(Value::number)?;
            u32::try_from(number).ok()
        };
        let text = |name: &str| value.get(name).and_then(Value::text);
        spec.weight = count("weight").unwrap_or(spec.weight);
        spec.tags = Value::texts(value.get("tags"));
        spec.account = text("account").map(str::to_owned);
        spec.limits = KeyLimits {
            concurrency: count("concurrency"),
            requests_per_minute: count("requests_per_minute"),
            tokens_per_minute: value.get("tokens_per_minute").and_then(Value::number),
        };
        spec.disabled = match text("disabled") {
            None | Some("false") => None,
            Some("true") => Some("switched off in the configuration".to_owned()),
            Some(why) => Some(why.to_owned()),
        };
        let secrets = match (value.get("key"), value.get("file")) {
            (Some(key), None) => key.secrets().to_vec(),
            (None, Some(file)) => {
                let text = file.text().unwrap_or_default();
                let text = text.strip_prefix("file:").unwrap_or(text);
                self.secrets(&format!("file:{text}"), &file.place, &file.path)
                    .unwrap_or_default()
            }
            (Some(_), Some(file)) => {
                let message = "an entry has a `key` or a `file`, not both";
                self.problem(&file.place, &file.path, message);
                Vec::new()
            }
            (None, None) => {
                if !self.told(&value.path) {
                    self.problem(&value.place, &value.path, "needs a `key` or a `file`");
                }
                Vec::new()
            }
        };
        (spec, secrets)
    }
}
