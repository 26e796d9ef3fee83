//! `lingate config`: check, show, schema, init.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Subcommand;
use lingate_config::{Environment, Loaded};

use crate::{ConfigFile, Failed};

const EXAMPLES: &str = "\
Examples:
  lingate config init
  lingate config check --config lingate.yml
  lingate config show
  lingate config schema";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Read the configuration and name every problem at once, with file, line and column.
    Check(ConfigFile),
    /// Print the configuration in effect: file, environment and defaults together, secrets masked.
    Show(ConfigFile),
    /// Print the JSON Schema of the configuration file, for editors.
    Schema,
    /// Write a commented configuration file to start from.
    Init {
        /// Where to write it; an existing file is never overwritten.
        #[arg(default_value = "lingate.yml")]
        file: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let mut stdout = io::stdout().lock();
    match command {
        Command::Check(file) => {
            let loaded = load(file)?;
            for note in &loaded.notes {
                writeln!(stdout, "note: {note}")?;
            }
            let source = loaded.source.as_ref().map_or_else(
                || "the environment".to_owned(),
                |path| path.display().to_string(),
            );
            writeln!(
                stdout,
                "{source}: in order (providers: {}, routes: {})",
                loaded.snapshot.providers.len(),
                loaded.snapshot.routes.len()
            )?;
        }
        Command::Show(file) => {
            let loaded = load(file)?;
            stdout.write_all(lingate_config::effective(&loaded).as_bytes())?;
        }
        Command::Schema => {
            stdout.write_all(lingate_config::schema().as_bytes())?;
            writeln!(stdout)?;
        }
        Command::Init { file } => {
            let mut out = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(file)
                .map_err(|error| Failed::new(format!("{}: {error}", file.display())))?;
            out.write_all(lingate_config::template().as_bytes())?;
            writeln!(
                stdout,
                "wrote {}; edit it, then `lingate config check` and `lingate serve`",
                file.display()
            )?;
        }
    }
    Ok(0)
}

/// Reads the configuration; a failure names every problem, one to a line.
fn load(file: &ConfigFile) -> Result<Loaded, Failed> {
    lingate_config::load(file.path().as_deref(), &Environment::of_process())
        .map_err(|problems| Failed::new(problems.to_string()))
}
