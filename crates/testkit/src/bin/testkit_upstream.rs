//! An upstream that speaks all dialects on one port, for the SDK suites.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use lingate_testkit::judge::{self, Shapes};
use lingate_testkit::{Answering, Upstream};

/// Answers requests of all dialects by scenario (the last part of the model name) and refuses the invalid ones.
#[derive(Parser)]
struct Arguments {
    /// Port on the loopback address; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The one dialect to speak; without it, all.
    #[arg(long)]
    dialect: Option<judge::Wire>,
    /// Plays the streams of this list instead.
    #[arg(long, requires = "fixtures")]
    shapes: Option<PathBuf>,
    /// The folder that holds the streams of the list, by dialect.
    #[arg(long)]
    fixtures: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let address = SocketAddr::from(([127, 0, 0, 1], arguments.port));
    let only = arguments.dialect;
    let answering: Answering = match (arguments.shapes, arguments.fixtures) {
        (Some(list), Some(fixtures)) => {
            let shapes = Shapes::read(&list, &fixtures)?;
            Arc::new(move |received: &_| shapes.answer(received))
        }
        _ => Arc::new(move |received: &_| judge::answer(received, only)),
    };
    let upstream = Upstream::answering(address, answering).await?;
    writeln!(io::stdout(), "listening on {}", upstream.url())?;
    std::future::pending().await
}
