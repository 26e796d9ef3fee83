//! What `--help` says of every command.

use std::fmt::Write as _;

use clap::Command;

use crate::command;

pub(super) fn commands() -> String {
    let mut root = command();
    root.build();
    let mut out = String::new();
    describe(&mut out, &root, "lingate");
    out
}

fn describe(out: &mut String, command: &Command, name: &str) {
    // What happens to be set on this machine is no part of the reference.
    let mut shown = command
        .clone()
        .mut_args(|argument| argument.hide_env_values(true));
    let help = shown.render_help().to_string();
    let gap = if out.is_empty() { "" } else { "\n" };
    _ = write!(out, "{gap}## `{name}`\n\n```text\n");
    for line in help.trim_end().lines() {
        _ = writeln!(out, "{}", line.trim_end());
    }
    out.push_str("```\n");
    for below in command.get_subcommands() {
        if below.get_name() != "help" {
            describe(out, below, &format!("{name} {}", below.get_name()));
        }
    }
}

/// Every example of every `--help` is a command line that is understood.
#[test]
fn examples_parse() {
    let help = commands();
    let examples: Vec<&str> = help
        .lines()
        .filter(|line| line.starts_with("  lingate "))
        .collect();
    assert!(examples.len() >= 15, "{examples:#?}");
    for example in examples {
        // What stands behind two spaces explains, and `<` and `>` are the shell's.
        let line = example.trim_start().split("  ").next().unwrap_or_default();
        let line = line.split(" <").next().unwrap_or_default();
        let words = line.split(" >").next().unwrap_or_default().split('\'');
        let words = words.enumerate().flat_map(|(place, piece)| {
            // Every other piece stood between quotes.
            if place % 2 == 1 {
                vec![piece]
            } else {
                piece.split_whitespace().collect()
            }
        });
        if let Err(error) = command().try_get_matches_from(words) {
            panic!("{example}: {error}");
        }
    }
}
