//! `lingate key-pools`: how the keys of providers fare, and keys switched by hand.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::Failed;
use crate::remote::{Server, segment};
use crate::table::{Look, Table, colours, painted};

const EXAMPLES: &str = "\
Examples:
  lingate key-pools list
  lingate key-pools show openai --state disabled
  lingate key-pools disable openai 0f3a91c2b4d5 --reason 'leaked on Monday'
  lingate key-pools enable openai 0f3a91c2b4d5

A gateway must be running: these are its states, not the configuration's. `show` names the ids of keys; the keys themselves are never told.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// The providers and their keys, counted.
    List(How),
    /// The keys of a provider.
    Show {
        provider: String,
        /// Only keys that are: healthy, cooling, failing, exhausted, disabled, off.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Where to go on, as the page before has said.
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Switch a key off, until it is switched on again.
    Disable {
        provider: String,
        /// As `show` tells it.
        id: String,
        /// Why, for whoever looks.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Switch a key on, and forget why it rested.
    Enable {
        provider: String,
        /// As `show` tells it.
        id: String,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
pub(crate) struct How {
    #[command(flatten)]
    server: Server,
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let switch = |provider: &str, id: &str, what: &str| {
        let (provider, id) = (segment(provider), segment(id));
        format!("/api/v1/key-pools/{provider}/keys/{id}/{what}")
    };
    let (how, told, lines) = match command {
        Command::List(how) => {
            let told = how.server.ask(&Method::GET, "/api/v1/key-pools", None)?;
            let lines = pools(&told);
            (how, told, lines)
        }
        Command::Show {
            provider,
            state,
            limit,
            cursor,
            how,
        } => {
            let mut path = format!("/api/v1/key-pools/{}/keys?limit={limit}", segment(provider));
            for (name, value) in [("state", state), ("cursor", cursor)] {
                if let Some(value) = value {
                    path = format!("{path}&{name}={}", segment(value));
                }
            }
            let told = how.server.ask(&Method::GET, &path, None)?;
            let mut lines = keys(told["keys"].as_array().map_or(&[], Vec::as_slice));
            if let Some(cursor) = told["next_cursor"].as_str() {
                lines.push(format!("there are more: --cursor {cursor}"));
            }
            (how, told, lines)
        }
        Command::Disable {
            provider,
            id,
            reason,
            how,
        } => {
            let body = json!({"reason": reason});
            let path = switch(provider, id, "disable");
            let told = how.server.ask(&Method::POST, &path, Some(&body))?;
            let lines = keys(std::slice::from_ref(&told));
            (how, told, lines)
        }
        Command::Enable { provider, id, how } => {
            let path = switch(provider, id, "enable");
            let told = how.server.ask(&Method::POST, &path, None)?;
            let lines = keys(std::slice::from_ref(&told));
            (how, told, lines)
        }
    };
    let mut stdout = io::stdout().lock();
    if how.json {
        writeln!(stdout, "{told:#}")?;
        return Ok(0);
    }
    let colours = colours();
    for (place, line) in lines.iter().enumerate() {
        let bad = ["  disabled", "  exhausted", "  off  ", "  failing", "open:"];
        let look = if place == 0 {
            Some(Look::Faint)
        } else if bad.iter().any(|word| line.contains(word)) {
            Some(Look::Warning)
        } else {
            None
        };
        let line = look.map_or_else(|| line.clone(), |look| painted(line, look, colours));
        writeln!(stdout, "{line}")?;
    }
    Ok(0)
}

fn pools(told: &Value) -> Vec<String> {
    let mut table = Table::default();
    let states = [
        "healthy",
        "cooling",
        "failing",
        "exhausted",
        "disabled",
        "off",
    ];
    let heads = states.iter().map(|state| state.to_uppercase());
    let head = ["PROVIDER".to_owned(), "KEYS".to_owned()];
    let tail = ["REQUESTS", "SERVED", "BREAKER"].map(str::to_owned);
    table.row(head.into_iter().chain(heads).chain(tail));
    for pool in told["key_pools"].as_array().into_iter().flatten() {
        let counts = states.iter().map(|state| {
            let count = &pool["key_states"][*state];
            if *count == 0 {
                "-".to_owned()
            } else {
                count.to_string()
            }
        });
        let own = &pool["breaker"];
        let models = pool["model_breakers"].as_array().into_iter().flatten();
        let open = std::iter::once(own)
            .filter(|own| own["state"] != "closed")
            .chain(models);
        let open = open.map(|breaker| {
            let model = breaker["model"].as_str().unwrap_or("all models");
            let state = text(&breaker["state"]).replace('_', " ");
            format!("{model} {state}: {}", text(&breaker["reason"]))
        });
        let mut open: Vec<String> = open.collect();
        if open.is_empty() {
            open.push("closed".to_owned());
        }
        let head = [text(&pool["provider"]), pool["total_keys"].to_string()];
        let tail = [
            pool["total_requests"].to_string(),
            rate(&pool["success_rate"]),
            open.join("; "),
        ];
        table.row(head.into_iter().chain(counts).chain(tail));
    }
    table.lines("")
}

fn keys(keys: &[Value]) -> Vec<String> {
    let mut table = Table::default();
    table.row([
        "ID",
        "KEY",
        "STATE",
        "UNTIL",
        "REQUESTS",
        "SERVED",
        "LAST USED",
        "REASON",
    ]);
    for key in keys {
        let mut reason = text(&key["reason"]);
        for model in key["models"].as_array().into_iter().flatten() {
            let of_model = format!(
                "{} {}: {}",
                text(&model["model"]),
                text(&model["state"]),
                text(&model["reason"])
            );
            if !reason.is_empty() {
                reason.push_str("; ");
            }
            reason.push_str(&of_model);
        }
        table.row([
            text(&key["id"]),
            text(&key["key"]),
            text(&key["state"]),
            text(&key["until"]),
            key["total_requests"].to_string(),
            rate(&key["success_rate"]),
            text(&key["last_used"]),
            reason,
        ]);
    }
    table.lines("")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rate(value: &Value) -> String {
    let rate = value.as_f64();
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}
