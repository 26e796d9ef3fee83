//! What is done around every endpoint: problems name the request, answers are not kept by anybody between, and hold what was asked for.

use std::pin::pin;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use lingate_gateway::caught;

use super::sparse::Sparse;
use crate::beside::From;
use crate::problem::Problem;

/// The largest answer of which a part can be asked for.
const LARGEST: usize = 64 << 20;

/// What an answer says where it does not say better itself: nobody keeps it, nothing guesses its type, no page holds it.
const SAID: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

pub(crate) async fn around(request: Request, next: Next) -> Response {
    let request_id = request
        .extensions()
        .get::<From>()
        .map(|from| from.request_id.clone());
    let sparse = if request.uri().path().starts_with("/api/v1/") {
        Sparse::of(request.uri().query().unwrap_or(""))
    } else {
        Ok(None)
    };
    let mut response = match sparse {
        Ok(None) => whole(request, next).await,
        Ok(Some(sparse)) => part(whole(request, next).await, &sparse).await,
        Err(problem) => problem.into_response(),
    };
    response = as_problem(response, request_id).await;
    for (name, value) in SAID {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What the endpoint answers; that it failed, where it panics. What it had begun in the database is rolled back.
async fn whole(request: Request, next: Next) -> Response {
    let from = request.extensions().get::<From>();
    let request_id = from.map(|from| from.request_id.clone()).unwrap_or_default();
    let answering = pin!(next.run(request));
    let answered = caught(request_id, answering).await;
    answered.unwrap_or_else(|_| Problem::internal().into_response())
}

/// The part of an answer that was asked for; what is no JSON is given whole.
async fn part(response: Response, sparse: &Sparse) -> Response {
    let content = response.headers().get(header::CONTENT_TYPE);
    if !response.status().is_success() || content.is_none_or(|it| it != "application/json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST).await else {
        return Problem::invalid("fields", "the answer is too large for that: ask for a page")
            .into_response();
    };
    // It is ours: it can be read.
    let mut value = serde_json::from_slice(&bytes).unwrap_or_default();
    sparse.keep(&mut value);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(value.to_string()))
}

/// Problems tell the request that they are of; what the frame below us refuses in plain text becomes one.
async fn as_problem(mut response: Response, request_id: Option<String>) -> Response {
    let status = response.status();
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        if problem.request_id.is_some() {
            return response;
        }
        problem.request_id = request_id;
        return with_headers_of(&response, problem.into_response());
    }
    let plain = response.headers().get(header::CONTENT_TYPE);
    let plain = plain.is_none_or(|it| it.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !plain {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = match body.collect().await {
        Ok(said) => String::from_utf8_lossy(&said.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    let said = if said.is_empty() {
        status.canonical_reason().unwrap_or("error").to_owned()
    } else {
        said
    };
    let mut problem = if status.is_server_error() {
        tracing::error!(detail = %said, "an endpoint failed");
        Problem::new(status, "internal", "the gateway failed; the log says why")
    } else if status == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(status, "too_large", said)
    } else {
        Problem::new(status, "bad_request", said)
    };
    problem.request_id = request_id;
    let told = problem.into_response();
    let bare = Response::from_parts(parts, Body::empty());
    with_headers_of(&bare, told)
}

/// Other headers of the first (`Allow`, `Retry-After`, cookies) are those of the answer.
fn with_headers_of(first: &Response, mut told: Response) -> Response {
    for (name, value) in first.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            told.headers_mut().append(name, value.clone());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;

    async fn panics() -> StatusCode {
        let secret = String::from("canary");
        assert_ne!(secret, "canary", "{secret}");
        StatusCode::OK
    }

    #[tokio::test]
    async fn an_endpoint_that_panics_has_failed_and_says_nothing_of_why() {
        let router = Router::new()
            .route("/api/v1/panics", get(panics))
            .route("/api/v1/good", get(|| async { "good" }))
            .layer(from_fn(around));
        let check = async |path: &str, expect: u16| {
            let address = std::net::Ipv4Addr::LOCALHOST.into();
            let from = From {
                peer: address,
                address,
                request_id: "req_1".to_owned(),
            };
            let request = Request::builder().uri(path).extension(from);
            let request = request.body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), expect, "{path}");
            let (parts, body) = answer.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            (parts.headers, bytes)
        };
        for path in ["/api/v1/panics", "/api/v1/panics?fields=id"] {
            let (headers, bytes) = check(path, 500).await;
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            let problem: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(problem["code"], "internal");
            assert_eq!(problem["request_id"], "req_1");
            assert!(!problem.to_string().contains("canary"), "{problem}");
        }
        check("/api/v1/good", 200).await;
    }
}
