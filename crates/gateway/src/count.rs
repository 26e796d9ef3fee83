//! Token counts: asked of the vendor where its dialect counts and a key allows it, else estimated. Never a 404.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use lingate_dialect::envelope::Envelope;
use lingate_dialect::json::{Node, Object};
use lingate_dialect::{ApiError, DialectId, estimate};
use lingate_routing::{Ask, Kind, Target};
use lingate_upstream::Operation;

use crate::answer::{self, Body};
use crate::body::{self, UpstreamBody};
use crate::caller::authenticate;
use crate::service::{Visit, unread};
use crate::{Gateway, attempt, credential, exchange};

/// How long a vendor may take; counting is on the way of other work.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn answer(
    gateway: &Gateway,
    visit: Visit,
    dialect: DialectId,
    model: Option<String>,
) -> Result<Response<Body>, ApiError> {
    let query = visit.parts.uri.query().unwrap_or("");
    let caller = authenticate(
        &visit.snapshot,
        credential::find(&visit.parts.headers, query),
    )?;
    let body = body::read(
        visit.body,
        &visit.parts.headers,
        visit.snapshot.defaults.body_limit,
    )
    .await
    .map_err(|error| unread(&error))?;
    let request = counted(dialect, &body)?;
    let model = model.unwrap_or_else(|| request.model.clone());
    let ask = Ask {
        model: &model,
        dialect,
        stream: false,
    };
    let plan = lingate_routing::plan(&visit.snapshot, &ask, gateway.moment());
    if let Some(target) = plan.as_ref().ok().and_then(|plan| plan.targets.first())
        && target.provider.kind == Kind::Http
        && let Some(key) = gateway.keys.choose(target, &caller, &[], gateway.moment())
        && let Some(counted) = asked(
            gateway,
            &visit.parts.headers,
            target,
            key.secret(),
            dialect,
            &model,
            &body,
        )
        .await
    {
        return Ok(answer::json(StatusCode::OK, counted));
    }
    let tokens = estimate::tokens(&request);
    let mut out = Vec::new();
    match dialect {
        DialectId::Messages | DialectId::Chat => Object::new(&mut out).u64("input_tokens", tokens),
        DialectId::Gemini => Object::new(&mut out).u64("totalTokens", tokens),
    }
    Ok(answer::json(StatusCode::OK, out))
}

/// The request to be counted: the body of an answer door, but for `max_tokens`, which counting does not need.
fn counted(dialect: DialectId, body: &Bytes) -> Result<lingate_dialect::hub::Request, ApiError> {
    let mut envelope = Envelope::scan(body).map_err(|fault| exchange::malformed(&fault))?;
    if dialect == DialectId::Messages && envelope.get("max_tokens").is_none() {
        envelope.set(
            "max_tokens",
            &lingate_dialect::json::raw("1").unwrap_or_default(),
        );
    }
    dialect
        .dialect()
        .decode_request(&envelope.apply())
        .map_err(|fault| exchange::malformed(&fault))
}

/// The vendor's own count; `None` when it does not answer with one.
async fn asked(
    gateway: &Gateway,
    caller_headers: &HeaderMap,
    target: &Target,
    key: Option<&secrecy::SecretString>,
    dialect: DialectId,
    model: &str,
    body: &Bytes,
) -> Option<Bytes> {
    let endpoint = target
        .provider
        .endpoints
        .get(target.endpoint)
        .filter(|endpoint| endpoint.dialect == dialect)?;
    let operation = match dialect {
        DialectId::Messages => Operation::CountMessageTokens,
        DialectId::Gemini => Operation::CountTokens,
        DialectId::Chat => return None,
    };
    let mut sent = body.clone();
    if dialect == DialectId::Messages && model != target.model {
        let mut envelope = Envelope::scan(body).ok()?;
        envelope.set_text("model", &target.model);
        sent = Bytes::from(envelope.apply());
    }
    let mut request = Request::new(Full::new(sent));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = lingate_upstream::url(&endpoint.base_url, operation, &target.model, "")
        .parse()
        .ok()?;
    *request.headers_mut() = attempt::upstream_headers(Some(caller_headers), endpoint);
    if let Some(key) = key {
        lingate_upstream::authorize(
            request.headers_mut(),
            &endpoint.auth.header,
            &endpoint.auth.format,
            key,
        )
        .ok()?;
    }
    let client = gateway.clients.get(target.provider.proxy.as_deref()).ok()?;
    let response = lingate_upstream::send(&client, request, PATIENCE)
        .await
        .ok()?;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return None;
    }
    let counted = UpstreamBody::new(body, &parts.headers)?
        .read(1 << 16, PATIENCE)
        .await
        .ok()?;
    let fields = Node::parse(&counted).ok()?.fields().ok()?;
    let has_count = fields
        .get("input_tokens")
        .or_else(|| fields.get("totalTokens"))
        .is_some();
    has_count.then_some(counted)
}
