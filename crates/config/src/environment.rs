//! What the environment says: `LINGATE_SECTION__KEY` over the file, and the variables of other tools under it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::layout::{MODES, ROOT};
use crate::place::{Place, Problem, Source, closest, did_you_mean};
use crate::read::{Reader, duration, flag, join};
use crate::shape::Shape;
use crate::tree::{self, Data, Node};

/// Environment variables. An empty one counts as not set.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process; names and values that are no Unicode are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The same, with one more: how command-line options such as `--listen` come in, as `LINGATE_LISTEN`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The first of several that is set, with its name.
    pub(crate) fn first<'a>(&self, names: &'a [String]) -> Option<(&'a str, &str)> {
        names
            .iter()
            .find_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(_, value)| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Of other parts of Lingate (its command line, its secrets), not configuration.
const NOT_KEYS: [&str; 8] = [
    "ADMIN_PASSWORD",
    "API_KEY",
    "CONFIG",
    "LOG",
    "MASTER_KEY",
    "MASTER_KEY_PREVIOUS",
    "SERVER",
    "TOKEN",
];

/// Whether a text is a value of some type.
type Valid = fn(&str) -> bool;

impl Reader<'_> {
    /// Lays every `LINGATE_…` variable over the tree.
    pub(crate) fn overlay(&mut self, root: &mut Node) {
        let environment = self.environment;
        for (variable, value) in environment.iter() {
            let Some(keys) = variable.strip_prefix("LINGATE_") else {
                continue;
            };
            // A cluster sets LINGATE_PORT and LINGATE_SERVICE_HOST for a service of the name `lingate`.
            let foreign =
                keys == "PORT" || keys.starts_with("PORT_") || keys.starts_with("SERVICE_");
            if foreign || NOT_KEYS.contains(&keys) {
                continue;
            }
            let place = Place::variable(variable);
            let keys: Vec<String> = keys.split("__").map(str::to_lowercase).collect();
            self.set(root, &ROOT, "", &keys, &place, value);
        }
    }

    fn set(
        &mut self,
        node: &mut Node,
        shape: &Shape,
        path: &str,
        keys: &[String],
        place: &Place,
        text: &str,
    ) {
        let Some((key, keys)) = keys.split_first() else {
            match value(shape, text, place) {
                Ok(value) => *node = value,
                Err(problems) => self.problems.extend(problems),
            }
            return;
        };
        match shape {
            Shape::Record(fields) => {
                let Some(field) = fields.iter().find(|field| field.is(key)) else {
                    let meant = did_you_mean(key, fields.iter().map(|field| field.name));
                    if path.is_empty() && keys.is_empty() {
                        self.note(
                            place,
                            "",
                            format!("no such key, so it has no effect{meant}"),
                        );
                    } else {
                        self.problem(place, &join(path, key), format!("unknown key{meant}"));
                    }
                    return;
                };
                let mut child = node.take(key, place);
                self.set(
                    &mut child,
                    &field.shape,
                    &join(path, key),
                    keys,
                    place,
                    text,
                );
                node.put(&[key], place, child);
            }
            Shape::Map(item) => {
                let name = chosen_name(node, key);
                let path = join(path, &name);
                let mut child = node.take(&name, place);
                self.set(&mut child, item, &path, keys, place, text);
                node.put(&[&name], place, child);
            }
            Shape::List(item) => {
                let Ok(index) = key.parse::<usize>() else {
                    self.problem(
                        place,
                        &join(path, key),
                        "expected a number: the place in the list, from 0",
                    );
                    return;
                };
                if !matches!(node.data, Data::List(_)) {
                    let data = match std::mem::replace(&mut node.data, Data::Null) {
                        Data::Null => Data::List(Vec::new()),
                        single => Data::List(vec![Node {
                            place: node.place.clone(),
                            data: single,
                        }]),
                    };
                    *node = Node {
                        place: place.clone(),
                        data,
                    };
                }
                let Data::List(items) = &mut node.data else {
                    return;
                };
                if index == items.len() {
                    items.push(Node {
                        place: place.clone(),
                        data: Data::Null,
                    });
                }
                let length = items.len();
                match items.get_mut(index) {
                    Some(node) => self.set(node, item, &join(path, key), keys, place, text),
                    None => self.problem(
                        place,
                        &join(path, key),
                        format!("the list has {length} entries, the next is {length}"),
                    ),
                }
            }
            Shape::Either(_, other) => {
                let keys: Vec<String> = std::iter::once(key).chain(keys).cloned().collect();
                self.set(node, other, path, &keys, place, text);
            }
            Shape::Text
            | Shape::Secret
            | Shape::Secrets
            | Shape::Number { .. }
            | Shape::Decimal
            | Shape::Dollars
            | Shape::Factor
            | Shape::Flag
            | Shape::Duration
            | Shape::Age
            | Shape::Size
            | Shape::Choice(_) => {
                self.problem(place, &join(path, key), "this key holds no further keys");
            }
        }
    }

    /// Lays the variables of the small systems under the tree: what the file says stays.
    pub(crate) fn underlay(&mut self, root: &mut Node) {
        self.listen_aliases(root);
        self.word_aliases(root);
        self.key_pools(root);
        self.forward_targets(root);
    }

    fn listen_aliases(&mut self, root: &mut Node) {
        let (port, host) = (self.environment.get("PORT"), self.environment.get("HOST"));
        if root.get("listen").is_some() || (port.is_none() && host.is_none()) {
            return;
        }
        // Both names are so common that something else may have set them: a wrong value is no reason to stop.
        let port = match port.map(str::parse::<u16>) {
            Some(Ok(port)) => Some(port),
            Some(Err(_)) => {
                self.note(
                    &Place::variable("PORT"),
                    "",
                    "no port number, so it has no effect",
                );
                None
            }
            None => None,
        };
        let address = |host: &str| match host {
            "localhost" => Some("127.0.0.1".to_owned()),
            host => host.parse().ok().map(|ip: std::net::IpAddr| {
                if ip.is_ipv6() {
                    format!("[{ip}]")
                } else {
                    ip.to_string()
                }
            }),
        };
        let host = match host.map(address) {
            Some(Some(host)) => Some(host),
            Some(None) => {
                self.note(
                    &Place::variable("HOST"),
                    "",
                    "no IP address, so it has no effect",
                );
                None
            }
            None => None,
        };
        if port.is_none() && host.is_none() {
            return;
        }
        let place = Place::variable(if host.is_some() { "HOST" } else { "PORT" });
        let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = port.unwrap_or(crate::DEFAULT_PORT);
        let address = Node::scalar(place.clone(), format!("{host}:{port}"));
        root.put(&["listen"], &place, address);
    }

    fn word_aliases(&mut self, root: &mut Node) {
        if let Some(mode) = self.environment.get("MODE") {
            let place = Place::variable("MODE");
            if !MODES
                .iter()
                .any(|words| words.contains(&mode.to_lowercase().as_str()))
            {
                self.note(
                    &place,
                    "",
                    "neither transform nor direct, so it has no effect",
                );
            } else if root.get("mode").is_none() {
                root.put(&["mode"], &place, Node::scalar(place.clone(), mode));
            }
        }
        if let Some(name) = self.environment.get("PREFERRED_PROVIDER")
            && root.get("preferred_provider").is_none()
        {
            let place = Place::variable("PREFERRED_PROVIDER");
            let name = usual_name(name);
            root.put(
                &["preferred_provider"],
                &place,
                Node::scalar(place.clone(), name),
            );
        }
        if let Some(key) = self.environment.get("LINGATE_API_KEY")
            && root.get("api_keys").is_none()
        {
            let place = Place::variable("LINGATE_API_KEY");
            root.put(&["api_keys"], &place, Node::scalar(place.clone(), key));
        }
        let aliases: [(&str, &str, Valid); 3] = [
            ("HTTP_TIMEOUT", "request_timeout", |text| {
                duration(text).is_some()
            }),
            ("DEFAULT_MAX_TOKENS", "max_tokens", |text| {
                text.parse::<u32>().is_ok_and(|number| number > 0)
            }),
            ("FORCE_NON_STREAM", "force_non_stream", |text| {
                flag(text).is_some()
            }),
        ];
        for (variable, field, valid) in aliases {
            let Some(value) = self.environment.get(variable) else {
                continue;
            };
            let place = Place::variable(variable);
            let said = root
                .get("defaults")
                .and_then(|defaults| defaults.get(field));
            if !valid(value) {
                self.note(
                    &place,
                    &join("defaults", field),
                    "not a value for it, so it has no effect",
                );
            } else if said.is_none() {
                root.put(
                    &["defaults", field],
                    &place,
                    Node::scalar(place.clone(), value),
                );
            }
        }
    }

    /// `API_KEY_POOLS`: JSON of `{provider: {keys: […], auth_header, auth_format}}` or `{provider: […]}`.
    fn key_pools(&mut self, root: &mut Node) {
        const NAME: &str = "API_KEY_POOLS";
        let Some(text) = self.environment.get(NAME) else {
            return;
        };
        let place = Place::variable(NAME);
        let pools = match tree::parse(text, &Source::Variable(NAME.into())) {
            Ok(pools) => pools,
            Err(problems) => {
                self.problems.extend(problems);
                return;
            }
        };
        let Data::Map(pools) = pools.data else {
            self.problem(&place, "", "expected {\"provider\": {\"keys\": […]}}");
            return;
        };
        for (name, pool) in pools {
            let known = root.get("providers");
            let provider = if known.is_some_and(|known| known.get(&name.name).is_some()) {
                name.name.clone()
            } else {
                usual_name(&name.name)
            };
            let (keys, header, format, base_url) = match &pool.data {
                Data::Map(entries) => {
                    for (key, _) in entries {
                        let known = ["keys", "auth_header", "auth_format", "base_url"];
                        if !known.contains(&key.name.as_str()) {
                            let path = join(&name.name, &key.name);
                            self.note(&place, &path, "no such key, so it has no effect");
                        }
                    }
                    (
                        pool.get("keys"),
                        pool.get("auth_header"),
                        pool.get("auth_format"),
                        pool.get("base_url"),
                    )
                }
                Data::List(_) | Data::Scalar(_) => (Some(&pool), None, None, None),
                Data::Null => continue,
            };
            let known = root
                .get("providers")
                .and_then(|providers| providers.get(&provider));
            let free = |key: &str| known.is_none_or(|known| known.get(key).is_none());
            let values = [
                (["keys"].as_slice(), keys, free("keys")),
                (&["base_url"], base_url, free("base_url")),
                (&["auth", "header"], header, free("auth")),
                (&["auth", "format"], format, free("auth")),
            ];
            for (path, value, free) in values {
                if free && let Some(value) = value {
                    let path = [&["providers", provider.as_str()], path].concat();
                    root.put(&path, &place, value.clone());
                }
            }
        }
    }

    /// `PROXY_{NAME}_TARGET=https://host/base`: a provider of that name that speaks chat.
    fn forward_targets(&mut self, root: &mut Node) {
        let environment = self.environment;
        for (variable, url) in environment.iter() {
            let name = variable
                .strip_prefix("PROXY_")
                .and_then(|rest| rest.strip_suffix("_TARGET"))
                .filter(|name| !name.is_empty());
            let Some(name) = name else {
                continue;
            };
            let place = Place::variable(variable);
            let none = Node::map(place.clone());
            let providers = root.get("providers").unwrap_or(&none);
            let name = chosen_name(providers, &name.to_lowercase());
            if providers.get(&name).is_some() {
                self.note(
                    &place,
                    "",
                    format!("the provider `{name}` is configured already, so it has no effect"),
                );
                continue;
            }
            let mut provider = Node::map(place.clone());
            provider.put(&["base_url"], &place, Node::scalar(place.clone(), url));
            if lingate_catalog::builtin().provider(&name).is_none() {
                provider.put(&["dialects"], &place, Node::scalar(place.clone(), "chat"));
                provider.put(&["keys"], &place, Node::scalar(place.clone(), "none"));
            }
            root.put(&["providers", &name], &place, provider);
        }
    }
}

/// A variable's text as the value of a key: a list or a map is written as in YAML's one-line form, or as JSON.
fn value(shape: &Shape, text: &str, place: &Place) -> Result<Node, Vec<Problem>> {
    let compound = match shape {
        Shape::List(_) | Shape::Map(_) | Shape::Record(_) | Shape::Either(..) => {
            // `[::1]:8080` is an address, not a list.
            let text = text.trim();
            text.starts_with(['[', '{']) && text.parse::<SocketAddr>().is_err()
        }
        Shape::Text
        | Shape::Secret
        | Shape::Secrets
        | Shape::Number { .. }
        | Shape::Decimal
        | Shape::Dollars
        | Shape::Factor
        | Shape::Flag
        | Shape::Duration
        | Shape::Age
        | Shape::Size
        | Shape::Choice(_) => false,
    };
    match place {
        Place::Variable(name) if compound => tree::parse(text, &Source::Variable(name.clone())),
        Place::Variable(_) | Place::File { .. } | Place::Stored { .. } => {
            Ok(Node::scalar(place.clone(), text))
        }
    }
}

/// The name that a variable means: variables know neither `-` nor `.`, and no small letters.
fn chosen_name(node: &Node, key: &str) -> String {
    let plain = |name: &str| name.to_lowercase().replace(['-', '.'], "_");
    let wanted = plain(key);
    if let Data::Map(entries) = &node.data
        && let Some((known, _)) = entries
            .iter()
            .find(|(known, _)| plain(&known.name) == wanted)
    {
        return known.name.clone();
    }
    lingate_catalog::builtin()
        .providers()
        .iter()
        .find(|provider| plain(&provider.id) == wanted)
        .map_or_else(|| key.replace('_', "-"), |provider| provider.id.clone())
}

/// The name of the catalogue for what other tools call a provider.
fn usual_name(name: &str) -> String {
    let name = name.to_lowercase();
    lingate_catalog::builtin()
        .named(&name)
        .map_or(name, |provider| provider.id.clone())
}

/// For a name that is no provider's: what to say.
pub(crate) fn unknown_provider<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(name, known).map_or_else(
        || format!("no provider `{name}` is configured"),
        |meant| format!("no provider `{name}` is configured; did you mean `{meant}`?"),
    )
}
