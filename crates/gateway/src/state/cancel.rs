//! `POST /v1/responses/{id}/cancel`: stops an answer that is being made in the background, where it is made.

use http::{Method, Response};
use lingate_dialect::{ApiError, ErrorKind};

use super::{Call, forward};
use crate::answer::Body;

pub(crate) async fn answer(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    if !call.record.background || !call.record.maker.native {
        return Err(ApiError::new(
            ErrorKind::BadRequest,
            "Cannot cancel a synchronous response.",
        ));
    }
    forward::send(call, &Method::POST, "/cancel").await
}
