//! `lingate serve`: the gateway on its listeners, with a configuration that is looked at again every second.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Args;
use lingate_admin::{Admin, Configured};
use lingate_config::{Change, Environment, Loaded, Overlay, Problems, Settings, Watcher};
use lingate_gateway::{Face, Gateway};
use lingate_seal::Sealer;
use lingate_store::{Revision, Store};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use crate::ledger::stored::{self, Copied};
use crate::ledger::{Callers, Ledger};
use crate::{ConfigFile, Failed, first_start, log};

const EXAMPLES: &str = "\
Examples:
  lingate serve
  lingate serve --config lingate.yml
  lingate serve --listen 127.0.0.1:9000

With an empty environment and no file, the demo provider answers. A configuration file that changes is taken up while the gateway
runs; `listen`, `admin_listen`, `data`, `database`, `counters`, `usage` and `connect_timeout` take a restart.

Secrets in the database, and what vendors sign of their reasoning, are sealed with a master key: LINGATE_MASTER_KEY (32 bytes, as
hexadecimal digits or in base64; the same for all gateways that share callers or a database), else one that is made once and kept in
master.key below the data folder. LINGATE_MASTER_KEY_PREVIOUS is the one before, while it is exchanged.

The first start makes the account `operator` for the administration, with a password that is shown once, or with the one in
LINGATE_ADMIN_PASSWORD.

The log goes to standard error; LINGATE_LOG sets what it tells: error, warn, info (the default), debug.
An interrupt or SIGTERM lets open answers finish, for at most 30 seconds.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// The address to listen on, instead of the configured ones.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The directory for what the gateway stores, instead of the configured one.
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
}

/// How often the configuration file is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options) -> Result<u8, Failed> {
    let _log = log::begin();
    lingate_gateway::log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))?;
    // What still runs after the drain (a body being decompressed) is not waited for.
    runtime.shutdown_background();
    Ok(0)
}

async fn serve(options: &Options) -> Result<(), Failed> {
    let mut environment = Environment::of_process();
    if let Some(address) = options.listen {
        environment = environment.with("LINGATE_LISTEN", &address.to_string());
    }
    if let Some(data) = &options.data {
        environment = environment.with("LINGATE_DATA", &data.to_string_lossy());
    }
    let path = options.file.path();
    // What the file names may be in the database, and the file says where that is.
    let alone = lingate_config::load(path.as_deref(), &environment);
    let first = match &alone {
        Ok(_) => None,
        Err(problems) => {
            let first = lingate_config::load_first(path.as_deref(), &environment);
            Some(first.map_err(|_| Failed::new(problems.to_string()))?)
        }
    };
    let first = match (&alone, &first) {
        (Ok(loaded), _) | (Err(_), Some(loaded)) => loaded,
        (Err(problems), None) => return Err(Failed::new(problems.to_string())),
    };
    let listeners = listeners(&first.settings)?;
    let addresses = Addresses::of(&listeners);
    // Before anybody is greeted: a database that cannot be served from is a reason not to start.
    let (mut ledger, governance) = Ledger::open(first).await?;
    let copied = Copied::of(&first.settings);
    let seal = Sealer::of_process(&first.settings.data)
        .map_err(|bad| Failed::new(format!("LINGATE_MASTER_KEY: {bad}")))?;
    let seal = Arc::new(seal);
    let told = ledger.callers().configured();
    let Begun {
        loaded,
        overlay,
        broken,
    } = begin(
        alone,
        &environment,
        path.as_deref(),
        &ledger,
        &copied,
        &seal,
    )
    .await?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    // Whoever has closed standard output wants no greeting, but a gateway all the same.
    if let Err(error) = greet(&loaded, &addresses) {
        tracing::debug!(%error, "cannot greet");
    }
    if let Err(failed) = first_start::prepare(ledger.store(), addresses.sign_in()).await {
        ledger.end().await;
        return Err(failed);
    }
    let mut configured = Configured::of(&loaded, &environment, &overlay);
    configured.broken.clone_from(&broken);
    let watcher = Watcher::new(&loaded, environment.clone(), overlay);
    let gateway = Gateway::new(
        loaded.snapshot,
        &loaded.settings.data,
        Arc::clone(&seal),
        governance,
    );
    gateway.governance().replace_prices(loaded.prices);
    gateway.recall_keys();
    ledger.start(&gateway);
    let admin = Admin::new(lingate_admin::Parts {
        store: ledger.store(),
        gateway: Some(Arc::clone(&gateway)),
        seal: Arc::clone(&seal),
        configured: ArcSwap::from_pointee(configured),
    });
    gateway.serve_beside(Arc::new(admin.clone()));
    tell(&gateway, broken.as_deref());
    let watch = tokio::spawn(
        Watching {
            gateway: Arc::clone(&gateway),
            callers: Arc::clone(ledger.callers()),
            admin,
            environment,
            store: ledger.store(),
            told,
            copied,
            seal,
            settings: loaded.settings,
        }
        .watch(watcher),
    );
    let chores = gateway.chores();
    lingate_gateway::serve(Arc::clone(&gateway), listeners, stopped()).await;
    watch.abort();
    drop(chores);
    tokio::task::block_in_place(|| gateway.keep_keys());
    ledger.end().await;
    tracing::info!("stopped");
    Ok(())
}

fn listeners(settings: &Settings) -> Result<Vec<(TcpListener, Face)>, Failed> {
    let face = if settings.admin_listen.is_empty() {
        Face::All
    } else {
        Face::Callers
    };
    let of_callers = settings.listen.iter().map(|address| (address, face));
    let of_operators = settings.admin_listen.iter();
    of_callers
        .chain(of_operators.map(|address| (address, Face::Operators)))
        .map(|(address, face)| Ok((listen(*address)?, face)))
        .collect()
}

/// Where the gateway listens, once it does.
struct Addresses {
    models: Vec<SocketAddr>,
    /// Empty: the control plane is where models are.
    operators: Vec<SocketAddr>,
}

impl Addresses {
    fn of(listeners: &[(TcpListener, Face)]) -> Self {
        let of = |is_of: fn(Face) -> bool| {
            let listeners = listeners.iter().filter(|(_, face)| is_of(*face));
            listeners
                .filter_map(|(listener, _)| listener.local_addr().ok())
                .collect()
        };
        Self {
            models: of(|face| face != Face::Operators),
            operators: of(|face| face == Face::Operators),
        }
    }

    /// Where operators sign in.
    fn sign_in(&self) -> Option<SocketAddr> {
        self.operators.first().or(self.models.first()).copied()
    }
}

/// As a list of what browsers take.
fn urls(addresses: &[SocketAddr]) -> String {
    let urls = addresses.iter().map(|address| format!("http://{address}"));
    urls.collect::<Vec<_>>().join(", ")
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failed> {
    let open = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    open().map_err(|error| Failed::new(format!("cannot listen on {address}: {error}")))
}

/// Says where to go next.
fn greet(loaded: &Loaded, addresses: &Addresses) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Some(first) = addresses.models.first() else {
        return Ok(());
    };
    let names: Vec<&str> = loaded
        .snapshot
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    writeln!(
        out,
        "Lingate {} is listening on {}",
        env!("CARGO_PKG_VERSION"),
        urls(&addresses.models)
    )?;
    if !addresses.operators.is_empty() {
        writeln!(out, "  admin API      {}", urls(&addresses.operators))?;
    }
    match &loaded.source {
        Some(path) => writeln!(out, "  configuration  {}", path.display())?,
        None => writeln!(
            out,
            "  configuration  from the environment; `lingate config init` writes a file to start from"
        )?,
    }
    writeln!(out, "  providers      {}", names.join(", "))?;
    let model = if names == ["demo"] { "demo" } else { "MODEL" };
    writeln!(out, "  OpenAI         base_url http://{first}/v1")?;
    writeln!(out, "  Anthropic      base_url http://{first}")?;
    writeln!(out, "  Google         base_url http://{first}")?;
    writeln!(
        out,
        "  try it         curl http://{first}/v1/chat/completions -H 'content-type: application/json' \\"
    )?;
    writeln!(
        out,
        "                   -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    )?;
    if names == ["demo"] {
        writeln!(
            out,
            "  No provider key is set, so the demo answers. Set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY for real models."
        )?;
    }
    out.flush()
}

/// The configuration that a gateway starts with.
struct Begun {
    loaded: Loaded,
    overlay: Arc<Overlay>,
    /// Why it is not what the database holds.
    broken: Option<String>,
}

/// Lays what is stored over the file; while the database is away, what was stored when it was last seen. `alone`: the file by itself.
async fn begin(
    alone: Result<Loaded, Problems>,
    environment: &Environment,
    path: Option<&std::path::Path>,
    ledger: &Ledger,
    copied: &Copied,
    seal: &Sealer,
) -> Result<Begun, Failed> {
    let store = ledger.store().borrow().clone();
    let kept = || tokio::task::block_in_place(|| copied.recall()).unwrap_or_default();
    let stored = match &store {
        Some(store) => stored::overlay(store, seal)
            .await
            .map_err(|error| Failed::new(format!("database: {error}")))?,
        None => kept(),
    };
    let load = |overlay: Overlay| {
        let overlay = Arc::new(overlay);
        let loaded =
            tokio::task::block_in_place(|| lingate_config::load_with(path, environment, &overlay));
        loaded.map(|loaded| (loaded, overlay))
    };
    if stored.documents.is_empty() && stored.keys.is_empty() {
        let loaded = alone.map_err(|problems| Failed::new(problems.to_string()))?;
        return Ok(Begun {
            loaded,
            overlay: Arc::default(),
            broken: None,
        });
    }
    let problems = match load(stored) {
        Ok((loaded, overlay)) => {
            if store.is_some() {
                tokio::task::block_in_place(|| copied.keep(&overlay));
            }
            return Ok(Begun {
                loaded,
                overlay,
                broken: None,
            });
        }
        Err(problems) => problems,
    };
    tracing::error!("file and database are not in order together:\n{problems}");
    let broken = Some(problems.to_string());
    // What was in force before is better than half of it.
    if let Ok((loaded, overlay)) = load(kept()) {
        tracing::warn!("what was in force before is in force");
        return Ok(Begun {
            loaded,
            overlay,
            broken,
        });
    }
    let loaded = alone.map_err(|_| Failed::new(problems.to_string()))?;
    tracing::warn!("the file alone is in force");
    Ok(Begun {
        loaded,
        overlay: Arc::default(),
        broken,
    })
}

/// Says on the board whether file and database are in force.
fn tell(gateway: &Gateway, broken: Option<&str>) {
    match broken {
        None => gateway.board().well("configuration", serde_json::json!({})),
        Some(problems) => {
            let why = format!("it is not in order, and the one before stays in force: {problems}");
            gateway
                .board()
                .ailing("configuration", &why, serde_json::json!({}));
        }
    }
}

/// Who keeps the configuration up to date.
struct Watching {
    gateway: Arc<Gateway>,
    callers: Arc<Callers>,
    admin: Admin,
    environment: Environment,
    store: watch::Receiver<Option<Store>>,
    /// When what is stored has changed.
    told: watch::Receiver<(Revision, Revision)>,
    copied: Copied,
    seal: Arc<Sealer>,
    /// What was settled at the start.
    settings: Settings,
}

impl Watching {
    /// Looks at the files every second, and at what is stored when it has changed; what is in order is taken, what is broken is told
    /// and left.
    async fn watch(mut self, mut watcher: Watcher) {
        let mut behind = false;
        loop {
            let changed = tokio::select! {
                changed = self.told.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    true
                }
                () = tokio::time::sleep(LOOK) => behind,
            };
            let overlay = if changed { self.stored().await } else { None };
            // What cannot be read now is asked for again.
            behind = changed && overlay.is_none();
            let looked = tokio::task::spawn_blocking(move || {
                let change = match overlay {
                    Some(overlay) => watcher.lay(Arc::new(overlay)),
                    None => watcher.poll(),
                };
                (watcher, change)
            });
            let Ok((looked, change)) = looked.await else {
                return;
            };
            watcher = looked;
            match change {
                Change::None => {}
                Change::New(loaded) => self.take(*loaded, watcher.overlay()),
                Change::Broken(problems) => {
                    tracing::error!(
                        "the changed configuration is not in order, the old one stays:\n{problems}"
                    );
                    tell(&self.gateway, Some(&problems.to_string()));
                    self.admin.configured_wrongly(&problems.to_string());
                }
            }
        }
    }

    async fn stored(&mut self) -> Option<Overlay> {
        let store = self.store.borrow().clone()?;
        match stored::overlay(&store, &self.seal).await {
            Ok(overlay) => Some(overlay),
            Err(error) => {
                tracing::warn!(%error, "what is stored of the configuration cannot be read; it is tried again");
                None
            }
        }
    }

    fn take(&self, loaded: Loaded, overlay: &Arc<Overlay>) {
        for name in need_a_restart(&loaded.settings, &self.settings) {
            tracing::warn!("`{name}` has changed; that takes a restart");
        }
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        // Whoever was let in before is let in until the new rules count, and nobody else.
        self.admin
            .configure(Configured::of(&loaded, &self.environment, overlay));
        self.callers.declare(loaded.declared);
        self.gateway.governance().replace_prices(loaded.prices);
        self.gateway.replace(loaded.snapshot);
        tokio::task::block_in_place(|| self.copied.keep(overlay));
        tell(&self.gateway, None);
        tracing::info!("configuration taken");
    }
}

/// The settings that are not what they were, and stay so for now.
fn need_a_restart(now: &Settings, then: &Settings) -> Vec<&'static str> {
    let Settings {
        listen,
        admin_listen,
        data,
        database,
        counters,
        on_counter_outage,
        usage,
        payments: _,
    } = then;
    [
        ("listen", now.listen != *listen),
        ("admin_listen", now.admin_listen != *admin_listen),
        ("data", now.data != *data),
        ("database", now.database != *database),
        ("counters", now.counters != *counters),
        (
            "on_counter_outage",
            now.on_counter_outage != *on_counter_outage,
        ),
        ("usage", now.usage != *usage),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

/// Ready when the process is asked to stop.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("stopping: open answers may finish");
}
