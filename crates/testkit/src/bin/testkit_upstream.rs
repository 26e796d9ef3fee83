//! An upstream that speaks Chat, Messages and Gemini on one port, for the SDK suites.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use lingate_testkit::{Upstream, judge};

/// Answers requests of three dialects by scenario (the last part of the model name) and refuses the invalid ones.
#[derive(Parser)]
struct Arguments {
    /// Port on the loopback address; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The one dialect to speak; without it, all three.
    #[arg(long)]
    dialect: Option<judge::Wire>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let address = SocketAddr::from(([127, 0, 0, 1], arguments.port));
    let only = arguments.dialect;
    let answering = Arc::new(move |received: &_| judge::answer(received, only));
    let upstream = Upstream::answering(address, answering).await?;
    writeln!(io::stdout(), "listening on {}", upstream.url())?;
    std::future::pending().await
}
