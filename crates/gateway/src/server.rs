//! The listener: connections without delay, bounded heads, and an end that lets open answers finish.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use crate::Gateway;
use crate::api::access::Peer;
use crate::beside::Face;
use crate::stall::Stalling;

/// How long a caller may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest head of a request, in bytes.
const HEAD_LIMIT: usize = 64 << 10;
/// How long open answers may go on after the end was asked for.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves `listeners` until `shutdown` is ready, then lets open answers finish.
pub async fn serve(
    gateway: Arc<Gateway>,
    listeners: Vec<(TcpListener, Face)>,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // No `pipeline_flush`: with it hyper buffers without a bound what a caller does not read.
        .max_buf_size(HEAD_LIMIT.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
        .max_concurrent_streams(256);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listeners) => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer, face) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come free instead of spinning.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
        let patience = {
            let gateway = Arc::clone(&gateway);
            move || gateway.snapshot.load().defaults.request_timeout
        };
        let stream = Stalling::new(TokioIo::new(stream), patience);
        let gateway = Arc::clone(&gateway);
        let service = service_fn(move |request: Request<Incoming>| {
            let gateway = Arc::clone(&gateway);
            let peer = Peer(peer.ip());
            async move { Ok::<_, std::convert::Infallible>(gateway.handle(request, peer, face).await) }
        });
        let connection = graceful.watch(builder.serve_connection(stream, service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended");
            }
        });
    }
    drop(listeners);
    if tokio::time::timeout(DRAIN, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "some answers were still open after {} s and were cut",
            DRAIN.as_secs()
        );
    }
}

async fn accept(listeners: &[(TcpListener, Face)]) -> io::Result<(TcpStream, SocketAddr, Face)> {
    std::future::poll_fn(|cx| {
        for (listener, face) in listeners {
            if let std::task::Poll::Ready(accepted) = listener.poll_accept(cx) {
                return std::task::Poll::Ready(
                    accepted.map(|(stream, peer)| (stream, peer, *face)),
                );
            }
        }
        std::task::Poll::Pending
    })
    .await
}
