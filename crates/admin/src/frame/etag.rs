//! Revisions as ETags: who changes a thing says which state of it he has seen.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use lingate_store::Revision;
use serde::Serialize;

use crate::problem::Problem;

/// A thing, with its revision as ETag.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) status: StatusCode,
    pub(crate) revision: Revision,
    pub(crate) value: T,
}

impl<T: Serialize> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.value)).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.revision)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// The revision that `If-Match` names; `None`: any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatch(pub(crate) Option<Revision>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(given) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = given.to_str().unwrap_or("").trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.trim_start_matches("W/").trim_matches('"').parse();
        number.map(|revision| Self(Some(revision))).map_err(|_| {
            Problem::bad("`If-Match` is not an ETag of this gateway")
                .hint("send the ETag as it came with the thing")
        })
    }
}
