//! `lingate.yml` and the environment, read into settings and the snapshot that requests are served by.
//!
//! All problems are reported at once, each with its place. Precedence, lowest first: built-in defaults, the variables of
//! other tools (`PORT`, `MODE`, `API_KEY_POOLS` …), the file, `LINGATE_SECTION__KEY`. Keys of a provider that the file
//! leaves out come from its usual variable (`OPENAI_API_KEY`); without a `providers` section in the file, every provider
//! whose variable is set is on; and when no provider has a key, the demo answers.

mod base_url;
mod date;
mod effective;
mod environment;
mod layout;
mod limits;
mod limits_json;
mod overlay;
mod payments;
mod place;
mod prices;
mod providers;
mod read;
mod reference;
mod routes;
mod shape;
mod storage;
mod tenants;
mod tree;
mod watch;
mod yaml;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use lingate_metering::pricing::Prices;
use lingate_metering::tenant::Declared;
use lingate_routing::{
    Auth, Defaults, Handling, Kind, KnownNames, LossPolicy, Snapshot, State, StreamPolicy,
    UsagePolicy,
};

pub use effective::{effective, shown};
pub use environment::Environment;
pub use limits::limits;
pub use limits_json::{Misfit, limits_in_json, limits_of_json};
pub use overlay::{
    Document, DocumentKind, Origin, Origins, Overlay, SETTINGS, SETTINGS_AT_START, price_name,
};
pub use payments::{Payments, Stripe};
pub use place::{Note, Place, Problem, Problems};
pub use read::{Age, age};
pub use reference::{Key, reference};
pub use routes::token_count;
pub use storage::{Address, CounterStore, Database, OnCounterOutage, UsageSettings, WhenFull};
pub use watch::{Change, Watcher};
pub use yaml::{Lines, parse_yaml, yaml};

use place::Source;
use providers::Surroundings;
use read::{Reader, Value};
use routes::Known;
use tenants::Names;
use tree::{Data, Node};

/// Where the gateway listens if nobody says otherwise.
const DEFAULT_PORT: u16 = 8080;

/// A larger file is a mistake: ten thousand routes take two or three MiB, and keys by the thousand have files of their own.
const LARGEST_FILE: u64 = 16 << 20;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub snapshot: Snapshot,
    /// Who may ask, as far as the file says it: one part of a directory.
    pub declared: Declared,
    /// What requests cost, and what tenants are charged.
    pub prices: Prices,
    /// Where all that is defined.
    pub origins: Origins,
    /// What somebody should know: keys without effect, providers without a key.
    pub notes: Vec<Note>,
    /// The file, if there is one.
    pub source: Option<PathBuf>,
    /// Files that secrets were read from; a [`Watcher`] looks at them, too.
    pub secret_files: Vec<PathBuf>,
}

/// What is settled when the process starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// At least one.
    pub listen: Vec<SocketAddr>,
    /// Where the control plane is, and then nowhere else; empty: at `listen`, too.
    pub admin_listen: Vec<SocketAddr>,
    /// The directory for what is stored.
    pub data: PathBuf,
    pub database: Database,
    pub counters: CounterStore,
    pub on_counter_outage: OnCounterOutage,
    pub usage: UsageSettings,
    /// Who tells of payments. This one may change while the process runs.
    pub payments: Payments,
}

/// Reads the configuration. Without a path only the environment counts.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Loaded, Problems> {
    load_with(path, environment, &Overlay::default())
}

/// Reads the configuration, with what the database holds laid over the file.
pub fn load_with(
    path: Option<&Path>,
    environment: &Environment,
    overlay: &Overlay,
) -> Result<Loaded, Problems> {
    let Some(path) = path else {
        return read_with("", "", Path::new("."), environment, overlay);
    };
    let shown = path.display().to_string();
    let text = read_file(path)
        .map_err(|message| Problems(vec![Problem::new(Place::whole_file(&shown), "", message)]))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut loaded = read_with(&text, &shown, directory, environment, overlay)?;
    loaded.source = Some(path.to_owned());
    Ok(loaded)
}

/// The JSON Schema (2020-12) of `lingate.yml`.
pub fn schema() -> String {
    format!("{:#}\n", shape::json_schema(&layout::ROOT))
}

/// A commented `lingate.yml` to start from. It is valid as it stands.
pub fn template() -> &'static str {
    include_str!("template.yml")
}

fn read_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
        return Err(format!("is larger than {} MiB", LARGEST_FILE >> 20));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Reads a text; `name` is what places in it are called, `directory` where relative secret files are.
fn read(
    text: &str,
    name: &str,
    directory: &Path,
    environment: &Environment,
) -> Result<Loaded, Problems> {
    read_with(text, name, directory, environment, &Overlay::default())
}

/// Reads what a process needs to find the database, where the rest may name what only the database knows: settings and callers.
pub fn load_first(path: Option<&Path>, environment: &Environment) -> Result<Loaded, Problems> {
    let (text, shown) = match path {
        None => (String::new(), String::new()),
        Some(path) => {
            let shown = path.display().to_string();
            let text = read_file(path).map_err(|message| {
                Problems(vec![Problem::new(Place::whole_file(&shown), "", message)])
            })?;
            (text, shown)
        }
    };
    let directory = path.and_then(Path::parent).unwrap_or(Path::new("."));
    let mut loaded = read_part(
        &text,
        &shown,
        directory,
        environment,
        &Overlay::default(),
        Part::First,
    )?;
    loaded.source = path.map(Path::to_owned);
    Ok(loaded)
}

/// How much of a configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// What does not depend on anything that may be stored.
    First,
}

/// What of a file's keys is not read first.
const LATER: [&str; 6] = [
    "providers",
    "routes",
    "prices",
    "plans",
    "currencies",
    "preferred_provider",
];

fn read_with(
    text: &str,
    name: &str,
    directory: &Path,
    environment: &Environment,
    overlay: &Overlay,
) -> Result<Loaded, Problems> {
    read_part(text, name, directory, environment, overlay, Part::All)
}

fn read_part(
    text: &str,
    name: &str,
    directory: &Path,
    environment: &Environment,
    overlay: &Overlay,
    part: Part,
) -> Result<Loaded, Problems> {
    let mut root = tree::parse(text, &Source::file(name)).map_err(Problems)?;
    let mut reader = Reader::new(environment, directory, overlay);
    if matches!(root.data, Data::Scalar(_) | Data::List(_)) {
        reader.problem(&root.place, "", "expected keys and values");
        return Err(Problems(reader.problems));
    }
    let from_environment = part == Part::All && root.get("providers").is_none();
    reader.lay(&mut root);
    reader.overlay(&mut root);
    reader.underlay(&mut root);
    if part == Part::First
        && let Data::Map(entries) = &mut root.data
    {
        entries.retain(|(key, _)| !LATER.contains(&key.name.as_str()));
    }
    if let Some(data) = root.text("data") {
        reader.closed = PathBuf::from(data);
    }
    let mut origins = overlay::origins(&root);
    let (settings, snapshot, declared, prices) = reader.settle(&root, from_environment, part);
    for provider in &snapshot.providers {
        if origins.of(DocumentKind::Provider, &provider.name).is_none() {
            let origin = match provider.kind {
                Kind::Demo => Origin::Default,
                Kind::Http => Origin::Environment,
            };
            origins.put(DocumentKind::Provider, &provider.name, origin);
        }
    }
    reader.note_lost_keys(&snapshot);
    if !reader.problems.is_empty() {
        reader.problems.sort_by_key(|problem| problem.place.order());
        return Err(Problems(reader.problems));
    }
    reader.notes.sort_by_key(|note| note.place.order());
    Ok(Loaded {
        settings,
        snapshot,
        declared,
        prices,
        origins,
        notes: reader.notes,
        source: None,
        secret_files: reader.files,
    })
}

impl Reader<'_> {
    /// From the tree to what it means. With problems noted, the result is not to be used.
    fn settle(
        &mut self,
        root: &Node,
        from_environment: bool,
        part: Part,
    ) -> (Settings, Snapshot, Declared, Prices) {
        let Some(value) = self.read(root, &layout::ROOT, "") else {
            return (
                Settings::default(),
                Snapshot::default(),
                Declared::default(),
                Prices::default(),
            );
        };
        let listen = match self.addresses(value.get("listen"), &[]) {
            none if none.is_empty() => Settings::default().listen,
            some => some,
        };
        let admin_listen = self.addresses(value.get("admin_listen"), &listen);
        let declared = self.tenants(&value);
        let auth = self.auth(&value, &declared);
        let names = Names::of(&declared);
        let section = value.get("providers");
        let around = Surroundings {
            passthrough: auth == Auth::Passthrough,
            listen: &listen,
            from_environment,
        };
        let mut providers = self.providers(section, &around);
        let prices = self.all_prices(&value, &mut providers);
        if part == Part::All {
            self.check_plans(&value);
        }
        let broken: Vec<&str> = section
            .map(Value::entries)
            .unwrap_or_default()
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !providers.iter().any(|provider| provider.name == *name))
            .collect();
        let known = Known {
            providers: &providers,
            broken: &broken,
            callers: &names,
        };
        let (routes, written) = self.routes(value.get("routes"), &known);
        let mut snapshot = Snapshot {
            mode: routes::mode(value.get("mode")).unwrap_or_default(),
            auth,
            auth_is_said: value.get("auth").is_some(),
            trusted_proxies: self.networks(value.get("trusted_proxies")),
            defaults: defaults(value.get("defaults")),
            state: state(value.get("state")),
            providers: providers.into(),
            routes: routes.into(),
            preferred_provider: None,
            known: KnownNames::default(),
        };
        snapshot.preferred_provider =
            self.preferred(value.get("preferred_provider"), &snapshot, &broken);
        // What is missing among providers and routes is told already, and what leads to it is no news.
        let whole = value.get("routes").map_or(0, |routes| routes.items().len()) == written.len();
        if broken.is_empty() && whole {
            self.check_routes(&snapshot, &written);
        }
        let database = self.database(value.get("database"));
        let counters = self.counters(value.get("counters"));
        self.check_storage(&value, &database, &counters);
        let settings = Settings {
            listen,
            admin_listen,
            data: self.data(value.get("data")),
            database,
            counters,
            on_counter_outage: storage::on_counter_outage(value.get("on_counter_outage")),
            usage: self.usage(value.get("usage")),
            payments: self.payments(value.get("payments")),
        };
        (settings, snapshot, declared, prices)
    }

    fn data(&mut self, said: Option<&Value>) -> PathBuf {
        let Some(said) = said else {
            return Settings::default().data;
        };
        let path = PathBuf::from(said.text().unwrap_or_default());
        let message = if path.as_os_str().is_empty() {
            "expected the path of a directory"
        } else if std::fs::metadata(&path).is_ok_and(|there| !there.is_dir()) {
            "is a file; a directory is expected"
        } else {
            return path;
        };
        self.problem(&said.place, &said.path, message);
        path
    }

    /// `taken`: addresses of another list. Port 0 is another port each time.
    fn addresses(&mut self, said: Option<&Value>, taken: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut listen = Vec::new();
        for value in said.map(Value::items).unwrap_or_default() {
            match address(value.text().unwrap_or_default()) {
                Some(address) if listen.contains(&address) => {
                    self.problem(&value.place, &value.path, "this address is here twice");
                }
                Some(address) if address.port() != 0 && taken.contains(&address) => {
                    self.problem(
                        &value.place,
                        &value.path,
                        "`listen` has this address, too: choose another port",
                    );
                }
                Some(address) => listen.push(address),
                None => self.problem(
                    &value.place,
                    &value.path,
                    "expected an IP address and a port, such as 127.0.0.1:8080",
                ),
            }
        }
        listen
    }

    fn auth(&mut self, root: &Value, declared: &Declared) -> Auth {
        let said = root.get("auth");
        let keyless = declared.keys.is_empty();
        let auth = match said.and_then(Value::text) {
            Some("keys") => Auth::Keys,
            Some("passthrough") => Auth::Passthrough,
            Some(_) => Auth::Open,
            None if keyless => Auth::Open,
            None => Auth::Keys,
        };
        match (auth, said) {
            (Auth::Keys, Some(said)) if keyless => {
                self.note(
                    &said.place,
                    &said.path,
                    "there are no `api_keys`: only keys that are stored are let in, and without any every request is turned away",
                );
            }
            (Auth::Open | Auth::Passthrough, Some(said)) if !keyless => {
                self.note(&said.place, &said.path, "`api_keys` have no effect with it");
            }
            (Auth::Open, said) => {
                let wide = |value: &&Value| {
                    let address = value.text().and_then(address);
                    address.is_some_and(|address| !address.ip().is_loopback())
                };
                let mut listening = ["listen", "admin_listen"]
                    .into_iter()
                    .filter_map(|name| root.get(name))
                    .flat_map(Value::items);
                if let Some(value) = listening.find(wide) {
                    let message = if said.is_some() {
                        "`auth: open` serves this machine only: listen on 127.0.0.1, or choose `auth: keys` or `auth: passthrough`"
                    } else {
                        "an address that others can reach needs `api_keys` (or the variable LINGATE_API_KEY), or `auth: keys` where keys are stored, or `auth: passthrough`"
                    };
                    self.problem(&value.place, &value.path, message);
                }
            }
            (Auth::Keys | Auth::Passthrough, _) => {}
        }
        auth
    }

    fn preferred(
        &mut self,
        said: Option<&Value>,
        snapshot: &Snapshot,
        broken: &[&str],
    ) -> Option<usize> {
        let said = said?;
        let name = said.text().unwrap_or_default();
        let row = lingate_catalog::builtin()
            .named(name)
            .map(|row| row.id.as_str());
        let providers = &snapshot.providers;
        let found = providers
            .iter()
            .position(|provider| provider.name == name)
            .or_else(|| {
                let follows = |provider: &std::sync::Arc<_>| {
                    let provider: &lingate_routing::Provider = provider;
                    row.is_some() && provider.catalog_id.as_deref() == row
                };
                providers.iter().position(follows)
            });
        if found.is_none() && !broken.contains(&name) {
            let message = environment::unknown_provider(
                name,
                providers.iter().map(|provider| provider.name.as_str()),
            );
            match said.place {
                // Other tools have it set, too: no reason not to start.
                Place::Variable(_) => self.note(&said.place, &said.path, message),
                Place::File { .. } | Place::Stored { .. } => {
                    self.problem(&said.place, &said.path, message);
                }
            }
        }
        found
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                DEFAULT_PORT,
            )],
            admin_listen: Vec::new(),
            data: PathBuf::from("./data"),
            database: Database::default(),
            counters: CounterStore::default(),
            on_counter_outage: OnCounterOutage::default(),
            usage: UsageSettings::default(),
            payments: Payments::default(),
        }
    }
}

fn defaults(said: Option<&Value>) -> Defaults {
    let usual = Defaults::default();
    let get = |name: &str| said.and_then(|said| said.get(name));
    let duration = |name: &str, usual| get(name).and_then(Value::duration).unwrap_or(usual);
    let number = |name: &str, usual| get(name).and_then(Value::number).unwrap_or(usual);
    Defaults {
        max_tokens: number("max_tokens", usual.max_tokens),
        request_timeout: duration("request_timeout", usual.request_timeout),
        first_byte_timeout: duration("first_byte_timeout", usual.first_byte_timeout),
        idle_timeout: duration("idle_timeout", usual.idle_timeout),
        connect_timeout: duration("connect_timeout", usual.connect_timeout),
        body_limit: number("body_limit", usual.body_limit),
        handling: Handling {
            stream: match get("force_non_stream").and_then(Value::flag) {
                Some(true) => StreamPolicy::Never,
                Some(false) | None => usual.handling.stream,
            },
            continuations: routes::continuations(get("anti_truncation"))
                .unwrap_or(usual.handling.continuations),
        },
        losses: match get("losses").and_then(Value::text) {
            Some("ignore") => LossPolicy::Ignore,
            Some("reject") => LossPolicy::Reject,
            Some(_) => LossPolicy::Report,
            None => usual.losses,
        },
        usage: match get("usage").and_then(Value::text) {
            Some("require") => UsagePolicy::Require,
            Some(_) => UsagePolicy::AsReported,
            None => usual.usage,
        },
        subagent_tag: get("subagent_tag")
            .and_then(Value::flag)
            .unwrap_or(usual.subagent_tag),
    }
}

fn state(said: Option<&Value>) -> State {
    let usual = State::default();
    let get = |name: &str| said.and_then(|said| said.get(name));
    let number = |name: &str, usual| get(name).and_then(Value::number).unwrap_or(usual);
    State {
        enabled: get("enabled")
            .and_then(Value::flag)
            .unwrap_or(usual.enabled),
        ttl: get("ttl").and_then(Value::duration).unwrap_or(usual.ttl),
        size: number("size", usual.size),
        size_per_key: number("size_per_key", usual.size_per_key),
    }
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`; `:8080` is every address, a bare port or address gets the usual other.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(port) = text.parse() {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Some(SocketAddr::new(ip, DEFAULT_PORT));
    }
    let (host, port) = text.rsplit_once(':')?;
    let ip = match host {
        "localhost" => Ipv4Addr::LOCALHOST,
        "" | "*" => Ipv4Addr::UNSPECIFIED,
        _ => return None,
    };
    Some(SocketAddr::new(IpAddr::V4(ip), port.parse().ok()?))
}

#[cfg(test)]
mod tests;
