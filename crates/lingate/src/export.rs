//! `lingate export`: all that is stored of configuration and tenants, as a text that `lingate apply` takes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use http::Method;

use crate::Failed;
use crate::resource::Place;

const EXAMPLES: &str = "\
Examples:
  lingate export
  lingate export -o lingate-export.yml
  lingate export --server https://ai.example --format json -o production.json

It holds providers, routes, plans, prices, currencies, organizations, projects, users and keys, as far as they are stored: what lingate.yml
defines stays there. Of keys there are hashes alone, so that they stay good elsewhere; of providers' keys references alone: what is in the key
pools stays in them. Applied to an empty system it makes the same one.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The form; without it, that of the file's name, else YAML.
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Into this file, which nobody else can read. An earlier export is replaced, nothing else.
    #[arg(long = "out", short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Yaml,
    Json,
}

pub(crate) fn run(options: &Options, place: &Place) -> Result<u8, Failed> {
    let named = options.out.as_deref().and_then(Path::extension);
    let is_json = match options.format {
        Some(form) => form == Form::Json,
        None => named.is_some_and(|end| end.eq_ignore_ascii_case("json")),
    };
    if let Some(out) = &options.out {
        replaceable(out)?;
    }
    let form = if is_json { "json" } else { "yaml" };
    let path = format!("/api/v1/configuration?format={form}");
    let answer = place.work(async |desk| desk.ask(&Method::GET, &path, None).await)?;
    let Some(out) = &options.out else {
        io::stdout().lock().write_all(&answer.body)?;
        return Ok(0);
    };
    write(out, &answer.body).map_err(|error| Failed::new(format!("{}: {error}", out.display())))?;
    writeln!(io::stdout(), "wrote {}", out.display())?;
    Ok(0)
}

/// Whoever means the file that they export to does not mean their `lingate.yml`.
fn replaceable(out: &Path) -> Result<(), Failed> {
    let text = match fs::read_to_string(out) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failed::new(format!("{}: {error}", out.display()))),
    };
    let begins = text.trim_start();
    let json = begins.strip_prefix('{').map(str::trim_start);
    if begins.starts_with("lingate:") || json.is_some_and(|text| text.starts_with("\"lingate\":")) {
        return Ok(());
    }
    Err(Failed::new(format!(
        "{}: this is there already and is no export; name another file",
        out.display()
    )))
}

/// Beside it and over it, so that it is never there by half.
fn write(out: &Path, text: &[u8]) -> io::Result<()> {
    let mut beside = out.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    let written = file
        .write_all(text)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, out));
    if written.is_err() {
        // What is there by half is nobody's.
        drop(fs::remove_file(&beside));
    }
    written
}
