//! The configuration that requests are served by, as one immutable value.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{KnownNames, Provider, Providers, Routes};

/// Everything that a request needs to know; replaced as a whole when the configuration changes. Only the health of
/// providers and keys changes in place.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub mode: Mode,
    pub auth: Auth,
    /// Somebody wrote it down. Else it is what is found: keys, where there are any when the gateway starts.
    pub auth_is_said: bool,
    /// Who may say in a header where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    pub defaults: Defaults,
    pub state: State,
    pub providers: Providers,
    pub routes: Routes,
    /// Index into `providers`: where a model that nothing else claims is sent.
    pub preferred_provider: Option<usize>,
    /// For those who ask for a model that nothing serves.
    pub known: KnownNames,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Convert where the dialects of caller and provider differ.
    #[default]
    Transform,
    /// Never convert: only providers that speak the caller's dialect are used.
    Direct,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Everybody; on loopback addresses only.
    #[default]
    Open,
    /// The caller's own keys go upstream.
    Passthrough,
    /// Whoever shows one of the gateway's keys.
    Keys,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// What a dialect that demands a limit is told when the caller gave none.
    pub max_tokens: u64,
    /// From the caller's request to the end of the answer.
    pub request_timeout: Duration,
    /// From the end of the request to the first byte of the upstream's answer.
    pub first_byte_timeout: Duration,
    /// Between two pieces of a stream.
    pub idle_timeout: Duration,
    pub connect_timeout: Duration,
    /// Bytes of a request body.
    pub body_limit: u64,
    /// How upstreams are asked and their answers treated, where a route does not say.
    pub handling: Handling,
    pub losses: LossPolicy,
    pub usage: UsagePolicy,
    /// A model that the text of a request names in a tag is the one that is asked for.
    pub subagent_tag: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            max_tokens: 8192,
            request_timeout: Duration::from_mins(10),
            first_byte_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(5),
            connect_timeout: Duration::from_secs(5),
            body_limit: 64 << 20,
            handling: Handling::default(),
            losses: LossPolicy::default(),
            usage: UsagePolicy::default(),
            subagent_tag: true,
        }
    }
}

/// What is kept of answers of the Responses API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub enabled: bool,
    pub ttl: Duration,
    /// Bytes on disk, of all callers together.
    pub size: u64,
    /// Bytes on disk, of one caller's key.
    pub size_per_key: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: Duration::from_hours(30 * 24),
            size: 1 << 30,
            size_per_key: 256 << 20,
        }
    }
}

/// How an upstream is asked, and what is done with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handling {
    pub stream: StreamPolicy,
    /// How often an answer that breaks off is gone on with; 0: it is an error.
    pub continuations: u32,
}

impl Handling {
    /// How often, where nobody says it.
    pub const CONTINUATIONS: u32 = 3;
}

/// Whether the upstream is asked for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamPolicy {
    /// As the caller asks.
    #[default]
    Auto,
    /// Never: a caller who wants a stream is told the whole answer as one.
    Never,
    /// Always: for a caller who wants a whole answer the stream is gathered.
    Always,
}

/// What happens to what a conversion cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LossPolicy {
    Ignore,
    #[default]
    Report,
    /// The request is refused with a 400 that names the place.
    Reject,
}

/// Whether the upstream is asked for token counts where its dialect needs to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsagePolicy {
    #[default]
    AsReported,
    Require,
}

impl Snapshot {
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.named(name)
    }

    /// Takes over the health of keys from the snapshot that this one replaces, and shares that of providers that are where
    /// they were. Call it before the first request.
    pub fn inherit(&self, old: &Self) {
        for provider in &self.providers {
            if let Some(before) = old.provider(&provider.name) {
                provider.keys.inherit(&before.keys);
                if provider.is_where(before) {
                    provider.health.inherit(&before.health);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BreakerRules, Class, Fault, Moment, ProviderHealth};

    #[test]
    fn providers_that_are_where_they_were_share_their_health() {
        let snapshot = |proxy: Option<&str>, enabled| {
            let provider = |name: &str| {
                Arc::new(Provider {
                    name: name.to_owned(),
                    proxy: proxy.filter(|_| name == "moves").map(str::to_owned),
                    health: ProviderHealth::new(BreakerRules {
                        enabled,
                        requests: 5,
                        ..BreakerRules::default()
                    }),
                    ..Provider::default()
                })
            };
            Snapshot {
                providers: vec![provider("stays"), provider("moves")].into(),
                ..Snapshot::default()
            }
        };
        let now = Moment::default();
        let old = snapshot(None, true);
        let under_way: Vec<_> = ["stays", "moves"]
            .into_iter()
            .flat_map(|name| (0..5).map(move |_| name))
            .map(|name| {
                let health = &old.provider(name).unwrap().health;
                health.enter(&health.model("m", now), now).unwrap()
            })
            .collect();
        let new = snapshot(Some("http://proxy"), true);
        new.inherit(&old);
        for mut pass in under_way {
            pass.failed(&Fault::new(Class::Upstream), None, now);
        }
        let admits = |snapshot: &Snapshot, name| {
            let health = &snapshot.provider(name).unwrap().health;
            health.enter(&health.model("m", now), now).is_ok()
        };
        for (snapshot, name, expect) in [
            (&old, "stays", false),
            (&old, "moves", false),
            (&new, "stays", false),
            (&new, "moves", true),
        ] {
            assert_eq!(admits(snapshot, name), expect, "{name}");
        }
        // The rules are those of the newest, though the state is the oldest's.
        let newest = snapshot(None, false);
        newest.inherit(&new);
        assert!(admits(&newest, "stays") && !admits(&new, "stays"));
    }
}
