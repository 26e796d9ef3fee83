//! The relay: joins an upstream's body to a lane and carries a streamed answer to its caller. Nothing else does.
//!
//! Two lanes: a [`Tap`] reads a copy while the bytes go through as they are, a [`Transcoder`] converts. Until the first content the
//! answer is not begun ([`Flow::open`]), so that a failure can still become another attempt. Afterwards a failure is the dialect's
//! own error inside the stream, never a clean finish. The caller's reading speed paces the upstream: no more is held than what
//! arrived together, up to [`GATHER`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use lingate_dialect::framing::Framing;
use lingate_dialect::hub::{Event, Usage};
use lingate_dialect::json::Node;
use lingate_dialect::stream::{End, Outcome, Shown, Summary, Tap, Transcoder};
use lingate_dialect::{ApiError, DialectId, Encoder, ErrorKind, Reply};
use secrecy::SecretString;
use tokio::time::{Instant, Sleep};

use crate::attempt::mask;
use crate::body::UpstreamBody;
use crate::keys::Key;
use crate::mend::{AskingForRest, Mending, Rest};
use crate::record::Record;

/// Silence after which the caller is told that the connection is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is held of an unfinished frame, so that an error or a heartbeat can follow a whole one; longer frames go through piecemeal.
const HOLD: usize = 64 << 10;

/// Bytes after which what has arrived is sent on, though more be there: each sending costs a system call, and most pieces are
/// small.
const GATHER: usize = 16 << 10;

/// What may arrive before the first content.
const OPENING: usize = 4 << 20;

/// How long what follows the end of an answer is waited for, where the end is all that there is: usage, and the end of the body,
/// which some servers leave open.
const AFTER_END: Duration = Duration::from_secs(2);

/// What an error that the connection broke has for a code.
pub(crate) const BROKEN: &str = "upstream_connection_broken";

/// The way from the upstream's bytes to the caller's.
#[derive(Debug)]
pub(crate) enum Lane {
    /// Same dialect: bytes through, a copy is read.
    Tap {
        tap: Box<Tap>,
        hold: Hold,
        reply: Box<Reply>,
    },
    Convert(Box<Transcoder>),
}

/// A streamed answer between upstream and caller.
#[derive(Debug)]
pub(crate) struct Flow {
    body: UpstreamBody,
    lane: Lane,
    secret: Option<SecretString>,
    /// What the rest of it is read with, beside the attempt's own.
    rest_with: Option<Key>,
    /// For the caller, from before the relay began.
    opened: Vec<u8>,
    /// Where the rest is asked for, should the answer break off.
    mending: Option<Mending>,
}

impl Flow {
    /// `secret`: the key that the upstream was sent; it is masked where an error repeats it.
    pub(crate) fn new(body: UpstreamBody, lane: Lane, secret: Option<SecretString>) -> Self {
        Self {
            body,
            lane,
            secret,
            rest_with: None,
            opened: Vec::new(),
            mending: None,
        }
    }

    /// Where the rest of the answer is asked for, if its lane can put it together.
    pub(crate) fn mend_at(&mut self, mending: Mending) {
        self.mending = Some(mending);
    }

    /// Whether the present answer cannot be read on, though the caller's can.
    fn has_broken(&self) -> bool {
        match &self.lane {
            Lane::Tap { .. } => false,
            Lane::Convert(transcoder) => transcoder.has_broken(),
        }
    }

    /// The upstream's bytes are over: asks for the rest, if that is wanted.
    fn break_off(&mut self, how: End, out: &mut Vec<u8>) -> Option<AskingForRest> {
        match &mut self.lane {
            Lane::Convert(transcoder) if transcoder.mends() => {
                let goes_on = transcoder.break_off(how, out);
                if goes_on { self.ask() } else { None }
            }
            Lane::Tap { .. } | Lane::Convert(_) => None,
        }
    }

    fn ask(&self) -> Option<AskingForRest> {
        let (Lane::Convert(transcoder), Some(mending)) = (&self.lane, &self.mending) else {
            return None;
        };
        let original = mending.exchange.decoded().ok()?;
        let (request, _) = transcoder.rest(original)?;
        Some(mending.ask(request))
    }

    /// The rest could not be had; asks for it once more, if that is wanted.
    fn refused(&mut self, error: ApiError) -> Option<AskingForRest> {
        let Lane::Convert(transcoder) = &mut self.lane else {
            return None;
        };
        let goes_on = transcoder.refused(error);
        if goes_on { self.ask() } else { None }
    }

    fn resume(&mut self, rest: Rest) {
        if let Lane::Convert(transcoder) = &mut self.lane {
            transcoder.resume(rest.dialect, rest.framing);
        }
        self.body = rest.body;
        self.secret = rest.key.secret().cloned();
        self.rest_with = Some(rest.key);
    }

    /// Reads until the first content, with at most `idle` between two pieces: a model may think for long before it says
    /// anything. An error here came before anything was told to the caller.
    ///
    /// A caller whose client counts events alone is not kept waiting for content: once heartbeats are due, an answer that has
    /// begun is one that can be told of.
    pub(crate) async fn open(
        mut self,
        first: Option<Bytes>,
        idle: Duration,
        client: DialectId,
    ) -> Result<Source, ApiError> {
        let due = counts_events(client).then(|| Instant::now() + HEARTBEAT);
        let mut next = first;
        let mut seen = 0_usize;
        loop {
            let due = due.filter(|_| self.has_begun());
            if due.is_some_and(|due| Instant::now() >= due) {
                return Ok(Source::Flow(Box::new(self)));
            }
            let data = if let Some(data) = next.take() {
                data
            } else {
                let until = due.map(|due| due.saturating_duration_since(Instant::now()));
                match self.data(until.map_or(idle, |until| until.min(idle))).await {
                    Ok(Some(data)) => data,
                    Ok(None) => return self.ended(),
                    Err(_) if due.is_some_and(|due| Instant::now() >= due) => continue,
                    Err(error) => return Err(error),
                }
            };
            seen += data.len();
            let mut out = std::mem::take(&mut self.opened);
            let fed = self.feed(&data, &mut out);
            self.opened = out;
            if let Some(error) = self.error() {
                return Err(error.clone());
            }
            fed?;
            if self.is_silent() {
                return self.ended_in_silence().await;
            }
            if self.has_content() || seen > OPENING {
                return Ok(Source::Flow(Box::new(self)));
            }
        }
    }

    async fn data(&mut self, idle: Duration) -> Result<Option<Bytes>, ApiError> {
        first(&mut self.body, idle).await
    }

    /// The answer has ended and says nothing: reads what follows its end, which is little, and tells of it as a whole.
    async fn ended_in_silence(mut self) -> Result<Source, ApiError> {
        let due = Instant::now() + AFTER_END;
        while let Ok(Some(data)) = self
            .data(due.saturating_duration_since(Instant::now()))
            .await
        {
            let mut out = std::mem::take(&mut self.opened);
            let fed = self.feed(&data, &mut out);
            self.opened = out;
            if let Some(error) = self.error() {
                return Err(error.clone());
            }
            fed?;
            if !self.is_silent() || self.opened.len() > OPENING {
                return Ok(Source::Flow(Box::new(self)));
            }
        }
        self.ended()
    }

    /// The upstream ended before any content: a refusal of the prompt is said so. Anything else is no answer.
    fn ended(mut self) -> Result<Source, ApiError> {
        let mut told = std::mem::take(&mut self.opened);
        let mut summary = self.end(End::Eof, &mut told);
        match summary.error.take() {
            Some(_) if summary.outcome == Outcome::Truncated => Err(ApiError::new(
                ErrorKind::UpstreamMalformed,
                "the upstream ended its answer before any content",
            )),
            Some(error) => Err(error),
            None => Ok(Source::Whole {
                body: Bytes::from(told),
                summary: Box::new(summary),
            }),
        }
    }

    fn has_content(&self) -> bool {
        match &self.lane {
            Lane::Tap { tap, .. } => tap.has_content(),
            Lane::Convert(transcoder) => transcoder.has_content(),
        }
    }

    fn is_silent(&self) -> bool {
        match &self.lane {
            Lane::Tap { tap, .. } => tap.is_silent(),
            Lane::Convert(transcoder) => transcoder.is_silent(),
        }
    }

    fn has_begun(&self) -> bool {
        match &self.lane {
            Lane::Tap { tap, .. } => tap.has_begun(),
            Lane::Convert(transcoder) => transcoder.has_begun(),
        }
    }

    fn error(&self) -> Option<&ApiError> {
        match &self.lane {
            Lane::Tap { tap, .. } => tap.error(),
            Lane::Convert(transcoder) => transcoder.error(),
        }
    }

    /// What is known so far, as of an answer that ends now.
    fn so_far(&self) -> Summary {
        match &self.lane {
            Lane::Tap { tap, .. } => tap.so_far(),
            Lane::Convert(transcoder) => transcoder.so_far(),
        }
    }

    /// Whether the upstream has said how the answer ends.
    fn has_ended(&self) -> bool {
        match &self.lane {
            Lane::Tap { tap, .. } => tap.has_ended(),
            Lane::Convert(transcoder) => transcoder.has_ended(),
        }
    }

    /// Appends what keeps the connection alive at this place, if anything may be said here.
    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        match &mut self.lane {
            Lane::Tap {
                tap, hold, reply, ..
            } if hold.keeps_frames_whole() => tap.heartbeat(reply, Framing::Sse, out),
            Lane::Tap { .. } => {}
            Lane::Convert(transcoder) => transcoder.heartbeat(out),
        }
    }

    fn feed(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let before = out.len();
        let fed = match &mut self.lane {
            Lane::Tap { tap, hold, .. } => {
                tap.push(data);
                hold.push(data, out);
                Ok(())
            }
            Lane::Convert(transcoder) => transcoder
                .push(data, out)
                .map_err(|error| error.to_api_error()),
        };
        if let Some(secret) = &self.secret
            && self.error().is_some()
        {
            // Vendors repeat a key when they turn it away.
            let told = Bytes::from(out.split_off(before));
            out.extend_from_slice(&lingate_upstream::without_secret(told, secret));
        }
        fed
    }

    /// Ends the caller's stream as the upstream's ended.
    fn end(self, how: End, out: &mut Vec<u8>) -> Summary {
        match self.lane {
            Lane::Tap { tap, hold, reply } => {
                let before = out.len();
                // Of a half frame the caller has seen nothing, as long as frames are kept whole.
                let shown = if hold.keeps_frames_whole() {
                    Shown::WholeFrames
                } else {
                    Shown::All
                };
                let summary = tap.end(how, &reply, shown, out);
                if out.len() == before {
                    // Without an error, half a frame is part of the answer.
                    out.extend_from_slice(&hold.held);
                }
                summary
            }
            Lane::Convert(transcoder) => transcoder.end(how, out),
        }
    }
}

/// The next piece of a body, within `idle`; `None` at its end.
pub(crate) async fn first(
    body: &mut UpstreamBody,
    idle: Duration,
) -> Result<Option<Bytes>, ApiError> {
    match tokio::time::timeout(idle, body.data()).await {
        Err(_) => Err(silent()),
        Ok(None) => Ok(None),
        Ok(Some(Err(()))) => Err(broken()),
        Ok(Some(Ok(data))) => Ok(Some(data)),
    }
}

fn silent() -> ApiError {
    ApiError::new(
        ErrorKind::Timeout,
        "the upstream fell silent for longer than `defaults.idle_timeout` allows",
    )
}

/// What an error that the request as a whole took too long has for a code.
pub(crate) const OVERDUE: &str = "request_timeout";

/// The request as a whole took too long.
pub(crate) fn overdue() -> ApiError {
    ApiError::new(
        ErrorKind::Timeout,
        "the request took longer than `defaults.request_timeout` allows",
    )
    .code(OVERDUE)
}

pub(crate) fn broken() -> ApiError {
    ApiError::new(
        ErrorKind::UpstreamMalformed,
        "the connection to the upstream broke before the answer was complete",
    )
    .code(BROKEN)
}

/// Holds back the unfinished end of an SSE stream, up to [`HOLD`].
#[derive(Debug, Default)]
pub(crate) struct Hold {
    held: Vec<u8>,
    /// A frame longer than what is held is going through.
    torn: bool,
    /// A JSON array is not held at all, and nothing can be said between its bytes.
    off: bool,
    /// The upstream was asked for a chunk of usage that the caller did not ask for (Chat).
    hide_usage: bool,
}

impl Hold {
    pub(crate) fn new(framing: Framing, hide_usage: bool) -> Self {
        Self {
            off: framing == Framing::JsonArray,
            hide_usage,
            ..Self::default()
        }
    }

    fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let before = out.len();
        self.release(data, out);
        // Only what was just released; what a frame longer than the hold is made of is never usage.
        let released = out.get(before..).unwrap_or_default();
        if self.hide_usage && !self.off && memchr::memmem::find(released, b"\"usage\"").is_some() {
            let kept = without_usage(released);
            out.truncate(before);
            out.extend_from_slice(&kept);
        }
    }

    fn release(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if self.off {
            out.extend_from_slice(data);
            return;
        }
        let cut = frame_end(&self.held, data);
        self.torn = cut.is_none() && (self.torn || self.held.len() + data.len() > HOLD);
        // Of a frame that is too long to hold, all goes out.
        let out_to = cut.unwrap_or(if self.torn { data.len() } else { 0 });
        let (whole, rest) = data.split_at_checked(out_to).unwrap_or((data, b""));
        if !whole.is_empty() {
            out.append(&mut self.held);
            out.extend_from_slice(whole);
        }
        self.held.extend_from_slice(rest);
    }

    /// What has gone out so far ends with a frame's end.
    fn keeps_frames_whole(&self) -> bool {
        !self.off && !self.torn
    }
}

/// Clients of Responses give up when no event comes for long, and do not count comments.
fn counts_events(client: DialectId) -> bool {
    match client {
        DialectId::Responses => true,
        DialectId::Chat | DialectId::Messages | DialectId::Gemini => false,
    }
}

/// A stream of Responses without the events that only say that the answer has begun.
fn without_beginning(frames: &[u8]) -> &[u8] {
    const BEGINNINGS: [&[u8]; 3] = [
        b"\"response.created\"",
        b"\"response.in_progress\"",
        b"\"response.queued\"",
    ];
    let mut rest = frames;
    let first_end = |frames: &[u8]| {
        let ends = ["\n\n", "\r\n\r\n"].map(|end| {
            let at = memchr::memmem::find(frames, end.as_bytes())?;
            Some(at + end.len())
        });
        ends.into_iter().flatten().min()
    };
    while let Some((frame, tail)) = first_end(rest).and_then(|end| rest.split_at_checked(end)) {
        // The type stands in front, wherever the response object has such words.
        let head = frame.get(..256).unwrap_or(frame);
        let says = |word: &&[u8]| memchr::memmem::find(head, word).is_some();
        if !BEGINNINGS.iter().any(says) {
            break;
        }
        rest = tail;
    }
    rest
}

/// Whole frames of a Chat stream without those that hold usage and no choice.
fn without_usage(frames: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(frames.len());
    let mut rest = frames;
    while !rest.is_empty() {
        let mut line_ends = memchr::memchr2_iter(b'\n', b'\r', rest);
        let last = line_ends.find(|at| is_blank_line_end(b"", rest, *at));
        let end = last.map_or(rest.len(), |at| at + 1);
        let (frame, tail) = rest.split_at(end);
        rest = tail;
        let data = frame
            .trim_ascii()
            .strip_prefix(b"data:")
            .unwrap_or_default();
        let is_usage = Node::parse(data)
            .and_then(Node::fields)
            .is_ok_and(|fields| {
                fields.get("usage").is_some_and(Node::is_object)
                    && fields.get("choices").is_some_and(|choices| {
                        choices.elements().is_ok_and(|choices| choices.is_empty())
                    })
            });
        if !is_usage {
            kept.extend_from_slice(frame);
        }
    }
    kept
}

/// Where in `data` the last frame that it completes ends: behind its last blank line. `before` came before it.
fn frame_end(before: &[u8], data: &[u8]) -> Option<usize> {
    let mut end = data.len();
    while let Some(at) = data
        .get(..end)
        .and_then(|data| data.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')))
    {
        if is_blank_line_end(before, data, at) {
            return Some(at + 1);
        }
        end = at;
    }
    None
}

/// Whether the line that ends at `at` is empty.
fn is_blank_line_end(before: &[u8], data: &[u8], at: usize) -> bool {
    let byte = |back: usize| match at.checked_sub(back) {
        Some(at) => data.get(at).copied(),
        None => before
            .len()
            .checked_sub(back - at)
            .and_then(|at| before.get(at).copied()),
    };
    let next_is_line_feed = data.get(at + 1) == Some(&b'\n');
    match (byte(0), byte(1), byte(2)) {
        (Some(b'\n'), Some(b'\n'), _) | (Some(b'\n'), Some(b'\r'), Some(b'\n' | b'\r')) => true,
        (Some(b'\r'), Some(b'\r' | b'\n'), _) => !next_is_line_feed && at + 1 < data.len(),
        _ => false,
    }
}

/// The times that bound a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Longest silence of the upstream.
    pub(crate) idle: Duration,
    /// When the whole request must be over.
    pub(crate) deadline: Instant,
}

/// A streamed answer that has begun.
#[derive(Debug)]
pub(crate) enum Source {
    Flow(Box<Flow>),
    /// The whole stream, in the caller's dialect and framing.
    Whole {
        body: Bytes,
        summary: Box<Summary>,
    },
}

/// An attempt that is still on its way to its first content.
pub(crate) type Opening =
    Pin<Box<dyn Future<Output = Result<(Source, Record), (ApiError, Record)>> + Send>>;

/// The body of a streamed answer.
pub(crate) struct Relay {
    state: State,
    pending: Vec<u8>,
    /// The caller has got something.
    begun: bool,
    /// It is written down that the answer has ended, and with which usage.
    ending: bool,
    told: Option<Usage>,
    record: Option<Record>,
    bounds: Bounds,
    last_sent: Instant,
    last_received: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What a caller hears while its answer is still on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beats {
    /// What its dialect says when there is nothing to say.
    Words,
    /// Its client counts events alone, so the answer begins, under a name that the gateway gives.
    Begin,
    /// Its client counts events, but the vendor's answer may be one of the same dialect, which begins itself and says its own
    /// name; an answer that begins twice, or under two names, breaks the client.
    Comments,
}

impl Beats {
    /// `upstreams`: the dialects that the answer may come in.
    pub(crate) fn of(client: DialectId, mut upstreams: impl Iterator<Item = DialectId>) -> Self {
        if !counts_events(client) {
            Self::Words
        } else if upstreams.any(|upstream| upstream == client) {
            Self::Comments
        } else {
            Self::Begin
        }
    }

    fn write(self, encoder: &mut dyn Encoder, out: &mut Vec<u8>) {
        match self {
            Self::Words | Self::Begin => encoder.heartbeat(out),
            Self::Comments => out.extend_from_slice(b": keep-alive\n\n"),
        }
    }
}

enum State {
    /// The caller already has the head of the answer, because the upstream was silent for too long to wait with it.
    Opening {
        opening: Opening,
        beats: Beats,
        /// Writes an error when no lane is there to write it.
        encoder: Box<dyn Encoder + Send>,
    },
    Flowing(Box<Flow>),
    /// The answer broke off, and the rest is on its way.
    Mending {
        flow: Box<Flow>,
        rest: AskingForRest,
    },
    Done,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Relay {
    pub(crate) fn flowing(flow: Box<Flow>, record: Record, bounds: Bounds) -> Self {
        let mut relay = Self::new(State::Done, bounds);
        relay.flow(flow, record);
        relay
    }

    pub(crate) fn opening(
        opening: Opening,
        beats: Beats,
        mut encoder: Box<dyn Encoder + Send>,
        bounds: Bounds,
    ) -> Self {
        let mut pending = Vec::new();
        beats.write(encoder.as_mut(), &mut pending);
        let state = State::Opening {
            opening,
            beats,
            encoder,
        };
        let mut relay = Self::new(state, bounds);
        relay.pending = pending;
        relay
    }

    fn new(state: State, bounds: Bounds) -> Self {
        let now = Instant::now();
        let first = (now + HEARTBEAT.min(bounds.idle)).min(bounds.deadline);
        let timer = Box::pin(tokio::time::sleep_until(first));
        Self {
            state,
            pending: Vec::new(),
            begun: false,
            ending: false,
            told: None,
            record: None,
            bounds,
            last_sent: now,
            last_received: now,
            timer,
        }
    }

    fn flow(&mut self, mut flow: Box<Flow>, record: Record) {
        self.pending.append(&mut flow.opened);
        self.record = Some(record);
        self.state = State::Flowing(flow);
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if self.pending.len() >= GATHER || !self.begun && !self.pending.is_empty() {
                return Poll::Ready(Some(self.send()));
            }
            let polled = match &mut self.state {
                State::Done if self.pending.is_empty() => return Poll::Ready(None),
                State::Done => return Poll::Ready(Some(self.send())),
                State::Opening { opening, .. } => opening
                    .as_mut()
                    .poll(cx)
                    .map(|opened| Polled::Opened(Box::new(opened))),
                State::Flowing(flow) => flow.body.poll_data(cx).map(Polled::Data),
                State::Mending { rest, .. } => rest
                    .as_mut()
                    .poll(cx)
                    .map(|rest| Polled::Rest(Box::new(rest))),
            };
            match polled {
                Poll::Ready(Polled::Opened(opened)) => self.opened(*opened),
                Poll::Ready(Polled::Data(Some(Ok(data)))) => {
                    self.last_received = Instant::now();
                    if self.last_received >= self.bounds.deadline {
                        self.time_out(overdue());
                        continue;
                    }
                    let State::Flowing(flow) = &mut self.state else {
                        continue;
                    };
                    if let Err(error) = flow.feed(&data, &mut self.pending) {
                        self.end(End::Broken(error));
                    } else if flow.has_broken() {
                        self.end(End::Eof);
                    }
                }
                Poll::Ready(Polled::Rest(rest)) => self.resume(*rest),
                Poll::Ready(Polled::Data(Some(Err(())))) => self.end(End::Broken(broken())),
                Poll::Ready(Polled::Data(None)) => self.end(End::Eof),
                Poll::Pending if self.pending.is_empty() => ready!(self.poll_timer(cx)),
                Poll::Pending => return Poll::Ready(Some(self.send())),
            }
        }
    }

    fn send(&mut self) -> Frame<Bytes> {
        self.tell_record();
        self.begun = true;
        self.last_sent = Instant::now();
        Frame::data(Bytes::from(std::mem::take(&mut self.pending)))
    }

    /// Has written down how far the answer has come, before the caller gets it: once in a while, and when it ends.
    fn tell_record(&mut self) {
        let (State::Flowing(flow) | State::Mending { flow, .. }, Some(record)) =
            (&self.state, &mut self.record)
        else {
            return;
        };
        if flow.has_ended() {
            let so_far = flow.so_far();
            // Usage may come behind the end.
            if !self.ending || self.told != so_far.usage {
                (self.ending, self.told) = (true, so_far.usage);
                record.ends(&so_far);
            }
        } else if record.is_due() {
            record.goes_on(&flow.so_far());
        }
    }

    fn opened(&mut self, opened: Result<(Source, Record), (ApiError, Record)>) {
        self.last_received = Instant::now();
        // The heartbeats have begun the answer already.
        let begun = matches!(&self.state, State::Opening { beats, .. } if *beats == Beats::Begin);
        match opened {
            Ok((Source::Flow(mut flow), record)) => {
                if begun {
                    let told = without_beginning(&flow.opened).len();
                    flow.opened.drain(..flow.opened.len() - told);
                }
                self.flow(flow, record);
            }
            Ok((Source::Whole { body, summary }, record)) => {
                self.state = State::Done;
                self.pending.extend_from_slice(if begun {
                    without_beginning(&body)
                } else {
                    &body
                });
                record.settle(&summary);
            }
            Err((error, record)) => {
                record.fail(&error);
                self.tell(error);
            }
        }
    }

    /// Ends an answer that was still opening with an error.
    fn tell(&mut self, error: ApiError) {
        if let State::Opening { mut encoder, .. } = std::mem::replace(&mut self.state, State::Done)
        {
            encoder.event(&Event::Error(error), &mut self.pending);
        }
    }

    /// Ready when a time ran out and something was done about it.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.as_mut().poll(cx));
        let now = Instant::now();
        let idle = self.last_received + self.bounds.idle;
        let flowing = matches!(self.state, State::Flowing(_));
        // An answer that is still opening is bounded by the attempts themselves, which then have their record.
        let bounded = !matches!(self.state, State::Opening { .. });
        if bounded && now >= self.bounds.deadline {
            self.time_out(overdue());
        } else if flowing && now >= idle {
            self.time_out(silent());
        } else if now >= self.last_sent + HEARTBEAT {
            match &mut self.state {
                State::Flowing(flow) | State::Mending { flow, .. } => {
                    flow.heartbeat(&mut self.pending);
                }
                State::Opening { beats, encoder, .. } => {
                    beats.write(encoder.as_mut(), &mut self.pending);
                }
                State::Done => {}
            }
            self.last_sent = now;
        }
        let mut next = self.last_sent + HEARTBEAT;
        if bounded {
            next = next.min(self.bounds.deadline);
        }
        if flowing {
            next = next.min(self.last_received + self.bounds.idle);
        }
        self.timer.as_mut().reset(next);
        Poll::Ready(())
    }

    fn time_out(&mut self, error: ApiError) {
        self.end(End::Broken(error));
    }

    /// The upstream's bytes are over; the answer is too, unless it is gone on with.
    fn end(&mut self, how: End) {
        let mut flow = match std::mem::replace(&mut self.state, State::Done) {
            State::Flowing(flow) | State::Mending { flow, .. } => flow,
            state @ (State::Opening { .. } | State::Done) => {
                self.state = state;
                return;
            }
        };
        let in_time = Instant::now() < self.bounds.deadline;
        if in_time && let Some(rest) = flow.break_off(how.clone(), &mut self.pending) {
            self.wait_for(flow, rest);
        } else {
            self.finish(*flow, how);
        }
    }

    fn wait_for(&mut self, flow: Box<Flow>, rest: AskingForRest) {
        if let Some(record) = &mut self.record {
            record.further(1);
        }
        self.state = State::Mending { flow, rest };
    }

    fn finish(&mut self, flow: Flow, how: End) {
        let secret = flow.secret.clone();
        let before = self.pending.len();
        let mut summary = flow.end(how, &mut self.pending);
        if let (Some(error), Some(secret)) = (&mut summary.error, &secret) {
            // Vendors repeat a key when they turn it away; neither the caller nor the log may see it.
            let told = Bytes::from(self.pending.split_off(before));
            self.pending
                .extend_from_slice(&lingate_upstream::without_secret(told, secret));
            mask(error, secret);
        }
        if let Some(record) = self.record.take() {
            record.settle(&summary);
        }
    }

    /// The rest of an answer that broke off is there, or cannot be had.
    fn resume(&mut self, rest: Result<Rest, ApiError>) {
        let State::Mending { mut flow, .. } = std::mem::replace(&mut self.state, State::Done)
        else {
            return;
        };
        self.last_received = Instant::now();
        match rest {
            Ok(rest) => {
                flow.resume(rest);
                self.state = State::Flowing(flow);
                // The time that the upstream may be silent begins anew.
                let next = (self.last_sent + HEARTBEAT).min(self.bounds.deadline);
                self.timer
                    .as_mut()
                    .reset(next.min(self.last_received + self.bounds.idle));
            }
            Err(error) => match flow.refused(error) {
                Some(rest) => self.wait_for(flow, rest),
                None => self.finish(*flow, End::Eof),
            },
        }
    }
}

enum Polled {
    Opened(Box<Result<(Source, Record), (ApiError, Record)>>),
    Data(Option<Result<Bytes, ()>>),
    Rest(Box<Result<Rest, ApiError>>),
}

impl Drop for Relay {
    /// Whoever is dropped before the end has lost its caller; dropping the body closes the upstream.
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Done);
        if let (State::Flowing(flow) | State::Mending { flow, .. }, Some(record)) =
            (state, self.record.take())
        {
            // Nobody reads what is written for the caller.
            record.settle(&flow.end(End::ClientGone, &mut Vec::new()));
        }
    }
}

#[cfg(test)]
mod cuts;
#[cfg(test)]
mod tests;
