//! `POST /api/v1/api-keys/{id}/rotate`

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lingate_store::mint;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::ApiKeys;
use super::made::{Made, Reached};
use super::power::covers;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Fields, Found, IfMatch, now};
use crate::problem::Problem;
use crate::tenants::{self, Found as Kept, Known, Resource as _};

/// The longest that an old secret is accepted besides: a year.
const LONGEST: u64 = 366 * 86_400;

#[derive(Debug, ToSchema)]
#[schema(as = ApiKeyRotation)]
#[expect(dead_code, reason = "it says what is read field by field")]
pub(crate) struct Rotation {
    /// How long the secrets that it has now are accepted besides; none if left out.
    #[schema(example = 86400, minimum = 0, maximum = 31_622_400)]
    overlap_seconds: Option<u64>,
}

/// Give a key another secret
///
/// The answer tells it, this once.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys/{id}/rotate",
    operation_id = "rotate_api_key",
    tag = "api keys",
    params(
        ("id" = String, Path, description = "An id, or `organization/project/key` (with `%2F` for slashes)"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
        Reached,
    ),
    request_body(content = Option<Rotation>),
    responses(
        (status = 200, description = "It has another secret", body = Made),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rotate(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    Query(reached): Query<Reached>,
    IfMatch(expected): IfMatch,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Found<Made>, Problem> {
    let body: Value = match body.trim_ascii() {
        [] => json!({}),
        body => serde_json::from_slice(body)
            .map_err(|error| Problem::bad(format!("the body is no JSON: {error}")))?,
    };
    let mut fields = Fields::of(body)?;
    let overlap = fields.number("overlap_seconds", 0, LONGEST).unwrap_or(0);
    fields.done()?;
    let address = reached.address(&headers)?;
    let known = Known::of(&admin, &allowed)?;
    let (found, place) = tenants::seen::<ApiKeys>(&known, &allowed, &id).await?;
    let stored = found.changeable(ApiKeys::NOUN)?;
    let (_, names) = known.place::<ApiKeys>(&stored.value).await?;
    covers(&allowed, &stored.value, place, &names)?;
    let text = mint()?;
    let overlap = i64::try_from(overlap).unwrap_or(0).saturating_mul(1000);
    let until = now().saturating_add(overlap);
    let rotated = known
        .store
        .rotate(stored.value.id, &text.secret(None), until, expected)
        .await?;
    let told = tenants::answer::<ApiKeys>(&known, StatusCode::OK, &Kept::Stored(rotated)).await?;
    Ok(Found {
        status: told.status,
        revision: told.revision,
        value: Made::of(told.value, &text, &address),
    })
}
