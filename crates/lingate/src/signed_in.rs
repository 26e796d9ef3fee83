//! The tokens that `lingate login` got, one for each server, in a file that nobody else can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::Failed;

/// The token for this server, if somebody signed in there.
pub(crate) fn token(server: &str) -> Option<String> {
    let kept = kept(server)?;
    Some(kept["token"].as_str()?.to_owned())
}

/// All that is known of it: `token`; and `id` and `expires_at`, where `lingate login` made it.
pub(crate) fn kept(server: &str) -> Option<Value> {
    read().get(&called(server)).cloned()
}

pub(crate) fn keep(server: &str, kept: Value) -> Result<PathBuf, Failed> {
    let mut known = read();
    known.insert(called(server), kept);
    write(known)
}

/// Forgets the token, and says whether there was one.
pub(crate) fn forget(server: &str) -> Result<bool, Failed> {
    let mut known = read();
    let was = known.remove(&called(server)).is_some();
    if was {
        write(known)?;
    }
    Ok(was)
}

fn called(server: &str) -> String {
    server.trim_end_matches('/').to_ascii_lowercase()
}

fn read() -> Map<String, Value> {
    let text = place().ok().and_then(|place| fs::read(place).ok());
    let read = text.and_then(|text| serde_json::from_slice(&text).ok());
    read.unwrap_or_default()
}

/// Beside the old file and over it, so that it is never there by half, nor for a moment readable by others.
fn write(known: Map<String, Value>) -> Result<PathBuf, Failed> {
    let place = place()?;
    let failed = |error: io::Error| Failed::new(format!("{}: {error}", place.display()));
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let beside = place.with_extension(format!("json.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    let text = format!("{:#}\n", Value::Object(known));
    let written = file.write_all(text.as_bytes());
    written
        .and_then(|()| fs::rename(&beside, &place))
        .map_err(|error| {
            // It holds tokens, and is nobody's file.
            drop(fs::remove_file(&beside));
            failed(error)
        })?;
    Ok(place)
}

/// Where they are kept.
pub(crate) fn place() -> Result<PathBuf, Failed> {
    let folder = |name: &str| {
        let value = std::env::var_os(name)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    let base = folder("XDG_CONFIG_HOME")
        .or_else(|| Some(folder("HOME")?.join(".config")))
        .or_else(|| folder("APPDATA"))
        .ok_or_else(|| {
            Failed::new("there is no home folder to keep the token in: set XDG_CONFIG_HOME, or use LINGATE_TOKEN")
        })?;
    Ok(base.join("lingate").join("tokens.json"))
}
