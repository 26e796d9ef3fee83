//! A mock of three vendors' APIs that costs next to nothing: raw HTTP/1.1, answers rendered once and written as they are.

mod exchange;
mod rendered;
mod settings;

use std::error::Error;
use std::net::SocketAddr;
use std::thread;

use clap::Parser;
use lingate_bench::listen;
use tokio::task::{LocalSet, spawn_local};

#[derive(Debug, Parser)]
#[command(about = "Answers Chat, Messages and Gemini requests on loopback, as cheaply as can be")]
struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Size of a whole answer, in bytes.
    #[arg(long, default_value_t = 1500)]
    body: usize,
    /// Content events in a stream.
    #[arg(long, default_value_t = 100)]
    events: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options {
        listen,
        threads,
        body,
        events,
    } = Options::parse();
    listen::raise_open_files()?;
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                LocalSet::new().block_on(&runtime, serve(listen, body, events))
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

async fn serve(address: SocketAddr, body: usize, events: usize) -> std::io::Result<()> {
    let listener = listen::loopback(address)?;
    let answers = std::rc::Rc::new(rendered::Answers::new(body, events));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        spawn_local(async move {
            // Whoever hangs up in mid-exchange is counted by the load generator.
            let _ = exchange::serve(stream, &answers).await;
        });
    }
}
