//! `lingate apply`: makes what is stored what a text says, after it has shown what that would change.

use std::io::{self, Write as _};

use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use crate::Failed;
use crate::local::Sure;
use crate::resource::{Desk, Place, contents};
use crate::table::{Look, colours, painted};

const EXAMPLES: &str = "\
Examples:
  lingate apply lingate-export.yml --dry-run
  lingate apply lingate-export.yml
  lingate apply - --server https://ai.example --yes < lingate-export.yml
  lingate apply lingate-export.yml --prune --yes
  lingate apply lingate-export.yml --dry-run --exit-code

All of it is done, or nothing. What the text leaves out stays as it is, but with --prune, which deletes what it does not name; before anything
is deleted it is asked for. In the list of changes `+` is new, `~` differs and `-` is gone.

Exit codes: 0 applied, or nothing to do · 1 failed, nothing changed · 2 wrong usage; with --dry-run --exit-code: there would be changes";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What `lingate export` has written, or a part of it: YAML or JSON, in a file or from standard input (-).
    #[arg(value_name = "FILE")]
    file: String,
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete what is stored and not named.
    #[arg(long)]
    prune: bool,
    /// With --dry-run: the exit code is 2 if there would be changes.
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    #[command(flatten)]
    sure: Sure,
    /// As JSON, for scripts: what the API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// The exit code of a dry run that would not be without changes.
const CHANGES: u8 = 2;

pub(crate) fn run(options: &Options, place: &Place) -> Result<u8, Failed> {
    let text = Bytes::from(contents(&options.file)?);
    place.work(async |desk| {
        let would = options.ask(desk, &text, true).await?;
        let changes = would["changes"].as_array().map_or(0, Vec::len);
        if !options.json {
            show(&would)?;
        }
        if options.dry_run || changes == 0 {
            if options.json {
                writeln!(io::stdout(), "{would:#}")?;
            } else {
                let line = match changes {
                    0 => "nothing to change".to_owned(),
                    _ => counted(&would, "to create", "to update", "to delete"),
                };
                writeln!(io::stdout(), "{line}")?;
            }
            let told = options.exit_code && changes > 0;
            return Ok(if told { CHANGES } else { 0 });
        }
        let deleted = would["deleted"].as_u64().unwrap_or(0);
        if deleted > 0 {
            let things = if deleted == 1 { "thing" } else { "things" };
            options
                .sure
                .ask(&format!("This deletes {deleted} {things} for good"))?;
        }
        let done = options.ask(desk, &text, false).await?;
        if options.json {
            writeln!(io::stdout(), "{done:#}")?;
        } else {
            let line = counted(&done, "created", "updated", "deleted");
            writeln!(io::stdout(), "applied: {line}")?;
        }
        Ok(0)
    })
}

impl Options {
    async fn ask(&self, desk: &Desk, text: &Bytes, dry_run: bool) -> Result<Value, Failed> {
        let path = format!(
            "/api/v1/configuration/apply?dry_run={dry_run}&prune={}",
            self.prune
        );
        let answer = desk.send(&Method::POST, &path, text.clone(), "application/yaml");
        answer.await?.json()
    }
}

fn counted(told: &Value, created: &str, updated: &str, deleted: &str) -> String {
    let counts = [
        ("created", created),
        ("updated", updated),
        ("deleted", deleted),
    ];
    let counts = counts.map(|(name, words)| format!("{} {words}", told[name]));
    counts.join(", ")
}

fn show(would: &Value) -> Result<(), Failed> {
    let mut stdout = io::stdout().lock();
    let colours = colours();
    for line in would["text"].as_str().unwrap_or_default().lines() {
        let look = match line.trim_start().chars().next() {
            Some('+') => Some(Look::Good),
            Some('-') => Some(Look::Bad),
            Some('~') => Some(Look::Warning),
            _ => None,
        };
        let line = look.map_or_else(|| line.to_owned(), |look| painted(line, look, colours));
        writeln!(stdout, "{line}")?;
    }
    Ok(())
}
