//! Chores of this repository that a program does; never shipped. `cargo run --package lingate-xtask -- prices [--check]`

mod facts;
mod prices;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// The facts, beside the repository. They are no part of it.
const FACTS: &str = "../shared/data/prices-litellm.json";
const MAP: &str = "crates/catalog/data/prices-map.toml";
const OVERLAY: &str = "crates/catalog/data/prices-overlay.txt";
const BOOK: &str = "crates/catalog/data/prices.txt";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["prices"] => write_prices(),
        ["prices", "--check"] => check_prices(),
        _ => Err("xtask prices [--check]: build or check the list of prices".to_owned()),
    };
    let (told, code) = match done {
        Ok(message) => (writeln!(io::stdout(), "{message}"), ExitCode::SUCCESS),
        Err(message) => (writeln!(io::stderr(), "{message}"), ExitCode::FAILURE),
    };
    told.map_or(ExitCode::FAILURE, |()| code)
}

fn write_prices() -> Result<String, String> {
    let Some(built) = build()? else {
        return Ok(absent("the prices stay as they are"));
    };
    let file = root().join(BOOK);
    fs::write(&file, &built.text).map_err(|error| format!("{BOOK}: {error}"))?;
    let mut told = format!("{BOOK}: {} rows, {} bytes", built.rows, built.text.len());
    for (name, places) in &built.told_twice {
        told.extend([
            "
  told twice, and differently: ",
            name,
            " by ",
            places,
        ]);
    }
    Ok(told)
}

fn check_prices() -> Result<String, String> {
    let Some(built) = build()? else {
        return Ok(absent("the prices are not checked"));
    };
    if built.text == read(BOOK)? {
        Ok(format!("prices: fresh, {} rows", built.rows))
    } else {
        Err(format!(
            "{BOOK} is not what its sources give: run `make prices`"
        ))
    }
}

fn absent(so: &str) -> String {
    format!("prices: {FACTS} is not here: {so}")
}

/// `None` without the facts.
fn build() -> Result<Option<prices::Built>, String> {
    if !root().join(FACTS).is_file() {
        return Ok(None);
    }
    prices::build(&read(FACTS)?, &read(MAP)?, &read(OVERLAY)?).map(Some)
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))
}

fn root() -> &'static Path {
    // The crate lies two folders below the root.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
