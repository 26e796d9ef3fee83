//! The raw limit: hyper in, hyper-util's pooled client out, every byte as it came. What a gateway costs is told as a multiple
//! of what this costs in the same run.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::thread;

use clap::Parser;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lingate_bench::listen;

#[derive(Debug, Clone, Copy, Parser)]
#[command(about = "A bare reverse proxy, the yardstick of the benchmarks")]
struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    /// Each with a runtime, a listener and a connection pool of its own.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    listen::raise_open_files()?;
    let threads: Vec<_> = (0..options.threads)
        .map(|_| {
            thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?
                    .block_on(serve(options))
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

async fn serve(options: Options) -> std::io::Result<()> {
    let listener = listen::loopback(options.listen)?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(4096)
        .build(connector);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        stream.set_nodelay(true)?;
        let client = client.clone();
        tokio::spawn(async move {
            let service =
                service_fn(move |request| forward(request, client.clone(), options.upstream));
            // A client that hangs up in mid-request is its own affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn forward(
    mut request: Request<Incoming>,
    client: Client<HttpConnector, Incoming>,
    upstream: SocketAddr,
) -> Result<Response<Either<Incoming, Full<Bytes>>>, Infallible> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let uri = Uri::builder()
        .scheme("http")
        .authority(upstream.to_string())
        .path_and_query(path)
        .build();
    let refused = match uri {
        Ok(uri) => {
            *request.uri_mut() = uri;
            request.headers_mut().remove(header::HOST);
            request.headers_mut().remove(header::CONNECTION);
            match client.request(request).await {
                Ok(response) => return Ok(response.map(Either::Left)),
                Err(error) => error.to_string(),
            }
        }
        Err(error) => error.to_string(),
    };
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(refused))));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    Ok(response)
}
