//! `lingate completions`: what a shell has to know to complete command lines.

use std::io;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::{Failed, command};

const EXAMPLES: &str = "\
Examples:
  lingate completions bash > ~/.local/share/bash-completion/completions/lingate
  lingate completions zsh > ~/.zfunc/_lingate
  lingate completions fish > ~/.config/fish/completions/lingate.fish
  lingate completions powershell > lingate.ps1";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[arg(value_enum)]
    shell: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell", alias = "power-shell", alias = "pwsh")]
    PowerShell,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failed> {
    let shell = match options.shell {
        Kind::Bash => Shell::Bash,
        Kind::Zsh => Shell::Zsh,
        Kind::Fish => Shell::Fish,
        Kind::PowerShell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "lingate", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(0)
}
