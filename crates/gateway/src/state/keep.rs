//! Keeps an answer on its way to the caller: what ends it goes out when it is kept, so that whoever follows up at once finds it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use lingate_dialect::envelope::Envelope;
use lingate_dialect::framing::{self, FrameReader, Framing};
use lingate_dialect::json::{Node, raw};
use memchr::memmem;

use super::record::{Content, Record};
use crate::Gateway;
use crate::answer::Body;
use crate::beside::CutShort;
use crate::exchange::Exchange;

/// How long an answer's end waits for a slow disk. It is found in memory all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps the answer that `response` is, or is going to be, if the request wants it kept.
pub(crate) async fn keep(
    gateway: &Arc<Gateway>,
    exchange: &Arc<Exchange>,
    mut response: Response<Body>,
) -> Response<Body> {
    let wanted = exchange.state.as_ref().is_some_and(|state| state.store);
    if !wanted || !response.status().is_success() {
        return response;
    }
    let keeper = Keeper {
        gateway: Arc::clone(gateway),
        exchange: Arc::clone(exchange),
    };
    let body = std::mem::replace(response.body_mut(), Body::from(Bytes::new()));
    *response.body_mut() = match body {
        Body::Whole(Some(body)) if !exchange.stream => {
            let body = keeper.told(body);
            keeper.patiently(body.clone()).await;
            Body::from(body)
        }
        body => Body::Kept(Box::new(Kept {
            body,
            frames: Some(FrameReader::new(Framing::Sse)),
            keeper: Arc::new(keeper),
            keeping: None,
            held: None,
        })),
    };
    response
}

/// Keeps the answer to one request.
#[derive(Debug)]
struct Keeper {
    gateway: Arc<Gateway>,
    exchange: Arc<Exchange>,
}

impl Keeper {
    async fn patiently(&self, answer: Bytes) {
        // Who gives up waiting has it in memory.
        let _ = tokio::time::timeout(PATIENCE, self.keep(&answer)).await;
    }

    /// `answer`: a response object.
    async fn keep(&self, answer: &[u8]) {
        let Some(record) = self.record(answer) else {
            return;
        };
        let Some(state) = &self.exchange.state else {
            return;
        };
        let now = self.exchange.mint.now;
        record
            .store(&self.gateway.responses, &state.scope, now)
            .await;
    }

    fn record(&self, answer: &[u8]) -> Option<Record> {
        let state = self.exchange.state.as_ref()?;
        let mut maker = state.maker()?.clone();
        let envelope = Envelope::scan(answer).ok()?;
        let id = envelope
            .text("id")
            .filter(|id| !id.is_empty())?
            .into_owned();
        // Some speak the dialect and keep nothing; they say so.
        maker.native &= envelope.bool("store") == Some(true) || state.background;
        let content = match envelope.text("status").as_deref() {
            None | Some("completed" | "incomplete") if self.exchange.snapshot.state.enabled => {
                Some(Content {
                    input: state.kept_input(&self.exchange.body)?,
                    response: raw(String::from_utf8(self.told_envelope(envelope)?).ok()?)?,
                })
            }
            None | Some("completed" | "incomplete") => None,
            Some("queued" | "in_progress") if state.background => None,
            Some(_) => return None,
        };
        if content.is_none() && !maker.native {
            return None;
        }
        Some(Record {
            id,
            maker,
            background: state.background,
            previous: state.previous.clone(),
            content,
        })
    }

    /// A whole answer that names what it continues, where the upstream was not told.
    fn told(&self, answer: Bytes) -> Bytes {
        let told = || self.told_envelope(Envelope::scan(&answer).ok()?);
        let hidden = || {
            let state = self.exchange.state.as_ref()?;
            let maker = state.maker()?;
            state.previous.as_ref()?;
            state.body(maker.native.then_some(maker.provider.as_str()))
        };
        if hidden().is_none() {
            return answer;
        }
        told().map_or(answer, Bytes::from)
    }

    fn told_envelope(&self, mut envelope: Envelope<'_>) -> Option<Vec<u8>> {
        let state = self.exchange.state.as_ref()?;
        if let Some(previous) = &state.previous {
            envelope.set_text("previous_response_id", previous);
        }
        Some(envelope.apply())
    }
}

/// A streamed answer that is kept.
pub struct Kept {
    body: Body,
    /// `None`: what comes is no stream of frames, or its end was seen.
    frames: Option<FrameReader>,
    keeper: Arc<Keeper>,
    keeping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Goes out when that is done.
    held: Option<Frame<Bytes>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl Kept {
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        loop {
            if let Some(keeping) = &mut self.keeping {
                ready!(keeping.as_mut().poll(cx));
                self.keeping = None;
            }
            if let Some(held) = self.held.take() {
                return Poll::Ready(Some(Ok(held)));
            }
            let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let (frame, answer) = match polled {
                Some(Ok(frame)) => {
                    let answer = frame.data_ref().and_then(|data| self.look(data));
                    (Some(frame), answer)
                }
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => (None, self.look_at_end()),
            };
            let Some(answer) = answer else {
                return Poll::Ready(frame.map(Ok));
            };
            let keeper = Arc::clone(&self.keeper);
            self.keeping = Some(Box::pin(async move { keeper.patiently(answer).await }));
            self.held = frame;
        }
    }

    /// The response object, once `data` brings the event that is to be kept.
    fn look(&mut self, data: &[u8]) -> Option<Bytes> {
        let background = self.background();
        let frames = self.frames.as_mut()?;
        let mut rest = data;
        let mut found = None;
        loop {
            match frames.next_frame(&mut rest) {
                Ok(Some(frame)) => found = found.or_else(|| response_in(&frame, background)),
                Ok(None) => return found,
                Err(_) => {
                    self.frames = None;
                    return found;
                }
            }
        }
    }

    fn look_at_end(&mut self) -> Option<Bytes> {
        let background = self.background();
        let mut frames = self.frames.take()?;
        let last = frames.end().ok()??;
        response_in(&last, background)
    }

    fn background(&self) -> bool {
        let state = self.keeper.exchange.state.as_ref();
        state.is_some_and(|state| state.background)
    }
}

/// The response object of an event that ends an answer, or begins one in the background.
fn response_in(frame: &framing::Frame<'_>, background: bool) -> Option<Bytes> {
    let wanted = |kind: &str| {
        let ends = matches!(kind, "response.completed" | "response.incomplete");
        ends || background && matches!(kind, "response.created" | "response.queued")
    };
    // Most frames are told by their name, or by a search.
    if !frame.event.is_empty() && !wanted(frame.event)
        || memmem::find(frame.data.as_bytes(), b"\"response\"").is_none()
    {
        return None;
    }
    let fields = Node::parse(frame.data.as_bytes()).ok()?.fields().ok()?;
    let kind = fields.get("type")?.text()?;
    let response = fields.get("response").filter(|_| wanted(&kind))?;
    Some(Bytes::copy_from_slice(response.raw().as_bytes()))
}
