//! The configuration and the database, opened as the server opens them: for commands that work beside it, or without it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use lingate_config::{Environment, Loaded, Overlay};
use lingate_metering::tenant::Declared;
use lingate_seal::Sealer;
use lingate_store::{Looked, Store};
use serde_json::Value;

use crate::ledger::stored::{self, Copied};
use crate::table::{Look, colours, painted};
use crate::{ConfigFile, Failed, database};

/// Where the gateway's things are, and how they are to be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Local {
    #[command(flatten)]
    file: ConfigFile,
    /// The directory for what the gateway stores, instead of the configured one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// As JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is there on this machine.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) loaded: Loaded,
    pub(crate) store: Store,
}

impl Local {
    pub(crate) const fn of(file: ConfigFile, data: Option<PathBuf>) -> Self {
        Self {
            file,
            data,
            json: false,
        }
    }

    /// What says where things are; the rest may be in order only with what is stored.
    pub(crate) fn first(&self) -> Result<Loaded, Failed> {
        first(&self.file, &environment(self.data.as_deref()))
    }

    /// Does something with the database, and closes it.
    pub(crate) fn work<T>(
        &self,
        work: impl AsyncFnOnce(&Here) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        runtime()?.block_on(async {
            let opened = open(&self.file, self.data.as_deref()).await?;
            let here = Here {
                loaded: opened.loaded,
                store: opened.store,
            };
            let done = work(&here).await;
            here.store.close().await;
            done
        })
    }

    /// Prints either the value or the lines.
    pub(crate) fn tell(&self, value: &Value, lines: &[String]) -> Result<u8, Failed> {
        tell(self.json, value, lines)
    }
}

/// Prints the value as JSON, or the lines.
pub(crate) fn tell(json: bool, value: &Value, lines: &[String]) -> Result<u8, Failed> {
    let mut stdout = io::stdout().lock();
    if json {
        writeln!(stdout, "{value:#}")?;
        return Ok(0);
    }
    let colours = colours();
    for line in lines {
        // The head of a table stands in capitals.
        if *line == line.to_uppercase() {
            writeln!(stdout, "{}", painted(line, Look::Faint, colours))?;
        } else {
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(0)
}

/// What a gateway that starts here would begin with.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) environment: Environment,
    pub(crate) loaded: Loaded,
    /// What is laid over the file.
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) seal: Sealer,
    pub(crate) store: Store,
    /// Why what is stored is not laid over the file.
    pub(crate) broken: Option<String>,
}

/// Opens the database that the file names, with what it holds laid over the file. Where they are not in order together the file alone
/// counts, so that what is stored can be mended.
pub(crate) async fn open(file: &ConfigFile, data: Option<&Path>) -> Result<Opened, Failed> {
    let environment = environment(data);
    let first = first(file, &environment)?;
    let seal =
        Sealer::of_process(&first.settings.data).map_err(|error| Failed::new(error.to_string()))?;
    let store = database::open(&first.settings).await?;
    let path = file.path();
    let overlay = stored::overlay(&store, &seal).await?;
    let keys = overlay.keys.clone();
    let overlay = Arc::new(overlay);
    let (loaded, overlay, broken) =
        match lingate_config::load_with(path.as_deref(), &environment, &overlay) {
            Ok(loaded) => (loaded, overlay, None),
            Err(problems) => {
                let alone = Arc::new(Overlay {
                    keys,
                    ..Overlay::default()
                });
                let loaded = lingate_config::load_with(path.as_deref(), &environment, &alone);
                let loaded = loaded.map_err(|_| Failed::new(problems.to_string()))?;
                let why = problems.to_string();
                note(&format!("what is stored is not in order:\n{why}"));
                (loaded, alone, Some(why))
            }
        };
    Ok(Opened {
        environment,
        loaded,
        overlay,
        seal,
        store,
        broken,
    })
}

/// What says where the database is. What else is wrong with the file may be right with what is stored.
fn first(file: &ConfigFile, environment: &Environment) -> Result<Loaded, Failed> {
    let path = file.path();
    match lingate_config::load(path.as_deref(), environment) {
        Ok(loaded) => Ok(loaded),
        Err(problems) => lingate_config::load_first(path.as_deref(), environment)
            .map_err(|_| Failed::new(problems.to_string())),
    }
}

/// Something that whoever reads the output should know, and no part of it.
fn note(text: &str) {
    // With standard error closed there is nobody left to tell.
    drop(writeln!(io::stderr(), "note: {text}"));
}

/// The configuration and the callers that a running gateway has, read without changing anything: no database is made or migrated.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) loaded: Loaded,
    /// Who may ask, as the database says it.
    pub(crate) stored: Declared,
}

/// What is in force with this configuration: the file, with what the database holds laid over it. While the database is away, what was
/// stored when it was last seen.
pub(crate) fn in_force(file: &ConfigFile) -> Result<InForce, Failed> {
    runtime()?.block_on(async {
        let environment = Environment::of_process();
        let first = first(file, &environment)?;
        let settings = &first.settings;
        let (overlay, stored) = match database::look(settings).await {
            Ok(Some(Looked { store, missing: 0 })) => {
                let overlay = laid(&store, settings).await?;
                let stored = store.declared().await?;
                store.close().await;
                (overlay, stored)
            }
            // What it cannot hold yet is not stored.
            Ok(None) => Default::default(),
            Ok(Some(Looked { store, .. })) => {
                store.close().await;
                note("the database is of an older version, and not counted: `lingate database migrate` brings it up to date");
                Default::default()
            }
            Err(failed) => {
                note(&format!(
                    "{}; what was stored when it was last seen is counted",
                    failed.message
                ));
                (Copied::of(settings).recall().unwrap_or_default(), Declared::default())
            }
        };
        let path = file.path();
        let loaded = lingate_config::load_with(path.as_deref(), &environment, &Arc::new(overlay))
            .map_err(|problems| Failed::new(problems.to_string()))?;
        Ok(InForce { loaded, stored })
    })
}

/// With the master key only where there is something to open.
async fn laid(store: &Store, settings: &lingate_config::Settings) -> Result<Overlay, Failed> {
    if store.enabled_provider_keys().await?.is_empty() {
        return Ok(stored::documents(store).await?);
    }
    let seal =
        Sealer::of_process(&settings.data).map_err(|error| Failed::new(error.to_string()))?;
    Ok(stored::overlay(store, &seal).await?)
}

/// What the configuration is read with.
pub(crate) fn environment(data: Option<&Path>) -> Environment {
    let environment = Environment::of_process();
    match data {
        Some(data) => environment.with("LINGATE_DATA", &data.to_string_lossy()),
        None => environment,
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// What asks before it destroys something.
#[derive(Debug, Clone, Args)]
pub(crate) struct Sure {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Sure {
    /// `--yes` was said.
    pub(crate) const fn said(&self) -> bool {
        self.yes
    }

    /// Goes on where somebody says yes; where nobody can be asked, only with `--yes`.
    pub(crate) fn ask(&self, what: &str) -> Result<(), Failed> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failed::usage(format!("{what}: say so with --yes")));
        }
        let mut stderr = io::stderr().lock();
        write!(stderr, "{what}. Go on? [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failed::new("nothing was changed")),
        }
    }
}
