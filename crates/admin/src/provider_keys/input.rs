//! A key as it comes in: checked, and sealed before anything else is done with it.

use lingate_routing::label;
use lingate_seal::{Purpose, SealError, Sealer};
use lingate_store::{KeptSecret, NewProviderKey, new_id};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::Admin;
use crate::problem::Problem;

const LONGEST: usize = 4096;

/// What is said of a key beside the key itself, as `lingate.yml` says it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProviderKeySettings)]
pub(crate) struct Settings {
    /// Share of the requests; 0: none. 1 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000)]
    pub(crate) weight: Option<u32>,
    /// Routes may be limited to keys with one of some tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
    /// Whose it is at the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// Requests at the same time, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) tokens_per_minute: Option<u64>,
}

impl Settings {
    pub(crate) fn checked(&self) -> Result<Value, &'static str> {
        if self.weight.is_some_and(|weight| weight > 1000) {
            return Err("settings/weight: expected a number from 0 to 1000");
        }
        let none = [
            self.concurrency.map(u64::from),
            self.requests_per_minute.map(u64::from),
            self.tokens_per_minute,
        ];
        if none.contains(&Some(0)) {
            return Err("settings: limits are at least 1");
        }
        let tags = self.tags.iter().flatten().chain(&self.account);
        if tags.clone().count() > 65 {
            return Err("settings/tags: at most 64");
        }
        for text in tags {
            if text.is_empty() || text.len() > 100 || text.chars().any(char::is_control) {
                return Err("settings: a tag or an account has 1 to 100 bytes");
            }
        }
        serde_json::to_value(self).map_err(|_| "settings: they cannot be written")
    }
}

/// Whether it says where a key is, instead of being one.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with("file:") || (text.starts_with("${") && text.ends_with('}'))
}

/// Why this is no key; its text is never told.
pub(crate) fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.len() > LONGEST {
        return Some("a key has 1 to 4096 characters");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("holds characters that a header cannot carry");
    }
    None
}

pub(crate) fn fingerprint(seal: &Sealer, text: &str) -> (String, Option<String>) {
    let digits = |mac: [u8; 32]| {
        mac.iter()
            .fold(String::new(), |all, byte| format!("{all}{byte:02x}"))
    };
    let purpose = Purpose::ProviderFingerprints;
    let old = seal.previous_mac(purpose, text.as_bytes());
    (digits(seal.mac(purpose, text.as_bytes())), old.map(digits))
}

/// Seals a key that has been looked at.
pub(crate) fn sealed(
    seal: &Sealer,
    text: &Zeroizing<String>,
    name: String,
    spec: Value,
    enabled: bool,
) -> Result<NewProviderKey, SealError> {
    let id = new_id();
    let (fingerprint, old_fingerprint) = fingerprint(seal, text);
    let (secret, hint) = if is_reference(text) {
        (KeptSecret::Reference(text.to_string()), text.to_string())
    } else {
        let sealed = seal.seal(Purpose::ProviderKeys, &id.to_string(), text.as_bytes())?;
        (KeptSecret::Sealed(sealed), label(text))
    };
    Ok(NewProviderKey {
        id,
        secret,
        fingerprint,
        old_fingerprint,
        hint,
        name,
        spec,
        enabled,
    })
}

pub(crate) fn unsealable(error: &SealError) -> Problem {
    tracing::error!(%error, "secrets cannot be sealed");
    Problem::new(
        http::StatusCode::SERVICE_UNAVAILABLE,
        "no_master_key",
        error.to_string(),
    )
    .hint("see docs/secrets.md")
}

/// There is such a provider, in force or stored a moment ago. `field`: where it was named.
pub(crate) async fn known_provider(admin: &Admin, field: &str, name: &str) -> Result<(), Problem> {
    if !admin.configured().shown["providers"][name].is_null() {
        return Ok(());
    }
    let documents = admin.store()?.documents().await?;
    let mut all = documents.items.iter();
    if all.any(|it| it.kind == "provider" && it.name == name) {
        return Ok(());
    }
    Err(Problem::invalid(field, "there is no such provider")
        .hint("add the provider first; GET /api/v1/key-pools lists those that there are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_a_header_carries() {
        for (text, expect) in [
            ("sk-1", true),
            ("", false),
            ("two words", false),
            ("ключ", false),
            ("a\u{7f}", false),
        ] {
            assert_eq!(fault(text).is_none(), expect, "{text}");
        }
        assert!(fault(&"x".repeat(4097)).is_some());
        assert!(is_reference("${KEY}") && is_reference("file:/run/key"));
        assert!(!is_reference("sk-file:") && !is_reference("$KEY"));
    }
}
