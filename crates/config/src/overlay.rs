//! What the database holds of the configuration, laid over the tree of the file before that is read: the same keys, the same checks,
//! the same words for what is wrong.
//!
//! What the file names wins. What a document leaves out, environment and catalogue fill in as they do for the file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lingate_routing::KeySpec;
use serde_json::Value;

use crate::place::Place;
use crate::read::Reader;
use crate::tree::{self, Data, Key, Node};

/// What is laid over the file.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    /// Routes in the order in which they are tried, after those of the file; of the others the order does not count. No two of a kind
    /// have the same name.
    pub documents: Vec<Document>,
    /// Keys of providers by the provider's name, beside those that file, variable or document give it.
    pub keys: BTreeMap<String, Arc<[KeySpec]>>,
}

/// A part of the configuration that is stored by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub kind: DocumentKind,
    pub name: String,
    /// In the shape that it has in `lingate.yml`. References in secrets (`${NAME}`, `file:PATH`) are followed, once; other texts
    /// are taken as they are.
    pub value: Value,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// An entry of `providers`, by its name.
    Provider,
    /// An entry of `routes`; its name is written in it as `name`.
    Route,
    /// An entry of `plans`, by its name.
    Plan,
    /// An entry of `prices`; its name is [`price_name`].
    Price,
    /// An entry of `currencies`, by its code.
    Currency,
    /// One of [`SETTINGS`], by its path.
    Setting,
}

impl DocumentKind {
    pub const ALL: [Self; 6] = [
        Self::Provider,
        Self::Route,
        Self::Plan,
        Self::Price,
        Self::Currency,
        Self::Setting,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Route => "route",
            Self::Plan => "plan",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::Setting => "setting",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The key of `lingate.yml` that holds all of them; settings have none.
    pub const fn section(self) -> Option<&'static str> {
        match self {
            Self::Provider => Some("providers"),
            Self::Route => Some("routes"),
            Self::Plan => Some("plans"),
            Self::Price => Some("prices"),
            Self::Currency => Some("currencies"),
            Self::Setting => None,
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings that may be stored: a key of `lingate.yml`, or a section and one of its keys. Those that are needed to find the database
/// (`data`, `database`), that belong to sockets (`listen`, `admin_listen`) or that are settled at the start (`counters`,
/// `on_counter_outage`, `usage`) are the file's and the environment's alone.
pub const SETTINGS: &[&str] = &[
    "mode",
    "auth",
    "trusted_proxies",
    "preferred_provider",
    "state.enabled",
    "state.ttl",
    "state.size",
    "state.size_per_key",
    "defaults.max_tokens",
    "defaults.request_timeout",
    "defaults.first_byte_timeout",
    "defaults.idle_timeout",
    "defaults.connect_timeout",
    "defaults.body_limit",
    "defaults.force_non_stream",
    "defaults.anti_truncation",
    "defaults.losses",
    "defaults.usage",
    "defaults.subagent_tag",
];

/// Settings of [`SETTINGS`] that count after the next start.
pub const SETTINGS_AT_START: &[&str] = &["defaults.connect_timeout"];

/// What a price is called: `PROVIDER/MODEL`, with `*` for all providers.
pub fn price_name(provider: Option<&str>, model: &str) -> String {
    format!("{}/{}", provider.unwrap_or("*"), model.to_lowercase())
}

/// Where something is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    File,
    /// A variable.
    Environment,
    Database,
    /// Nobody defines it; it is there by default.
    Default,
}

impl Origin {
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Environment => "environment",
            Self::Database => "database",
            Self::Default => "default",
        }
    }
}

/// Where all that is in force is defined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    entries: BTreeMap<(DocumentKind, String), Origin>,
    /// Of each route of the snapshot; its name, if it has one.
    pub routes: Vec<(Origin, Option<String>)>,
}

impl Origins {
    /// `None`: nobody has defined it.
    pub fn of(&self, kind: DocumentKind, name: &str) -> Option<Origin> {
        self.entries.get(&(kind, name.to_owned())).copied()
    }

    /// The names of a kind, each with where it is defined.
    pub fn all(&self, kind: DocumentKind) -> impl Iterator<Item = (&str, Origin)> {
        self.entries
            .iter()
            .filter(move |((of, _), _)| *of == kind)
            .map(|((_, name), origin)| (name.as_str(), *origin))
    }

    pub(crate) fn put(&mut self, kind: DocumentKind, name: &str, origin: Origin) {
        self.entries.insert((kind, name.to_owned()), origin);
    }
}

impl Reader<'_> {
    /// Lays the documents over the file's tree.
    pub(crate) fn lay(&mut self, root: &mut Node) {
        let overlay = self.overlay;
        for document in &overlay.documents {
            let place = Place::stored(document.kind, &document.name);
            if let Some(told) = taken(root, document) {
                self.note(&place, "", told);
                continue;
            }
            let mut node = match tree::of_json(&document.value, &place) {
                Ok(node) => node,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            let path: Vec<&str> = match (document.kind, document.kind.section()) {
                (DocumentKind::Route | DocumentKind::Price, Some(section)) => {
                    if document.kind == DocumentKind::Route {
                        name(&mut node, &document.name, &place);
                    }
                    root.append(section, &place, node);
                    continue;
                }
                (_, Some(section)) => vec![section, &document.name],
                (_, None) => {
                    if !SETTINGS.contains(&document.name.as_str()) {
                        let message = "is no setting that can be stored";
                        self.problem(&place, &document.name, message);
                        continue;
                    }
                    document.name.split('.').collect()
                }
            };
            root.put(&path, &place, node);
        }
    }
}

/// Why a document has no effect.
fn taken(root: &Node, document: &Document) -> Option<String> {
    let there = match document.kind {
        DocumentKind::Setting => {
            let mut node = Some(root);
            for key in document.name.split('.') {
                node = node.and_then(|node| node.get(key));
            }
            node
        }
        DocumentKind::Route => root.get("routes").and_then(|routes| {
            let named = |route: &&Node| route.text("name") == Some(&document.name);
            routes.items().iter().find(named)
        }),
        DocumentKind::Price => root.get("prices").and_then(|prices| {
            let same = |price: &&Node| {
                price
                    .text("model")
                    .is_some_and(|model| price_name(price.text("provider"), model) == document.name)
            };
            prices.items().iter().find(same)
        }),
        kind => kind
            .section()
            .and_then(|section| root.get(section))
            // Also without a value.
            .and_then(|section| section.entry(&document.name)),
    }?;
    matches!(there.place, Place::File { .. })
        .then(|| format!("has no effect: {} defines it, too, and wins", there.place))
}

/// Where what the tree holds is defined; before variables are laid over it.
pub(crate) fn origins(root: &Node) -> Origins {
    let mut origins = Origins::default();
    for kind in DocumentKind::ALL {
        let section = kind.section().and_then(|section| root.get(section));
        for node in section.map(Node::items).unwrap_or_default() {
            let origin = node.place.origin();
            match kind {
                DocumentKind::Route => {
                    let name = node.text("name").map(str::to_owned);
                    if let Some(name) = &name {
                        origins.put(kind, name, origin);
                    }
                    origins.routes.push((origin, name));
                }
                DocumentKind::Price => {
                    if let Some(model) = node.text("model") {
                        origins.put(kind, &price_name(node.text("provider"), model), origin);
                    }
                }
                _ => {}
            }
        }
        for (key, node) in section.map(Node::entries).unwrap_or_default() {
            origins.put(kind, &key.name, node.place.origin());
        }
    }
    for setting in SETTINGS {
        let mut node = Some(root);
        for key in setting.split('.') {
            node = node.and_then(|node| node.get(key));
        }
        if let Some(node) = node {
            origins.put(DocumentKind::Setting, setting, node.place.origin());
        }
    }
    origins
}

/// A route is called what its document is called.
fn name(route: &mut Node, name: &str, place: &Place) {
    if let Data::Map(entries) = &mut route.data {
        entries.retain(|(key, _)| key.name != "name");
        let key = Key {
            name: "name".to_owned(),
            place: place.clone(),
        };
        entries.insert(0, (key, Node::scalar(place.clone(), name)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lingate_routing::KeySpec;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;
    use crate::{Environment, Loaded, Problems, read_with};

    fn document(kind: DocumentKind, name: &str, value: Value) -> Document {
        Document {
            kind,
            name: name.to_owned(),
            value,
        }
    }

    fn load(
        file: &str,
        variables: &[(&str, &str)],
        documents: Vec<Document>,
    ) -> Result<Loaded, Problems> {
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let overlay = Overlay {
            documents,
            keys: BTreeMap::new(),
        };
        read_with(file, "lingate.yml", Path::new("."), &environment, &overlay)
    }

    fn told(problems: &Problems) -> Vec<String> {
        problems.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn documents_are_read_as_the_file_is() {
        use DocumentKind as K;
        let file = "providers: {openai: {keys: [sk-file-0001]}}\nroutes: [{name: first, model: a, targets: [openai]}]\ncurrencies: {CNY: 7}\ndefaults: {max_tokens: 5}\n";
        let loaded = load(
            file,
            &[
                ("GROQ_API_KEY", "gsk-1"),
                ("ANTHROPIC_API_KEY", "sk-ant-00001"),
            ],
            vec![
                document(K::Provider, "openai", json!({"keys": ["sk-stored-2"]})),
                document(K::Provider, "anthropic", json!({})),
                document(
                    K::Route,
                    "first",
                    json!({"model": "b", "targets": ["openai"]}),
                ),
                document(
                    K::Route,
                    "second",
                    json!({"model": "b", "targets": ["anthropic/x"]}),
                ),
                document(
                    K::Route,
                    "third",
                    json!({"model": "c", "targets": ["openai"]}),
                ),
                document(K::Plan, "gold", json!({"multiplier": "1.5"})),
                document(
                    K::Price,
                    "*/gpt-x",
                    json!({"model": "gpt-x", "input": 0.1, "output": 1}),
                ),
                document(K::Currency, "CNY", json!("7.25")),
                document(K::Currency, "EUR", json!(0.9)),
                document(K::Setting, "defaults.max_tokens", json!(6)),
                document(K::Setting, "defaults.losses", json!("reject")),
                document(K::Setting, "mode", json!("direct")),
            ],
        )
        .unwrap();
        let names: Vec<&str> = loaded
            .snapshot
            .providers
            .iter()
            .map(|provider| provider.name.as_str())
            .collect();
        // A section in the file turns variables off, whatever is stored.
        assert_eq!(names, ["openai", "anthropic"]);
        let routes = [
            (Origin::File, Some("first".to_owned())),
            (Origin::Database, Some("second".to_owned())),
            (Origin::Database, Some("third".to_owned())),
        ];
        assert_eq!(loaded.origins.routes, routes);
        assert_eq!(loaded.snapshot.routes.len(), 3);
        assert_eq!(loaded.snapshot.defaults.max_tokens, 5);
        assert_eq!(loaded.snapshot.mode, lingate_routing::Mode::Direct);
        let origin = |kind, name| loaded.origins.of(kind, name);
        assert_eq!(origin(K::Provider, "openai"), Some(Origin::File));
        assert_eq!(origin(K::Provider, "anthropic"), Some(Origin::Database));
        assert_eq!(
            origin(K::Setting, "defaults.max_tokens"),
            Some(Origin::File)
        );
        assert_eq!(
            origin(K::Setting, "defaults.losses"),
            Some(Origin::Database)
        );
        assert_eq!(origin(K::Currency, "EUR"), Some(Origin::Database));
        assert_eq!(origin(K::Price, "*/gpt-x"), Some(Origin::Database));
        let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
        let expect = [
            "database: provider \"openai\": has no effect: lingate.yml:1:21 defines it, too, and wins",
            "database: route \"first\": has no effect: lingate.yml:2:10 defines it, too, and wins",
            "database: currency \"CNY\": has no effect: lingate.yml:3:19 defines it, too, and wins",
            "database: setting \"defaults.max_tokens\": has no effect: lingate.yml:4:24 defines it, too, and wins",
        ];
        assert_eq!(notes, expect);
    }

    #[test]
    fn what_is_stored_turns_no_variable_off() {
        let loaded = load(
            "",
            &[("GROQ_API_KEY", "gsk-1")],
            vec![document(
                DocumentKind::Provider,
                "mine",
                json!({"base_url": "http://127.0.0.1:9/v1", "keys": ["none"]}),
            )],
        )
        .unwrap();
        let origins: Vec<_> = loaded.origins.all(DocumentKind::Provider).collect();
        let expect = [("groq", Origin::Environment), ("mine", Origin::Database)];
        assert_eq!(origins, expect);
    }

    #[test]
    fn problems_name_the_document() {
        use DocumentKind as K;
        let problems = load(
            "routes: [{model: m, targets: [nobody]}]",
            &[("LINGATE_MASTER_KEY", "00"), ("OTHER", "x")],
            vec![
                document(K::Provider, "mine", json!({"base_url": "http://127.0.0.1:9", "headers": {"a": "${LINGATE_MASTER_KEY}"}, "keyz": 1})),
                document(K::Provider, "reads", json!({"base_url": "http://127.0.0.1:9", "keys": ["file:/proc/self/environ"]})),
                document(K::Route, "r", json!({"model": "m", "targets": [{"provider": "mine", "weight": "much"}]})),
                document(K::Setting, "listen", json!("0.0.0.0:1")),
            ],
        )
        .unwrap_err();
        let pointers: Vec<String> = problems
            .0
            .iter()
            .filter_map(|problem| match &problem.place {
                Place::Stored { pointer, .. } => Some(pointer.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(
            told(&problems),
            [
                "lingate.yml:1:31: routes.0.targets.0: no provider `nobody` is configured",
                "database: setting \"listen\": listen: is no setting that can be stored",
                "database: route \"r\": routes.1.targets.0.weight: expected a whole number from 0 to 1000000",
                "database: provider \"mine\": providers.mine.headers.a: LINGATE_MASTER_KEY is the gateway's own, and nothing for a provider",
                "database: provider \"mine\": providers.mine.keyz: unknown key; did you mean `keys`?",
                "database: provider \"reads\": providers.reads.keys.0: a reference of the database does not lead into the gateway's data folder, nor to /proc, /sys or /dev",
            ]
        );
        let expect = ["", "/targets/0/weight", "/headers/a", "/keyz", "/keys/0"];
        assert_eq!(pointers, expect);
    }

    #[test]
    fn references_are_followed_in_secrets_alone_and_once() {
        let provider = json!({
            "base_url": "http://127.0.0.1:9/${OTHER}",
            "headers": {"x-a": "${OTHER}", "x-b": "$${OTHER}"},
            "keys": ["${KEYS}"],
        });
        let loaded = load(
            "",
            &[("OTHER", "${KEYS}"), ("KEYS", "k-00000001,k-00000002")],
            vec![document(DocumentKind::Provider, "mine", provider)],
        );
        // The URL is taken as it is, and is none.
        let problems = told(&loaded.unwrap_err());
        assert!(
            problems[0].contains("providers.mine.base_url"),
            "{problems:?}"
        );
        let provider = json!({
            "base_url": "http://127.0.0.1:9/v1",
            "headers": {"x-a": "${OTHER}", "x-b": "$${OTHER}"},
            "keys": ["${KEYS}"],
        });
        let loaded = load(
            "",
            &[("OTHER", "${KEYS}"), ("KEYS", "k-00000001,k-00000002")],
            vec![document(DocumentKind::Provider, "mine", provider)],
        )
        .unwrap();
        let mine = &loaded.snapshot.providers.iter().next().unwrap();
        let headers = &mine.endpoints[0].headers;
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(header("x-a"), Some("${KEYS}"));
        assert_eq!(header("x-b"), Some("${OTHER}"));
        assert_eq!(mine.keys.len(), 2);
    }

    #[test]
    fn stored_keys_stand_behind_those_that_are_said() {
        let spec = |text: &str| KeySpec::new(text.into());
        let keys = [spec("k-file-001"), spec("k-stored-1")];
        let overlay = Overlay {
            documents: vec![document(
                DocumentKind::Provider,
                "mine",
                json!({"base_url": "http://127.0.0.1:9/v1"}),
            )],
            keys: [
                ("openai".to_owned(), keys.clone().into()),
                ("mine".to_owned(), keys.clone().into()),
                ("gone".to_owned(), keys.into()),
            ]
            .into(),
        };
        let file = "providers: {openai: {keys: [k-file-001]}}";
        let environment = Environment::default();
        let loaded =
            read_with(file, "lingate.yml", Path::new("."), &environment, &overlay).unwrap();
        for provider in &loaded.snapshot.providers {
            let keys: Vec<String> = provider
                .keys
                .keys()
                .map(|key| key.secret().expose_secret().to_owned())
                .collect();
            assert_eq!(keys, ["k-file-001", "k-stored-1"], "{}", provider.name);
        }
        let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
        let expect = [
            "database: provider \"gone\": 2 keys are stored for it, and there is no such provider",
        ];
        assert_eq!(notes, expect);
    }
}
