//! What a person finds: the page at `/`.

use http::{Response, StatusCode, header};
use lingate_dialect::json::Object;

use crate::answer::{self, Body};
use crate::service::Visit;

/// To what a client tells its vendor about itself. The body is not even read.
pub(crate) fn forgotten() -> Response<Body> {
    answer::json(StatusCode::OK, "{}")
}

/// Where to go from here, for browsers and for scripts.
pub(crate) fn page(visit: &Visit) -> Response<Body> {
    let html = visit
        .parts
        .headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if html {
        let mut response = Response::new(Body::from(bytes::Bytes::from_static(include_bytes!(
            "home.html"
        ))));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            http::HeaderValue::from_static("text/html; charset=utf-8"),
        );
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        response.headers_mut().insert(
            header::CONTENT_SECURITY_POLICY,
            http::HeaderValue::from_static(policy),
        );
        return response;
    }
    let mut out = Vec::new();
    {
        let mut page = Object::new(&mut out);
        page.string("name", "Lingate");
        page.string("version", env!("CARGO_PKG_VERSION"));
        let mut doors = page.array("doors");
        for door in [
            "POST /v1/chat/completions",
            "POST /v1/responses",
            "POST /v1/messages",
            "POST /v1beta/models/{model}:generateContent",
            "GET /v1/models",
            "GET /health",
        ] {
            doors.string(door);
        }
    }
    answer::json(StatusCode::OK, out)
}
