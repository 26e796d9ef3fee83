//! `GET /v1/responses/{id}`: the answer as it was given, whole or as the stream that it was or would have been.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use lingate_dialect::ApiError;
use lingate_dialect::json::Node;

use super::{Call, forward, query, replay};
use crate::answer::{self, Body};

pub(crate) async fn answer(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    let Some(content) = &call.record.content else {
        return forward::send(call, &Method::GET, "").await;
    };
    let stream = match query::value(&call.query, "stream").as_deref() {
        None | Some("false" | "False" | "0") => false,
        Some("true" | "True" | "1") => true,
        Some(other) => {
            let what = format!("'{other}'; expected true or false");
            return Err(query::invalid("stream", &what));
        }
    };
    let after = query::number(&call.query, "starting_after", 0, u64::MAX)?;
    if !stream {
        let body = content.response.get().as_bytes();
        return Ok(answer::json(StatusCode::OK, Bytes::copy_from_slice(body)));
    }
    let mut out = Vec::new();
    replay::write(Node::from(&*content.response), after, &mut out);
    let mut response = Response::new(Body::from(Bytes::from(out)));
    answer::stream_headers(response.headers_mut(), "text/event-stream; charset=utf-8");
    Ok(response)
}
