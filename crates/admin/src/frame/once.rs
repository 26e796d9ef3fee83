//! `Idempotency-Key`: a request that is sent again, because its answer was lost on the way, is answered as the first time and does
//! nothing.
//!
//! The key is the actor's own. Only what succeeded is kept: what failed has changed nothing, and may be tried again with the same key.
//! A request whose maker was lost on the way stays taken: whether it was made is not known, and it is never made twice.

use std::pin::pin;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use lingate_gateway::caught;
use lingate_seal::Purpose;
use lingate_store::{Act, Claim, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Admin;
use crate::access::{Actor, Allowed};
use crate::frame::LARGEST;
use crate::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Characters of a key.
const LONGEST: usize = 255;
/// Bytes of a request that is kept in memory to be told from others, where that may be as large as it likes.
const LARGEST_REQUEST: usize = 64 << 20;
/// Bytes of an answer that is kept.
const LARGEST_ANSWER: usize = 1 << 20;

/// Headers of an answer that belong to what was made.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) async fn once(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    let Some(act) = act(&request) else {
        return next.run(request).await;
    };
    // Whole configurations and lists of keys come from the platform; nobody else fills the memory so.
    let allowed = request.extensions().get::<Allowed>();
    let largest = match allowed.map(Allowed::on_platform) {
        Some(Ok(())) => LARGEST_REQUEST,
        Some(Err(_)) | None => LARGEST,
    };
    match make(admin, act, request, largest, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// Nobody in particular has no keys.
fn act(request: &Request) -> Option<Act> {
    let extensions = request.extensions();
    let allowed = extensions.get::<Allowed>().map(|allowed| &allowed.actor);
    let actor = allowed.or_else(|| extensions.get::<Actor>());
    actor.map(|actor| actor.act.clone())
}

async fn make(
    admin: Admin,
    act: Act,
    request: Request,
    largest: usize,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(request.headers())?;
    let actor = format!("{}:{}:{}", act.kind.name(), act.id, act.name);
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, largest).await;
    let bytes = bytes.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is larger than a request with an Idempotency-Key may be, or broke off",
        )
    })?;
    let mut hash = Sha256::new();
    let of_head = [
        parts.uri.path(),
        parts.uri.query().unwrap_or(""),
        parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|content| content.to_str().ok())
            .unwrap_or(""),
    ];
    for text in of_head {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hash.update(&bytes);
    let fingerprint = STANDARD.encode(hash.finalize());
    let store = admin.store()?;
    match store.claim(&actor, &key, &fingerprint).await? {
        Claim::Ours => {}
        Claim::UnderWay => {
            return Err(Problem::conflict(
                "idempotency_key_in_use",
                "the request with this Idempotency-Key has no answer yet",
            )
            .hint(
                "ask again in a moment; if the gateway was stopped meanwhile, look whether it was done, and take a new key",
            ));
        }
        Claim::OtherRequest => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "this Idempotency-Key came with another request before",
            )
            .hint("take a new key for each request"));
        }
        Claim::Settled(sealed) => return replay(&admin, &row(&actor, &key), &sealed),
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    // Whoever hangs up asks again: what was begun is done to its end, and its answer is kept.
    let making = tokio::spawn(async move {
        let making = pin!(async {
            let response = next.run(request).await;
            keep(&admin, &store, &actor, &key, response).await
        });
        caught(act.request_id.unwrap_or_default(), making).await
    });
    // The key stays taken after a panic, too: what was done before it is not known.
    match making.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) | Err(_) => Err(Problem::internal()),
    }
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let wrong = || {
        Problem::invalid(
            "Idempotency-Key",
            format!("expected from 1 to {LONGEST} visible characters"),
        )
    };
    let mut all = headers.get_all(KEY).iter();
    let given = all.next().and_then(|key| key.to_str().ok());
    let given = given.filter(|_| all.next().is_none()).ok_or_else(wrong)?;
    let good =
        (1..=LONGEST).contains(&given.len()) && given.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| given.to_owned()).ok_or_else(wrong)
}

/// What an envelope is bound to.
fn row(actor: &str, key: &str) -> String {
    format!("{actor} {key}")
}

async fn keep(
    admin: &Admin,
    store: &Store,
    actor: &str,
    key: &str,
    response: Response,
) -> Response {
    let content = response.headers().get(header::CONTENT_TYPE);
    let whole = content.is_none_or(|it| it.as_bytes().starts_with(b"application/json"));
    if !response.status().is_success() {
        forget(store, actor, key).await;
        return response;
    }
    let opens = response.headers().contains_key(header::SET_COOKIE);
    if !whole || opens {
        // A stream: its work is told as it goes, and is not told again. Nor is what belongs to a cookie, which one browser gets once.
        told(store.settle(actor, key, "").await);
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST_ANSWER).await else {
        told(store.settle(actor, key, "").await);
        return Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "it was done, and the answer is too large to be kept for its Idempotency-Key",
        )
        .into_response();
    };
    let headers = KEPT_HEADERS.iter().filter_map(|name| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let kept = Kept {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    let clear = serde_json::to_vec(&kept).unwrap_or_default();
    let sealed = admin
        .seal()
        .seal(Purpose::Answers, &row(actor, key), &clear)
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "an answer cannot be kept for its Idempotency-Key");
            String::new()
        });
    told(store.settle(actor, key, &sealed).await);
    Response::from_parts(parts, Body::from(bytes))
}

async fn forget(store: &Store, actor: &str, key: &str) {
    told(store.release(actor, key).await);
}

/// The key stays taken then, which makes nothing twice.
fn told(done: Result<(), lingate_store::StoreError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "an Idempotency-Key cannot be settled");
    }
}

fn replay(admin: &Admin, row: &str, sealed: &str) -> Result<Response, Problem> {
    let gone = || {
        Problem::conflict(
            "idempotency_answer_gone",
            "this request was made before, and its answer was not kept",
        )
        .hint("look at what it made")
    };
    let clear = admin.seal().open(Purpose::Answers, row, sealed);
    let clear = clear.map_err(|_| gone())?;
    let kept: Kept = serde_json::from_slice(&clear).map_err(|_| gone())?;
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    for (name, value) in kept.headers {
        let pair = (name.parse::<HeaderName>(), HeaderValue::from_str(&value));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().insert(name, value);
        }
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
