//! `DELETE /v1/responses/{id}`: forgets an answer, here and where it was made.

use http::{Method, Response, StatusCode};
use lingate_dialect::json::Object;
use lingate_dialect::{ApiError, ErrorKind};

use super::{Call, forward, not_found};
use crate::answer::{self, Body};

pub(crate) async fn answer(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    let record = &call.record;
    if record.maker.native {
        // First there: as long as that fails, the answer is not deleted, and asking again must be possible.
        match forward::send(call, &Method::DELETE, "").await {
            Ok(response) if response.status().is_success() => {}
            // It is gone there, or never could be asked for, or the provider is gone: nothing is left to delete but what is here.
            Ok(response) if is_nothing_there(response.status()) => {}
            Err(error) if is_nothing_there_for(&error) => {}
            other => return other,
        }
    }
    let removed = record
        .remove(&call.gateway.responses, &call.scope, call.visit.mint.now)
        .await
        .map_err(|_| {
            let message = "the answer could not be deleted from disk; the log says why";
            ApiError::new(ErrorKind::Internal, message)
        })?;
    // Somebody was quicker.
    if !removed && record.content.is_some() {
        return Err(not_found(&record.id));
    }
    let mut out = Vec::new();
    {
        let mut deleted = Object::new(&mut out);
        deleted.string("id", &record.id);
        deleted.string("object", "response.deleted");
        deleted.bool("deleted", true);
    }
    Ok(answer::json(StatusCode::OK, out))
}

fn is_nothing_there(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    )
}

fn is_nothing_there_for(error: &ApiError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::MethodNotAllowed | ErrorKind::NotImplemented
    )
}
