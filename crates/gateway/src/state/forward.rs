//! Forwards a request about an answer to the provider that keeps it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use lingate_dialect::framing::Framing;
use lingate_dialect::json::Node;
use lingate_dialect::stream::Tap;
use lingate_dialect::{ApiError, DialectId, ErrorKind, Reply};
use lingate_routing::{Endpoint, Kind, Target};
use lingate_upstream::Payload;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{Call, not_found};
use crate::answer::{self, Body, StreamBody};
use crate::attempt::mask;
use crate::body::UpstreamBody;
use crate::headers;
use crate::prepare::upstream_headers;
use crate::record::Record;
use crate::relay::{Bounds, Flow, Hold, Lane, Relay, Source};

/// The largest answer that is read whole, in bytes.
const LARGEST: usize = 64 << 20;
/// Keys that are tried: an answer belongs to the account of one of them.
const KEYS: usize = 8;

/// Sends `method` to what stands `below` the answer at its maker, and gives its answer as it is.
pub(super) async fn send(
    call: &Call<'_>,
    method: &Method,
    below: &str,
) -> Result<Response<Body>, ApiError> {
    let target = target(call).ok_or_else(|| not_found(&call.record.id))?;
    let endpoint = target.provider.endpoints.get(target.endpoint);
    let endpoint = endpoint.ok_or_else(|| not_found(&call.record.id))?;
    let mut tried = Vec::new();
    let mut last = None;
    while tried.len() < KEYS {
        let now = call.gateway.moment();
        let Some(key) = call.gateway.keys.choose(&target, &call.caller, &tried, now) else {
            break;
        };
        let (status, headers, body) =
            once(call, endpoint, &target, key.secret(), method, below).await?;
        if status.is_success() {
            return given(call, &headers, body, key.secret()).await;
        }
        last = Some(refused(status, &headers, body, key.secret()).await);
        // Another key may belong to the account that has it.
        if !matches!(status.as_u16(), 401 | 403 | 404 | 429) {
            break;
        }
        tried.push(key);
    }
    last.unwrap_or_else(|| Err(not_found(&call.record.id)))
}

/// Where the answer was made, as long as that is configured.
fn target(call: &Call<'_>) -> Option<Target> {
    let provider = call.visit.snapshot.provider(&call.record.maker.provider)?;
    let (endpoint, _) = provider
        .speaks(DialectId::Responses)
        .filter(|_| provider.kind == Kind::Http)?;
    Some(Target::at(provider, endpoint, ""))
}

async fn once(
    call: &Call<'_>,
    endpoint: &Endpoint,
    target: &Target,
    key: Option<&SecretString>,
    method: &Method,
    below: &str,
) -> Result<(StatusCode, HeaderMap, UpstreamBody), ApiError> {
    let name = &target.provider.name;
    let internal = |message: String| ApiError::new(ErrorKind::Internal, message);
    let proxy = target.provider.proxy.as_deref();
    let client = call.gateway.clients.get(proxy);
    let client = client.map_err(|error| internal(format!("provider '{name}': {error}")))?;
    let url =
        lingate_upstream::stored_response(&endpoint.base_url, &call.record.id, below, &call.query);
    let mut request = Request::new(Payload::from(Bytes::new()));
    *request.method_mut() = method.clone();
    *request.uri_mut() = url.parse().map_err(|_| not_found(&call.record.id))?;
    *request.headers_mut() = upstream_headers(Some(&call.visit.parts.headers), endpoint);
    request.headers_mut().remove(header::CONTENT_TYPE);
    if let Some(key) = key {
        let (name, format) = (&endpoint.auth.header, &endpoint.auth.format);
        lingate_upstream::authorize(request.headers_mut(), name, format, key)
            .map_err(|error| internal(error.to_string()))?;
    }
    let patience = call.visit.snapshot.defaults.request_timeout;
    let response = lingate_upstream::send(&client, request, patience)
        .await
        .map_err(|error| ApiError::new(ErrorKind::Upstream, error.to_string()))?;
    let (parts, body) = response.into_parts();
    let body = UpstreamBody::new(body, &parts.headers).ok_or_else(|| {
        let message = "the upstream compressed its answer in an unknown way";
        ApiError::new(ErrorKind::UpstreamMalformed, message)
    })?;
    Ok((parts.status, parts.headers, body))
}

/// An answer, whole or as it is being made.
async fn given(
    call: &Call<'_>,
    upstream: &HeaderMap,
    body: UpstreamBody,
    key: Option<&SecretString>,
) -> Result<Response<Body>, ApiError> {
    let defaults = &call.visit.snapshot.defaults;
    let mut headers = headers::for_caller(upstream);
    let streams = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !streams {
        let body = body.read(LARGEST, defaults.idle_timeout).await;
        let body = body.map_err(|_| crate::relay::broken())?;
        let mut response = answer::json(StatusCode::OK, body);
        response.headers_mut().extend(headers);
        return Ok(response);
    }
    let dialect = DialectId::Responses;
    let reply = Reply {
        model: String::new(),
        mint: call.visit.mint,
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    };
    let lane = Lane::Tap {
        tap: Box::new(Tap::new(dialect.dialect(), Framing::Sse)),
        hold: Hold::new(Framing::Sse, false),
        reply: Box::new(reply),
    };
    let record = Record::new(
        call.visit.request_id.clone(),
        dialect,
        String::new(),
        &call.caller,
        true,
    );
    let bounds = Bounds {
        idle: defaults.idle_timeout,
        deadline: Instant::now() + defaults.request_timeout,
    };
    let flow = Flow::new(body, lane, key.cloned());
    let opened = flow.open(None, defaults.idle_timeout, dialect).await;
    let opened = opened.map_err(|mut error| {
        if let Some(key) = key {
            mask(&mut error, key);
        }
        error
    })?;
    let body = match opened {
        Source::Flow(flow) => {
            Body::Stream(Box::new(StreamBody(Relay::flowing(flow, record, bounds))))
        }
        Source::Whole { body, summary } => {
            record.settle(&summary);
            Body::from(body)
        }
    };
    answer::stream_headers(&mut headers, "text/event-stream; charset=utf-8");
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Ok(response)
}

/// The provider's own words, without the key, or what they amount to.
async fn refused(
    status: StatusCode,
    upstream: &HeaderMap,
    body: UpstreamBody,
    key: Option<&SecretString>,
) -> Result<Response<Body>, ApiError> {
    let idle = std::time::Duration::from_secs(30);
    let body = body.read(1 << 20, idle).await.unwrap_or_default();
    let body = match key {
        Some(key) => lingate_upstream::without_secret(body, key),
        None => body,
    };
    if status.as_u16() < 400 || !Node::parse(&body).is_ok_and(Node::is_object) {
        return Err(ApiError::decode(status.as_u16(), &body));
    }
    let mut response = answer::json(status, body);
    if let Some(wait) = upstream.get(header::RETRY_AFTER) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, wait.clone());
    }
    Ok(response)
}
