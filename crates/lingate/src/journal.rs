//! `lingate journal`: what lies in the files in which usage waits for the database.

use clap::{Args, Subcommand};
use lingate_journal::{Inspected, inspect};
use serde_json::{Value, json};

use crate::Failed;
use crate::local::Local;
use crate::resource::shown::table;

const EXAMPLES: &str = "\
Examples:
  lingate journal status
  lingate journal verify --data data

Both read the files below `journal` in the data folder, and change nothing; a gateway may run beside them. Records are in a file until all of it
is in the database, so some may be counted here that have arrived; `/health` of a gateway that runs says what waits. The exit code of `verify`
is 1 if something cannot be read.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// What is in the files, place by place: each process that writes has one of its own.
    Status(Options),
    /// Read every entry, and name what is damaged.
    Verify(Options),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    local: Local,
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let (Command::Status(Options { local }) | Command::Verify(Options { local })) = command;
    let folder = local.first()?.settings.data.join("journal");
    let found =
        inspect(&folder).map_err(|error| Failed::new(format!("{}: {error}", folder.display())))?;
    let places: Vec<Value> = found.iter().map(tell).collect();
    let mut lines = match places.as_slice() {
        [] => vec![format!(
            "{}: nothing was ever written there",
            folder.display()
        )],
        places => table(
            &[
                "place",
                "state",
                "files",
                "bytes",
                "records",
                "open",
                "torn",
                "damaged",
                "put_aside",
            ],
            places,
        ),
    };
    let damage = found.iter().flat_map(|place| &place.found.damaged);
    lines.extend(damage.map(|damage| {
        format!(
            "damaged: {}, bytes {} to {}",
            damage.file.display(),
            damage.from,
            damage.to
        )
    }));
    let is_whole = found.iter().all(|place| place.found.damaged.is_empty());
    let told = json!({"places": places, "whole": is_whole});
    local.tell(&told, &lines)?;
    Ok(match command {
        Command::Verify(_) if !is_whole => 1,
        Command::Status(_) | Command::Verify(_) => 0,
    })
}

fn tell(place: &Inspected) -> Value {
    let damaged = place.found.damaged.iter().map(|damage| {
        json!({"file": damage.file.display().to_string(), "from": damage.from, "to": damage.to})
    });
    json!({
        "place": place.folder.display().to_string(),
        "state": if place.is_held { "in use" } else { "left" },
        "files": place.found.files,
        "bytes": place.bytes,
        "records": place.found.finals,
        "open": place.found.lost,
        "torn": place.found.torn,
        "damaged": damaged.collect::<Vec<_>>(),
        "put_aside": place.put_aside,
    })
}
