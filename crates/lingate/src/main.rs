//! `lingate`: one binary for the gateway and its tools.

mod apply;
mod chat;
mod completions;
mod config;
mod convert;
mod database;
mod doctor;
mod explanation;
mod export;
mod first_start;
#[cfg(test)]
mod generated;
mod journal;
mod key_pools;
mod ledger;
mod limits;
mod local;
mod log;
mod login;
mod prices;
mod remote;
mod resource;
mod routes;
mod serve;
mod signed_in;
mod stats;
mod table;
mod tenants;
mod usage;
mod when;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A gateway for large-language-model APIs: any client dialect in, any model out.
#[derive(Debug, Parser)]
#[command(name = "lingate", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  lingate serve               providers from OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, …; without any, the demo
  lingate chat -m Hello       asks the gateway that runs on this machine
  lingate config init         writes a commented lingate.yml to start from
  lingate config check        names everything that is wrong with it
  lingate convert --from messages --to chat request.json
  lingate doctor --client claude-code
  lingate routes explain --model gpt-4o
  lingate key-pools list
  lingate keys create laptop --project acme/web --expires 30d
  lingate export -o lingate-export.yml

`lingate COMMAND --help` has more examples.

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 converted, but something was lost";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway, until it is interrupted or terminated.
    Serve(serve::Options),
    /// Check, show or begin a configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Convert a request, an answer or a stream from one dialect to another, offline.
    Convert(convert::Options),
    /// Talk to a model through a running gateway.
    Chat(chat::Options),
    /// Examine the gateway, or play a client's first calls against it.
    Doctor(doctor::Options),
    /// Say where a request would go, and why; list the routes.
    #[command(subcommand)]
    Routes(routes::Command),
    /// What models cost, and what a request would.
    #[command(subcommand)]
    Prices(prices::Command),
    /// How much was used, by whom and of what.
    #[command(subcommand)]
    Stats(stats::Command),
    /// Single records of requests: who, what, where, how it ended, and what it came to.
    #[command(subcommand)]
    Usage(usage::Command),
    /// The files in which usage waits for the database.
    #[command(subcommand)]
    Journal(journal::Command),
    /// Write all that is stored of configuration and tenants as one text.
    Export(Box<export::Options>),
    /// Make what is stored what a text says, and show what that changes.
    Apply(Box<apply::Options>),
    /// Sign in at a gateway that runs somewhere, for the commands that ask it.
    Login(login::Login),
    /// Sign out: the token of a server is refused from then on, and forgotten.
    Logout(login::Logout),
    /// Say who one is there, and what one may.
    Whoami(login::WhoAmI),
    /// Write what a shell has to know to complete command lines.
    Completions(completions::Options),
    /// The database of tenants, keys and usage.
    #[command(subcommand)]
    Database(database::Command),
    /// See how the keys of providers fare; switch one off or on.
    #[command(subcommand)]
    KeyPools(key_pools::Command),
    /// Say whether a request would pass the limits that are about it.
    #[command(subcommand)]
    Limits(limits::Command),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
struct ConfigFile {
    /// The configuration file. Without it: `lingate.yml` in this directory if there is one, else the environment alone.
    #[arg(long, short, value_name = "FILE", env = "LINGATE_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn path(&self) -> Option<PathBuf> {
        let usual = PathBuf::from("lingate.yml");
        self.config
            .clone()
            .or_else(|| usual.exists().then_some(usual))
    }
}

/// Why a command failed: what to say and the exit code.
#[derive(Debug)]
struct Failed {
    message: String,
    code: u8,
    /// What an endpoint answered, where one was asked.
    status: Option<u16>,
}

impl Failed {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
            status: None,
        }
    }

    /// What was asked for cannot be meant.
    fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 2,
            status: None,
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        // Whoever read the output has seen enough of it (`| head`), and is not told so.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new("");
        }
        Self::new(error.to_string())
    }
}

/// All commands, those that are made of the endpoints of the API included.
fn command() -> clap::Command {
    resource::commands(Cli::command())
}

/// `matches`: of the innermost command, which knows what was said on the command line and what comes from the environment.
fn run(command: Command, matches: &ArgMatches) -> Result<u8, Failed> {
    match command {
        Command::Serve(options) => serve::run(&options),
        Command::Config(command) => config::run(&command),
        Command::Convert(options) => convert::run(&options),
        Command::Chat(options) => chat::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Routes(command) => routes::run(&command),
        Command::Prices(command) => prices::run(&command),
        Command::Stats(command) => stats::run(&command, matches),
        Command::Usage(command) => usage::run(&command, matches),
        Command::Journal(command) => journal::run(&command),
        Command::Export(options) => export::run(&options, &options.place.settled(matches)?),
        Command::Apply(options) => apply::run(&options, &options.place.settled(matches)?),
        Command::Login(options) => login::login(&options, matches),
        Command::Logout(options) => login::logout(&options),
        Command::Whoami(options) => login::whoami(&options, matches),
        Command::Completions(options) => completions::run(&options),
        Command::Database(command) => database::run(&command),
        Command::KeyPools(command) => key_pools::run(&command),
        Command::Limits(command) => limits::run(&command),
    }
}

fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, below)) => innermost(below),
        None => matches,
    }
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let done = match matches.subcommand() {
        Some((name, below)) => resource::run(&Cli::command(), name, below),
        None => None,
    };
    let done = done.unwrap_or_else(|| match Cli::from_arg_matches(&matches) {
        Ok(cli) => run(cli.command, innermost(&matches)),
        Err(error) => error.exit(),
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failed) if failed.message.is_empty() => ExitCode::from(failed.code),
        Err(failed) => {
            let mut stderr = io::stderr().lock();
            // With standard error closed there is nobody left to tell.
            drop(writeln!(stderr, "lingate: {}", failed.message));
            ExitCode::from(failed.code)
        }
    }
}
