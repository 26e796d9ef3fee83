//! The keys of the database as the gateway takes them: opened, and references followed.

use std::collections::BTreeMap;
use std::sync::Arc;

use lingate_routing::{KeyLimits, KeySpec};
use lingate_seal::{Purpose, Sealer};
use lingate_store::{KeptSecret, ProviderKey, Store, StoreError};
use secrecy::SecretString;
use serde_json::Value;

/// All keys that are enabled, by provider, in the order in which they were added. What cannot be opened is left out, and told once for
/// each reason.
pub async fn key_specs(
    store: &Store,
    seal: &Sealer,
) -> Result<BTreeMap<String, Arc<[KeySpec]>>, StoreError> {
    let keys = store.enabled_provider_keys().await?;
    let mut specs: BTreeMap<String, Vec<KeySpec>> = BTreeMap::new();
    let mut wrong: BTreeMap<String, u64> = BTreeMap::new();
    for key in &keys {
        match secret(key, seal) {
            Ok(secret) => specs
                .entry(key.provider.clone())
                .or_default()
                .push(spec(key, secret)),
            Err(why) => *wrong.entry(why).or_default() += 1,
        }
    }
    for (why, count) in wrong {
        tracing::error!(count, "keys of providers cannot be used: {why}");
    }
    let specs = specs.into_iter();
    Ok(specs.map(|(name, keys)| (name, keys.into())).collect())
}

fn secret(key: &ProviderKey, seal: &Sealer) -> Result<SecretString, String> {
    match &key.secret {
        KeptSecret::Sealed(envelope) => seal
            .open_text(Purpose::ProviderKeys, &key.id.to_string(), envelope)
            .map_err(|error| error.to_string()),
        KeptSecret::Reference(reference) => {
            let text = if let Some(path) = reference.strip_prefix("file:") {
                std::fs::read_to_string(path).map_err(|error| format!("{reference}: {error}"))?
            } else {
                let name = reference.trim_start_matches("${").trim_end_matches('}');
                std::env::var(name).map_err(|_| format!("{reference}: it is not set"))?
            };
            let text = text.trim();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{reference}: there is no single key in it"));
            }
            Ok(SecretString::from(text))
        }
    }
}

fn spec(key: &ProviderKey, secret: SecretString) -> KeySpec {
    let number = |name: &str| key.spec.get(name).and_then(Value::as_u64);
    let small = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
    let tags = key.spec.get("tags").and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(Value::as_str);
    let account = key.spec.get("account").and_then(Value::as_str);
    KeySpec {
        weight: small("weight").unwrap_or(1),
        tags: tags.map(str::to_owned).collect(),
        account: account.map(str::to_owned),
        limits: KeyLimits {
            concurrency: small("concurrency"),
            requests_per_minute: small("requests_per_minute"),
            tokens_per_minute: number("tokens_per_minute"),
        },
        ..KeySpec::new(secret)
    }
}
