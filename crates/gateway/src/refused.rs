//! Error answers of upstreams, and what may be tried after them.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use lingate_dialect::json::Node;
use lingate_dialect::{ApiError, DialectId, ErrorKind};
use lingate_routing::Cooldown;

use crate::attempt::{Failure, Next};
use crate::body::UpstreamBody;
use crate::exchange::Exchange;
use crate::headers;

/// The longest error answer that is read, in bytes.
const ERROR: usize = 1 << 20;

/// Reads an error answer and says what may be tried next.
pub(crate) async fn refused(
    exchange: &Exchange,
    upstream: DialectId,
    status: StatusCode,
    headers: &HeaderMap,
    body: UpstreamBody,
) -> Failure {
    let body = body
        .read(ERROR, exchange.snapshot.defaults.idle_timeout)
        .await
        .unwrap_or_default();
    let mut error = ApiError::decode(status.as_u16(), &body);
    if let Some(wait) = retry_after(headers) {
        error.retry_after = Some(wait);
    }
    let next = match error.kind {
        ErrorKind::Authentication | ErrorKind::Billing | ErrorKind::Permission => {
            Next::Key(Cooldown::Refused)
        }
        ErrorKind::RateLimited => Next::Key(Cooldown::Limited {
            retry_after: error.retry_after,
        }),
        ErrorKind::Upstream
        | ErrorKind::UpstreamMalformed
        | ErrorKind::Overloaded
        | ErrorKind::Timeout
        | ErrorKind::NotFound
        | ErrorKind::Internal => Next::Target,
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextTooLong
        | ErrorKind::BodyTooLarge
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::ContentPolicy
        | ErrorKind::NotImplemented => Next::Nothing,
    };
    // A redirect would lead the caller past the gateway, with its credential.
    let own_form = upstream == exchange.dialect
        && status.as_u16() >= 400
        && Node::parse(&body).is_ok_and(|body| body.is_object() || body.is_array());
    let verbatim = own_form.then(|| Box::new((status, headers::for_caller(headers), body)));
    Failure {
        error,
        verbatim,
        next,
    }
}

/// `retry-after-ms`, or `retry-after` in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| {
        headers
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| (0.0..1e9).contains(number))
    };
    let milliseconds = number("retry-after-ms").map(|number| number / 1000.0);
    milliseconds
        .or_else(|| number("retry-after"))
        .map(Duration::from_secs_f64)
}
