//! `lingate doctor`: is the gateway well, and does it answer the first calls of a client as that client reads them?

mod anthropic_sdk;
mod cherry_studio;
mod claude_code;
mod codex;
mod cursor;
mod events;
mod expect;
mod gateway;
mod gemini_cli;
mod google_genai;
mod openai_sdk;
mod own;
mod report;

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};

use crate::{ConfigFile, Failed};
use gateway::Gateway;
use report::Report;

const EXAMPLES: &str = "\
Examples:
  lingate doctor
  lingate doctor --client claude-code
  lingate doctor --client codex --model gpt-5.1 --url http://gateway.example:8080
  lingate doctor --client all --json

Without --client it looks at the configuration, at the address that it listens on, and at the providers. With one, it sends
what that client sends first and holds the answers against what that client reads. Nothing that it sends costs more than a
few tokens. Exit code 1: something failed.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The client to play; may be given several times.
    #[arg(long, value_name = "NAME")]
    client: Vec<Client>,
    /// Where the gateway is. Without --client: instead of the address that the configuration says.
    #[arg(long, value_name = "URL", env = "LINGATE_SERVER")]
    url: Option<String>,
    /// A key that the gateway takes; it is better given as a variable, since others see the command line.
    #[arg(
        long,
        value_name = "KEY",
        env = "LINGATE_TOKEN",
        hide_env_values = true
    )]
    key: Option<String>,
    /// The model to ask for; `GET /v1/models` lists them.
    #[arg(long, default_value = "demo")]
    model: String,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    ClaudeCode,
    Codex,
    GeminiCli,
    CherryStudio,
    Cursor,
    OpenaiSdk,
    AnthropicSdk,
    GoogleGenai,
    All,
}

impl Client {
    const EACH: [Self; 8] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::GeminiCli,
        Self::CherryStudio,
        Self::Cursor,
        Self::OpenaiSdk,
        Self::AnthropicSdk,
        Self::GoogleGenai,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::CherryStudio => "cherry-studio",
            Self::Cursor => "cursor",
            Self::OpenaiSdk => "openai-sdk",
            Self::AnthropicSdk => "anthropic-sdk",
            Self::GoogleGenai => "google-genai",
            Self::All => "all",
        }
    }

    async fn play(self, gateway: &Gateway, report: &mut Report) {
        report.turn_to(self.name());
        match self {
            Self::ClaudeCode => claude_code::play(gateway, report).await,
            Self::Codex => codex::play(gateway, report).await,
            Self::GeminiCli => gemini_cli::play(gateway, report).await,
            Self::CherryStudio => cherry_studio::play(gateway, report).await,
            Self::Cursor => cursor::play(gateway, report).await,
            Self::OpenaiSdk => openai_sdk::play(gateway, report).await,
            Self::AnthropicSdk => anthropic_sdk::play(gateway, report).await,
            Self::GoogleGenai => google_genai::play(gateway, report).await,
            // Taken apart before.
            Self::All => {}
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<u8, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut report = Report::default();
    let clients = if options.client.contains(&Client::All) {
        Client::EACH.to_vec()
    } else {
        options.client.clone()
    };
    if clients.is_empty() {
        report.turn_to("lingate");
        let path = options.config.path();
        runtime.block_on(own::look(
            path.as_deref(),
            options.url.as_deref(),
            &mut report,
        ));
    } else {
        let url = options.url.as_deref().unwrap_or("http://127.0.0.1:8080");
        let gateway = Gateway::new(url, options.key.as_deref(), &options.model)?;
        for client in clients {
            runtime.block_on(client.play(&gateway, &mut report));
        }
    }
    let text = if options.json {
        report.json()
    } else {
        report.text()
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(u8::from(report.failed() > 0))
}
