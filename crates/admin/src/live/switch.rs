//! `POST /api/v1/key-pools/{provider}/keys/{id}/enable` and `/disable`

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use lingate_gateway::Question;
use lingate_store::{AuditNote, Deed, Kind};
use serde_json::{Value, json};

use super::ask;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// Use a key again
#[utoipa::path(
    post,
    path = "/api/v1/key-pools/{provider}/keys/{id}/enable",
    operation_id = "enable_pool_key",
    tag = "key pools",
    params(
        ("provider" = String, Path, description = "Its name"),
        ("id" = String, Path, description = "Of the key, as the list of keys tells it"),
    ),
    responses(
        (status = 200, description = "How the key stands", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn enable_pool_key(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path((provider, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    switch(&admin, &allowed, (&provider, &id), true, &[]).await
}

/// Use a key no more, until it is enabled by hand
#[utoipa::path(
    post,
    path = "/api/v1/key-pools/{provider}/keys/{id}/disable",
    operation_id = "disable_pool_key",
    tag = "key pools",
    params(
        ("provider" = String, Path, description = "Its name"),
        ("id" = String, Path, description = "Of the key, as the list of keys tells it"),
    ),
    request_body(content = Option<Value>, description = "Why", example = json!({"reason": "leaked on Monday"})),
    responses(
        (status = 200, description = "How the key stands", body = Value),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn disable_pool_key(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path((provider, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    switch(&admin, &allowed, (&provider, &id), false, &body).await
}

async fn switch(
    admin: &Admin,
    allowed: &Allowed,
    (provider, id): (&str, &str),
    on: bool,
    body: &[u8],
) -> Result<Json<Value>, Problem> {
    let question = Question::KeySwitch {
        provider,
        id,
        on,
        body,
    };
    let told = ask(admin, allowed, question).await?;
    // A key that leaks is switched off also while the database is away; the log tells it then.
    let deed = if on { Deed::Unblock } else { Deed::Block };
    let note = AuditNote {
        after: Some(
            json!({"provider": provider, "state": told.0["state"], "reason": told.0["reason"]}),
        ),
        ..AuditNote::of(
            deed,
            Kind::ProviderKey,
            &id,
            told.0["key"].as_str().unwrap_or(id),
        )
    };
    if let Ok(store) = allowed.store(admin)
        && let Err(error) = store.audit(note).await
    {
        tracing::warn!(%error, provider, id, "the audit log does not tell that a key was switched");
    }
    Ok(told)
}
