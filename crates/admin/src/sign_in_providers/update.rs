//! `PATCH /api/v1/sign-in-providers/{name}`

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};

use super::create::New;
use super::shown::Shown;
use super::{called, may_manage, wanted};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found, IfMatch, merge};
use crate::problem::Problem;

/// Change a sign-in provider
///
/// A JSON merge patch: what is left out stays, null unsets. The issuer cannot be changed: it is who says who somebody is.
#[utoipa::path(
    patch,
    path = "/api/v1/sign-in-providers/{name}",
    tag = "sign-in",
    operation_id = "update_sign_in_provider",
    params(
        ("name" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    request_body = New,
    responses(
        (status = 200, description = "The provider", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn update(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(name): Path<String>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<Value>,
) -> Result<Found<Shown>, Problem> {
    may_manage(&allowed)?;
    let before = called(&admin, &name).await?;
    if !patch.is_object() {
        return Err(Problem::invalid("", "expected an object"));
    }
    let value = &before.value;
    let mut whole = value.spec.clone();
    merge(
        &mut whole,
        json!({
            "name": value.name,
            "issuer": value.issuer,
            "client_id": value.client_id,
            "enabled": value.enabled,
        }),
    );
    let secret = patch.get("client_secret").cloned();
    merge(&mut whole, patch);
    // Null takes it away, which a merged object no longer tells.
    if let (Some(Value::Null), Value::Object(whole)) = (&secret, &mut whole) {
        whole.insert("client_secret".to_owned(), Value::Null);
    }
    let wanted = wanted::read(&admin, &allowed, value.id, whole, Some(value)).await?;
    if wanted.issuer != value.issuer {
        return Err(Problem::invalid(
            "/issuer",
            "cannot be changed: make another provider, and delete this one",
        ));
    }
    // What was merged is as of that state.
    let expected = expected.or(Some(before.revision));
    let store = allowed.store(&admin)?;
    let stored = store.update_sign_in_provider(&wanted, expected).await?;
    admin.issuers().forget(&wanted.issuer);
    Ok(Found {
        status: StatusCode::OK,
        revision: stored.revision,
        value: Shown::of(&stored)?,
    })
}
