//! Providers: where they are, how they authenticate, which dialects they speak.

use std::collections::BTreeMap;

use lingate_dialect::DialectId;
use serde::Deserialize;

use crate::BadData;
use crate::glob;
use lingate_dialect::quirks::Patch;

/// A vendor, a cloud or a kind of server, as a row of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// The name in `lingate.yml` and in front of models: `openai`.
    pub id: String,
    /// The name for people: `OpenAI`.
    pub title: String,
    /// Other names that people know it by.
    pub aliases: Vec<String>,
    pub kind: Kind,
    /// Environment variables that hold its key; the first that is set counts.
    pub env: Vec<String>,
    /// Environment variables that hold another base URL; the first that is set counts.
    pub base_url_env: Vec<String>,
    /// Works without a key (self-hosted servers).
    pub keyless: bool,
    /// In order of preference. Empty for the demo.
    pub endpoints: Vec<Endpoint>,
    /// Other places of the same provider, by name: `cn`, `eu`, `coding`. A region serves the dialects it names.
    pub regions: Vec<(String, Vec<Endpoint>)>,
    /// What a person should know, one or two sentences.
    pub note: Option<String>,
    pub(crate) quirks: Patch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Http,
    /// Answers by itself, without a network.
    Demo,
}

/// One dialect of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub dialect: DialectId,
    /// The full base without a closing slash, to which `chat/completions`, `messages` or `models/…` is appended. May hold
    /// placeholders; see [`Endpoint::placeholders`].
    pub base_url: String,
    pub auth: Auth,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
}

impl Provider {
    /// Whether `base_url` is a place where this provider itself speaks `dialect`, and not one that somebody put in its place.
    pub fn is_at(&self, dialect: DialectId, base_url: &str) -> bool {
        let regions = self.regions.iter().flat_map(|(_, places)| places);
        self.endpoints.iter().chain(regions).any(|endpoint| {
            endpoint.dialect == dialect && glob::matches(&endpoint.pattern(), base_url)
        })
    }
}

impl Endpoint {
    /// The base URL with `*` for each placeholder.
    fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.base_url.len());
        for (at, piece) in self.base_url.split('{').enumerate() {
            if at == 0 {
                pattern.push_str(piece);
            } else {
                pattern.push('*');
                pattern.push_str(piece.split_once('}').map_or("", |(_, rest)| rest));
            }
        }
        pattern
    }

    /// The environment variables that the base URL needs: `AZURE_RESOURCE_NAME` in
    /// `https://{AZURE_RESOURCE_NAME}.openai.azure.com/openai/v1`.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.base_url
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }
}

/// How a key is sent: the header, and its value with `{key}` in the key's place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub header: String,
    pub format: String,
}

/// What the servers of a dialect share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Custom {
    pub(crate) auth: Auth,
    #[serde(default, deserialize_with = "pairs")]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) quirks: Patch,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customs {
    chat: Custom,
    responses: Custom,
    messages: Custom,
    gemini: Custom,
}

impl Customs {
    pub(crate) fn of(&self, dialect: DialectId) -> &Custom {
        match dialect {
            DialectId::Chat => &self.chat,
            DialectId::Responses => &self.responses,
            DialectId::Messages => &self.messages,
            DialectId::Gemini => &self.gemini,
        }
    }
}

/// What is assumed of a provider that the catalogue does not know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    pub(crate) quirks: Patch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    title: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    base_url_env: Vec<String>,
    #[serde(default)]
    keyless: bool,
    chat: Option<Place>,
    responses: Option<Place>,
    messages: Option<Place>,
    gemini: Option<Place>,
    #[serde(default)]
    regions: BTreeMap<String, Places>,
    note: Option<String>,
    #[serde(default)]
    quirks: Patch,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Places {
    chat: Option<Place>,
    responses: Option<Place>,
    messages: Option<Place>,
    gemini: Option<Place>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Url(String),
    Full(FullPlace),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullPlace {
    url: String,
    auth: Option<Auth>,
    #[serde(default, deserialize_with = "pairs")]
    headers: Vec<(String, String)>,
}

fn pairs<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Vec<(String, String)>, D::Error> {
    Ok(BTreeMap::deserialize(reader)?.into_iter().collect())
}

pub(crate) fn parse(text: &str) -> Result<(Customs, Declared, Vec<Provider>), BadData> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        dialects: Customs,
        declared: Declared,
        provider: Vec<Row>,
    }

    let file: File =
        toml::from_str(text).map_err(|error| BadData(format!("providers: {error}")))?;
    let mut providers: Vec<Provider> = Vec::with_capacity(file.provider.len());
    for row in file.provider {
        for name in std::iter::once(&row.id).chain(&row.aliases) {
            let known =
                |provider: &Provider| provider.id == *name || provider.aliases.contains(name);
            if providers.iter().any(known) {
                return Err(BadData(format!("providers: `{name}` twice")));
            }
        }
        let endpoints = Places {
            chat: row.chat,
            responses: row.responses,
            messages: row.messages,
            gemini: row.gemini,
        }
        .endpoints(&file.dialects, &[]);
        // A region differs in its place; how the key is sent stays, unless the region says otherwise.
        let regions = row
            .regions
            .into_iter()
            .map(|(name, places)| (name, places.endpoints(&file.dialects, &endpoints)))
            .collect();
        providers.push(Provider {
            id: row.id,
            title: row.title,
            aliases: row.aliases,
            kind: row.kind,
            env: row.env,
            base_url_env: row.base_url_env,
            keyless: row.keyless,
            endpoints,
            regions,
            note: row.note,
            quirks: row.quirks,
        });
    }
    Ok((file.dialects, file.declared, providers))
}

impl Places {
    /// `like` are endpoints whose authentication and headers are taken over.
    fn endpoints(self, customs: &Customs, like: &[Endpoint]) -> Vec<Endpoint> {
        [
            (DialectId::Chat, self.chat),
            (DialectId::Responses, self.responses),
            (DialectId::Messages, self.messages),
            (DialectId::Gemini, self.gemini),
        ]
        .into_iter()
        .filter_map(|(dialect, place)| {
            let custom = customs.of(dialect);
            let model = like.iter().find(|endpoint| endpoint.dialect == dialect);
            let usual_auth = model.map_or(&custom.auth, |model| &model.auth);
            let mut headers = model
                .map_or(&custom.headers, |model| &model.headers)
                .clone();
            let (base_url, auth) = match place? {
                Place::Url(url) => (url, usual_auth.clone()),
                Place::Full(full) => {
                    headers.extend(full.headers);
                    (full.url, full.auth.unwrap_or_else(|| usual_auth.clone()))
                }
            };
            Some(Endpoint {
                dialect,
                base_url,
                auth,
                headers,
            })
        })
        .collect()
    }
}
