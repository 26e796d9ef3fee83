//! Stored state of the Responses API, for any upstream: answers are kept here, for the caller's key alone, so that
//! `previous_response_id` and the doors below `/v1/responses/{id}` work whoever answered.
//!
//! An answer that an upstream keeps itself is referred to there, by its own id, as long as the same upstream is asked; it keeps what
//! cannot be sent again. Everywhere else, what a request refers to is written out: the items of the chain stand in front of its
//! `input`.

mod cancel;
mod chain;
mod delete;
mod forward;
mod input_items;
mod items;
mod keep;
mod query;
mod record;
mod replay;
mod request;
mod retrieve;

use http::Response;
use lingate_dialect::{ApiError, ErrorKind};
use lingate_routing::Snapshot;
use lingate_shelf::Limits;

use crate::Gateway;
use crate::answer::Body;
use crate::caller::Caller;
use crate::credential;
use crate::service::Visit;

pub use keep::Kept;
pub(crate) use keep::keep;
pub(crate) use request::{Asked, State};

use record::Record;

/// What is wanted of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredDoor {
    Retrieve,
    Delete,
    InputItems,
    Cancel,
}

/// How much is kept, as the configuration says.
pub(crate) fn limits(snapshot: &Snapshot) -> Limits {
    let state = &snapshot.state;
    Limits {
        ttl: state.ttl,
        total: state.size,
        per_scope: state.size_per_key,
        ..Limits::default()
    }
}

/// Answers a request about a stored answer.
pub(crate) async fn answer(
    gateway: &Gateway,
    visit: Visit,
    caller: Caller,
    door: StoredDoor,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let query = visit.parts.uri.query().unwrap_or("");
    let scope = caller.scope();
    let record = record::load(&gateway.responses, &scope, id, visit.mint.now).await;
    let call = Call {
        gateway,
        query: credential::strip_query(query),
        visit,
        caller,
        scope,
        record: record.ok_or_else(|| not_found(id))?,
    };
    match door {
        StoredDoor::Retrieve => retrieve::answer(&call).await,
        StoredDoor::Delete => delete::answer(&call).await,
        StoredDoor::InputItems => input_items::answer(&call).await,
        StoredDoor::Cancel => cancel::answer(&call).await,
    }
}

/// A request about a stored answer, which is there and the caller's own.
struct Call<'a> {
    gateway: &'a Gateway,
    visit: Visit,
    caller: Caller,
    scope: String,
    /// Without the credential.
    query: String,
    record: Record,
}

/// The same for an answer of somebody else, for one whose time is over, and for one that never was.
fn not_found(id: &str) -> ApiError {
    ApiError::new(
        ErrorKind::NotFound,
        format!("Response with id '{id}' not found."),
    )
    .code("response_not_found")
}
