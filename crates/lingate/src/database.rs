//! `lingate database`: whether the database is one that this program can serve from; and how all commands open it.

use clap::{Args, Subcommand};
use lingate_config::{Database, Settings};
use lingate_store::{DatabaseUrl, Store};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::Failed;
use crate::local::Local;
use crate::resource::shown::lines;

const EXAMPLES: &str = "\
Examples:
  lingate database check
  lingate database migrate --config lingate.yml

Both bring the schema up to date, as `lingate serve` does when it starts; neither touches a database of another program or of a newer version.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Say which database it is, and whether it can be served from.
    Check(Options),
    /// Bring the schema up to date.
    Migrate(Options),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    local: Local,
}

/// Where the database of these settings is.
pub(crate) fn address(settings: &Settings) -> Result<DatabaseUrl, Failed> {
    let text = match &settings.database {
        Database::Sqlite(_) => settings.database.to_string(),
        Database::Postgres(address) => address.secret().expose_secret().to_owned(),
    };
    text.parse()
        .map_err(|bad| Failed::new(format!("database: {bad}")))
}

/// Opens the database and brings its schema up to date.
pub(crate) async fn open(settings: &Settings) -> Result<Store, Failed> {
    let opened = Store::open(&address(settings)?, &settings.data).await;
    opened.map_err(|error| Failed::new(format!("database {}: {error}", settings.database)))
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let (Command::Check(Options { local }) | Command::Migrate(Options { local })) = command;
    let told = local.work(async |here| {
        let revision = here.store.revision().await;
        let revision = revision?;
        Ok(json!({
            "database": here.loaded.settings.database.to_string(),
            "schema": "up to date",
            "changes": revision,
        }))
    })?;
    local.tell(&told, &lines(&told))
}
