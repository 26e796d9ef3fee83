//! Load generator: raw HTTP/1.1 over kept-alive connections on one thread, as JSON on stdout.
//!
//! A closed loop (each connection asks as soon as it can) measures cost; an open loop (`--rate`: arrivals at fixed times)
//! measures latency, counted from the moment a request was due, so that a server that stalls cannot hide it.

mod arrivals;
mod connection;
mod exchange;
mod tally;
mod turns;

use std::cell::RefCell;
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use lingate_bench::wire::Wire;
use lingate_bench::{listen, process, request, text};
use serde_json::json;
use tokio::task::{LocalSet, spawn_local};

use crate::exchange::Ask;
use crate::tally::Tally;
use crate::turns::Turns;

#[derive(Debug, Parser)]
#[command(about = "Asks a gateway on loopback for answers and checks them")]
struct Options {
    #[arg(long)]
    address: SocketAddr,
    /// Dialect of the request and of the expected answer.
    #[arg(long)]
    wire: Wire,
    #[arg(long)]
    model: String,
    /// What the caller shows. `########` in it is another number in each request, as `--turns` says.
    #[arg(long, default_value = "sk-bench")]
    key: String,
    /// Whom requests are for, in Chat's `user`; here, too, `########` is a number.
    #[arg(long)]
    user: Option<String>,
    /// Numbers that take turns, from 0.
    #[arg(long, default_value_t = 1)]
    turns: u32,
    #[arg(long)]
    stream: bool,
    /// Size of the request's body, in bytes.
    #[arg(long, default_value_t = 2048)]
    size: usize,
    /// The mock's `--body`: what text a whole answer must hold.
    #[arg(long, default_value_t = 1500)]
    body: usize,
    /// The mock's `--events`: what text a stream must hold.
    #[arg(long, default_value_t = 100)]
    events: usize,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Requests per second (open loop); without it, as many as the connections carry (closed loop).
    #[arg(long)]
    rate: Option<f64>,
    /// Time over which the connections open, so that paced streams do not march in step.
    #[arg(long, default_value_t = 0)]
    ramp_ms: u64,
    #[arg(long, default_value_t = 1000)]
    warmup_ms: u64,
    #[arg(long, default_value_t = 3000)]
    duration_ms: u64,
    /// Every so-many-th answer is read and compared with what the mock sent.
    #[arg(long, default_value_t = 16)]
    check_every: u64,
    /// The gateway's process, whose CPU time and memory are to be measured.
    #[arg(long)]
    pid: Option<u32>,
}

/// No exchange on loopback takes this long; one that does has failed.
const TIMEOUT: Duration = Duration::from_secs(20);
const MEMORY_INTERVAL: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if !options.address.ip().is_loopback() {
        return Err("this harness stays on loopback".into());
    }
    listen::raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = LocalSet::new().block_on(&runtime, measure(&options))?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

async fn measure(options: &Options) -> Result<serde_json::Value, Box<dyn Error>> {
    let ask = Rc::new(Ask {
        address: options.address,
        wire: options.wire,
        stream: options.stream,
        bytes: Turns::new(request_bytes(options), options.turns),
        text: if options.stream {
            text::of_events(options.events)
        } else {
            text::of_answer(options.body)
        },
        check_every: options.check_every,
        timeout: TIMEOUT,
    });
    let tally = Rc::new(RefCell::new(Tally::new()?));
    let peak_kb = Rc::new(RefCell::new(0));

    let mut tasks = match options.rate {
        None => arrivals::closed(
            &ask,
            &tally,
            options.connections,
            Duration::from_millis(options.ramp_ms),
        ),
        Some(rate) => arrivals::open(&ask, &tally, options.connections, rate),
    };
    tokio::time::sleep(Duration::from_millis(options.warmup_ms)).await;
    if let Some(pid) = options.pid {
        let peak_kb = peak_kb.clone();
        tasks.push(spawn_local(async move {
            while let Ok(rss_kb) = process::rss_kb(pid) {
                peak_kb.replace_with(|peak_kb| rss_kb.max(*peak_kb));
                tokio::time::sleep(MEMORY_INTERVAL).await;
            }
        }));
    }

    let cpu_before = options.pid.map(process::cpu_us).transpose()?;
    tally.borrow_mut().start();
    tokio::time::sleep(Duration::from_millis(options.duration_ms)).await;
    let seconds = tally.borrow_mut().stop();
    let cpu_after = options.pid.map(process::cpu_us).transpose()?;
    for task in tasks {
        task.abort();
    }

    let mut report = tally.borrow().report(seconds);
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        report["cpu_us_per_request"] =
            json!((after - before) as f64 / tally.borrow().answered().max(1) as f64);
        report["rss_peak_kb"] = json!(*peak_kb.borrow());
    }
    Ok(report)
}

fn request_bytes(options: &Options) -> Vec<u8> {
    let Options {
        address,
        wire,
        model,
        key,
        user,
        stream,
        size,
        ..
    } = options;
    let path = wire.path(model, *stream);
    let accept = if *stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let credential = wire.credential(key);
    let mut body = request::body(*wire, *size, *stream, model);
    if let Some(user) = user {
        body.insert_str(1, &format!("\"user\":{},", json!(user)));
    }
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nuser-agent: lingate-bench\r\n\
         accept: {accept}\r\n{credential}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
