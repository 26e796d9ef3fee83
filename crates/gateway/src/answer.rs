//! Answers to callers: bodies, errors in their dialect, and the headers that Lingate adds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use lingate_dialect::{ApiError, DialectId};
use lingate_metering::limit;

use crate::beside::{CutShort, OtherBody};
use crate::headers;
use crate::panics;
use crate::pump::Pumped;
use crate::relay::Relay;
use crate::state::Kept;

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    Whole(Option<Bytes>),
    Stream(Box<StreamBody>),
    /// A stream whose answer is kept.
    Kept(Box<Kept>),
    /// A stream over HTTP/2.
    Pumped(Box<Pumped>),
    /// From beside the doors of models.
    Other(OtherBody),
}

/// A streamed answer on its way to the caller.
#[derive(Debug)]
pub struct StreamBody(pub(crate) Relay);

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = self.get_mut();
        // Else it took the connection with it, and over HTTP/2 all other answers.
        panics::catch(|| body.poll_or_panic(cx)).unwrap_or_else(|_| {
            panics::clear(std::mem::replace(body, Self::Whole(None)));
            Poll::Ready(Some(Err(CutShort)))
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(_) | Self::Kept(_) | Self::Pumped(_) => false,
            Self::Other(other) => other.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) | Self::Kept(_) | Self::Pumped(_) => SizeHint::default(),
            Self::Other(other) => other.size_hint(),
        }
    }
}

impl Body {
    fn poll_or_panic(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(
                bytes
                    .take()
                    .filter(|bytes| !bytes.is_empty())
                    .map(|bytes| Ok(Frame::data(bytes))),
            ),
            Self::Stream(stream) => stream.0.poll(cx).map(|frame| frame.map(Ok)),
            Self::Kept(kept) => kept.poll(cx),
            Self::Pumped(pumped) => pumped.poll(cx),
            Self::Other(other) => Pin::new(other).poll_frame(cx),
        }
    }
}

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-lingate-request-id");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-lingate-provider");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-lingate-model");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-lingate-attempts");
pub(crate) const OUTCOME: HeaderName = HeaderName::from_static("x-lingate-outcome");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-lingate-cost");
pub(crate) const LOSSES: HeaderName = HeaderName::from_static("x-lingate-losses");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A whole JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// An error in the caller's dialect.
pub(crate) fn error(dialect: DialectId, error: &ApiError, request_id: &str) -> Response<Body> {
    let status =
        StatusCode::from_u16(error.status(dialect)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, dialect.dialect().encode_error(error, request_id));
    retry_hints(&mut response, error);
    response
}

/// The longest wait that clients are left to sit out. Some sleep for as long as they are told, however long that is.
const SHORT_WAIT: Duration = Duration::from_mins(1);

/// Tells the client whether and when to ask again.
pub(crate) fn retry_hints(response: &mut Response<Body>, error: &ApiError) {
    let status = response.status().as_u16();
    // Clients repeat what has one of these, whatever the reason; some also what lacks money.
    let repeated = matches!(status, 402 | 408 | 409 | 429 | 500..);
    let headers = response.headers_mut();
    retry_after(headers, error);
    let in_vain = !error.may_pass() || error.retry_after.is_some_and(|wait| wait > SHORT_WAIT);
    if repeated && in_vain {
        do_not_retry(headers);
    }
}

fn retry_after(headers: &mut HeaderMap, error: &ApiError) {
    if let Some(wait) = error.retry_after {
        let seconds = wait.as_millis().div_ceil(1000);
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
        );
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        headers.insert(
            HeaderName::from_static("retry-after-ms"),
            HeaderValue::from(milliseconds),
        );
    }
}

/// Tells what is left of the caller's own limits, in place of what the upstream tells of its account's.
pub(crate) fn tell_limits(into: &mut HeaderMap, left: Vec<limit::Header>) {
    let foreign: Vec<HeaderName> = into
        .keys()
        .filter(|name| limit::is_of_limits(name.as_str()))
        .cloned()
        .collect();
    for name in foreign {
        into.remove(name);
    }
    for (name, value) in left {
        into.insert(HeaderName::from_static(name), headers::ascii(&value, 256));
    }
}

/// The client's repeating would change nothing, or would only multiply the attempts that were made here.
pub(crate) fn do_not_retry(headers: &mut HeaderMap) {
    headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
}

/// Names the request, in Lingate's header and in the one that the dialect's SDK reads, unless the upstream's own is there.
///
/// `quiet`: Lingate's own is left out.
pub(crate) fn name_request(
    dialect: DialectId,
    headers: &mut HeaderMap,
    request_id: &str,
    quiet: bool,
) {
    let value = headers::ascii(request_id, 64);
    let own = match dialect {
        DialectId::Messages => HeaderName::from_static("request-id"),
        DialectId::Chat | DialectId::Responses | DialectId::Gemini => {
            HeaderName::from_static("x-request-id")
        }
    };
    headers.entry(own).or_insert_with(|| value.clone());
    if !quiet {
        headers.insert(REQUEST_ID, value);
    }
}

/// Takes out what says how the answer came about. What clients read to know whether and when to ask again stays.
pub(crate) fn hide(headers: &mut HeaderMap) {
    let own = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-lingate-"));
    let own: Vec<HeaderName> = own.cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

/// Headers of every streamed answer.
pub(crate) fn stream_headers(headers: &mut HeaderMap, content_type: &'static str) {
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_ones_own_limits_is_told_and_no_others() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-tokens-reset",
            "x-ratelimit-limit-project-tokens",
            "retry-after",
            "openai-version",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let own = vec![("x-ratelimit-remaining-requests", "7".to_owned())];
        tell_limits(&mut headers, own);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "openai-version: 1",
                "retry-after: 1",
                "x-ratelimit-remaining-requests: 7"
            ]
        );
    }
}
