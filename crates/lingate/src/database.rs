//! `lingate database`: whether the database is one that this program can serve from; and how all commands open it.

use clap::{Args, Subcommand};
use lingate_config::{Database, Settings};
use lingate_store::{DatabaseUrl, Looked, Store};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::Failed;
use crate::local::{Local, runtime};
use crate::resource::shown::lines;

const EXAMPLES: &str = "\
Examples:
  lingate database check
  lingate database migrate --config lingate.yml

`check` changes nothing. `migrate` brings the schema up to date, as `lingate serve` does when it starts; it does not touch a database of
another program or of a newer version.";

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

/// Opens the database to read it, and changes nothing; `None`: there is none yet.
pub(crate) async fn look(settings: &Settings) -> Result<Option<Looked>, Failed> {
    let looked = Store::look(&address(settings)?, &settings.data).await;
    looked.map_err(|error| Failed::new(format!("database {}: {error}", settings.database)))
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let (local, told) = match command {
        Command::Check(Options { local }) => (local, check(local)?),
        Command::Migrate(Options { local }) => {
            let told = local.work(async |here| {
                Ok(json!({
                    "database": here.loaded.settings.database.to_string(),
                    "schema": "up to date",
                    "changes": here.store.revision().await?,
                }))
            })?;
            (local, told)
        }
    };
    local.tell(&told, &lines(&told))
}

/// What is there, without a change of it.
fn check(local: &Local) -> Result<serde_json::Value, Failed> {
    let settings = local.first()?.settings;
    runtime()?.block_on(async {
        let mut told = json!({"database": settings.database.to_string()});
        match look(&settings).await? {
            None => told["schema"] = json!("not there yet: `lingate serve` makes it"),
            Some(Looked { store, missing }) => {
                told["schema"] = match missing {
                    0 => json!("up to date"),
                    1 => json!("older, by 1 migration: `lingate database migrate` brings it up to date, and so does `lingate serve`"),
                    _ => json!(format!("older, by {missing} migrations: `lingate database migrate` brings it up to date, and so does `lingate serve`")),
                };
                if missing == 0 {
                    told["changes"] = json!(store.revision().await?);
                }
                store.close().await;
            }
        }
        Ok(told)
    })
}
