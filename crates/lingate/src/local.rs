//! The configuration and the database, opened as the server opens them: for commands that work beside it, or without it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use lingate_config::{Environment, Loaded};
use lingate_store::Store;
use serde_json::Value;

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
    pub(crate) fn load(&self) -> Result<Loaded, Failed> {
        load(&self.file, self.data.as_deref())
    }

    /// Does something with the database, and closes it.
    pub(crate) fn work<T>(
        &self,
        work: impl AsyncFnOnce(&Here) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let loaded = self.load()?;
        runtime()?.block_on(async {
            let store = database::open(&loaded.settings).await?;
            let here = Here { loaded, store };
            let done = work(&here).await;
            here.store.close().await;
            done
        })
    }

    /// Prints either the value or the lines.
    pub(crate) fn tell(&self, value: &Value, lines: &[String]) -> Result<u8, Failed> {
        let mut stdout = io::stdout().lock();
        if self.json {
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
}

/// The configuration of this machine; `data`: another directory than it says.
pub(crate) fn load(file: &ConfigFile, data: Option<&Path>) -> Result<Loaded, Failed> {
    lingate_config::load(file.path().as_deref(), &environment(data))
        .map_err(|problems| Failed::new(problems.to_string()))
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
