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
        let mut all = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(given) = all.next() else {
            return Ok(Self(None));
        };
        let bad = || {
            Problem::bad("`If-Match` is not an ETag of this gateway")
                .hint("send the ETag as it came with the thing")
        };
        // Several would be said to hold, and one of them looked at.
        if all.next().is_some() {
            return Err(bad());
        }
        let text = given.to_str().unwrap_or("").trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.trim_start_matches("W/").trim_matches('"').parse();
        number
            .map(|revision| Self(Some(revision)))
            .map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[tokio::test]
    async fn one_state_is_named_or_none() {
        let check = async |given: &[&str], expect: Result<Option<Revision>, u16>| {
            let mut request = Request::builder();
            for value in given {
                request = request.header(header::IF_MATCH, *value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let read = IfMatch::from_request_parts(&mut parts, &()).await;
            let read = read.map(|it| it.0).map_err(|it| it.status().as_u16());
            assert_eq!(read, expect, "{given:?}");
        };
        check(&[], Ok(None)).await;
        check(&["*"], Ok(None)).await;
        check(&["\"7\""], Ok(Some(7))).await;
        check(&["W/\"7\""], Ok(Some(7))).await;
        check(&["\"7\", \"8\""], Err(400)).await;
        check(&["\"7\"", "\"8\""], Err(400)).await;
        check(&["*", "\"8\""], Err(400)).await;
        check(&["seven"], Err(400)).await;
    }
}
