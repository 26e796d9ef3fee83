//! A provider as configured: places, dialects, keys.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lingate_catalog::{Overrides, OwnPrices, Price, Served, builtin, glob};
use lingate_dialect::{DialectId, Quirks};

use crate::{KeyPool, ProviderHealth};

/// Tokens of an answer whose length nobody limits, for an estimate of its cost: few answers of a conversation are longer than a
/// page, and among candidates only the proportion to the prompt matters.
pub const TYPICAL_OUTPUT: u64 = 500;

/// One provider of the configuration.
#[derive(Default)]
pub struct Provider {
    /// The name in `lingate.yml`, in front of models, in logs and headers.
    pub name: String,
    /// The row of the catalogue that it follows, for quirks and models; `None` for a declared one.
    pub catalog_id: Option<String>,
    pub kind: Kind,
    /// In order of preference, at least one. The demo has one, without a URL.
    pub endpoints: Vec<Endpoint>,
    /// `http://`, `https://`, `socks5://` or `socks5h://`; may hold a user and a password.
    pub proxy: Option<String>,
    /// Empty when callers bring their own (`auth: passthrough`).
    pub keys: KeyPool,
    /// Names and patterns with `*` that it declares to serve.
    pub models: Vec<String>,
    /// Its streams are written anew for callers of its own dialect, too.
    pub repair_streams: bool,
    /// How its servers differ from what the catalogue says.
    pub quirks: Overrides,
    /// What it takes, before the catalogue's prices. The ledger bills by the same ones.
    pub prices: Arc<OwnPrices>,
    /// How it and its models fare; outlives a change of the configuration.
    pub health: ProviderHealth,
    /// Whether it is asked now and then if it still answers.
    pub health_check: Option<HealthCheck>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Http,
    /// The gateway answers by itself.
    Demo,
}

/// A question that nobody asked, to see whether a provider answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// From one question to the next; at least a second.
    pub interval: Duration,
    /// Asked for one token; `None`: what is cheapest for the kind of provider.
    pub model: Option<String>,
}

impl HealthCheck {
    /// How often, where nobody says it.
    pub const INTERVAL: Duration = Duration::from_mins(1);
}

/// Where a provider speaks one dialect.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub dialect: DialectId,
    /// The full base without a closing slash: append `/chat/completions`, `/messages` or
    /// `/models/{model}:generateContent`.
    pub base_url: String,
    pub auth: AuthScheme,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
}

/// How a key is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthScheme {
    pub header: String,
    /// The value, with `{key}` in the key's place.
    pub format: String,
}

impl Provider {
    /// How a model behaves here in a dialect: as the catalogue says, overlaid by the configuration.
    pub fn quirks(&self, model: &str, dialect: DialectId) -> Quirks {
        let catalog = lingate_catalog::builtin();
        let mut quirks = catalog.quirks(self.catalog_id.as_deref(), model, dialect);
        self.quirks.apply(model, &mut quirks);
        quirks
    }

    /// What a model costs here, by the upstream's name; `None` where nobody says. A pattern is held against the whole name
    /// and against its last path segment.
    pub fn price(&self, model: &str) -> Option<&Price> {
        if let Some(own) = self.prices.find(model) {
            return Some(own);
        }
        builtin().price(self.catalog_id.as_deref()?, model)
    }

    /// What a request would cost here, in nano-dollars, for comparing: as if no cache held its prompt, and with an answer as
    /// long as it may be, or of [`TYPICAL_OUTPUT`] tokens when the caller sets no limit. `None`: nobody says what it costs.
    pub fn cost(&self, model: &str, input_tokens: u64, max_output: Option<u64>) -> Option<u64> {
        let price = self.price(model)?;
        let limit = builtin().max_output(self.catalog_id.as_deref(), model);
        let output = max_output.unwrap_or(TYPICAL_OUTPUT);
        let output = limit.map_or(output, |limit| output.min(limit));
        u64::try_from(price.cost(input_tokens, output).nano()).ok()
    }

    /// Tokens that a prompt for this model may have here, by the upstream's name; `None` where nobody says.
    pub fn context_window(&self, model: &str) -> Option<u64> {
        builtin().context_window(self.catalog_id.as_deref(), model)
    }

    /// The endpoint for a caller of this dialect who wants this model: the one of the same dialect, where nothing needs to be
    /// converted, else the first. Some models are served in one dialect only, or better in it. Returns its index too.
    pub fn endpoint(&self, dialect: DialectId, model: &str) -> Option<(usize, &Endpoint)> {
        let row = self
            .catalog_id
            .as_deref()
            .and_then(|id| lingate_catalog::builtin().provider(id));
        // A server that stands in the provider's place may know nothing of this.
        let usual = |dialect| {
            let (index, endpoint) = self.speaks(dialect)?;
            row?.is_at(dialect, &endpoint.base_url)
                .then_some((index, endpoint))
        };
        let served = row.and_then(|row| lingate_catalog::builtin().served(&row.id, model));
        let (only, rather) = match served {
            Some(Served::Only(dialect)) => (usual(dialect), None),
            Some(Served::Rather(dialect)) => (None, usual(dialect)),
            None => (None, None),
        };
        only.or_else(|| self.speaks(dialect))
            .or(rather)
            .or_else(|| self.endpoints.first().map(|first| (0, first)))
    }

    /// Whether the other stands for the same place on the network, reached the same way, so that the health of one is the
    /// health of the other.
    pub fn is_where(&self, other: &Self) -> bool {
        let known = |endpoint: &Endpoint| {
            let mut others = other.endpoints.iter();
            others.any(|other| {
                other.dialect == endpoint.dialect && other.base_url == endpoint.base_url
            })
        };
        self.kind == other.kind
            && self.proxy == other.proxy
            && self.endpoints.len() == other.endpoints.len()
            && self.endpoints.iter().all(known)
    }

    /// Whether its `models` name this one.
    pub fn declares(&self, model: &str) -> bool {
        self.models
            .iter()
            .any(|pattern| glob::matches(pattern, model))
    }

    /// The endpoint of exactly this dialect.
    pub fn speaks(&self, dialect: DialectId) -> Option<(usize, &Endpoint)> {
        self.endpoints
            .iter()
            .enumerate()
            .find(|(_, endpoint)| endpoint.dialect == dialect)
    }
}

// By hand: a proxy may hold a password, and headers may hold credentials.
impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("catalog_id", &self.catalog_id)
            .field("kind", &self.kind)
            .field("endpoints", &self.endpoints)
            .field("proxy", &self.proxy.as_ref().map(|_| "…"))
            .field("keys", &self.keys)
            .field("models", &self.models)
            .field("repair_streams", &self.repair_streams)
            .field("quirks", &self.quirks)
            .field("prices", &self.prices)
            .field("health", &self.health)
            .field("health_check", &self.health_check)
            .finish()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Endpoint")
            .field("dialect", &self.dialect)
            .field("base_url", &self.base_url)
            .field("auth", &self.auth)
            .field("headers", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own<const N: usize>(rows: [(String, Price); N]) -> Arc<OwnPrices> {
        Arc::new(OwnPrices::new(rows))
    }

    #[test]
    fn a_place_is_where_it_is_reached() {
        let provider = |endpoints: &[(DialectId, &str)], proxy: Option<&str>| Provider {
            endpoints: endpoints
                .iter()
                .map(|(dialect, base_url)| Endpoint {
                    dialect: *dialect,
                    base_url: (*base_url).to_owned(),
                    auth: AuthScheme {
                        header: "authorization".to_owned(),
                        format: "Bearer {key}".to_owned(),
                    },
                    headers: Vec::new(),
                })
                .collect(),
            proxy: proxy.map(str::to_owned),
            ..Provider::default()
        };
        let chat = (DialectId::Chat, "https://here/v1");
        let messages = (DialectId::Messages, "https://here/v1");
        let before = provider(&[chat, messages], None);
        for (endpoints, proxy, expect) in [
            (&[chat, messages][..], None, true),
            (&[messages, chat], None, true),
            (&[chat], None, false),
            (
                &[chat, (DialectId::Messages, "https://there/v1")],
                None,
                false,
            ),
            (&[chat, (DialectId::Gemini, "https://here/v1")], None, false),
            (&[chat, messages], Some("http://proxy"), false),
        ] {
            let now = provider(endpoints, proxy);
            assert_eq!(now.is_where(&before), expect, "{endpoints:?} {proxy:?}");
        }
    }

    #[test]
    fn a_request_costs_what_its_answer_may_be_long() {
        let provider = Provider {
            catalog_id: Some("openai".to_owned()),
            prices: own([
                ("qwen3*".to_owned(), Price::flat(100_000_000, 300_000_000)),
                ("qwen*".to_owned(), Price::flat(0, 0)),
                (
                    "gpt-5.4".to_owned(),
                    Price::flat(1_000_000_000, 1_000_000_000),
                ),
            ]),
            ..Provider::default()
        };
        let check = |model: &str, input, max_output, expect: Option<u64>| {
            let found = provider.cost(model, input, max_output);
            assert_eq!(found, expect, "{model} {input} {max_output:?}");
        };
        // Own prices: the first pattern, against the whole name or its end, in any case.
        check("qwen3-32b", 1000, Some(100), Some(130_000));
        check("Qwen/Qwen3-32B", 1000, Some(100), Some(130_000));
        check("qwen2", 1000, Some(100), Some(0));
        check("gpt-5.4", 1000, Some(100), Some(1_100_000));
        // The catalogue's: $2.5 and $10 per million, at most 16,384 tokens out.
        check("gpt-4o", 1000, Some(100), Some(2_500_000 + 1_000_000));
        check("gpt-4o", 1000, None, Some(2_500_000 + 5_000_000));
        check(
            "gpt-4o",
            1000,
            Some(1_000_000),
            Some(2_500_000 + 163_840_000),
        );
        check("gpt-4o", 1000, Some(0), Some(2_500_000));
        check("somebody/private", 1000, None, None);
    }

    #[test]
    fn a_declared_provider_has_its_own_prices_only() {
        let mut provider = Provider::default();
        assert_eq!(provider.cost("gpt-4o", 1000, None), None);
        provider.prices = own([("*".to_owned(), Price::flat(2_000_000_000, 0))]);
        assert_eq!(provider.cost("gpt-4o", 1000, None), Some(2_000_000));
        assert_eq!(provider.context_window("claude-opus-5-5"), Some(1_000_000));
        assert_eq!(provider.context_window("somebody/private"), None);
    }
}
