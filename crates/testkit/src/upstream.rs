//! The scripted upstream: a server on a loopback port that plays scripts and remembers what reached it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::script::{Body, Script, Step};

/// Long enough for what was written before to leave the machine's own buffers.
const FLUSH: Duration = Duration::from_millis(20);

/// Chooses the script for a request that no queue and no rule answers.
pub type Answering = Arc<dyn Fn(&Received) -> Script + Send + Sync>;

/// A request as it reached the upstream.
#[derive(Debug, Clone)]
pub struct Received {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    pub method: String,
    /// As on the wire, without the query.
    pub path: String,
    /// As on the wire, without the question mark; empty when there is none.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
    /// How its answer ended, and when. `None` while the script plays.
    pub ended: Option<(Ending, Instant)>,
}

impl Received {
    /// The value of a header, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON; null when it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// How the answer to a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The script was played to its end, a scripted break included.
    Played,
    /// The client closed its connection before that.
    ClientGone,
}

/// A server that plays scripts. Dropping it closes its port and all of its connections.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

struct State {
    queue: Mutex<VecDeque<Script>>,
    rules: Mutex<Vec<(String, Script)>>,
    otherwise: Answering,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    /// Rung whenever something was received, ended or closed.
    changed: Notify,
    /// The pause before each piece of a request body.
    reading: Mutex<Duration>,
}

impl Upstream {
    /// An upstream on a free port that answers 404 to what nothing was scripted for.
    pub async fn start() -> io::Result<Self> {
        let nothing = |received: &Received| {
            let message = format!(
                "nothing is scripted for {} {}",
                received.method, received.path
            );
            Script::json(
                404,
                serde_json::json!({ "error": { "message": message } }).to_string(),
            )
        };
        Self::answering(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::new(nothing)).await
    }

    /// An upstream on this address whose answers are chosen by a function.
    pub async fn answering(address: SocketAddr, otherwise: Answering) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            queue: Mutex::default(),
            rules: Mutex::default(),
            otherwise,
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            changed: Notify::new(),
            reading: Mutex::default(),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            server,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plays this script for the next request that no earlier script of the queue answers.
    pub fn queue(&self, script: Script) -> &Self {
        lock(&self.state.queue).push_back(script);
        self
    }

    /// Plays this script for every request whose path, `model` or credential contains `needle`, once the queue is empty.
    /// Earlier rules win.
    pub fn on(&self, needle: impl Into<String>, script: Script) -> &Self {
        lock(&self.state.rules).push((needle.into(), script));
        self
    }

    /// From now on, waits this long before it takes each piece of a request body.
    pub fn read_slowly(&self, pause: Duration) -> &Self {
        *lock(&self.state.reading) = pause;
        self
    }

    /// Everything received so far, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// How many connections are open at this moment.
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// How many connections were ever opened.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Waits until the condition holds, at most `patience`; says whether it does.
    pub async fn wait_until(&self, patience: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let holds = async {
            loop {
                let changed = self.state.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        timeout(patience, holds).await.is_ok() || condition(self)
    }

    /// Waits for the request of this number, counted from 0; `None` when it has not come within `patience`.
    pub async fn request(&self, number: usize, patience: Duration) -> Option<Received> {
        self.wait_until(patience, |it| lock(&it.state.received).len() > number)
            .await;
        self.received().into_iter().nth(number)
    }

    /// Waits for the answer of this request to end; `None` when it has not within `patience`.
    pub async fn ending(&self, number: usize, patience: Duration) -> Option<(Ending, Instant)> {
        let ended = |it: &Self| {
            it.received()
                .get(number)
                .and_then(|received| received.ended)
        };
        self.wait_until(patience, |it| ended(it).is_some()).await;
        ended(self)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A test that panicked while it held the lock has failed already; the others may still read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Held here, so that dropping the server's task ends every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve(stream, number, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, number: usize, state: Arc<State>) {
    // Without it a test of timing would measure Nagle's algorithm.
    let _unsupported = stream.set_nodelay(true);
    state.open.fetch_add(1, Ordering::SeqCst);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket {
        stream,
        reset: Arc::clone(&reset),
        state: Arc::clone(&state),
    };
    let service = hyper::service::service_fn(move |request| {
        let (state, reset) = (Arc::clone(&state), Arc::clone(&reset));
        async move { Ok::<_, Infallible>(answer(request, number, state, reset).await) }
    });
    // Broken connections are the business of this server: the tests see them in `Received::ended`.
    let _broken = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    state: Arc<State>,
    reset: Arc<AtomicBool>,
) -> Response<BoxBody<Bytes, Broken>> {
    let (head, mut incoming) = request.into_parts();
    let mut sent = Vec::new();
    loop {
        let pause = *lock(&state.reading);
        sleep(pause).await;
        let Some(Ok(frame)) = incoming.frame().await else {
            break;
        };
        if let Ok(data) = frame.into_data() {
            sent.extend_from_slice(&data);
        }
    }
    let received = Received {
        connection,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: sent.into(),
        at: Instant::now(),
        ended: None,
    };
    let chosen = choose(&state, &received);
    let watch = Watch::over(&state, received);

    sleep(chosen.wait).await;
    let body = match chosen.body {
        Body::Silence => std::future::pending().await,
        Body::Whole(bytes) => {
            watch.played();
            Full::new(bytes).map_err(|never| match never {}).boxed()
        }
        Body::Steps(steps) => {
            let (sender, frames) = mpsc::channel(1);
            tokio::spawn(play(steps, sender, watch, reset));
            Playing { frames }.boxed()
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = chosen.status;
    *response.headers_mut() = chosen.headers;
    response
}

fn choose(state: &State, received: &Received) -> Script {
    if let Some(script) = lock(&state.queue).pop_front() {
        return script;
    }
    let model = received.json()["model"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let credentials = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
    let mut places = vec![
        received.path.as_str(),
        received.query.as_str(),
        model.as_str(),
    ];
    places.extend(credentials.map(|name| received.header(name)));
    let rules = lock(&state.rules);
    let rule = rules
        .iter()
        .find(|(needle, _)| places.iter().any(|it| it.contains(needle)));
    match rule {
        Some((_, script)) => script.clone(),
        None => (state.otherwise)(received),
    }
}

async fn play(
    steps: Vec<Step>,
    sender: mpsc::Sender<Result<Frame<Bytes>, Broken>>,
    watch: Watch,
    reset: Arc<AtomicBool>,
) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if sender.send(Ok(Frame::data(bytes))).await.is_err() {
                    return;
                }
            }
            Step::Wait(pause) => {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = sender.closed() => return,
                }
            }
            Step::Stall => {
                sender.closed().await;
                return;
            }
            Step::Close | Step::Reset => {
                sleep(FLUSH).await;
                reset.store(matches!(step, Step::Reset), Ordering::SeqCst);
                watch.played();
                // The client may have left a moment earlier: the connection is broken either way.
                let _gone = sender.send(Err(Broken)).await;
                return;
            }
        }
    }
    watch.played();
}

/// Notes how a request ends: as played when told so, as left by the client when dropped before that.
struct Watch {
    state: Arc<State>,
    number: usize,
}

impl Watch {
    fn over(state: &Arc<State>, received: Received) -> Self {
        let mut all = lock(&state.received);
        all.push(received);
        let number = all.len() - 1;
        drop(all);
        state.changed.notify_waiters();
        Self {
            state: Arc::clone(state),
            number,
        }
    }

    fn played(&self) {
        self.end(Ending::Played);
    }

    fn end(&self, ending: Ending) {
        if let Some(received) = lock(&self.state.received).get_mut(self.number) {
            received.ended.get_or_insert((ending, Instant::now()));
        }
        self.state.changed.notify_waiters();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Ending::ClientGone);
    }
}

/// The body of an answer that a task plays.
struct Playing {
    frames: mpsc::Receiver<Result<Frame<Bytes>, Broken>>,
}

impl hyper::body::Body for Playing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.frames.poll_recv(context)
    }
}

/// A scripted break of the connection.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the script breaks the connection here")
    }
}

impl std::error::Error for Broken {}

/// A connection that can end in a reset.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
    state: Arc<State>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            // Where the system refuses, the client sees a plain close: still a broken answer.
            let _refused = self.stream.set_zero_linger();
        }
        self.state.open.fetch_sub(1, Ordering::SeqCst);
        self.state.changed.notify_waiters();
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
