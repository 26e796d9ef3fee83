//! Work that lasts: a job is followed until it ends. On a terminal with a bar, else with plain lines on standard error, and with
//! nothing where a script wants the answer alone.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches};
use http::Method;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::desk::{Desk, Place};
use super::flag::on;
use super::shown;
use crate::Failed;
use crate::remote::segment;

/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(2);
/// How many looks in a row may fail before nobody looks any more.
const PATIENCE: u32 = 20;

/// The flags of what begins a job.
pub(crate) fn flags() -> [Arg; 2] {
    [
        Arg::new("detach")
            .long("detach")
            .action(ArgAction::SetTrue)
            .help("Do not wait for its end: `lingate jobs show` tells how far it is"),
        Arg::new("quiet")
            .long("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .help("Do not tell how far it is"),
    ]
}

/// How a job is to be followed.
#[derive(Debug)]
pub(crate) struct How {
    detach: bool,
    quiet: bool,
    /// What leads to the same gateway, on a command line.
    place: String,
}

impl How {
    pub(crate) fn of(matches: &ArgMatches, place: &Place) -> Self {
        Self {
            detach: on(matches, "detach"),
            quiet: on(matches, "quiet")
                || on(matches, "json")
                || matches.try_contains_id("only").is_ok_and(|is| is),
            place: place.in_words(),
        }
    }

    /// The job as it is at its end.
    pub(crate) async fn follow(&self, desk: &Desk, job: Value) -> Result<Value, Failed> {
        let Some(id) = job["id"].as_str().map(str::to_owned) else {
            return Ok(job);
        };
        if self.detach {
            if desk.is_here() {
                // Nobody would go on with it.
                note(
                    "the job runs in this command, which waits for its end; a gateway that runs (--server) goes on by itself",
                );
            } else {
                return Ok(job);
            }
        }
        let again = format!("lingate jobs show {id}{}", self.place);
        let path = format!("/api/v1/jobs/{}", segment(&id));
        let mut shows = Shows::begin(self.quiet);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let (mut job, mut missed) = (job, 0);
        loop {
            shows.tell(&job);
            if job["state"] != "running" {
                shows.end(&job);
                return Ok(job);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = &mut interrupted => {
                    shows.leave();
                    return Err(interrupt(desk, &path, &again).await);
                }
            }
            match look(desk, &path).await {
                Ok(seen) => (job, missed) = (seen, 0),
                Err(failed) => {
                    missed += 1;
                    // A gateway that starts anew, a database that is away: the job may well go on.
                    let passes = failed.status.is_none_or(|status| status >= 500);
                    if !passes || missed >= PATIENCE {
                        shows.leave();
                        return Err(Failed::new(format!(
                            "{}\nhint: `{again}` tells how far the job is",
                            failed.message
                        )));
                    }
                }
            }
        }
    }
}

async fn look(desk: &Desk, path: &str) -> Result<Value, Failed> {
    desk.ask(&Method::GET, path, None).await?.json()
}

/// Elsewhere the job goes on; here it ends with the command, in order.
async fn interrupt(desk: &Desk, path: &str, again: &str) -> Failed {
    if !desk.is_here() {
        return Failed {
            code: INTERRUPTED,
            ..Failed::new(format!("the job goes on; `{again}` tells how far it is"))
        };
    }
    let cancelled = desk
        .ask(&Method::POST, &format!("{path}/cancel"), None)
        .await;
    for _ in 0..PATIENCE {
        if cancelled.is_err() {
            break;
        }
        match look(desk, path).await {
            Ok(job) if job["state"] == "running" => tokio::time::sleep(LOOK).await,
            Ok(_) | Err(_) => break,
        }
    }
    Failed {
        code: INTERRUPTED,
        ..Failed::new(format!(
            "the job was ended with this command: what was done stays; `{again}` tells how far it came"
        ))
    }
}

/// As shells say it of what was interrupted.
const INTERRUPTED: u8 = 130;

/// Tells what came of a job; one that failed is a failure of the command.
pub(crate) fn ended(job: &Value, json: bool) -> Result<u8, Failed> {
    shown::one(job, json)?;
    let state = job["state"].as_str().unwrap_or_default();
    if ["running", "done"].contains(&state) {
        return Ok(0);
    }
    let why = job["outcome"]["problem"].as_str().or(job["hint"].as_str());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    Err(Failed::new(format!("the job is {state}{why}")))
}

fn note(text: &str) {
    // With standard error closed there is nobody left to tell.
    drop(writeln!(io::stderr(), "note: {text}"));
}

/// Where it is shown how far a job is.
enum Shows {
    Nothing,
    Bar(ProgressBar),
    Lines { last: Option<(Instant, Value)> },
}

impl Shows {
    fn begin(quiet: bool) -> Self {
        if quiet {
            return Self::Nothing;
        }
        if !io::stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        Self::Bar(ProgressBar::with_draw_target(
            None,
            ProgressDrawTarget::stderr(),
        ))
    }

    fn tell(&mut self, job: &Value) {
        let (done, total) = (job["done"].as_u64().unwrap_or(0), job["total"].as_u64());
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => {
                if let (Some(total), None) = (total, bar.length()) {
                    bar.set_length(total);
                    let style = "{msg} {wide_bar} {human_pos}/{human_len} {eta}";
                    bar.set_style(
                        ProgressStyle::with_template(style)
                            .unwrap_or_else(|_| ProgressStyle::default_bar()),
                    );
                }
                bar.set_message(title(job));
                bar.set_position(done);
                bar.tick();
            }
            Self::Lines { last } => {
                let due = last
                    .as_ref()
                    .is_none_or(|(at, before)| at.elapsed() >= LINE && *before != job["done"]);
                if due {
                    line(job);
                    *last = Some((Instant::now(), job["done"].clone()));
                }
            }
        }
    }

    /// What stands there stays, and what comes stands below it.
    fn leave(&self) {
        if let Self::Bar(bar) = self {
            bar.abandon();
        }
    }

    fn end(&self, job: &Value) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines { last } => {
                let told = last.as_ref().map(|(_, done)| done);
                if told != Some(&job["done"]) {
                    line(job);
                }
            }
        }
    }
}

fn title(job: &Value) -> String {
    let kind = shown::text(&job["kind"]).replace('_', " ");
    format!("{kind} {}", shown::text(&job["object"]))
}

fn line(job: &Value) {
    let far = match job["total"].as_u64() {
        Some(total) => format!("{} of {total}", job["done"]),
        None => "begun".to_owned(),
    };
    // With standard error closed there is nobody left to tell.
    drop(writeln!(io::stderr(), "{}: {far}", title(job)));
}
