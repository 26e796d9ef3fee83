//! A provider as configured: places, dialects, keys.

use std::fmt;

use lingate_catalog::{Overrides, Served, glob};
use lingate_dialect::{DialectId, Quirks};

use crate::{KeyPool, ProviderHealth};

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
    /// How it and its models fare; outlives a change of the configuration.
    pub health: ProviderHealth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Http,
    /// The gateway answers by itself.
    Demo,
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

    /// Whether the other stands for the same place on the network, so that the health of one is the health of the other.
    pub fn is_where(&self, other: &Self) -> bool {
        let place = |endpoint: &Endpoint| (endpoint.dialect, endpoint.base_url.clone());
        self.kind == other.kind
            && self.proxy == other.proxy
            && self
                .endpoints
                .iter()
                .map(place)
                .eq(other.endpoints.iter().map(place))
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
            .field("health", &self.health)
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
