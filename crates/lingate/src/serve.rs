//! `lingate serve`: the gateway on its listeners, with a configuration that is looked at again every second.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Args;
use lingate_admin::{Admin, Configured};
use lingate_config::{Change, Environment, Loaded, Settings, Watcher};
use lingate_gateway::{Face, Gateway};
use lingate_seal::Sealer;
use tokio::net::{TcpListener, TcpSocket};

use crate::ledger::{Callers, Ledger};
use crate::{ConfigFile, Failed, log};

const EXAMPLES: &str = "\
Examples:
  lingate serve
  lingate serve --config lingate.yml
  lingate serve --listen 127.0.0.1:9000

With an empty environment and no file, the demo provider answers. A configuration file that changes is taken up while the gateway
runs; `listen`, `data`, `database`, `counters`, `usage` and `connect_timeout` take a restart.

Secrets in the database, and what vendors sign of their reasoning, are sealed with a master key: LINGATE_MASTER_KEY (32 bytes, as
hexadecimal digits or in base64; the same for all gateways that share callers or a database), else one that is made once and kept in
master.key below the data folder. LINGATE_MASTER_KEY_PREVIOUS is the one before, while it is exchanged.

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
    let loaded = lingate_config::load(options.file.path().as_deref(), &environment)
        .map_err(|problems| Failed::new(problems.to_string()))?;
    let listeners = loaded
        .settings
        .listen
        .iter()
        .map(|address| Ok((listen(*address)?, Face::All)))
        .collect::<Result<Vec<_>, Failed>>()?;
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .filter_map(|(listener, _)| listener.local_addr().ok())
        .collect();
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    // Before anybody is greeted: a database that cannot be served from is a reason not to start.
    let (mut ledger, governance) = Ledger::open(&loaded).await?;
    // Whoever has closed standard output wants no greeting, but a gateway all the same.
    if let Err(error) = greet(&loaded, &addresses) {
        tracing::debug!(%error, "cannot greet");
    }
    let watcher = Watcher::new(&loaded, environment, Arc::default());
    let configured = Configured {
        declared: loaded.declared.clone(),
        payments: loaded.settings.payments.clone(),
    };
    let seal = Sealer::of_process(&loaded.settings.data)
        .map_err(|bad| Failed::new(format!("LINGATE_MASTER_KEY: {bad}")))?;
    let seal = Arc::new(seal);
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
        seal,
        configured: ArcSwap::from_pointee(configured),
    });
    gateway.serve_beside(Arc::new(admin.clone()));
    let callers = Arc::clone(ledger.callers());
    let watch = tokio::spawn(watch(
        Arc::clone(&gateway),
        callers,
        admin,
        watcher,
        loaded.settings,
    ));
    let chores = gateway.chores();
    lingate_gateway::serve(Arc::clone(&gateway), listeners, stopped()).await;
    watch.abort();
    drop(chores);
    tokio::task::block_in_place(|| gateway.keep_keys());
    ledger.end().await;
    tracing::info!("stopped");
    Ok(())
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
fn greet(loaded: &Loaded, addresses: &[SocketAddr]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Some(first) = addresses.first() else {
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
        addresses
            .iter()
            .map(|address| format!("http://{address}"))
            .collect::<Vec<_>>()
            .join(", ")
    )?;
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

/// Looks at the files every second; a change that is in order is taken, a broken one is told and left.
async fn watch(
    gateway: Arc<Gateway>,
    callers: Arc<Callers>,
    admin: Admin,
    mut watcher: Watcher,
    settings: Settings,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        let looked = tokio::task::spawn_blocking(move || {
            let change = watcher.poll();
            (watcher, change)
        });
        let Ok((looked, change)) = looked.await else {
            return;
        };
        watcher = looked;
        match change {
            Change::None => {}
            Change::New(loaded) => {
                for name in need_a_restart(&loaded.settings, &settings) {
                    tracing::warn!("`{name}` has changed; that takes a restart");
                }
                for note in &loaded.notes {
                    tracing::warn!("{note}");
                }
                // Whoever was let in before is let in until the new rules count, and nobody else.
                admin.configure(Configured {
                    declared: loaded.declared.clone(),
                    payments: loaded.settings.payments.clone(),
                });
                callers.declare(loaded.declared);
                gateway.governance().replace_prices(loaded.prices);
                gateway.replace(loaded.snapshot);
                tracing::info!("configuration taken");
            }
            Change::Broken(problems) => tracing::error!(
                "the changed configuration is not in order, the old one stays:\n{problems}"
            ),
        }
    }
}

/// The settings that are not what they were, and stay so for now.
fn need_a_restart(now: &Settings, then: &Settings) -> Vec<&'static str> {
    let Settings {
        listen,
        data,
        database,
        counters,
        on_counter_outage,
        usage,
        payments: _,
    } = then;
    [
        ("listen", now.listen != *listen),
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
