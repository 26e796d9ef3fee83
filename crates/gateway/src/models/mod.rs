//! Lists of models, in the shape that the caller's client reads.

mod chat;
mod codex;
mod gemini;
mod messages;
mod page;
mod served;
mod tagged;
mod told;

use bytes::Bytes;
use http::{Response, StatusCode};
use lingate_dialect::json::Object;
use lingate_dialect::{ApiError, DialectId, ErrorKind};

use crate::Gateway;
use crate::answer::{self, Body};
use crate::caller::Caller;
use crate::service::Visit;

pub(crate) use codex::{Catalogues, ETAG};
use served::served;
pub(crate) use told::tell;

/// The list, paged as the dialect pages. A client of Responses that asks for a list in the shape of its own is Codex; other
/// clients of OpenAI's dialects read one list.
pub(crate) fn list(
    gateway: &Gateway,
    visit: &Visit,
    caller: &Caller,
    dialect: DialectId,
) -> Result<Response<Body>, ApiError> {
    let query = visit.parts.uri.query().unwrap_or("");
    let principal = caller.principal();
    let models = |dialects: &[DialectId]| served(&visit.snapshot, principal, dialects);
    let body = match dialect {
        DialectId::Chat => chat::list(&models(&[DialectId::Chat, DialectId::Responses])).into(),
        DialectId::Responses => gateway
            .catalogues
            .of(&visit.snapshot, principal)
            .body
            .clone(),
        DialectId::Messages => Bytes::from(messages::list(&models(&[dialect]), query)?),
        DialectId::Gemini => Bytes::from(gemini::list(&models(&[dialect]), query)?),
    };
    Ok(tagged::answer(body, &visit.parts.headers))
}

/// One model.
pub(crate) fn one(
    visit: &Visit,
    caller: &Caller,
    dialect: DialectId,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let models = served(&visit.snapshot, caller.principal(), &DialectId::ALL);
    let found = models.iter().find(|model| model.id == id);
    let model = found.ok_or_else(|| {
        ApiError::new(
            ErrorKind::NotFound,
            format!("there is no model '{id}' in the list"),
        )
        .code("model_not_found")
        .param("model")
    })?;
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    match dialect {
        DialectId::Chat | DialectId::Responses => chat::one(&mut object, model),
        DialectId::Messages => messages::one(&mut object, model),
        DialectId::Gemini => gemini::one(&mut object, model),
    }
    drop(object);
    Ok(answer::json(StatusCode::OK, Bytes::from(out)))
}
