//! Error answers of upstreams, and what may be tried after them.

use http::{HeaderMap, StatusCode};
use lingate_dialect::json::Node;
use lingate_dialect::{ApiError, DialectId};
use lingate_dialect::{unwanted, vault};

use crate::attempt::Failure;
use crate::body::UpstreamBody;
use crate::exchange::Exchange;
use crate::fault;
use crate::headers;
use crate::learned::Again;
use crate::prepare::Prepared;
use crate::service::seconds_since_1970;

/// The longest error answer that is read, in bytes.
const ERROR: usize = 1 << 20;

/// Reads an error answer and says what may be tried next.
pub(crate) async fn refused(
    exchange: &Exchange,
    upstream: DialectId,
    prepared: &Prepared,
    status: StatusCode,
    headers: &HeaderMap,
    body: UpstreamBody,
) -> Failure {
    let body = body
        .read(ERROR, exchange.snapshot.defaults.idle_timeout)
        .await
        .unwrap_or_default();
    let told: Vec<(&str, &str)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let error = ApiError::decode(status.as_u16(), &body).with_headers(&told, seconds_since_1970());
    // A redirect would lead the caller past the gateway, with its credential.
    let own_form = upstream == exchange.dialect
        && error.is_plain(upstream)
        && status.as_u16() >= 400
        && Node::parse(&body).is_ok_and(|body| body.is_object() || body.is_array());
    let again = again(upstream, prepared, &error, &body);
    let fault = fault::of_answer(&error, status.as_u16(), &told, &body);
    let verbatim = own_form.then(|| Box::new((status, headers::for_caller(headers), body)));
    Failure {
        error,
        verbatim,
        again,
        fault: Box::new(fault),
        answer: None,
        limits: None,
    }
}

/// Whether the same target may take the request without something. Where bytes go through, the caller's own fields are the
/// caller's to see refused; only what Lingate added is taken back.
fn again(
    upstream: DialectId,
    prepared: &Prepared,
    error: &ApiError,
    answer: &[u8],
) -> Option<Box<Again>> {
    if let Some(state) = vault::refused(error) {
        return Some(Box::new(Again::Reasoning(state)));
    }
    let sent = prepared.body.joined();
    let mut fields = unwanted::named(upstream, error, answer, &sent);
    if prepared.through {
        fields.retain(|field| prepared.hide_usage && field.path.starts_with("stream_options"));
    }
    (!fields.is_empty()).then(|| Box::new(Again::Fields(fields)))
}
