//! `lingate limits`: whether a request would pass the limits that are about it.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use crate::Failed;
use crate::remote::{Server, segment};
use crate::table::{Look, Table, colours, painted};

const EXAMPLES: &str = "\
Examples:
  lingate limits check --key laptop --model gpt-4o
  lingate limits check --key acme/web/laptop --model claude-sonnet-4-5 --input-tokens 60k --max-tokens 8k
  lingate limits check --key laptop --model gpt-4o --end-user alice --json

A gateway must be running: what is used is counted there. Nothing is taken by asking. The exit code is 3 if the request would be refused.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Say whether a request would pass, and which limit decides.
    Check(Box<Check>),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// The name of the key, alone or as organization/project/name. Without: a caller that shows none.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// The model, as a client would name it.
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Tokens of the prompt: 60000, 60k.
    #[arg(long, value_name = "N", value_parser = lingate_config::token_count)]
    input_tokens: Option<u64>,
    /// Tokens of the answer that the client allows.
    #[arg(long, value_name = "N", value_parser = lingate_config::token_count)]
    max_tokens: Option<u64>,
    /// Images that are asked for.
    #[arg(long, value_name = "N")]
    images: Option<u64>,
    /// What it would cost, in dollars. Without: what the prices say.
    #[arg(long, value_name = "DOLLARS")]
    cost: Option<String>,
    /// The user that the request would name.
    #[arg(long, value_name = "NAME")]
    end_user: Option<String>,
    /// The provider that would be asked. Without: the first that would be.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    server: Server,
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// The exit code for a request that would be refused.
const REFUSED: u8 = 3;

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let Command::Check(check) = command;
    let mut path = format!("/api/v1/limits/check?model={}", segment(&check.model));
    let count = |number: Option<u64>| number.map(|number| number.to_string());
    for (name, value) in [
        ("key", check.key.clone()),
        ("input_tokens", count(check.input_tokens)),
        ("max_tokens", count(check.max_tokens)),
        ("images", count(check.images)),
        ("cost", check.cost.clone()),
        ("end_user", check.end_user.clone()),
        ("provider", check.provider.clone()),
    ] {
        if let Some(value) = value {
            path = format!("{path}&{name}={}", segment(&value));
        }
    }
    let told = check.server.ask(&Method::GET, &path, None)?;
    let code = if told["passes"] == true { 0 } else { REFUSED };
    let mut stdout = io::stdout().lock();
    if check.json {
        writeln!(stdout, "{told:#}")?;
        return Ok(code);
    }
    let colours = colours();
    for (line, look) in lines(&told) {
        let line = look.map_or_else(|| line.clone(), |look| painted(&line, look, colours));
        writeln!(stdout, "{line}")?;
    }
    Ok(code)
}

/// The verdict, and for each model that is looked at a table of limits.
fn lines(told: &Value) -> Vec<(String, Option<Look>)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let model = text(&told["model"]);
    let mut lines = vec![if told["passes"] == true {
        (format!("passes, for {model}"), Some(Look::Good))
    } else {
        let reason = text(&told["reason"]);
        (
            format!("is refused, for {model}: {reason}"),
            Some(Look::Warning),
        )
    }];
    let steps = told["steps"].as_array().map_or(&[][..], Vec::as_slice);
    for step in steps {
        let limits = step["limits"].as_array().map_or(&[][..], Vec::as_slice);
        if steps.len() > 1 {
            lines.push((format!("{}:", text(&step["model"])), Some(Look::Strong)));
        }
        if limits.is_empty() {
            lines.push(("no limit is about it".to_owned(), None));
        }
        let mut table = Table::default();
        let mut looks = vec![Some(Look::Faint)];
        if !limits.is_empty() {
            table.row([
                "WHOSE", "LIMIT", "USED", "ASKS", "OF", "SINCE", "UNTIL", "VERDICT",
            ]);
        }
        for limit in limits {
            let scope = &limit["scope"];
            let verdict = verdict(limit);
            looks.push((verdict != "fits").then_some(Look::Warning));
            let measure = text(&limit["measure"]);
            table.row([
                format!("{} {}", text(&scope["level"]), text(&scope["name"])),
                match limit["name"].as_str() {
                    Some(name) => format!("{measure} ({name})"),
                    None => measure,
                },
                text(&limit["used"]),
                limit["asks"].as_str().unwrap_or("?").to_owned(),
                text(&limit["amount"]),
                text(&limit["window_begins"]),
                text(&limit["window_ends"]),
                verdict.to_owned(),
            ]);
        }
        lines.extend(table.lines("  ").into_iter().zip(looks));
        if let Some(instead) = step["instead"].as_str() {
            lines.push((format!("  → {instead} is asked instead"), None));
        }
    }
    lines
}

fn verdict(limit: &Value) -> &'static str {
    match (limit["fits"] == true, limit["refuses"] == true) {
        (true, _) => "fits",
        (false, true) => "refuses",
        (false, false) => match limit["enforcement"].as_str() {
            Some("soft") => "over (soft)",
            Some("shadow") => "would refuse (shadow)",
            _ => "over",
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(told: &Value, expect: &[&str]) {
        let lines: Vec<String> = lines(told).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn limits_are_a_table() {
        let limit = |measure: &str, fits: bool, refuses: bool, enforcement: &str| {
            json!({
                "name": null, "scope": {"level": "key", "name": "laptop"}, "measure": measure,
                "enforcement": enforcement, "amount": "10", "used": "9", "asks": "1", "after": "10",
                "window_begins": null, "window_ends": "2026-12-01T00:00:00Z",
                "fits": fits, "refuses": refuses,
            })
        };
        check(
            &json!({"passes": true, "model": "a", "steps": [{"model": "a", "limits": [
                limit("requests", true, false, "hard"), limit("tokens", false, false, "shadow"),
            ]}]}),
            &[
                "passes, for a",
                "  WHOSE       LIMIT     USED  ASKS  OF  SINCE  UNTIL                 VERDICT",
                "  key laptop  requests  9     1     10         2026-12-01T00:00:00Z  fits",
                "  key laptop  tokens    9     1     10         2026-12-01T00:00:00Z  would refuse (shadow)",
            ],
        );
        check(
            &json!({"passes": false, "model": "b", "reason": "the limit …", "steps": [
                {"model": "a", "limits": [limit("requests", false, true, "hard")], "instead": "b"},
                {"model": "b", "limits": []},
            ]}),
            &[
                "is refused, for b: the limit …",
                "a:",
                "  WHOSE       LIMIT     USED  ASKS  OF  SINCE  UNTIL                 VERDICT",
                "  key laptop  requests  9     1     10         2026-12-01T00:00:00Z  refuses",
                "  → b is asked instead",
                "b:",
                "no limit is about it",
            ],
        );
    }
}
